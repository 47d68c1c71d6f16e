"""Starts and runs simulations for tests."""

from datetime import date

from incentives.simulations import services
from incentives.simulations.models import Candidate, SimulatedPerson, Simulation
from incentives.simulations.services import Source

YEAR = (date(2026, 1, 1), date(2026, 12, 31))


def simulate(actor, *candidates: Source, window=YEAR, **options) -> Simulation:
    """Start one and let a worker run it."""
    simulation = services.start(actor=actor, candidates=list(candidates), first=window[0], last=window[1], **options)
    services.carry_on()
    simulation.refresh_from_db()
    return simulation


def source(document: dict, label: str = "Idea", program=None, version=None) -> Source:
    return Source(document, label, program, version)


def candidate(simulation: Simulation, position: int = 1) -> Candidate:
    return simulation.candidates.get(position=position)


def earned(simulation: Simulation, position: int = 1, field: str = "earned_minor") -> dict[str, int]:
    """name -> minor units"""
    rows = SimulatedPerson.objects.filter(candidate__simulation=simulation, candidate__position=position)
    return dict(rows.values_list("participant__name", field))
