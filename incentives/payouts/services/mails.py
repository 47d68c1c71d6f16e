"""E-mails to approvers about payouts that wait for them: a link and sums, never a power to approve, never an address.

Who is told is asked of the same condition that lets them decide (`selectors.for_decision`), once per payout and step. The
mail and its notices are written first; then it is sent, at least once, and again later where the mail server is away.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import ngettext

from incentives.accounts.models import User
from incentives.payouts import selectors
from incentives.payouts.models import ApproverMail, ApproverNotice, ApproverPreference, Payout
from incentives.payouts.policies import PERMISSION

log = logging.getLogger(__name__)
APART = {ApproverPreference.Mode.AT_ONCE: timedelta(minutes=2), ApproverPreference.Mode.HOURLY: timedelta(hours=1)}
"""Between two mails to one person: what is built in one go is one mail."""
MOST = 2000
SHOWN = 20
MOST_ATTEMPTS = 12


def send_mails(now: datetime | None = None) -> int:
    """Write what is new for each approver, then send what is due; returns how many were sent."""
    now = now or timezone.now()
    if Payout.objects.filter(status=Payout.Status.SUBMITTED).exists():
        for user in approvers():
            write_mail(user, now)
    due = ApproverMail.objects.filter(sent_at__isnull=True, next_attempt_at__lte=now, attempts__lt=MOST_ATTEMPTS)
    return sum(_send(pk, now) for pk in list(due.values_list("pk", flat=True)[:200]))


def approvers() -> list[User]:
    from incentives.accounts.permissions import roles_with

    roles = set().union(*(roles_with(permission) for permission in PERMISSION.values()))
    people = User.objects.filter(is_active=True, role_set__role__in=roles).distinct().order_by("pk")
    return list(people.select_related("approver_preference"))


def mode_of(user: User) -> str:
    preference = getattr(user, "approver_preference", None)
    return preference.mode if preference else ApproverPreference.Mode.AT_ONCE


def write_mail(user: User, now: datetime) -> ApproverMail | None:
    """The outbox row for what waits for this person and they were not told of yet; None when there is nothing to tell."""
    mode = mode_of(user)
    if mode == ApproverPreference.Mode.NEVER:
        return None
    last = ApproverMail.objects.filter(user=user).order_by("-pk").first()
    if last is not None and last.created_at > now - APART[mode]:
        return None
    news = list(_news(user).values_list("pk", "given", "escalated_step")[:MOST])
    if not news:
        return None
    try:
        with transaction.atomic():
            mail = ApproverMail.objects.create(user=user, next_attempt_at=now)
            ApproverNotice.objects.bulk_create(
                [
                    ApproverNotice(mail=mail, user=user, payout_id=pk, step=given, escalated=escalated == given)
                    for pk, given, escalated in news
                ],
                batch_size=500,
            )
    except IntegrityError:  # another process told them in this moment
        return None
    return mail


def _news(user: User):
    told = ApproverNotice.objects.filter(user=user, payout=OuterRef("pk"), step=OuterRef("given"))
    waiting = Payout.objects.filter(status=Payout.Status.SUBMITTED)
    mine = selectors.for_decision(waiting, user).filter(mine=True, held=False)
    again = Q(escalated_step=F("given")) & ~Exists(told.filter(escalated=True))
    return mine.filter(~Exists(told) | again).order_by("pk")


def _send(mail_id: int, now: datetime) -> int:
    """Claim by moving the next attempt away, send outside any transaction, note the result."""
    claimed = ApproverMail.objects.filter(pk=mail_id, sent_at__isnull=True, next_attempt_at__lte=now)
    if not claimed.update(attempts=F("attempts") + 1, next_attempt_at=now + timedelta(minutes=10)):
        return 0
    mail = ApproverMail.objects.select_related("user").get(pk=mail_id)
    try:
        if message := message_for(mail):
            message.send()
    except Exception as exc:  # the mail server is away: tried again
        log.warning("approver mail %s was not sent: %s", mail.pk, type(exc).__name__)
        return 0
    ApproverMail.objects.filter(pk=mail_id).update(sent_at=now)
    return 1


def message_for(mail: ApproverMail) -> EmailMultiAlternatives | None:
    """What still waits of it; None when all of it was decided meanwhile."""
    ids = mail.notices.values("payout")
    waiting = selectors.for_decision(Payout.objects.filter(pk__in=ids), mail.user).filter(mine=True)
    payouts = list(waiting.select_related("program").order_by("-amount_minor", "pk"))
    if not payouts:
        return None
    with translation.override(mail.user.language):
        subject = ngettext("%(n)s payout waits for you", "%(n)s payouts wait for you", len(payouts))
        context = {
            "user": mail.user,
            "count": len(payouts),
            "by_program": selectors.by_program(payouts),
            "totals": selectors.totals(payouts),
            "payouts": [(payout, settings.BASE_URL + payout.get_absolute_url()) for payout in payouts[:SHOWN]],
            "escalated": sum(1 for payout in payouts if payout.escalated_step == payout.given),
            "link": f"{settings.BASE_URL}{reverse('payouts:list')}",
            "preferences": f"{settings.BASE_URL}{reverse('payouts:delegations')}",
        }
        message = EmailMultiAlternatives(
            subject % {"n": len(payouts)}, render_to_string("emails/approver.txt", context), None, [mail.user.email]
        )
        message.attach_alternative(render_to_string("emails/approver.html", context), "text/html")
    return message
