"""An award program that runs, and people to give to."""

import pytest

from incentives.awards import services
from incentives.awards.models import Award
from incentives.crm.ingest import process_deliveries
from incentives.earnings.evaluate import evaluate
from incentives.programs import services as programs
from tests.factories import make_budget, make_user, usd
from tests.payouts.conftest import as_user, quiet_nudges, scene

__all__ = ["as_user", "quiet_nudges", "scene"]


class Pots:
    """`pots.make(...)` is a running award program; `pots.give("50.00")` gives the scene's rep an award and lets it earn."""

    def __init__(self, scene):
        self.scene = scene
        self.manager = scene.manager

    def make(self, funded: str = "1000.00", launched: bool = True, **values):
        values = {
            "name": "Spot awards", "currency": "USD", "starts_on": "2026-01-01", "ends_on": "2027-12-31",
            "deal_cap": 250, **values,
        }  # fmt: skip
        maker = make_user("manager")
        program = services.make_pot(actor=maker, budget=make_budget(funded=funded), **values)
        return programs.launch(program=program, actor=maker) if launched else program

    def give(self, amount: str = "50.00", program=None, person=None, actor=None, **values) -> Award:
        self.program = program or getattr(self, "program", None) or self.make()
        values = {"reason": "Saved the renewal", **values}
        award = services.give_award(
            program=self.program, participant=person or self.scene.rep, amount=usd(amount), actor=actor or self.manager,
            **values,
        )  # fmt: skip
        settle()
        return award

    def cancel(self, award: Award, actor=None, reason: str = "Given twice") -> Award:
        found = services.cancel_award(award=award, actor=actor or self.manager, reason=reason)
        settle()
        return found


def settle() -> None:
    while process_deliveries():
        pass
    evaluate()


@pytest.fixture
def pots(scene) -> Pots:
    return Pots(scene)
