"""Deputies: an approver names one for some days, and takes the word back."""

from datetime import date, timedelta

from django.db import transaction
from django.utils import timezone

from incentives.accounts.models import User
from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.notifications import preferences
from incentives.payouts.errors import DelegationInvalid
from incentives.payouts.kinds import WAITING
from incentives.payouts.models import Delegation
from incentives.payouts.policies import PERMISSION, is_approver

LONGEST = timedelta(days=92)


def delegate(*, actor, deputy, starts_on: date, ends_on: date, reason: str = "") -> Delegation:
    """Name a deputy for one's own steps, from a day to a day (UTC, both included).

    Raises NotAllowed (the actor approves nothing), DelegationInvalid (the deputy may not approve what the actor may, days,
    another deputy for the same days).
    """
    if not is_approver(actor):
        raise NotAllowed("Only somebody who approves payouts has a deputy.")
    _check(actor, deputy, starts_on, ends_on)
    with transaction.atomic():
        User.objects.select_for_update(of=("self",), no_key=True).get(pk=actor.pk)  # two requests of one person at once
        standing = Delegation.objects.filter(delegator=actor, revoked_at__isnull=True)
        if standing.filter(starts_on__lte=ends_on, ends_on__gte=starts_on).exists():
            raise DelegationInvalid("You have a deputy on some of these days. Take that back first.")
        row = Delegation.objects.create(
            delegator=actor, deputy=deputy, starts_on=starts_on, ends_on=ends_on, reason=reason.strip()[:300]
        )
        after = {"deputy": str(deputy), "from": str(starts_on), "to": str(ends_on)}
        audit.record("delegation.made", row, actor=actor, after=after, reason=reason)
    return row


def _check(actor, deputy, starts_on: date, ends_on: date) -> None:
    if deputy.pk == actor.pk:
        raise DelegationInvalid("deputy: choose somebody else.")
    if not any(actor.can(permission) and deputy.can(permission) for permission in PERMISSION.values()):
        raise DelegationInvalid(f"deputy: {deputy} has no role that approves what you approve.")
    if ends_on < starts_on or ends_on < timezone.now().date():
        raise DelegationInvalid("to: expected a day not before the first one, and not in the past.")
    if ends_on - starts_on > LONGEST:
        raise DelegationInvalid(f"to: a deputy acts for at most {LONGEST.days} days.")


def revoke_delegation(*, delegation: Delegation, actor) -> Delegation:
    """Take it back: by who gave it, or by finance. A repeat changes nothing. Raises NotAllowed."""
    if delegation.delegator_id != actor.pk and not actor.can("payouts.approve"):
        raise NotAllowed("Only who named the deputy, or finance, takes it back.")
    with transaction.atomic():
        standing = Delegation.objects.filter(pk=delegation.pk, revoked_at__isnull=True)
        if standing.update(revoked_at=timezone.now(), revoked_by=actor):
            audit.record("delegation.revoked", delegation, actor=actor)
    delegation.refresh_from_db()
    return delegation


def set_mail_mode(*, actor, mode: str) -> None:
    """How the actor hears of payouts that wait. A repeat changes nothing. Raises NotAllowed, PreferenceInvalid."""
    if not is_approver(actor):
        raise NotAllowed("Only somebody who approves payouts gets these e-mails.")
    preferences.choose(actor=actor, modes={WAITING: mode})
