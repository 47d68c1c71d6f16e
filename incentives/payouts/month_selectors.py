"""What a month holds, and what is unfinished before it is closed."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from django.db.models import Count, DateTimeField, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce, TruncDate, TruncMonth

from incentives.core.days import utc_midnight
from incentives.crm.models import Delivery, ObjectState
from incentives.earnings.models import Earning, Participation
from incentives.ledger.models import PeriodClose
from incentives.payouts.models import Approval, Payout, WriteOff
from incentives.payouts.services.months import first_month, month_after, month_of
from incentives.programs.models import Program
from rewards.money import Money

S = Payout.Status


def booked_in(first: date, end: date) -> Q:
    """Earnings booked from `first` until before `end`; one without a booking day counts on the day it was posted (UTC)."""
    posted = Q(posted_at__gte=utc_midnight(first), posted_at__lt=utc_midnight(end))
    return Q(booked_on__gte=first, booked_on__lt=end) | Q(booked_on__isnull=True) & posted


def last_approval() -> Subquery:
    """When a payout was approved in full, for payouts that have an order."""
    given = Approval.objects.filter(payout=OuterRef("pk"), decision=Approval.Decision.APPROVED)
    return Subquery(given.order_by("-pk").values("at")[:1], output_field=DateTimeField())


@dataclass(slots=True)
class Figures:
    """One program's month in minor units. `approved`: its last approval fell into the month; `ordered`: it was first sent;
    `paid`: the card was issued. Days are UTC; earnings are booked by the program's calendar."""

    program: Program
    earned: int = 0
    corrected: int = 0
    approved: int = 0
    ordered: int = 0
    paid: int = 0

    def money(self, name: str) -> Money:
        return Money(getattr(self, name), self.program.currency)


def by_program(month: date) -> list[Figures]:
    """Every program with anything in the month. Six queries for any number of programs."""
    first, end = month, month_after(month)
    start, stop = utc_midnight(first), utc_midnight(end)
    found: dict[int, dict] = {}

    def add(name: str, rows) -> None:
        for pk, total in rows:
            found.setdefault(pk, {})[name] = total or 0

    earned = Earning.objects.filter(booked_in(first, end)).order_by().values_list("participation__program")
    add("earned", earned.annotate(n=Sum("amount_minor")))
    add("corrected", earned.filter(amount_minor__lt=0).annotate(n=Sum("amount_minor")))
    payouts = Payout.objects.order_by().values_list("program")
    approved = Payout.objects.filter(order__isnull=False).annotate(approved_at=last_approval()).order_by()
    approved = approved.filter(approved_at__gte=start, approved_at__lt=stop).values_list("program")
    add("approved", approved.annotate(n=Sum("amount_minor")))
    add(
        "ordered",
        payouts.filter(order__first_sent_at__gte=start, order__first_sent_at__lt=stop).annotate(n=Sum("amount_minor")),
    )
    issued = payouts.filter(status=S.FULFILLED, order__finished_at__gte=start, order__finished_at__lt=stop)
    add("paid", issued.annotate(n=Sum("amount_minor")))
    programs = Program.objects.in_bulk(found)
    return sorted((Figures(programs[pk], **values) for pk, values in found.items()), key=lambda f: f.program.name)


def months_until(last: date) -> list[date]:
    """Every month from the first thing earned to `last`, newest first."""
    month, found = first_month(), []
    while month is not None and month <= last:
        found.append(month)
        month = month_after(month)
    return found[::-1]


@dataclass(slots=True)
class Month:
    """One line of the list: the month, how it stands and what it holds, per currency."""

    month: date
    closed: PeriodClose | None
    reopened: int
    sums: dict[str, dict[str, int]]

    @property
    def status(self) -> str:
        return "closed" if self.closed else "reopened" if self.reopened else "open"


def all_months(today: date) -> list[Month]:
    """Newest first. A constant number of queries: one per figure, grouped by month."""
    closes: dict[date, list[PeriodClose]] = {}
    for row in PeriodClose.objects.select_related("closed_by", "reopened_by"):
        closes.setdefault(row.month, []).append(row)
    sums = _sums_by_month()
    found = []
    for month in months_until(month_of(today)):
        rows = closes.get(month, [])
        closed = next((row for row in rows if row.reopened_at is None), None)
        found.append(Month(month, closed, sum(1 for row in rows if row.reopened_at), sums.get(month, {})))
    return found


def _sums_by_month() -> dict[date, dict[str, dict[str, int]]]:
    """month -> currency -> figure -> minor units."""
    found: dict[date, dict[str, dict[str, int]]] = {}

    def add(name: str, rows, day) -> None:
        grouped = rows.order_by().annotate(m=day).values_list("m", "currency").annotate(n=Sum("amount_minor"))
        for month, currency, total in grouped:
            key = month.date() if isinstance(month, datetime) else month
            line = found.setdefault(month_of(key), {}).setdefault(currency, {})
            line[name] = line.get(name, 0) + total

    add("earned", Earning.objects.all(), TruncMonth(Coalesce("booked_on", TruncDate("posted_at", tzinfo=UTC))))
    ordered = Payout.objects.filter(order__isnull=False)
    add("approved", ordered, TruncMonth(last_approval(), tzinfo=UTC))
    sent = ordered.filter(order__first_sent_at__isnull=False)
    add("ordered", sent, TruncMonth("order__first_sent_at", tzinfo=UTC))
    paid = ordered.filter(status=S.FULFILLED)
    add("paid", paid, TruncMonth("order__finished_at", tzinfo=UTC))
    return found


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist: `count` things are unfinished; `url` is where to look."""

    code: str
    count: int
    url: str


def unfinished() -> list[Item]:
    """What a careful person finishes before closing, in the order of the flow. Nothing of it refuses the closing."""
    waiting = Delivery.objects.filter(status=Delivery.Status.PENDING).count()
    waiting += ObjectState.objects.filter(changed_seq__gt=F("credited_seq")).count()
    troubled = Delivery.objects.filter(status__in=(Delivery.Status.QUARANTINED, Delivery.Status.FAILED)).count()
    dirty = Participation.objects.filter(Q(dirty_seq__gt=F("scored_seq")) | Q(scored_seq__gt=F("paid_seq"))).count()
    payouts = Payout.objects.aggregate(
        waiting=Count("pk", filter=Q(status=S.SUBMITTED)),
        under_way=Count("pk", filter=Q(status__in=(S.APPROVED, S.ORDERED))),
    )
    return [
        Item("facts", waiting, "crm:activities"),
        Item("exceptions", troubled, "crm:deliveries"),
        Item("scorecards", dirty, "programs:list"),
        Item("approvals", payouts["waiting"], "payouts:list"),
        Item("orders", payouts["under_way"], "payouts:orders"),
        Item("write_offs", WriteOff.objects.filter(status="proposed").count(), "payouts:write-offs"),
    ]
