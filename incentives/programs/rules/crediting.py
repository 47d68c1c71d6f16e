"""Whose fact, and what share: from one fact to its credits."""

from .facts import NOTHING, CreditResult, Fact, Rates, Roster
from .schema import Definition


def credits_for(
    definition: Definition, fact: Fact, roster: Roster, rates: Rates = NOTHING, *, stopped_at=None
) -> CreditResult:
    """The credits of `fact` in this program, and in words why others got none.

    `stopped_at`: the moment a `stop_when_spent` program ran out; facts received from then on do not count.
    """
    raise NotImplementedError
