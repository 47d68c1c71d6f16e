"""What can go wrong with a simulation."""

from incentives.core.errors import DomainError


class SimulationInvalid(DomainError):
    """What was asked for cannot be simulated; the message says what to change."""

    code = "simulation_invalid"
    status = 422


class NothingToUse(DomainError):
    """The candidate already is what runs."""

    code = "nothing_to_use"
    status = 409
