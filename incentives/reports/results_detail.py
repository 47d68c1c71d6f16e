"""One program's results: its figures, their course over time and the deals that cost most."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date
from decimal import Decimal

from django.db.models import Count, Sum
from django.db.models.functions import Coalesce, TruncDate

from incentives.crm.models import ObjectState
from incentives.earnings.models import Earning
from incentives.ledger.rates import RateTable
from incentives.programs.models import Program
from incentives.programs.rules.periods import clock
from incentives.programs.rules.schema import Definition
from incentives.reports.results import once_each
from incentives.simulations import figures
from rewards.money import Money

DEALS = 10


@dataclass(frozen=True, slots=True)
class Bar:
    """How many people earned from `low` until before `high`."""

    low: Money
    high: Money
    count: int


def distribution(earned: list[int], currency: str) -> list[Bar]:
    return [Bar(Money(b["from"], currency), Money(b["to"], currency), b["n"]) for b in figures.histogram(earned)]


@dataclass(frozen=True, slots=True)
class Step:
    """A day, week or month: what was won and earned in it. A correction may make the cost of one less than nothing."""

    first: date
    won: Money
    cost: Money

    @property
    def per_won(self) -> Decimal | None:
        return Decimal(self.cost.minor) / self.won.minor if self.won.minor else None


def over_time(program: Program, definition: Definition, today: date) -> list[Step]:
    """From the program's first day to its last or today, or as far as anything was booked. Won on the day it counts, cost on
    its accounting day, both by the program's calendar. Three queries."""
    won, cost = won_by_day(program, definition), cost_by_day(program)
    days = sorted({*won, *cost})
    if not days:
        return []
    first = min(definition.starts_on, days[0])
    last = max(min(definition.ends_on, today), days[-1])
    return [
        Step(start, Money(won_minor, program.currency), Money(cost_minor, program.currency))
        for (start, won_minor), (_start, cost_minor) in zip(
            figures.over_time(won, first, last), figures.over_time(cost, first, last), strict=True
        )
    ]


def cost_by_day(program: Program) -> dict[date, int]:
    rows = Earning.objects.filter(participation__program=program).order_by()
    day = Coalesce("booked_on", TruncDate("posted_at", tzinfo=UTC))
    return {
        on: minor for on, minor in rows.annotate(day=day).values_list("day").annotate(n=Sum("amount_minor")) if minor
    }


def won_by_day(program: Program, definition: Definition) -> dict[date, int]:
    """Minor units. What no exchange rate could bring into the program's currency is left out, as in the sum."""
    local, rates = clock(definition), RateTable().to(program.currency)
    rows = once_each().filter(participation__program=program, object__amount__isnull=False).order_by()
    days = rows.annotate(day=TruncDate("counted_at", tzinfo=local.zone)).values_list("day", "object__currency")
    found: dict[date, Decimal] = defaultdict(Decimal)
    for day, currency, amount in days.annotate(sum=Sum("object__amount")):
        rate = Decimal(1) if currency == program.currency else rates.get((currency, day))
        if rate is not None:
            found[day] += amount * rate
    return {day: Money.from_decimal(amount, program.currency).minor for day, amount in found.items()}


@dataclass(frozen=True, slots=True)
class Deal:
    """One record and what it cost. Its amount stands in its own currency; `people` earned by it."""

    object: ObjectState
    cost: Money
    people: int

    @property
    def amount(self) -> Money | None:
        thing = self.object
        if thing.amount is None or not thing.currency:
            return None
        return Money.from_decimal(thing.amount, thing.currency)


def dearest(program: Program) -> list[Deal]:
    """The records that cost most. Two queries."""
    rows = Earning.objects.filter(participation__program=program, object__isnull=False).order_by()
    grouped = rows.values("object").annotate(cost=Sum("amount_minor"), people=Count("participation", distinct=True))
    top = list(grouped.filter(cost__gt=0).order_by("-cost", "object")[:DEALS])
    things = ObjectState.objects.select_related("participant").in_bulk([row["object"] for row in top])
    return [Deal(things[row["object"]], Money(row["cost"], program.currency), row["people"]) for row in top]
