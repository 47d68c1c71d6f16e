"""What people do about orders and the channel: decide a review, resume, stop. `rewards` does it; permissions, two people
and the audit trail are ours."""

from contextlib import contextmanager

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import DomainError, NotAllowed
from incentives.payouts.errors import OrderRefused, ReasonNeeded, SecondPerson
from incentives.payouts.models import OrderDecision, Payout
from rewards import channel as channels
from rewards import services as rewards
from rewards.errors import RewardError
from rewards.models import RewardOrder

RESOLVE = "orders.resolve"


@contextmanager
def as_domain_errors():
    """Errors of `rewards` become DomainErrors, which pages know how to show."""
    try:
        yield
    except RewardError as exc:
        raise OrderRefused(exc) from exc


def identity(actor) -> str:
    """How `rewards` knows who acts. The address, because a name may be changed or shared and two people are told apart
    by this text."""
    return actor.email


def _require(actor, order: RewardOrder | None = None) -> None:
    if not actor.can(RESOLVE):
        raise NotAllowed("Only finance may do this.")
    if order and receives(actor, order):
        raise NotAllowed("You receive this card, so somebody else must decide about its order.")


def receives(actor, order: RewardOrder) -> bool:
    """Whether a card of this order, or of a line of it, is the actor's."""
    return Payout.objects.filter(Q(order=order) | Q(order__batch=order), participant__user=actor).exists()


def _reason(text: str) -> str:
    if not text.strip():
        raise ReasonNeeded("Give a reason: it is kept in the audit trail and with the order.")
    return text.strip()


def decide_review(
    *, order: RewardOrder, decision: str, actor, reason: str, provider_order_id: str = "", client=None
) -> RewardOrder:
    """`retry` (the same number and bytes) or `adopt` (bind an order read from the provider and compared). One person may:
    neither can issue a second card nor return money. The provider is called outside any transaction.

    Raises NotAllowed (also for the recipient), ReasonNeeded, OrderRefused.
    """
    _require(actor, order)
    if decision not in {"retry", "adopt"}:
        raise DomainError("decision: expected retry or adopt; fail and complete need a second person.")
    with as_domain_errors():
        order = rewards.resolve_review(
            order.pk,
            decision=decision,
            actor_name=identity(actor),
            reason=_reason(reason),
            provider_order_id=provider_order_id,
            client=client,
        )
    with transaction.atomic():
        _close(order)
        audit.record(f"order.{decision}", order, actor=actor, after={"state": order.state}, reason=reason)
    return order


def propose_decision(
    *, order: RewardOrder, decision: str, actor, reason: str, evidence: str, provider_order_id: str = ""
) -> OrderDecision:
    """`fail` or `complete`, with what proves it; a second person confirms it. Nothing happens to the order yet.

    Raises NotAllowed (also for the recipient), ReasonNeeded, DomainError (evidence or id missing, not in review, another
    proposal is open).
    """
    _require(actor, order)
    if decision not in OrderDecision.Decision.values:
        raise DomainError("decision: expected fail or complete.")
    if not evidence.strip():
        raise DomainError("evidence: say what proves it, for example what the provider's support answered and when.")
    if decision == OrderDecision.Decision.COMPLETE and not provider_order_id.strip():
        raise DomainError("provider order id: expected the id shown in the provider's portal.")
    if order.state != RewardOrder.State.REVIEW:
        raise DomainError(f"Order {order.po_number} is {order.get_state_display().lower()}, not in review.")
    try:
        with transaction.atomic():
            proposal = OrderDecision.objects.create(
                order=order,
                decision=decision,
                provider_order_id=provider_order_id.strip(),
                reason=_reason(reason)[:500],
                evidence=evidence.strip()[:5000],
                proposed_by=actor,
            )
            audit.record("order.decision_proposed", order, actor=actor, after={"decision": decision}, reason=reason)
    except IntegrityError as exc:
        raise DomainError("Somebody proposed a decision already. Confirm it or withdraw it first.") from exc
    return proposal


def confirm_decision(*, proposal: OrderDecision, actor) -> RewardOrder:
    """The second person's word: the order ends as proposed, and its money moves with it in the same transaction.

    Raises NotAllowed (also for the recipient), SecondPerson (who proposed it), DomainError (closed already), OrderRefused.
    """
    _require(actor, proposal.order)
    if proposal.proposed_by_id == actor.pk:
        raise SecondPerson
    with as_domain_errors(), transaction.atomic():
        open_one = OrderDecision.objects.filter(pk=proposal.pk, closed_at__isnull=True)
        if not open_one.update(confirmed_by=actor, closed_at=timezone.now()):
            raise DomainError("This proposal was confirmed or withdrawn already.")
        order = rewards.resolve_review(
            proposal.order_id,
            decision=proposal.decision,
            actor_name=f"{identity(proposal.proposed_by)}, {identity(actor)}"[:200],
            reason=proposal.reason,
            provider_order_id=proposal.provider_order_id,
            evidence=proposal.evidence,
        )
        audit.record(
            f"order.{proposal.decision}",
            order,
            actor=actor,
            after={"state": order.state, "proposed_by": str(proposal.proposed_by)},
            reason=proposal.reason,
        )
    return order


def withdraw_decision(*, proposal: OrderDecision, actor) -> None:
    """Take a proposal back, whoever made it. A repeat changes nothing. Raises NotAllowed."""
    _require(actor, proposal.order)
    with transaction.atomic():
        if _close(proposal.order):
            audit.record(
                "order.decision_withdrawn", proposal.order, actor=actor, before={"decision": proposal.decision}
            )


def _close(order: RewardOrder) -> int:
    return OrderDecision.objects.filter(order=order, closed_at__isnull=True).update(closed_at=timezone.now())


def ask_for_review(*, order: RewardOrder, actor, reason: str) -> RewardOrder:
    """Take an order out of the automatic path. Raises NotAllowed, ReasonNeeded, OrderRefused."""
    _require(actor, order)
    with as_domain_errors(), transaction.atomic():
        order = rewards.send_to_review(order.pk, actor_name=identity(actor), reason=_reason(reason))
        audit.record("order.review", order, actor=actor, after={"state": order.state}, reason=reason)
    return order


def resume(*, actor, reason: str) -> int:
    """The deposit was funded: send what waits for it; returns how many. Raises NotAllowed, ReasonNeeded, OrderRefused."""
    _require(actor)
    with as_domain_errors(), transaction.atomic():
        count = rewards.resume_unfunded(actor_name=identity(actor), reason=_reason(reason))
        audit.record("orders.resumed", channels.current(), actor=actor, after={"orders": count}, reason=reason)
    return count


def open_channel(*, actor, reason: str) -> None:
    """Send again after the channel stopped by itself. Raises NotAllowed, ReasonNeeded, OrderRefused."""
    _require(actor)
    with as_domain_errors(), transaction.atomic():
        before = channels.current().state
        rewards.open_channel(actor_name=identity(actor), reason=_reason(reason))
        audit.record(
            "orders.opened", channels.current(), actor=actor, before={"state": before}, after={"state": "open"},
            reason=reason,
        )  # fmt: skip


def stop_everything(*, actor, reason: str) -> None:
    """No order is sent after this commits, until two people restart. Raises NotAllowed, ReasonNeeded."""
    _require(actor)
    with as_domain_errors(), transaction.atomic():
        rewards.emergency_stop(actor_name=identity(actor), reason=_reason(reason))
        audit.record("orders.emergency_stop", channels.current(), actor=actor, reason=reason)


def restart(*, actor, reason: str) -> bool:
    """The first person asks, a second one confirms; returns whether orders are sent again.

    Raises NotAllowed, ReasonNeeded, OrderRefused (the same person twice).
    """
    _require(actor)
    with as_domain_errors(), transaction.atomic():
        channel = rewards.restart_after_emergency(actor_name=identity(actor), reason=_reason(reason))
        done = not channel.emergency_stop
        audit.record("orders.restarted" if done else "orders.restart_asked", channel, actor=actor, reason=reason)
    return done


def refresh_catalogue(*, actor, client=None) -> int:
    """Fetch the provider's catalogue now; returns how many products it has. Raises NotAllowed, OrderRefused (the old copy
    stands)."""
    if not actor.can("catalogue.refresh"):
        raise NotAllowed
    with as_domain_errors():
        count = rewards.refresh_catalogue(force=True, client=client) or 0
    with transaction.atomic():
        audit.record("catalogue.refreshed", channels.current(), actor=actor, after={"products": count})
    return count
