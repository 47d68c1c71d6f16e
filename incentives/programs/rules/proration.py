"""What a target is worth to somebody who was there for a part of its period.

The rule: target x days active in the period / days of the period, rounded half up: to two digits where the measure is an
amount, else to whole units. The days of the period are those inside the program; somebody who joined or left on a day was
there on it.
"""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from .periods import period_end
from .schema import Definition


class Days(NamedTuple):
    """How many days of a period somebody was there for. Both are at least zero; `active` is at most `all`."""

    active: int
    all: int

    @property
    def partly(self) -> bool:
        return 0 < self.active < self.all


def days_in(definition: Definition, start: date, started_on: date | None, ended_on: date | None) -> Days:
    """Days of the period that starts on `start`, in the program, and how many of them lie in the person's time here."""
    first = max(start, definition.starts_on)
    last = min(period_end(definition, start), definition.ends_on)
    begin, end = max(first, started_on or first), min(last, ended_on or last)
    return Days(max(0, (end - begin).days + 1), max(0, (last - first).days + 1))


def prorated(definition: Definition, value: Decimal, days: Days) -> Decimal:
    """The part of a target that `days` leaves, rounded half up. All days leave it as it is."""
    if days.active == days.all:
        return value
    digits = Decimal("0.01") if definition.measure.metric == "amount" else Decimal(1)
    return (value * days.active / days.all).quantize(digits, rounding=ROUND_HALF_UP)
