"""After scoring: withdraw what is no longer earned, build what is due at once, expire what waited too long."""

import logging

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from incentives.earnings.models import Participation
from incentives.payouts.errors import CannotBuild
from incentives.payouts.models import Hold, Payout, PayoutEarning
from incentives.payouts.services.approve import withdraw
from incentives.payouts.services.automatic import retry_automatic
from incentives.payouts.services.batches import send_together
from incentives.payouts.services.build import EXPIRES_AFTER, BuildResult, build_one, plan_for
from incentives.payouts.services.choose import fill_addresses, follow_choices
from incentives.payouts.services.escalate import escalate
from incentives.payouts.services.mails import tell_approvers
from incentives.payouts.services.netting import (
    LEFT,
    ground_of,
    netting_of,
    overpaid_by_ground,
    written_off_by_ground,
)
from incentives.payouts.services.recovery import adjust_recoverable, ask_by_policy
from incentives.payouts.services.risk import refresh_contact_keys
from incentives.payouts.services.scheduled import build_scheduled
from incentives.programs.models import Program

log = logging.getLogger(__name__)
FACTS_CHANGED = "The facts it paid for changed; what is still earned is due again."


def follow_up(limit: int = 1000) -> dict[str, int]:
    """Look at participations scored since the last look, one short transaction each. Returns counts."""
    done = {"looked": 0, "withdrawn": 0, "built": 0}
    plans: dict[int, object] = {}
    due = Participation.objects.filter(scored_seq__gt=F("paid_seq")).order_by("pk").values_list("pk", flat=True)
    due = list(due[:limit])
    if due:
        refresh_contact_keys()
    paid: list[Payout] = []
    for pk in due:
        built, withdrawn = _look_at(pk, plans)
        paid += built
        done["looked"] += 1
        done["built"] += len(built)
        done["withdrawn"] += withdrawn
    send_together(paid)
    return done


def _look_at(participation_id: int, plans: dict) -> tuple[list[Payout], int]:
    """Withdraw first, build in a transaction of its own: withdrawing locks the budget's accounts, and building locks limits
    and tax details before it comes to them. A repeat after a crash between the two finds what is left."""
    with transaction.atomic():
        locked = Participation.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
        due = locked.select_related("program").filter(pk=participation_id, scored_seq__gt=F("paid_seq"))
        participation = due.first()
        if participation is None:
            return [], 0
        adjust_recoverable(participation, kind="earned_again")
        withdrawn = _withdraw_unearned(participation)
        ask_by_policy(participation)
        plan = _plan_of(participation.program, plans)
        if plan is None:
            _looked(participation)
            return [], withdrawn
    result = BuildResult()
    with transaction.atomic():
        build_one(plan, participation_id, None, result)
        _looked(participation)
    return result.payouts, withdrawn


def _looked(participation: Participation) -> None:
    """Up to the score that was read: one that came meanwhile is still due."""
    seq = participation.scored_seq
    Participation.objects.filter(pk=participation.pk, paid_seq__lt=seq).update(paid_seq=seq)


def _withdraw_unearned(participation: Participation) -> int:
    """Cancel payouts that await approval, newest first: those that pay for something no longer earned, and as many more as
    needed until what they pay is what may be paid beside the payouts that left already."""
    waiting = participation.payouts.filter(status=Payout.Status.SUBMITTED).order_by("pk")  # the order of all locks
    waiting = list(waiting.select_for_update(of=("self",), no_key=True).select_related("budget", "program"))[::-1]
    if not waiting:
        return 0
    over = sum(payout.amount_minor for payout in waiting) - max(0, netting_of(participation, states=LEFT).due)
    lost = _paying_for_lost(participation)
    count = 0
    for payout in waiting:
        if over > 0 or payout.pk in lost:
            withdraw(payout, Payout.Status.CANCELLED, reason=FACTS_CHANGED)
            over -= payout.amount_minor
            count += 1
    return count


def _paying_for_lost(participation: Participation) -> set[int]:
    """Ids of waiting payouts that pay for a fact from which payouts take more than it is worth now."""
    over = overpaid_by_ground(participation, Payout.LIVE)
    written_off = written_off_by_ground(participation) if over else {}
    lost = {ground for ground, minor in over.items() if minor > written_off.get(ground, 0)}
    if not lost:
        return set()
    taken = PayoutEarning.objects.filter(
        payout__participation=participation, payout__status=Payout.Status.SUBMITTED, amount_minor__gt=0
    )
    rows = taken.values_list("payout_id", "earning__object_id", "earning__period_start")
    return {pk for pk, fact, day in rows if ground_of(fact, day) in lost}


def _plan_of(program: Program, plans: dict):
    """Instant programs pay as soon as something is due; None for others. What cannot be built stands on the program's page."""
    if (program.current_definition.get("payout") or {}).get("when") != "instant":
        return None
    if program.pk not in plans:
        try:
            plans[program.pk] = plan_for(program)
        except CannotBuild as exc:
            log.info("program %s builds no payouts: %s", program.public_id, exc.code)
            plans[program.pk] = None
    return plans[program.pk]


def expire_waiting(limit: int = 200) -> int:
    """Payouts nobody decided in time end, and their money returns; what they paid is due again. Returns how many.

    A hold stops the time: it counts anew from the lifting of the last one, so that nobody loses a place for a form that came
    late. An instant program, which builds by no calendar, is looked at again, so that the next sweep builds what is due.
    """
    count, now, plans = 0, timezone.now(), {}
    stopped = Hold.objects.filter(
        Q(lifted_at__isnull=True) | Q(lifted_at__gt=now - EXPIRES_AFTER), payout=OuterRef("pk")
    )
    overdue = Payout.objects.filter(~Exists(stopped), status=Payout.Status.SUBMITTED, expires_at__lt=now)
    for pk in overdue.order_by("pk").values_list("pk", flat=True)[:limit]:
        with transaction.atomic():
            locked = Payout.objects.select_for_update(of=("self",), no_key=True).select_related("budget", "program")
            payout = locked.filter(~Exists(stopped), pk=pk, status=Payout.Status.SUBMITTED).first()
            if payout is not None:
                withdraw(payout, Payout.Status.EXPIRED, reason="Nobody decided within 30 days.")
                if _plan_of(payout.program, plans) is not None:
                    scored = Participation.objects.filter(pk=payout.participation_id, scored_seq__gt=0)
                    scored.update(paid_seq=F("scored_seq") - 1)
                count += 1
    return count


def sweep_once(limit: int = 1000) -> dict[str, int]:
    """What the sweep calls."""
    return follow_up(limit) | {
        "scheduled": build_scheduled(),
        "addressed": fill_addresses(),
        **follow_choices(),
        "automatic": retry_automatic(),
        "escalated": escalate(),
        "expired": expire_waiting(),
        "told": tell_approvers(),
    }
