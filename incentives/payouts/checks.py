"""Does the money of every payout stand where its state says? (reliability.md, invariants I5, I6, I9, I11)"""

from collections import defaultdict

from django.db.models import Count, Exists, F, OuterRef, Q, Sum

from incentives.earnings.models import Earning, Participation
from incentives.ledger import accounts
from incentives.ledger.models import Account, Budget
from incentives.ledger.selectors import check_postings
from incentives.payouts.models import Approval, Payout, ProductChoice
from incentives.payouts.services.build import content_hash
from incentives.payouts.services.netting import overpaid_by_ground, written_off_by_ground
from rewards.models import RewardOrder

S = Payout.Status
BUCKET_OF = {S.APPROVED: accounts.COMMITTED, S.ORDERED: accounts.COMMITTED, S.FULFILLED: accounts.SPENT}


def check_ledger() -> list[str]:
    """Every broken invariant in words; empty when the books are right."""
    return [*check_postings(), *_budgets(), *_participants(), *_orders(), *_approvals()]


def _budgets() -> list[str]:
    expected: dict[tuple[int, str], int] = defaultdict(int)
    rows = Payout.objects.values_list("budget_id", "status", "reserved").annotate(total=Sum("amount_minor")).order_by()
    for budget_id, status, reserved, total in rows:
        if status == S.SUBMITTED and reserved:
            expected[budget_id, accounts.RESERVED] += total
        elif status in BUCKET_OF:
            expected[budget_id, BUCKET_OF[status]] += total
    problems = []
    for account in (
        Account.objects.filter(budget__isnull=False).exclude(bucket=accounts.AVAILABLE).select_related("budget")
    ):
        wanted = expected[account.budget_id, account.bucket]
        if account.balance_minor != wanted:
            problems.append(
                f"budget {account.budget}: {account.bucket} is {account.balance_minor}, its payouts say {wanted}"
            )
    problems += [
        f"budget {budget}: has {n} accounts, expected {len(accounts.BUCKETS)}"
        for budget in Budget.objects.annotate(n=Count("accounts"))
        if (n := budget.n) != len(accounts.BUCKETS)
    ]
    return problems


def _participants() -> list[str]:
    balances = {a.code: a.balance_minor for a in Account.objects.filter(book=Account.Book.PARTICIPANT, tracked=True)}
    paid = Sum("payouts__amount_minor", filter=Q(payouts__status=S.FULFILLED))
    corrected = Exists(Earning.objects.filter(participation=OuterRef("pk"), amount_minor__lt=0))
    rows = Participation.objects.annotate(fulfilled=paid, corrected=corrected).select_related("recovery")
    problems = []
    for row in rows.iterator(chunk_size=2000):
        code = f"participant:{row.public_id}"
        if row.paid_seq < row.scored_seq:
            continue
        written_off, over = (written_off_by_ground(row), overpaid_by_ground(row)) if row.corrected else ({}, {})
        expected = {
            accounts.EARNED: row.earned_minor,
            accounts.PAID: row.fulfilled or 0,
            accounts.RECOVERABLE: sum(over.values()) - sum(written_off.values()),
        }
        problems += [
            f"{code}:{bucket} is {balances.get(f'{code}:{bucket}', 0)}, expected {value}"
            for bucket, value in expected.items()
            if balances.get(f"{code}:{bucket}", 0) != value
        ]
        problems += [
            f"{code}: {minor} are written off for {ground}, only {over.get(ground, 0)} were paid too much"
            for ground, minor in written_off.items()
            if minor > over.get(ground, 0)
        ]
        shown = getattr(row, "recovery", None)
        if shown and (shown.recoverable_minor, shown.written_off_minor) != (
            balances.get(f"{code}:{accounts.RECOVERABLE}", 0),
            sum(written_off.values()),
        ):
            problems.append(f"{code}: the recovery list shows {shown.recoverable_minor}, the ledger says otherwise")
    return problems


def _orders() -> list[str]:
    problems = []
    ended = {S.FULFILLED: RewardOrder.State.COMPLETED}
    for payout in Payout.objects.filter(status__in=[S.APPROVED, S.ORDERED, S.FULFILLED]).select_related("order"):
        order = payout.order
        if order is None:
            problems.append(f"payout {payout.public_id}: {payout.status} without an order")
        elif payout.status in ended and order.state != ended[payout.status]:
            problems.append(f"payout {payout.public_id}: {payout.status}, its order is {order.state}")
        elif payout.status != S.FULFILLED and order.state == RewardOrder.State.COMPLETED:
            problems.append(f"payout {payout.public_id}: {payout.status}, its order is completed")
    left = RewardOrder.objects.filter(state=RewardOrder.State.BATCHED, batch__state__in=RewardOrder.FINAL)
    problems += [f"order {line.po_number}: is a line of a batch that ended" for line in left]
    return problems


def _approvals() -> list[str]:
    """I9: nothing left without its approvals, and what was approved is what was sent."""
    problems = []
    approved = Count("approvals", filter=Q(approvals__decision=Approval.Decision.APPROVED))
    left = Payout.objects.filter(order__isnull=False).annotate(approved=approved)
    for payout in left.iterator(chunk_size=2000):
        if payout.approved < max(1, len(payout.steps)):
            problems.append(
                f"payout {payout.public_id}: ordered with {payout.approved} of {len(payout.steps)} approvals"
            )
        if payout.content_hash != content_hash(payout):
            problems.append(f"payout {payout.public_id}: is not what was approved")
    chosen = ProductChoice.objects.filter(payout__order__isnull=False)
    other = chosen.filter(Q(committed_at__isnull=True) | ~Q(product_code=F("payout__product_code")))
    problems += [
        f"payout {public_id}: its card is not the one that was chosen"
        for public_id in other.order_by("payout").values_list("payout__public_id", flat=True)
    ]
    return problems
