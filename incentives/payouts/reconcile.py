"""Does the provider agree? (Promise 9; reliability.md, invariants I7 and I8.)

Compares every order of ours with the provider's list, both ways. The list proves presence, never absence: an order younger
than a day that is missing there is a remark, not a difference.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from incentives.payouts.checks import check_ledger
from rewards import services as rewards
from rewards.models import RewardOrder
from rewards.money import Money
from rewards.provider.types import Progress, ProviderOrder

S = RewardOrder.State
LISTED_WITHIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that does not agree. `code` is stable; `serious` is False where time may explain it."""

    code: str
    reference: str
    message: str
    serious: bool = True

    def __str__(self):
        return f"{'DIFFERENCE' if self.serious else 'remark'} {self.code} {self.reference}: {self.message}"


@dataclass(slots=True)
class Report:
    """Face values in minor units of one currency, and everything that differs."""

    ours_minor: int = 0
    theirs_minor: int = 0
    orders: int = 0
    differences: list[Difference] = None

    @property
    def agrees(self) -> bool:
        return not any(difference.serious for difference in self.differences)


def reconcile(provider_orders: Iterable[ProviderOrder] | None = None) -> Report:
    """Compare ledger, orders and the provider's list. Reads only; `provider_orders` None asks the provider.

    Raises rewards.errors.NotConfigured and the provider's errors when it cannot be asked.
    """
    theirs = list(rewards.list_provider_orders() if provider_orders is None else provider_orders)
    report = Report(differences=[Difference("ledger", "-", problem) for problem in check_ledger()])
    by_id = {order.id: order for order in theirs}
    by_po: dict[str, list[ProviderOrder]] = defaultdict(list)
    for order in theirs:
        if order.po_number:
            by_po[order.po_number.upper()].append(order)
    known: set[str] = set()
    # What was only ever a line of a batch was never sent under its own number: the batch stands for it.
    sent = RewardOrder.objects.exclude(state__in=[S.DRAFT, S.CANCELLED]).exclude(batch__isnull=False, attempt_count=0)
    for order in sent.order_by("pk").iterator(chunk_size=2000):
        matches = by_po.get(order.po_number.upper(), [])
        if order.provider_order_id in by_id and by_id[order.provider_order_id] not in matches:
            matches = [*matches, by_id[order.provider_order_id]]
        known |= {match.id for match in matches}
        report.differences += _compare(order, matches)
        _add(report, order, matches)
    report.differences += _unknown(order for order in theirs if order.id not in known)
    return report


def _add(report: Report, order: RewardOrder, matches: list[ProviderOrder]) -> None:
    if order.is_batch:
        report.orders += order.state == S.COMPLETED
        report.ours_minor += _issued_minor(order)
    elif order.state == S.COMPLETED:
        report.orders += 1
        report.ours_minor += order.amount_minor
    for match in matches:
        if match.progress == Progress.SUCCESS or (order.is_batch and match.partly_issued):
            report.theirs_minor += _face_minor(match, order) or order.amount_minor


def _issued_minor(batch: RewardOrder) -> int:
    """Face value of a batch's lines that are issued here."""
    return batch.lines.filter(state=S.COMPLETED, attempt_count=0).aggregate(n=Sum("amount_minor"))["n"] or 0


def _face_minor(theirs: ProviderOrder, order: RewardOrder) -> int | None:
    """Face value of what they issued, in minor units, or None where the list does not carry lines."""
    lines = [line for line in theirs.lines if not theirs.partly_issued or line.progress == Progress.SUCCESS]
    values = [line.value * (line.quantity or 1) for line in lines if line.value is not None]
    return Money.from_decimal(sum(values, Decimal(0)), order.currency).minor if values else None


def _compare(order: RewardOrder, matches: list[ProviderOrder]) -> list[Difference]:
    found = []
    if len(matches) > 1:
        ids = ", ".join(match.id for match in matches)
        found.append(Difference("twice", order.po_number, f"the provider has {len(matches)} orders under it: {ids}"))
    issued = [
        match for match in matches if match.progress == Progress.SUCCESS or (order.is_batch and match.partly_issued)
    ]
    if order.state == S.COMPLETED and not matches:
        recent = order.finished_at and order.finished_at > timezone.now() - LISTED_WITHIN
        found.append(Difference("not_listed", order.po_number, "issued here, not in the provider's list", not recent))
    if order.state in (S.REJECTED, S.FAILED) and issued:
        found.append(Difference("issued_there", order.po_number, f"{order.state} here, issued there as {issued[0].id}"))
    for match in issued:
        face = _face_minor(match, order)
        ours = (order.is_batch and _issued_minor(order)) or order.amount_minor
        if face is not None and face != ours:
            here, theirs = Money(ours, order.currency), Money(face, order.currency)
            found.append(Difference("amount", order.po_number, f"{here} here, {theirs} there"))
    if order.state == S.REVIEW:
        found.append(Difference("review", order.po_number, "waits for a person; the money stays committed", False))
    return found


def _unknown(orders: Iterable[ProviderOrder]) -> list[Difference]:
    """Orders of our account that this database does not know: after a restored backup, or made by hand."""
    prefix = f"{settings.E2R_PO_PREFIX}-".upper()
    found = []
    for order in orders:
        if order.po_number and not order.po_number.upper().startswith(prefix):
            continue  # another environment's
        name = order.po_number or "without a number"
        found.append(Difference("unknown_here", name, f"the provider has order {order.id}, this database does not"))
    return found
