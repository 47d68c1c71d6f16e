"""Steps that wait too long are opened to the role their policy names; the first steps are never skipped."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from incentives.core import audit
from incentives.payouts.models import Approval, Payout


def escalate(now: datetime | None = None, limit: int = 500) -> int:
    """Open steps that waited longer than their hours; returns how many. A repeat changes nothing.

    A step waits from the last approval before it, from the last hold lifted, or else from the building. While somebody must
    lift a hold first, nothing is escalated.
    """
    now, count = now or timezone.now(), 0
    rows = Payout.objects.filter(status=Payout.Status.SUBMITTED, escalate_after_hours__isnull=False)
    rows = rows.annotate(approved_at=Max("approvals__at"), lifted=Max("holds__lifted_at")).order_by("pk")
    for payout in rows[:limit]:
        since = max(moment for moment in (payout.created_at, payout.approved_at, payout.lifted) if moment)
        if since + timedelta(hours=payout.escalate_after_hours) <= now:
            count += _open(payout.pk)
    return count


def _open(payout_id: int) -> int:
    with transaction.atomic():
        payout = Payout.objects.select_for_update(of=("self",), no_key=True).get(pk=payout_id)
        step = Approval.objects.filter(payout=payout).count()
        if payout.status != Payout.Status.SUBMITTED or step >= len(payout.steps):
            return 0
        if payout.holds.filter(lifted_at__isnull=True).exclude(kind="funding").exists():
            return 0
        waiting = Q(escalated_step__isnull=True) | ~Q(escalated_step=step)
        if not Payout.objects.filter(waiting, pk=payout.pk).update(escalated_step=step):
            return 0
        reason = f"Step {step + 1} waited longer than {payout.escalate_after_hours} hours."
        audit.record("payout.escalated", payout, after={"step": step, "to": payout.escalate_to}, reason=reason)
    return 1
