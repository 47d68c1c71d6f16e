"""What an order's change means for its payout: heard inside the order's own transaction, so that card and ledger move
together or not at all."""

from dataclasses import replace
from datetime import UTC

from django.dispatch import receiver

from incentives.earnings.models import Participation
from incentives.ledger import accounts
from incentives.ledger.models import Account
from incentives.ledger.posting import Move, post_all
from incentives.payouts.models import Payout
from incentives.payouts.services import states
from incentives.payouts.services.recovery import adjust_recoverable
from rewards.catalogue import expected_cost
from rewards.models import RewardOrder
from rewards.money import Money
from rewards.signals import lines_changing, order_changed

S = RewardOrder.State


@receiver(order_changed, dispatch_uid="payouts.settle")
def on_order_changed(sender, order: RewardOrder, old: str, new: str, **kwargs) -> None:
    """Move the payout along with its order. A repeat changes nothing: the arrows and the posting key refuse it.

    Locks as everybody does, so that nobody waits in a circle: the order, the participation, its payouts, the accounts.
    """
    if order.is_batch:
        if new == S.PENDING:
            _ordered(_payouts_in(order))
        return
    if new == S.COMPLETED:
        list(Participation.objects.select_for_update(of=("self",), no_key=True).filter(payouts__order=order))
    payout = (
        Payout.objects.select_for_update(of=("self",), no_key=True)
        .select_related("budget", "program", "participation")
        .filter(order=order)
        .first()
    )
    if payout is None:
        return
    if new == S.COMPLETED:
        _fulfil(payout, order)
    elif new in (S.REJECTED, S.FAILED, S.CANCELLED):
        _fail(payout, order, Payout.Status.CANCELLED if new == S.CANCELLED else Payout.Status.FAILED)
    elif new == S.PENDING:
        _ordered([payout])


@receiver(lines_changing, dispatch_uid="payouts.lock_lines")
def on_lines_changing(sender, order: RewardOrder, **kwargs) -> None:
    """Several payouts of a batch end in one transaction: lock all of them before the first one's money moves."""
    list(Participation.objects.select_for_update(of=("self",), no_key=True)
         .filter(payouts__order__batch=order).order_by("pk"))  # fmt: skip
    _payouts_in(order)


def _payouts_in(batch: RewardOrder) -> list[Payout]:
    """The payouts that are its lines still, locked."""
    rows = Payout.objects.select_for_update(of=("self",), no_key=True).filter(
        order__batch=batch, order__state=S.BATCHED
    )
    return list(rows.order_by("pk"))


def _ordered(payouts: list[Payout]) -> None:
    for payout in payouts:
        if payout.status == Payout.Status.APPROVED:
            states.change_status(payout, Payout.Status.ORDERED)


def _fulfil(payout: Payout, order: RewardOrder) -> None:
    states.settle(payout)
    states.change_status(payout, Payout.Status.FULFILLED)
    day = order.finished_at.astimezone(UTC).date()  # the list of months counts by it as well
    post_all([replace(move, booked_on=day) for move in (*_cash_moves(payout, order), _paid_move(payout))])
    adjust_recoverable(payout.participation)


def _fail(payout: Payout, order: RewardOrder, status: str) -> None:
    states.release(payout)
    states.change_status(payout, status, reason=order.last_problem or "The provider refused the order.")


def _paid_move(payout: Payout) -> Move:
    own = accounts.participant_accounts([(str(payout.participation.public_id), payout.currency)])
    outside = accounts.world("paid", payout.currency, book=Account.Book.PARTICIPANT)
    inside = own[str(payout.participation.public_id)][accounts.PAID]
    return Move(f"paid:{payout.public_id}", payout.amount, outside, inside, "paid", payout.cause)


def _cash_moves(payout: Payout, order: RewardOrder) -> list[Move]:
    """deposit -> cards: face value; discount -> deposit: what the provider gave off; deposit -> fees.

    Face value, discount and fee are all known from these, and cost = face - discount + fee. The fee is the catalogue's where
    that explains the cost we expected. What the provider charged beyond goes to `fees`; what it charged less, to `discount`.
    """
    known = [cost for cost in (order.cost_minor, order.expected_cost_minor, payout.amount_minor) if cost is not None]
    fee = _fee_of(order, payout.amount)
    discount = payout.amount_minor + fee - known[0]
    fee, discount = fee + max(0, -discount), max(0, discount)
    deposit, cards = (accounts.cash(name, payout.currency) for name in (accounts.DEPOSIT, accounts.CARDS))
    moves = [Move(f"cash:{payout.public_id}", payout.amount, deposit, cards, "card", payout.cause)]
    if fee:
        fees = accounts.cash(accounts.FEES, payout.currency)
        moves.append(Move(f"fee:{payout.public_id}", Money(fee, payout.currency), deposit, fees, "fee", payout.cause))
    if discount:
        given = accounts.cash(accounts.DISCOUNT, payout.currency)
        back = Money(discount, payout.currency)
        moves.append(Move(f"discount:{payout.public_id}", back, given, deposit, "discount", payout.cause))
    return moves


def _fee_of(order: RewardOrder, face: Money) -> int:
    """The product's fee, if with it the catalogue still gives the cost expected when the order was written."""
    product = order.product
    fits = product.currency == face.currency and expected_cost(product, face).minor == order.expected_cost_minor
    return product.fee_minor if fits else 0
