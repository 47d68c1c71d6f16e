"""What one person earned and was paid in a period, as an account that adds up: the one source of page and PDF.

In every currency, to the smallest unit:

    opening + earned + corrections + written off - delivered = closing

`earned` and `corrections` (what was taken back) fall on their accounting day (`booked_on`), cards and write-offs on the UTC day
they happened, as on the page of months. A period whose months finance has closed does not change any more. What is withheld
from a card is no movement of its own: the correction it recovers has moved the balance already, and the card is smaller by it.

The closing balance is what is on its way, plus what is carried to later payouts, minus what was paid ahead: in programs
that by then had delivered or sent off more than was earned there.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from django.db.models import Min, Q, Sum
from django.db.models.functions import Coalesce

from incentives.core.days import utc_midnight
from incentives.core.models import AuditEvent
from incentives.earnings.models import Earning, Participation
from incentives.ledger.models import PeriodClose
from incentives.participants.models import Participant
from incentives.payouts.models import Payout, WriteOffLine
from incentives.payouts.services.months import month_after, month_of
from incentives.payouts.wording import payout_for_recipient
from incentives.reports.periods import Period
from rewards.money import Money

S = Payout.Status
ENDED = (S.REJECTED, S.EXPIRED, S.CANCELLED, S.FAILED)


def booked_before(end: date) -> Q:
    """Earnings whose accounting day is before `end`; one without counts on the day it was posted (UTC)."""
    return Q(booked_on__lt=end) | Q(booked_on__isnull=True, posted_at__lt=utc_midnight(end))


def booked_in(period: Period) -> Q:
    inside = booked_before(period.end)
    if period.first is None:
        return inside
    return inside & (Q(booked_on__gte=period.first) | Q(booked_on__isnull=True, posted_at__gte=period.start))


@dataclass(slots=True)
class Line:
    """One movement of the account, signed. `detail` is the record it is about."""

    on: date
    text: str
    program: str
    amount: Money
    detail: str = ""
    earning: Earning | None = None


@dataclass(slots=True)
class PayoutLine:
    """One card: what it is, how it stands, and how much smaller it is because of what was paid too much before."""

    payout: Payout
    on: date
    recovered: Money
    state: tuple[str, str]
    """(state value for its look, words): as of now, not of the end of the period."""

    @property
    def amount(self) -> Money:
        return self.payout.amount

    @property
    def delivery(self) -> str:
        return self.payout.delivery_type


@dataclass(slots=True)
class Balance:
    """One currency's account, in minor units."""

    currency: str
    opening: int = 0
    earned: int = 0
    corrected: int = 0
    written_off: int = 0
    delivered: int = 0
    recovered: int = 0
    on_its_way: int = 0
    carried: int = 0
    ahead: int = 0

    @property
    def closing(self) -> int:
        return self.opening + self.earned + self.corrected + self.written_off - self.delivered

    @property
    def is_empty(self) -> bool:
        return not (
            self.opening or self.earned or self.corrected or self.written_off or self.delivered or self.on_its_way
        )

    def money(self, name: str) -> Money:
        return Money(getattr(self, name), self.currency)


@dataclass(slots=True)
class Statement:
    participant: Participant
    period: Period
    balances: list[Balance]
    earned: list[Line]
    corrections: list[Line]
    write_offs: list[Line]
    delivered: list[PayoutLine]
    under_way: list[PayoutLine]
    """Built and neither delivered nor ended by the end of the period."""
    not_sent: list[PayoutLine]
    """Ended in the period without a card: what they were to pay is due again."""
    final: bool
    """Whether finance has closed every month of the period."""
    tax: list = field(default_factory=list)
    """Lines of tax years (tax.selectors.YearLine) for those who may see them."""

    @property
    def is_empty(self) -> bool:
        return not (self.balances or self.under_way or self.not_sent)


def statement_of(participant: Participant, period: Period) -> Statement:
    """The whole statement, in a number of queries that does not depend on how much there is."""
    book = _Book(participant, period)
    book.add_earnings()
    book.add_write_offs()
    book.add_payouts()
    return book.statement()


class _Book:
    def __init__(self, participant: Participant, period: Period):
        self.participant, self.period = participant, period
        self.balances: dict[str, Balance] = {}
        self.net: dict[tuple[int, str], int] = defaultdict(int)  # participation, currency: earned - delivered
        self.flying: dict[tuple[int, str], int] = defaultdict(int)
        self.earned: list[Line] = []
        self.corrections: list[Line] = []
        self.write_offs: list[Line] = []
        self.delivered: list[PayoutLine] = []
        self.under_way: list[PayoutLine] = []
        self.not_sent: list[PayoutLine] = []

    def of(self, currency: str) -> Balance:
        return self.balances.setdefault(currency, Balance(currency))

    # --- what was earned
    def add_earnings(self) -> None:
        mine = Earning.objects.filter(participation__participant=self.participant).order_by()
        if self.period.first is not None:
            before = mine.filter(booked_before(self.period.first)).values_list("participation", "currency")
            for participation, currency, minor in before.annotate(n=Sum("amount_minor")):
                self._open(participation, currency, minor)
        related = ("participation__program", "object")
        for earning in mine.filter(booked_in(self.period)).select_related(*related).order_by("pk"):
            self._earn(earning)
        for lines in (self.earned, self.corrections):
            lines.sort(key=lambda line: (line.on, line.earning.pk))

    def _open(self, participation: int, currency: str, minor: int) -> None:
        self.of(currency).opening += minor
        self.net[participation, currency] += minor

    def _earn(self, earning: Earning) -> None:
        balance, minor = self.of(earning.currency), earning.amount_minor
        if minor > 0:
            balance.earned += minor
        else:
            balance.corrected += minor
        self.net[earning.participation_id, earning.currency] += minor
        on = earning.booked_on or earning.posted_at.astimezone(UTC).date()
        program = str(earning.participation.program)
        line = Line(on, earning.told, program, earning.amount, _record(earning), earning)
        (self.earned if minor > 0 else self.corrections).append(line)

    # --- what was given up
    def add_write_offs(self) -> None:
        rows = WriteOffLine.objects.filter(participation__participant=self.participant, at__lt=self.period.stop)
        for row in rows.select_related("participation__program").order_by("at", "pk"):
            currency, minor = row.participation.program.currency, row.amount_minor
            if self.period.start is not None and row.at < self.period.start:
                self._open(row.participation_id, currency, minor)
                continue
            self.of(currency).written_off += minor
            self.net[row.participation_id, currency] += minor
            on = row.at.astimezone(UTC).date()
            self.write_offs.append(Line(on, row.reason, str(row.participation.program), Money(minor, currency)))

    # --- what was paid
    def add_payouts(self) -> None:
        """Payouts taken back before anybody decided are nobody's to see, as on the page of rewards."""
        rows = Payout.objects.filter(participant=self.participant, created_at__lt=self.period.stop)
        rows = rows.exclude(status=S.CANCELLED, order__isnull=True).select_related(
            "program", "order", "participant", "choice"
        )
        rows = rows.annotate(
            back=Coalesce(Sum("allocations__amount_minor", filter=Q(allocations__amount_minor__lt=0)), 0)
        )
        payouts = list(rows.order_by("pk"))
        ends = _ends([p for p in payouts if p.status in ENDED])
        for payout in payouts:
            at = ends.get(str(payout.public_id), payout.created_at) if payout.status in ENDED else _issued(payout)
            self._pay(payout, at)
        for lines in (self.delivered, self.under_way, self.not_sent):
            lines.sort(key=lambda line: (line.on, line.payout.pk))

    def _pay(self, payout: Payout, at: datetime | None) -> None:
        """`at`: when it was delivered or ended; None while it is under way."""
        key, period = (payout.participation_id, payout.currency), self.period
        if at is None or at >= period.stop:
            self.flying[key] += payout.amount_minor
            self.of(payout.currency).on_its_way += payout.amount_minor
            self.under_way.append(_payout_line(payout, payout.created_at))
        elif period.start is not None and at < period.start:
            if payout.status == S.FULFILLED:
                self._open(*key, -payout.amount_minor)
        elif payout.status == S.FULFILLED:
            line = _payout_line(payout, at)
            self.of(payout.currency).delivered += payout.amount_minor
            self.of(payout.currency).recovered += line.recovered.minor
            self.net[key] -= payout.amount_minor
            self.delivered.append(line)
        else:
            self.not_sent.append(_payout_line(payout, at))

    # --- the whole
    def statement(self) -> Statement:
        for key in self.net.keys() | self.flying.keys():
            left = self.net[key] - self.flying[key]
            balance = self.of(key[1])
            if left > 0:
                balance.carried += left
            else:
                balance.ahead -= left
        balances = [b for _, b in sorted(self.balances.items()) if not b.is_empty]
        return Statement(
            self.participant, self.period, balances, self.earned, self.corrections, self.write_offs,
            self.delivered, self.under_way, self.not_sent, is_final(self.period, self.participant),
        )  # fmt: skip


def _issued(payout: Payout) -> datetime | None:
    return payout.order.finished_at if payout.status == S.FULFILLED else None


def _ends(payouts: Iterable[Payout]) -> dict[str, datetime]:
    """When payouts ended without a card, by public id, from the record of the change. One query, none for none."""
    ids = [str(payout.public_id) for payout in payouts]
    if not ids:
        return {}
    events = AuditEvent.objects.filter(
        target_type="payouts.payout", target_id__in=ids, action__in=[f"payout.{status}" for status in ENDED]
    )
    return dict(events.order_by("pk").values_list("target_id", "at"))


def _payout_line(payout: Payout, at: datetime) -> PayoutLine:
    look, label, _words = payout_for_recipient(payout)
    return PayoutLine(payout, at.astimezone(UTC).date(), Money(-payout.back, payout.currency), (look, label))


def _record(earning: Earning) -> str:
    thing = earning.object
    if thing is None:
        return ""
    return str(thing) if thing.object_type == "award" else thing.object_id


def is_final(period: Period, participant: Participant) -> bool:
    """Whether every month of the period is closed; of `all`, from the person's first earning on."""
    first = period.first or first_day(participant)
    if first is None:
        return False
    closed = set(PeriodClose.objects.filter(reopened_at__isnull=True).values_list("month", flat=True))
    month = month_of(first)
    while month < period.end:
        if month not in closed:
            return False
        month = month_after(month)
    return True


def first_day(participant: Participant | None = None) -> date | None:
    """The day of the first thing this person (or anybody) earned; None while nothing was."""
    rows = Earning.objects.all()
    if participant is not None:
        rows = rows.filter(participation__in=Participation.objects.filter(participant=participant))
    found = rows.aggregate(booked=Min("booked_on"), posted=Min("posted_at"))
    days = [found["booked"], found["posted"] and found["posted"].astimezone(UTC).date()]
    return min(filter(None, days), default=None)
