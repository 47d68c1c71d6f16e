"""What the credits of one participant are worth."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

from .facts import NOTHING, Credit, Person, Scorecard
from .schema import Definition


def score(
    definition: Definition, person: Person, targets: Mapping[date, Decimal] = NOTHING, credits: Iterable[Credit] = ()
) -> list[Scorecard]:
    """All scorecards of one participant in one program, by period: one per period with a credit or a target.

    targets: any day of the period -> value in units of the measure. The order of `credits` does not matter.
    """
    raise NotImplementedError
