"""Slack and Teams channels: made, changed, tried and turned off by administrators."""

import uuid
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext

from incentives.core import audit, outgoing
from incentives.core.errors import NotAllowed
from incentives.notifications import chat, registry
from incentives.notifications.errors import ChannelAnswer, ChannelInvalid
from incentives.notifications.models import ChannelEndpoint
from incentives.notifications.registry import Content
from incentives.notifications.rendering import Section, speaking
from rewards import vault

PERMISSION = "notifications.edit"
S = ChannelEndpoint.Status
TESTS_APART = timedelta(seconds=5)


def save_channel(
    *, actor, endpoint: ChannelEndpoint | None = None, name: str, channel: str, url: str = "", kinds: list[str],
    programs: list[str], language: str = "en",
) -> ChannelEndpoint:  # fmt: skip
    """Make a channel, or change one; an empty `url` keeps the address it has. Raises NotAllowed, ChannelInvalid.

    The address is stored encrypted and never shown again; the audit trail says that it changed, not what it is.
    """
    _require(actor)
    unknown = [kind for kind in kinds if (one := registry.find(kind)) is None or not one.chat]
    if unknown or not kinds:
        raise ChannelInvalid(gettext("Choose at least one kind of notice that may go to a channel."))
    if url or endpoint is None:
        _check(url)
    values = {
        "name": name.strip(),
        "channel": channel,
        "kinds": sorted(kinds),
        "programs": sorted(programs),
        "language": language,
    }
    try:
        with transaction.atomic():
            return _write(actor, endpoint, values, url)
    except IntegrityError as exc:
        raise ChannelInvalid(gettext("Another channel has this name.")) from exc


def _check(url: str) -> None:
    try:
        outgoing.check_url(url)
    except outgoing.Refused as exc:
        raise ChannelInvalid(str(exc)) from exc


def _write(actor, endpoint: ChannelEndpoint | None, values: dict, url: str) -> ChannelEndpoint:
    made = endpoint is None
    if made:
        row, before = ChannelEndpoint(public_id=uuid.uuid4(), created_by=actor), {}
    else:
        row = ChannelEndpoint.objects.select_for_update(of=("self",), no_key=True).get(pk=endpoint.pk)
        before = _shown(row)
    for name, value in values.items():
        setattr(row, name, value)
    if url:
        row.sealed = vault.seal(row.label, {"url": url})
        row.host = outgoing.check_url(url)
        row.status, row.reason, row.last_error, row.not_before = S.ACTIVE, "", "", None
    row.save()
    after = _shown(row) | ({"address": "changed"} if url and not made else {})
    audit.record("channel.made" if made else "channel.changed", row, actor=actor, before=before, after=after)
    return row


def _shown(row: ChannelEndpoint) -> dict:
    names = ("name", "channel", "host", "kinds", "programs", "language", "status")
    return {name: getattr(row, name) for name in names}


def set_active(*, actor, endpoint: ChannelEndpoint, active: bool) -> ChannelEndpoint:
    """Turn a channel on or off. A repeat changes and records nothing. Raises NotAllowed."""
    _require(actor)
    new, old = (S.ACTIVE, S.INACTIVE) if active else (S.INACTIVE, S.ACTIVE)
    with transaction.atomic():
        reason = "" if active else gettext("by %(who)s") % {"who": actor}
        rows = ChannelEndpoint.objects.filter(pk=endpoint.pk, status=old)
        if rows.update(status=new, reason=reason[:200], not_before=None):
            action = "channel.turned_on" if active else "channel.turned_off"
            audit.record(action, endpoint, actor=actor, before={"status": old}, after={"status": new})
    endpoint.refresh_from_db()
    return endpoint


def try_channel(*, actor, endpoint: ChannelEndpoint) -> None:
    """Send a test message now and wait for the answer. Raises NotAllowed, ChannelInvalid (a test was sent a moment ago),
    ChannelAnswer (with what the other side said)."""
    _require(actor)
    with transaction.atomic():
        now = timezone.now()
        recent = ChannelEndpoint.objects.filter(pk=endpoint.pk, tried_at__gt=now - TESTS_APART).exists()
        if recent:
            raise ChannelInvalid(gettext("A test was sent a moment ago. Wait a few seconds."))
        ChannelEndpoint.objects.filter(pk=endpoint.pk).update(tried_at=now)
        audit.record("channel.tried", endpoint, actor=actor)
    with speaking(endpoint.language):
        body = chat.payload(endpoint.channel, [Section(None, _test_content(endpoint))])
    outcome = chat.post(endpoint, body)
    if outcome.result != "sent":
        ChannelEndpoint.objects.filter(pk=endpoint.pk).update(last_error=outcome.words[:200])
        raise ChannelAnswer(gettext("The test message was not taken: %(why)s") % {"why": outcome.words})
    ChannelEndpoint.objects.filter(pk=endpoint.pk).update(last_ok_at=timezone.now(), last_error="")


def _test_content(endpoint: ChannelEndpoint) -> Content:
    return Content(
        gettext("Laurel can write here"),
        summary=gettext("This is a test of “%(name)s”. Nobody has to do anything.") % {"name": endpoint.name},
        link=endpoint.get_absolute_url(),
        link_label=gettext("Look at the channel in Laurel"),
    )


def _require(actor) -> None:
    if not actor.can(PERMISSION):
        raise NotAllowed
