"""Contests: who stands where and what that wins."""

from collections.abc import Iterable

from .facts import Roster, Scorecard, Standing
from .schema import Definition


def rank_standings(definition: Definition, scorecards: Iterable[Scorecard], roster: Roster) -> tuple[Standing, ...]:
    """One standing per `rank` reward, over the scorecards of everybody (all periods added up).

    Prizes respect what the scorecards leave of the period's (the last one's) and the participant's cap.
    """
    raise NotImplementedError
