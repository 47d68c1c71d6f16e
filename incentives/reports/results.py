"""What programs cost and moved, for the list: every figure of any number of programs in a fixed number of queries.

- won: the amount of every activity that is credited in the program, each once and whole, in the program's currency by the
  exchange rate of its day (as a simulation counts it); one without amount adds nothing, one without a rate is counted as unpriced.
- cost: what was earned and stands, corrections taken off. Delivered: face value of the cards that were issued.
- eligible: who can earn by the newest published version that has started and by name, of the people as they are now, and
  whoever was credited. Credited: had an activity credited. Earning: earned and stands above zero. Paid: got a card.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from incentives.earnings.models import Credit, Participation
from incentives.ledger.rates import RateTable
from incentives.payouts.models import Payout
from incentives.programs.eligibility import by_rule, with_region
from incentives.programs.models import Enrollment, Program, ProgramVersion
from incentives.programs.rules.parsing import parse_definition
from incentives.programs.rules.periods import clock
from incentives.programs.rules.schema import Definition
from incentives.simulations import figures
from rewards.money import Money

TOGETHER = 50
"""Of so many programs the eligible are counted with one query: each is a column of it."""


@dataclass(slots=True)
class Result:
    """One program's figures. Money in its currency, `share` figures as ratios."""

    program: Program
    won: Money
    cost: Money
    delivered: Money
    activities: int = 0
    unpriced: int = 0
    eligible: int = 0
    credited: int = 0
    paid: int = 0
    earned: list[int] = field(default_factory=list)
    """What each person earned, above zero, in minor units."""

    @property
    def earning(self) -> int:
        return len(self.earned)

    @property
    def per_won(self) -> Decimal | None:
        return _ratio(self.cost.minor, self.won.minor)

    @property
    def participation(self) -> Decimal | None:
        """Who earned, of who could."""
        return _ratio(self.earning, self.eligible)

    @property
    def average(self) -> Money | None:
        """Per person who earned, rounded half up to the smallest unit."""
        if not self.earned:
            return None
        return Money((2 * sum(self.earned) + self.earning) // (2 * self.earning), self.program.currency)

    @property
    def median(self) -> Money | None:
        return Money(figures.median(self.earned), self.program.currency) if self.earned else None

    @property
    def top_share(self) -> Decimal:
        """Of the cost, for the tenth who earned most."""
        return Decimal(figures.top_share(self.earned)) / 10_000


def _ratio(part: int, whole: int) -> Decimal | None:
    return Decimal(part) / Decimal(whole) if whole else None


def results_of(programs: Iterable[Program]) -> dict[int, Result]:
    """Program id -> figures."""
    programs = list(programs)
    definitions = governing(programs)
    found = {program.pk: Result(program, *(Money(0, program.currency),) * 3) for program in programs}
    _won(found, definitions)
    _people(found)
    _paid(found)
    _eligible(found, definitions)
    return found


def governing(programs: Iterable[Program]) -> dict[int, Definition]:
    """The newest published definition that has started, else the first one, by program. One query."""
    now, found = timezone.now(), {}
    rows = ProgramVersion.objects.filter(program__in=list(programs), published_at__isnull=False).order_by("number")
    for version in rows:
        if version.program_id not in found or version.starts_at is None or version.starts_at <= now:
            found[version.program_id] = version.definition
    return {pk: parse_definition(document) for pk, document in found.items()}


# --- what was won -------------------------------------------------------------------------------------------------------
def once_each() -> QuerySet[Credit]:
    """One credit of each activity in each program: the first, however many people share it."""
    earlier = Credit.objects.filter(
        object=OuterRef("object"), participation__program=OuterRef("participation__program"), pk__lt=OuterRef("pk")
    )
    return Credit.objects.filter(~Exists(earlier))


def _won(found: dict[int, Result], definitions: dict[int, Definition]) -> None:
    rows = once_each().filter(participation__program__in=found).order_by()
    own = Q(object__currency=F("participation__program__currency"))
    sums = rows.values_list("participation__program").annotate(
        n=Count("pk"), won=Sum("object__amount", filter=own)
    )  # fmt: skip
    for pk, count, won in sums:
        result = found[pk]
        result.activities, result.won = count, Money.from_decimal(won or Decimal(0), result.program.currency)
    foreign = rows.filter(~own, object__amount__isnull=False)
    grouped = foreign.values_list("participation__program", "object__currency", "counted_at")
    table, other = RateTable(), defaultdict(Decimal)
    for pk, currency, at, count, amount in grouped.annotate(n=Count("pk"), sum=Sum("object__amount")):
        day = clock(definitions[pk]).local_day(at)
        rate = table.to(found[pk].program.currency).get((currency, day))
        if rate is None:
            found[pk].unpriced += count
        else:
            other[pk] += amount * rate
    for pk, amount in other.items():
        found[pk].won += Money.from_decimal(amount, found[pk].program.currency)


# --- people and cards -----------------------------------------------------------------------------------------------------
def _people(found: dict[int, Result]) -> None:
    credited = Credit.objects.filter(participation__program__in=found).order_by().values_list("participation__program")
    for pk, count in credited.annotate(n=Count("participation", distinct=True)):
        found[pk].credited = count
    rows = Participation.objects.filter(program__in=found, earned_minor__gt=0)
    for pk, minor in rows.order_by().values_list("program", "earned_minor"):
        result = found[pk]
        result.earned.append(minor)
        result.cost += Money(minor, result.program.currency)


def _paid(found: dict[int, Result]) -> None:
    cards = Payout.objects.filter(program__in=found, status=Payout.Status.FULFILLED).order_by()
    for pk, people, minor in cards.values_list("program").annotate(
        people=Count("participant", distinct=True), minor=Sum("amount_minor")
    ):
        found[pk].paid, found[pk].delivered = people, Money(minor, found[pk].program.currency)


def _eligible(found: dict[int, Result], definitions: dict[int, Definition]) -> None:
    for start in range(0, len(definitions), TOGETHER):
        some = sorted(definitions)[start : start + TOGETHER]
        counts = {f"p{pk}": Count("pk", filter=_could(pk, definitions[pk])) for pk in some}
        for name, count in with_region().order_by().aggregate(**counts).items():
            found[int(name[1:])].eligible = count


def _could(program: int, definition: Definition) -> Q:
    named = Enrollment.objects.filter(program=program)
    invited = Q(pk__in=named.filter(state=Enrollment.State.INVITED).values("participant"))
    excluded = Q(pk__in=named.filter(state=Enrollment.State.EXCLUDED).values("participant"))
    credited = Credit.objects.filter(participation__program=program).values("participation__participant")
    return (by_rule(definition) & ~excluded) | invited | Q(pk__in=credited)
