"""Holds: named reasons why a payout waits."""

from django.db import transaction
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import IllegalTransition, NotAllowed
from incentives.payouts.errors import ReasonNeeded
from incentives.payouts.models import Hold, Payout
from incentives.payouts.policies import makers_of
from incentives.programs import terms


def open_holds(payout: Payout, *, but_funding: bool = False) -> list[Hold]:
    """What keeps this payout waiting. A funding hold resolves itself: approving tries to reserve again."""
    holds = payout.holds.filter(lifted_at__isnull=True)
    return list(holds.exclude(kind=Hold.Kind.FUNDING) if but_funding else holds)


def missing_terms(payout: Payout) -> list[Hold]:
    """An unsaved hold when the recipient has not accepted what the program asks for now: published between the build and
    the approval, it may not have reached this payout."""
    if not terms.holds(payout.program, payout.participant):
        return []
    return [Hold(payout=payout, kind=Hold.Kind.TERMS, reason="The recipient has not accepted the program's terms.")]


def place_hold(*, payout_id: int, actor, reason: str) -> Hold:
    """Hold a payout for review. A repeat returns the open hold. Raises NotAllowed, ReasonNeeded, IllegalTransition."""
    if not actor.can("holds.place"):
        raise NotAllowed
    if not reason.strip():
        raise ReasonNeeded
    with transaction.atomic():
        payout = Payout.objects.select_for_update(of=("self",), no_key=True).get(pk=payout_id)
        if payout.status != Payout.Status.SUBMITTED:
            raise IllegalTransition(payout, "held; only a payout awaiting approval can")
        hold, created = Hold.objects.get_or_create(
            payout=payout,
            kind=Hold.Kind.REVIEW,
            lifted_at=None,
            defaults={"reason": reason.strip()[:300], "placed_by": actor},
        )
        if created:
            audit.record("hold.placed", payout, actor=actor, after={"kind": hold.kind}, reason=reason)
    return hold


def _require_may_lift(hold: Hold, actor) -> None:
    if hold.kind == Hold.Kind.TERMS:
        raise NotAllowed("Only the recipient lifts this one, by accepting the program's terms.")
    if hold.kind in Hold.BY_ITSELF:
        raise NotAllowed("Nobody lifts this one: it ends with what it waits for.")
    if hold.payout.participant.user_id == actor.pk:
        raise NotAllowed("You receive this payout, so somebody else must lift its hold.")
    if actor.pk in makers_of(hold.payout):
        raise NotAllowed("You made what this payout pays, so somebody else must lift its hold.")


def lift_hold(*, hold_id: int, actor, reason: str) -> Hold:
    """Lift a hold. A repeat returns it unchanged. Raises NotAllowed (also for the recipient, whoever made the payout, and
    kinds that end by themselves), ReasonNeeded."""
    if not actor.can("holds.lift"):
        raise NotAllowed("Only finance may lift a hold.")
    if not reason.strip():
        raise ReasonNeeded
    with transaction.atomic():
        hold = (
            Hold.objects.select_for_update(of=("self",), no_key=True)
            .select_related("payout__participant")
            .get(pk=hold_id)
        )
        _require_may_lift(hold, actor)
        if hold.lifted_at is None:
            hold.lifted_at, hold.lifted_by, hold.lifted_reason = timezone.now(), actor, reason.strip()[:300]
            hold.save(update_fields=["lifted_at", "lifted_by", "lifted_reason"])
            audit.record("hold.lifted", hold.payout, actor=actor, after={"kind": hold.kind}, reason=reason)
    return hold
