"""The only code that assigns Payout.status, and the money step that belongs to each move."""

from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import IllegalTransition
from incentives.ledger import accounts
from incentives.ledger.posting import Move, post_all
from incentives.notifications import notify
from incentives.payouts.kinds import TOLD
from incentives.payouts.models import Hold, Payout


def change_status(payout: Payout, new: str, *, actor=None, reason: str = "", **also) -> None:
    """Move the payout along an arrow of Payout.NEXT; call it with the row locked. `also`: fields to set with it.

    Raises IllegalTransition when there is no such arrow. The UPDATE names the old state, so that two writers cannot both
    pass where row locks are ignored.
    """
    old = payout.status
    if new not in Payout.NEXT[old]:
        raise IllegalTransition(payout, Payout.Status(new).label.lower())
    values = {"status": new, "outcome": reason[:300] or payout.outcome, **also}
    if not Payout.objects.filter(pk=payout.pk, status=old).update(**values):
        raise IllegalTransition(payout, Payout.Status(new).label.lower())
    for name, value in values.items():
        setattr(payout, name, value)
    audit.record(f"payout.{new}", payout, actor=actor, before={"status": old}, after={"status": new}, reason=reason)
    if new in TOLD:
        notify(TOLD[new], to=payout.participant, key=str(payout.public_id), data={"payout": str(payout.public_id)})


def _move(payout: Payout, key: str, kind: str, source: str, destination: str, actor=None) -> None:
    buckets = accounts.budget_accounts(payout.budget)
    move = Move(key, payout.amount, buckets[source], buckets[destination], kind, payout.cause, str(payout.program))
    post_all([move], actor=actor)


def reserve(payout: Payout, *, actor=None) -> None:
    """available -> reserved. Raises InsufficientFunds. A repeat changes nothing."""
    _move(payout, f"reserve:{payout.public_id}", "reserve", accounts.AVAILABLE, accounts.RESERVED, actor)
    Payout.objects.filter(pk=payout.pk).update(reserved=True)
    payout.reserved = True
    Hold.objects.filter(payout=payout, kind=Hold.Kind.FUNDING, lifted_at=None).update(
        lifted_at=timezone.now(), lifted_by=actor, lifted_reason="The budget has room."
    )


def commit(payout: Payout, *, actor=None) -> None:
    """reserved -> committed."""
    _move(payout, f"commit:{payout.public_id}", "commit", accounts.RESERVED, accounts.COMMITTED, actor)


def unreserve(payout: Payout, *, actor=None) -> None:
    """reserved -> available, when a payout ends before its approval. Nothing to do when nothing was reserved."""
    if payout.reserved:
        _move(payout, f"unreserve:{payout.public_id}", "unreserve", accounts.RESERVED, accounts.AVAILABLE, actor)


def settle(payout: Payout) -> None:
    """committed -> spent, once a card is proven issued. Shares its key with `release`: both cannot happen."""
    _move(payout, f"resolve:{payout.public_id}", "settle", accounts.COMMITTED, accounts.SPENT)


def release(payout: Payout, *, actor=None) -> None:
    """committed -> available, once it is proven that no card was issued."""
    _move(payout, f"resolve:{payout.public_id}", "release", accounts.COMMITTED, accounts.AVAILABLE, actor)
