"""Decisions about payouts and what waits for one: who, when, how long it took.

A decision waited from the moment its step was open: when the payout was built, or when the step before was approved, to the
decision; a time in which a hold stood is part of it. Decisions that a policy made by itself waited for nobody and are left out
of the times. Weeks are UTC, from Monday.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from django.db.models import (  # fmt: skip
    Count,
    DateTimeField,
    DurationField,
    ExpressionWrapper,
    F,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
)
from django.db.models.functions import Coalesce, TruncDate, TruncWeek
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.accounts.models import User
from incentives.payouts import selectors
from incentives.payouts.models import Approval, ApprovalPolicy, Payout
from incentives.payouts.policies import people_of
from rewards.money import Money

BULK = Q(seen__together__gt=1)
BANDS = (
    (_("under 1 h"), None, timedelta(hours=1)),
    (_("1 to 4 h"), timedelta(hours=1), timedelta(hours=4)),
    (_("4 to 24 h"), timedelta(hours=4), timedelta(days=1)),
    (_("1 to 3 days"), timedelta(days=1), timedelta(days=3)),
    (_("3 to 7 days"), timedelta(days=3), timedelta(days=7)),
    (_("7 days and more"), timedelta(days=7), None),
)
"""(words, from, until before)."""


def decisions() -> QuerySet[Approval]:
    """Every decision with `began` (when its step was open) and `waited`."""
    before = Approval.objects.filter(payout=OuterRef("payout"), step__lt=OuterRef("step")).order_by("-step")
    began = Coalesce(Subquery(before.values("at")[:1], output_field=DateTimeField()), F("payout__created_at"))
    return Approval.objects.annotate(began=began).annotate(
        waited=ExpressionWrapper(F("at") - F("began"), output_field=DurationField())
    )


def waiting(user) -> QuerySet[Payout]:
    """Payouts without their last decision, with `since` (when the open step began) and what selectors.for_decision adds."""
    last = Approval.objects.filter(payout=OuterRef("pk"), decision=Approval.Decision.APPROVED).order_by("-step")
    since = Coalesce(Subquery(last.values("at")[:1], output_field=DateTimeField()), F("created_at"))
    rows = Payout.objects.visible_to(user).filter(status=Payout.Status.SUBMITTED)
    return selectors.for_decision(rows, user).annotate(since=since)


def in_band(field: str, low: timedelta | None, high: timedelta | None) -> Q:
    """Of a duration."""
    where = Q() if low is None else Q(**{f"{field}__gte": low})
    return where if high is None else where & Q(**{f"{field}__lt": high})


def bands_of_decisions(rows: QuerySet[Approval]) -> list[tuple[str, int]]:
    """(words, how many decisions of people waited so long). One query."""
    counts = {f"n{i}": Count("pk", filter=in_band("waited", low, high)) for i, (_w, low, high) in enumerate(BANDS)}
    found = rows.filter(actor__isnull=False).order_by().aggregate(**counts)
    return [(str(words), found[f"n{i}"]) for i, (words, _low, _high) in enumerate(BANDS)]


def bands_of_waiting(rows: QuerySet[Payout], now: datetime) -> list[tuple[str, int]]:
    """(words, how many payouts wait so long). One query."""

    def older(low, high) -> Q:
        where = Q() if low is None else Q(since__lte=now - low)
        return where if high is None else where & Q(since__gt=now - high)

    counts = {f"n{i}": Count("pk", filter=older(low, high)) for i, (_w, low, high) in enumerate(BANDS)}
    found = rows.order_by().aggregate(**counts)
    return [(str(words), found[f"n{i}"]) for i, (words, _low, _high) in enumerate(BANDS)]


@dataclass(slots=True)
class Group:
    """The decisions of one approver or one week. Amounts count a payout once for each of its decisions."""

    label: str
    day: date | None = None
    approved: int = 0
    rejected: int = 0
    deputy: int = 0
    bulk: int = 0
    timed: int = 0
    """Decisions of people: those whose waiting counts."""
    waited: timedelta = timedelta(0)
    longest: timedelta | None = None
    sums: list[Money] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.approved + self.rejected

    @property
    def average(self) -> timedelta | None:
        """To the second."""
        return timedelta(seconds=round((self.waited / self.timed).total_seconds())) if self.timed else None

    def add(self, row: dict) -> None:
        for name in ("approved", "rejected", "deputy", "bulk", "timed"):
            setattr(self, name, getattr(self, name) + row[name])
        self.waited += row["waits"] or timedelta(0)
        self.longest = max(filter(None, [self.longest, row["most"]]), default=None)
        self.sums.append(Money(row["minor"], row["payout__currency"]))


def by_approver(rows: QuerySet[Approval]) -> list[Group]:
    """The most decisions first. One query."""
    found: dict[tuple, Group] = {}
    for row in _grouped(rows, "actor", "actor_name"):
        found.setdefault((row["actor"], row["actor_name"]), Group(row["actor_name"])).add(row)
    return sorted(found.values(), key=lambda group: (-group.count, group.label))


def by_week(rows: QuerySet[Approval]) -> list[Group]:
    """The newest week first. One query."""
    found: dict[date, Group] = {}
    weeks = rows.annotate(week=TruncWeek(TruncDate("at", tzinfo=UTC)))
    for row in _grouped(weeks, "week"):
        week = row["week"].date() if isinstance(row["week"], datetime) else row["week"]
        found.setdefault(week, Group(f"{week.isoformat()}", week)).add(row)
    return sorted(found.values(), key=lambda group: group.day, reverse=True)


def _grouped(rows: QuerySet[Approval], *keys: str):
    person = Q(actor__isnull=False)
    grouped = rows.order_by().values(*keys, "payout__currency")
    return grouped.annotate(
        approved=Count("pk", filter=Q(decision=Approval.Decision.APPROVED)),
        rejected=Count("pk", filter=Q(decision=Approval.Decision.REJECTED)),
        deputy=Count("pk", filter=Q(on_behalf_of__isnull=False)),
        bulk=Count("pk", filter=BULK),
        timed=Count("pk", filter=person),
        waits=Sum("waited", filter=person),
        most=Max("waited", filter=person),
        minor=Sum("payout__amount_minor"),
    ).order_by("payout__currency")


class Steps:
    """Steps in words. The names of people are read once, for any number of rows."""

    def __init__(self) -> None:
        self._names: dict[int, str] | None = None

    def words(self, steps: list, number: int) -> str:
        """`1 of 2: Finance`; of a payout that a policy approved: nothing to decide."""
        if number >= len(steps):
            return gettext("by itself")
        return gettext("%(n)s of %(all)s: %(who)s") % {
            "n": number + 1,
            "all": len(steps),
            "who": self.who(steps[number]),
        }

    def who(self, step: str) -> str:
        ids = people_of(step)
        if not ids:
            return str(ApprovalPolicy.Step(step).label)
        if self._names is None:
            self._names = {user.pk: str(user) for user in User.objects.filter(role_set__isnull=False).distinct()}
        return gettext(" or ").join(sorted(self._names.get(pk, "?") for pk in ids))
