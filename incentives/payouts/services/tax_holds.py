"""Payouts that wait for a tax reason: placed when they are built, followed when finance records something.

This is the side of payouts that tax calls (tax.sources.Holds), always inside its transaction and under the person's tax lock.
"""

from django.utils import timezone

from incentives.core import audit
from incentives.payouts.models import Hold, Payout
from incentives.payouts.policies import makers_of
from incentives.payouts.services.automatic import approve_by_policy
from incentives.payouts.tax_totals import KINDS
from incentives.tax import services as tax

NO_LONGER = "Finance recorded the tax details; nothing is missing any more."


def lock(participant_id: int) -> None:
    list(_waiting(participant_id).select_for_update(of=("self",), no_key=True).values_list("pk", flat=True))


def follow(participant, *, actor, lower: bool) -> tuple[int, int]:
    """Look again at the person's payouts that await approval, oldest first, as if each were built now.

    Called under the person's tax lock. With `lower` what need not wait any more goes on. A hold that a person lifted is not
    placed again. Returns (placed, lifted).
    """
    waiting = list(
        _waiting(participant.pk)
        .select_for_update(of=("self",), no_key=True)
        .select_related("program", "budget", "participant")
    )
    watch = tax.Watch(participant, but=[payout.pk for payout in waiting])
    placed = lifted = 0
    free = []
    for payout in waiting:
        wanted = watch.check(payout.amount)
        mine = list(payout.holds.filter(kind__in=KINDS))
        if lower:
            lifted += _lift([h for h in mine if not h.lifted_at and (wanted is None or h.kind != wanted.kind)], actor)
        if wanted and all(h.kind != wanted.kind or (h.lifted_at and h.lifted_reason == NO_LONGER) for h in mine):
            Hold.objects.create(payout=payout, kind=wanted.kind, reason=wanted.reason)
            audit.record("hold.placed", payout, actor=actor, after={"kind": wanted.kind})
            placed += 1
        elif lower and not wanted and any(not h.lifted_at for h in mine):
            free.append(payout)
    _approve(free)
    return placed, lifted


def release(participant, *, actor, reason: str) -> int:
    """Lift every open hold for tax review of the person's payouts, but of those the actor made. Returns how many."""
    free = []
    for payout in (
        _waiting(participant.pk)
        .select_for_update(of=("self",), no_key=True)
        .select_related("program", "budget", "participant")
    ):
        if actor.pk in makers_of(payout):
            continue
        if _lift(list(payout.holds.filter(kind=Hold.Kind.TAX_REVIEW, lifted_at__isnull=True)), actor, reason):
            free.append(payout)
    _approve(free)
    return len(free)


def _approve(payouts: list[Payout]) -> None:
    """What a policy approves by itself, one budget after the other in one order for everybody: two people whose payouts draw
    on the same budgets are released at once without waiting for each other in a circle."""
    for payout in sorted(payouts, key=lambda payout: (payout.budget_id, payout.pk)):
        approve_by_policy(payout)


def _lift(holds: list[Hold], actor, reason: str = NO_LONGER) -> int:
    for hold in holds:
        hold.lifted_at, hold.lifted_by, hold.lifted_reason = timezone.now(), actor, reason
        hold.save(update_fields=["lifted_at", "lifted_by", "lifted_reason"])
        audit.record("hold.lifted", hold.payout, actor=actor, after={"kind": hold.kind}, reason=reason)
    return len(holds)


def _waiting(participant_id: int):
    return Payout.objects.filter(participant=participant_id, status=Payout.Status.SUBMITTED).order_by("pk")
