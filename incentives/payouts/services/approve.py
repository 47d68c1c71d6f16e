"""Approve, reject and cancel: who may, and what moves with it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q

from incentives.core import audit
from incentives.core.errors import DomainError, IllegalTransition, NotAllowed
from incentives.payouts.errors import OrderProblem, PayoutOnHold, ReasonNeeded, SameApprover, SelfApproval, StalePayout
from incentives.payouts.models import Approval, Payout
from incentives.payouts.policies import PERMISSION, delegators_of, makers_of, may_decide
from incentives.payouts.services import states
from incentives.payouts.services.batches import BATCH_WAIT, send_together
from incentives.payouts.services.holds import missing_terms, open_holds
from incentives.payouts.services.options import missing_choice, seal
from incentives.payouts.services.risk import require_within_limits
from rewards import services as rewards
from rewards.errors import IllegalMove, RewardError
from rewards.models import DeliveryType, RewardOrder


def approve_payout(
    *, payout_id: int, actor, seen_hash: str | None = None, ip_address: str | None = None, together: int = 1
) -> Payout:
    """Record one approval; with the last step move the amount (minor units) from reserved to committed and write the order.

    Repeating the call after one's own approval returns the payout unchanged. `seen_hash` binds the decision to what the
    page showed; `together` is how many were decided with one request. Raises: SelfApproval (the actor submitted it, wrote the rules or receives it), NotAllowed (the step is not
    this role's), SameApprover, PayoutOnHold, StalePayout, IllegalTransition, InsufficientFunds, OrderProblem. After an
    error nothing was written. Source: docs/architecture.md, promises 5 and 6.
    """
    with transaction.atomic():
        payout = locked(payout_id)
        if payout.approvals.filter(actor=actor, decision=Approval.Decision.APPROVED).exists():
            if payout.status != Payout.Status.SUBMITTED:
                return payout
            raise SameApprover
        _require_open(payout, "approved")
        delegators = _require_not_maker(payout, actor)
        step = payout.approvals.count()
        behalf = _require_turn(payout, step, actor, delegators)
        if seen_hash is not None and seen_hash != payout.content_hash:
            raise StalePayout
        if holds := open_holds(payout, but_funding=True) or missing_terms(payout) or missing_choice(payout):
            raise PayoutOnHold(holds)
        who = {"ip_address": ip_address, "on_behalf_of_id": behalf, "together": together}
        _record(payout, step, Approval.Decision.APPROVED, actor, **who)
        require_within_limits(payout, actor)
        if step + 1 >= len(payout.steps):
            authorise(payout, actor=actor, waits=together > 1)
    return payout


def reject_payout(*, payout_id: int, actor, reason: str, ip_address: str | None = None, together: int = 1) -> Payout:
    """Reject with a reason: the money returns to the budget and the amount is due again.

    Raises: NotAllowed, SelfApproval, ReasonNeeded, IllegalTransition.
    """
    if not reason.strip():
        raise ReasonNeeded
    with transaction.atomic():
        payout = locked(payout_id)
        _require_open(payout, "rejected")
        if not any(actor.can(permission) for permission in set(PERMISSION.values())):
            raise NotAllowed("Only an approver may reject a payout.")
        _require_not_maker(payout, actor)
        step = payout.approvals.count()
        _record(
            payout, step, Approval.Decision.REJECTED, actor, reason=reason, ip_address=ip_address, together=together
        )
        states.unreserve(payout, actor=actor)
        states.change_status(payout, Payout.Status.REJECTED, actor=actor, reason=reason)
    return payout


def cancel_payout(*, payout_id: int, actor, reason: str) -> Payout:
    """Take back a payout: before its approval, or after it as long as nothing was sent to the provider.

    Raises: NotAllowed, ReasonNeeded, IllegalTransition (it left already).
    """
    if not actor.can("payouts.cancel"):
        raise NotAllowed
    if not reason.strip():
        raise ReasonNeeded
    payout = Payout.objects.get(pk=payout_id)
    if payout.status == Payout.Status.APPROVED:
        # The order is locked before the payout everywhere, so that settling and cancelling cannot deadlock.
        try:
            with transaction.atomic():
                rewards.cancel_order(payout.order_id, actor_name=str(actor), reason=reason)
                audit.record("payout.cancel", payout, actor=actor, reason=reason)
        except IllegalMove as exc:
            raise IllegalTransition(payout, "cancelled: its order left already") from exc
        payout.refresh_from_db()
        return payout
    with transaction.atomic():
        payout = locked(payout_id)
        withdraw(payout, Payout.Status.CANCELLED, actor=actor, reason=reason)
    return payout


def withdraw(payout: Payout, status: str, *, actor=None, reason: str) -> None:
    """End a payout that awaits approval and return its money. Call it with the row locked."""
    _require_open(payout, Payout.Status(status).label.lower())
    states.unreserve(payout, actor=actor)
    states.change_status(payout, status, actor=actor, reason=reason)


def authorise(payout: Payout, *, actor=None, waits: bool = False) -> None:
    """The step behind the last approval: money committed, order written (with its number and exact body), card ordered
    after the commit. Call it with the row locked and every approval recorded.

    `waits`: others are approved with the same request, so one that may be batched is not due before `send_together` took it.
    """
    if not payout.reserved:
        states.reserve(payout, actor=actor)
    states.commit(payout, actor=actor)
    try:
        order = _create_order(payout, BATCH_WAIT if waits and payout.batch_lines else timedelta(0))
    except RewardError as exc:
        raise OrderProblem(
            f"{exc.user_message} Refresh the catalogue or choose another product in the program, then try again."
        )
    states.change_status(payout, Payout.Status.APPROVED, actor=actor, order=order)


def _create_order(payout: Payout, wait: timedelta) -> RewardOrder:
    personal = payout.program.current_definition.get("personalization") or {}
    return rewards.create_order(
        reference=str(payout.public_id),
        po_parts=(str(payout.program.public_id), str(payout.participant.public_id), str(payout.n)),
        product_id=seal(payout),
        value=payout.amount,
        delivery=_delivery(payout),
        personalization=rewards.Personalization(
            to=payout.recipient_name,
            from_name=personal.get("from_name") or "",
            message=personal.get("message") or "",
        ),
        approval_hash=payout.content_hash,
        wait=wait,
    )


def _delivery(payout: Payout) -> rewards.Delivery:
    if payout.delivery_type == DeliveryType.LINKS:
        return rewards.Links()
    return rewards.DigitalDelivery(email=payout.recipient_email, sms=payout.recipient_phone)


def approve_automatically(payout: Payout, policy_name: str) -> None:
    """A policy without steps approves by itself, when no hold stands. Call it in the transaction that built the payout."""
    _record(payout, 0, Approval.Decision.APPROVED, None, name=f"Policy: {policy_name}")
    authorise(payout, waits=True)


def locked(payout_id: int) -> Payout:
    """The payout with its row locked and what deciding reads."""
    related = ("budget", "program", "participant")
    return Payout.objects.select_for_update(of=("self",), no_key=True).select_related(*related).get(pk=payout_id)


def _require_open(payout: Payout, becoming: str) -> None:
    if payout.status != Payout.Status.SUBMITTED:
        raise IllegalTransition(payout, becoming)


def _require_not_maker(payout: Payout, actor) -> set[int]:
    """Whose deputy the actor is today. A deputy is bound by what the delegator made or receives as well."""
    makers = makers_of(payout) | {payout.participant.user_id}
    if actor.pk in makers:
        raise SelfApproval
    delegators = delegators_of(actor)
    if delegators & makers:
        raise SelfApproval("You are the deputy of somebody who made or receives this payout. Ask another approver.")
    return delegators


def _require_turn(payout: Payout, step: int, actor, delegators: set[int]) -> int | None:
    """The user id the actor acts for, None in their own right. Raises NotAllowed, SameApprover."""
    if step >= len(payout.steps):
        raise NotAllowed("This payout is approved by itself as soon as its holds are lifted.")
    may, behalf = may_decide(payout, step, actor, delegators)
    if not may:
        raise NotAllowed("The next approval of this payout belongs to another role or person.")
    principals = [actor.pk] if behalf is None else [actor.pk, behalf]
    if payout.approvals.filter(Q(actor__in=principals) | Q(on_behalf_of__in=principals)).exists():
        raise SameApprover
    return behalf


def _record(
    payout, step, decision, actor, *, reason="", ip_address=None, name="", on_behalf_of_id=None, together=1
) -> None:
    try:
        with transaction.atomic():
            Approval.objects.create(
                payout=payout,
                step=step,
                decision=decision,
                actor=actor,
                actor_name=name or str(actor),
                on_behalf_of_id=on_behalf_of_id,
                submitted_by_id=payout.submitted_by_id,
                recipient_user_id=payout.participant.user_id,
                seen_hash=payout.content_hash,
                seen={
                    "amount": str(payout.amount),
                    "product": payout.product_code,
                    "recipient": payout.recipient_name,
                    "delivery": payout.delivery_type,
                    "together": together,
                },
                reason=reason.strip(),
                ip_address=ip_address,
            )
    except IntegrityError as exc:  # somebody decided this step in the same moment
        raise IllegalTransition(payout, f"{decision} twice; somebody was quicker") from exc


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one payout of a bulk decision."""

    payout: Payout | None
    error: DomainError | None

    @property
    def ok(self) -> bool:
        return self.error is None


def approve_many(*, seen: Iterable[tuple[int, str | None]], actor, ip_address: str | None = None) -> list[Outcome]:
    """Approve many: one request, one decision per payout, each in its own transaction. `seen`: (payout id, hash shown).

    A refusal of one does not stop the others; each refusal says why. Those whose policy says so then leave in batches.
    """
    seen = list(seen)
    who = {"actor": actor, "ip_address": ip_address, "together": len(seen)}
    done = [_outcome(pk, lambda pk=pk, h=h: approve_payout(payout_id=pk, seen_hash=h, **who)) for pk, h in seen]
    send_together(outcome.payout for outcome in done if outcome.ok)
    return done


def reject_many(*, ids: Iterable[int], actor, reason: str, ip_address: str | None = None) -> list[Outcome]:
    """Reject many for one reason; as approve_many."""
    ids = list(ids)
    who = {"actor": actor, "ip_address": ip_address, "together": len(ids), "reason": reason}
    return [_outcome(pk, lambda pk=pk: reject_payout(payout_id=pk, **who)) for pk in ids]


def _outcome(payout_id: int, decide: Callable[[], Payout]) -> Outcome:
    try:
        return Outcome(decide(), None)
    except DomainError as exc:
        return Outcome(Payout.objects.filter(pk=payout_id).first(), exc)
