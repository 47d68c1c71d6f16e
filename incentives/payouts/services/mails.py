"""Telling approvers about payouts that wait for them, in their outbox and in chat channels.

Who is told is asked of the same condition that lets them decide (`selectors.for_decision`), once per payout and step. What a
message says is asked again when it is sent (`payouts.notices.waiting`).
"""

from django.db import transaction
from django.db.models import CharField, Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat

from incentives.accounts.models import User
from incentives.accounts.permissions import roles_with
from incentives.notifications.models import ChannelEndpoint, Notification
from incentives.notifications.outbox import notify_many, wants
from incentives.payouts import selectors
from incentives.payouts.kinds import WAITING
from incentives.payouts.models import Payout
from incentives.payouts.policies import PERMISSION

MOST = 2000
ESCALATED = ":late"


def tell_approvers() -> int:
    """Write down what is new for each approver and for the chat channels. Returns how many notices; a repeat writes none."""
    if not Payout.objects.filter(status=Payout.Status.SUBMITTED).exists():
        return 0
    told = sum(tell(user) for user in approvers() if wants(user, WAITING))
    return told + tell_channels()


def approvers() -> list[User]:
    roles = set().union(*(roles_with(permission) for permission in PERMISSION.values()))
    return list(User.objects.filter(is_active=True, role_set__role__in=roles).distinct().order_by("pk"))


def tell(user: User) -> int:
    waiting = Payout.objects.filter(status=Payout.Status.SUBMITTED)
    mine = selectors.for_decision(waiting, user).filter(mine=True, held=False)
    rows = _rows(_untold(mine, Notification.objects.filter(recipient__user=user)))
    if not rows:
        return 0
    with transaction.atomic():
        return notify_many(WAITING, to=user, rows=rows)


def tell_channels() -> int:
    """Each program's waiting payouts, to the channels that take it."""
    count = 0
    for endpoint in ChannelEndpoint.objects.filter(status=ChannelEndpoint.Status.ACTIVE):
        if WAITING not in endpoint.kinds:
            continue
        waiting = Payout.objects.filter(status=Payout.Status.SUBMITTED)
        if endpoint.programs:
            waiting = waiting.filter(program__public_id__in=endpoint.programs)
        # what anybody may decide is asked without a person: held payouts wait for something else
        open_ones = selectors.with_steps(waiting).filter(held=False)
        rows = _rows(_untold(open_ones, Notification.objects.filter(endpoint=endpoint)))
        if rows:
            with transaction.atomic():
                count += notify_many(WAITING, to=endpoint, rows=rows)
    return count


def _untold(payouts: QuerySet, notices: QuerySet) -> QuerySet:
    """Those whose present step was not told yet, or was opened to others since it was told."""
    step = Concat(Cast("pk", CharField()), Value(":"), Cast("given", CharField()))
    payouts = payouts.annotate(step_key=step, late_key=Concat(step, Value(ESCALATED)))
    told = notices.filter(kind=WAITING)
    once, late = Exists(told.filter(key=OuterRef("step_key"))), Exists(told.filter(key=OuterRef("late_key")))
    escalated = Q(escalated_step=F("given"))
    return payouts.filter((~escalated & ~once) | (escalated & ~late)).order_by("pk")


def _rows(payouts: QuerySet) -> list[tuple[str, dict]]:
    found = payouts.values_list("pk", "given", "escalated_step")[:MOST]
    return [
        (f"{pk}:{given}{ESCALATED if escalated == given else ''}", {"payout": pk, "escalated": escalated == given})
        for pk, given, escalated in found
    ]
