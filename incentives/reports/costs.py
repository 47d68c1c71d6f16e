"""What issued cards should have cost and what was posted for them, by program and month, with every difference and its reason.

    expected = what the order was expected to cost when it was written, as budgets estimate it; without that, its face value
    posted   = face value - discount + fee + shipping, from the cash book
    posted - expected = charged more or less than expected + not posted + unexplained

The month is that of the card's cash posting, which is the UTC day the card was issued.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date

from django.db.models import OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce, TruncDate
from django.utils.translation import gettext_lazy as _

from incentives.core.snapshot import snapshot
from incentives.ledger.models import Account, Posting
from incentives.payouts.budget_panels import PART_OF
from incentives.payouts.models import Payout
from incentives.payouts.services.months import month_after, month_of
from incentives.reports.flow import UNEXPLAINED, cause_of
from rewards.money import Money

PARTS = ("face", "discount", "fee", "shipping")
REASONS = {
    "charged_more": _("The provider charged more than expected"),
    "charged_less": _("The provider charged less than expected"),
    "no_estimate": _("No cost was expected when it was ordered: its face value stands for it"),
    "not_posted": _("Issued, but nothing is posted in the cash book"),
}
LABELS = REASONS | {UNEXPLAINED: _("Unexplained")}


@dataclass(slots=True)
class CostLine:
    """One program's month in minor units. `reasons`: code -> [minor units, cards]; they add up to the difference."""

    program_id: int
    month: date
    currency: str
    cards: int = 0
    expected: int = 0
    face: int = 0
    discount: int = 0
    fee: int = 0
    shipping: int = 0
    reasons: dict[str, list[int]] = field(default_factory=dict)

    @property
    def posted(self) -> int:
        return self.face - self.discount + self.fee + self.shipping

    @property
    def difference(self) -> int:
        return self.posted - self.expected

    def money(self, name: str) -> Money:
        return Money(getattr(self, name), self.currency)

    def explain(self, code: str, minor: int, cards: int = 1) -> None:
        if minor:
            found = self.reasons.setdefault(code, [0, 0])
            found[0] += minor
            found[1] += cards

    def add(self, other: "CostLine") -> None:
        for name in ("cards", "expected", *PARTS):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for code, (minor, cards) in other.reasons.items():
            found = self.reasons.setdefault(code, [0, 0])
            found[0] += minor
            found[1] += cards


def cost_lines(programs: QuerySet | None = None, month: date | None = None) -> list[CostLine]:
    """By month and program. One query, one row per card."""
    cash = Posting.objects.filter(source__book=Account.Book.CASH, cause=OuterRef("cause")).order_by()

    def part(kind: str):
        return Subquery(cash.filter(kind=kind).values("cause").annotate(n=Sum("amount_minor")).values("n"))

    rows = Payout.objects.filter(status=Payout.Status.FULFILLED).annotate(cause=cause_of(""))
    rows = rows.annotate(
        day=Coalesce(
            Subquery(cash.filter(kind="card").values("booked_on")[:1]), TruncDate("order__finished_at", tzinfo=UTC)
        ),
        **{name: part(kind) for kind, name in PART_OF.items()},
    )
    if programs is not None:
        rows = rows.filter(program__in=programs)
    if month is not None:
        rows = rows.filter(Q(day__gte=month), Q(day__lt=month_after(month)))
    found: dict[tuple, CostLine] = {}
    names = ("program_id", "day", "currency", "amount_minor", "order__expected_cost_minor", "order__cost_minor", *PARTS)
    with snapshot():
        for program_id, day, currency, amount, expected, cost, *parts in rows.order_by("pk").values_list(*names):
            key = (program_id, month_of(day), currency)
            _count(found.setdefault(key, CostLine(*key)), amount, expected, cost, dict(zip(PARTS, parts, strict=True)))
    return sorted(found.values(), key=lambda line: (line.month, line.program_id, line.currency))


def _count(line: CostLine, amount: int, expected: int | None, cost: int | None, parts: dict) -> None:
    estimate = amount if expected is None else expected
    known = estimate if cost is None else cost
    line.cards += 1
    line.expected += estimate
    for name, minor in parts.items():
        setattr(line, name, getattr(line, name) + (minor or 0))
    if expected is None:
        line.explain("no_estimate", known - estimate)
    else:
        line.explain("charged_more" if known > estimate else "charged_less", known - estimate)
    if all(minor is None for minor in parts.values()):
        line.explain("not_posted", -known)
    else:
        sums = {name: minor or 0 for name, minor in parts.items()}
        line.explain(UNEXPLAINED, sums["face"] - sums["discount"] + sums["fee"] + sums["shipping"] - known)


def cost_totals(rows: Iterable[CostLine]) -> list[CostLine]:
    """One sum per currency; its program and month say nothing."""
    found: dict[str, CostLine] = {}
    for row in rows:
        found.setdefault(row.currency, CostLine(0, date.min, row.currency)).add(row)
    return [found[currency] for currency in sorted(found)]
