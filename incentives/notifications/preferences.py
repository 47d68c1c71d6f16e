"""How people want to be told: their own choices, each recorded."""

from datetime import time

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from incentives.core import audit
from incentives.notifications import registry
from incentives.notifications.errors import PreferenceInvalid
from incentives.notifications.models import Notification, Preference, Recipient
from incentives.notifications.outbox import effective
from incentives.notifications.recipients import recipients_for
from incentives.notifications.registry import Kind


def kinds_of(user) -> list[Kind]:
    """What this person may hear of."""
    return [one for one in registry.every() if one.concerns(user)]


def modes_of(recipient: Recipient | None, kinds: list[Kind]) -> dict[str, str]:
    """kind -> what holds for them. One query."""
    chosen = dict(recipient.preferences.values_list("kind", "mode")) if recipient else {}
    return {one.name: effective(one, chosen.get(one.name)) for one in kinds}


def choose(*, actor, modes: dict[str, str], quiet: tuple[time | None, time | None] | None = None) -> Recipient:
    """Set the actor's own choices: kind -> mode, and quiet hours (from, until) in their time zone, both or none.

    What waits already follows the new choice. A repeat changes and records nothing. Raises PreferenceInvalid: nothing was
    changed then.
    """
    for name, mode in modes.items():
        one = registry.find(name)
        if one is None or not one.concerns(actor) or mode not in dict(one.modes):
            raise PreferenceInvalid(gettext("“%(kind)s” cannot be set to that.") % {"kind": one.label if one else name})
    if quiet is not None and (quiet[0] is None) != (quiet[1] is None):
        raise PreferenceInvalid(gettext("Quiet hours need both times, or none."))
    with transaction.atomic():
        recipient = Recipient.objects.select_for_update(of=("self",), no_key=True).get(pk=recipients_for([actor])[0].pk)
        for name, mode in modes.items():
            set_mode(recipient, registry.get(name), mode, actor=actor)
        if quiet is not None:
            _set_quiet(recipient, *quiet, actor=actor)
        Notification.objects.filter(recipient=recipient, look_at__isnull=False).update(look_at=timezone.now())
    return recipient


def set_mode(recipient: Recipient, one: Kind, mode: str, *, actor, reason: str = "") -> bool:
    """Write one choice; in a transaction. False when it was so already: choosing what holds anyway writes nothing."""
    row = recipient.preferences.filter(kind=one.name).first()
    before = effective(one, row.mode if row else None)
    if before == mode:
        return False
    values = {"mode": mode, "changed_at": timezone.now()}
    Preference.objects.update_or_create(recipient=recipient, kind=one.name, defaults=values)
    changed = {"before": {one.name: before}, "after": {one.name: mode}}
    audit.record("notifications.preference", recipient, actor=actor, reason=reason, **changed)
    return True


def _set_quiet(recipient: Recipient, start: time | None, end: time | None, *, actor) -> None:
    before = (recipient.quiet_from, recipient.quiet_until)
    if before == (start, end):
        return
    Recipient.objects.filter(pk=recipient.pk).update(quiet_from=start, quiet_until=end)
    shown = [{"quiet": f"{a:%H:%M} - {b:%H:%M}" if a and b else ""} for a, b in (before, (start, end))]
    audit.record("notifications.quiet_hours", recipient, actor=actor, before=shown[0], after=shown[1])
