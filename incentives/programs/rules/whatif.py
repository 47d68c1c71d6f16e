"""What would have been: a program on other days, and more or fewer wins.

`moved` puts a definition on other days, `moved_targets` its targets with it. `MoreWins` answers "what if wins were so
many per cent up or down" in one of two ways, by what the program looks at:

- Programs that count activities (metric `deals`, rewards `per_deal` or `milestone`) get more or fewer of them. The
  activities are put in an order that only their ids decide (the first eight bytes of BLAKE2b, as a number). At -20 % the
  first 80 % stay, rounded half up; at +20 % the first 20 % count twice, each copy at its own moment.
- All others get larger or smaller ones: every credit's measure times the factor, rounded half up to the smallest unit.

Both are the same every time. At 0 % nothing changes.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal

from .facts import Credit
from .numbers import from_units, half_up, units
from .parsing import canonical, parse_definition
from .periods import clock, period_start
from .schema import Definition, Milestone, PerDeal

LEAST, MOST = -100, 500
"""Per cent of change that `MoreWins` takes."""


def moved(definition: Definition, first: date, last: date) -> Definition:
    """The same program from `first` to `last`. Periods fall where the calendar puts them there; amounts stay.

    Raises DefinitionError where the days are no window of a program.
    """
    if (first, last) == (definition.starts_on, definition.ends_on):
        return definition
    return parse_definition({**canonical(definition), "starts_on": first.isoformat(), "ends_on": last.isoformat()})


def moved_targets(definition: Definition, to: Definition, targets: Mapping[date, Decimal]) -> dict[date, Decimal]:
    """One participant's targets on the days of `to`: the n-th period's target is that of the n-th period there.

    Where `to` has more periods, the last one's target is used again. A period without a target has none there either.
    Two targets in one period are a mistake of the caller; the later day's stands.
    """
    old, new = clock(definition).starts, clock(to).starts
    own = {period_start(definition, day): targets[day] for day in sorted(targets)}
    pairs = ((start, own.get(old[min(index, len(old) - 1)])) for index, start in enumerate(new))
    return {start: value for start, value in pairs if value is not None}


def counts_activities(definition: Definition) -> bool:
    """Whether more wins means more activities here; else it means larger ones."""
    if definition.measure.metric == "deals":
        return True
    return any(isinstance(reward, PerDeal | Milestone) for reward in definition.rewards)


def mark(fact_id: str) -> int:
    """The place of an activity in the order of `MoreWins`: 64 bits that only its id decides."""
    return int.from_bytes(hashlib.blake2b(fact_id.encode("utf-8", "surrogatepass"), digest_size=8).digest())


class MoreWins:
    """The credits of a program as they were with `percent` more wins (below zero: fewer).

    `marks`: the mark of every activity that the program credits, once each; only needed where activities are counted.
    ValueError for a percentage out of LEAST..MOST.
    """

    def __init__(self, definition: Definition, percent: int, marks: Iterable[int] = ()):
        if not LEAST <= percent <= MOST:
            raise ValueError(f"{percent} is not between {LEAST} and {MOST} per cent")
        self.factor = 100 + percent
        self.by_count = counts_activities(definition)
        self.grain = 10 ** (4 - definition.digits) if definition.measure.metric == "amount" else 1
        self.copies, rest = divmod(self.factor, 100)
        self.below = _smallest(marks, rest) if self.by_count and rest else -1

    def apply(self, credits: Iterable[Credit]) -> Iterable[Credit]:
        if self.factor == 100:
            return credits
        return self._counted(credits) if self.by_count else (self._scaled(credit) for credit in credits)

    def _counted(self, credits: Iterable[Credit]) -> Iterator[Credit]:
        for credit in credits:
            times = self.copies + (mark(credit.fact_id) <= self.below)
            for n in range(times):
                yield credit._replace(fact_id=f"{credit.fact_id}+{n}") if n else credit

    def _scaled(self, credit: Credit) -> Credit:
        return credit._replace(measure=self._times(credit.measure), whole=self._times(credit.whole))

    def _times(self, value: Decimal) -> Decimal:
        return from_units(half_up(units(value) * self.factor, 100 * self.grain) * self.grain)


def _smallest(marks: Iterable[int], percent: int) -> int:
    """The largest of the smallest `percent` of the marks; -1 for none of them."""
    ordered = sorted(marks)
    count = half_up(len(ordered) * percent, 100)
    return ordered[count - 1] if count else -1
