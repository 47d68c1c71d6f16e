"""From notices to messages: what goes into one mail, when, and what is left out. One short transaction per person or channel."""

from collections import defaultdict
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from incentives.notifications import quiet, registry
from incentives.notifications.models import ChannelEndpoint, Delivery, Notification, Recipient
from incentives.notifications.outbox import effective
from incentives.notifications.recipients import zone_of
from incentives.notifications.registry import Kind, Mode

MOST = 2000
"""Notices in one message; more of them make the next one."""
AT_MOST = 20
"""Messages to one person within RATE; what comes on top is collected for later."""
RATE = timedelta(hours=1)
HOURLY = timedelta(hours=1)
CHAT_APART = timedelta(minutes=1)


def gather(now: datetime | None = None, limit: int = 200) -> int:
    """Make the messages that are due. Returns how many; a repeat makes none."""
    now = now or timezone.now()
    due = Notification.objects.filter(look_at__lte=now).order_by("look_at", "pk")
    pairs = dict.fromkeys(due.values_list("recipient", "endpoint")[: limit * 10])
    return sum(_for_person(pk, now) if pk else _for_channel(channel, now) for pk, channel in list(pairs)[:limit])


# --- people -----------------------------------------------------------------------------------------------------------
@transaction.atomic
def _for_person(recipient_id: int, now: datetime) -> int:
    locked = (
        Recipient.objects.select_for_update(skip_locked=True, of=("self",), no_key=True).filter(pk=recipient_id).first()
    )
    if locked is None:  # somebody else gathers for them
        return 0
    rows = _waiting(Q(recipient=locked))
    rows = _without_old(rows, now)
    modes = dict(locked.preferences.values_list("kind", "mode"))
    parts: dict[str, list[Notification]] = defaultdict(list)
    for row in rows:
        one = registry.get(row.kind)
        mode = effective(one, modes.get(row.kind))
        parts[row.kind if mode == Mode.AT_ONCE else mode].append(row)
    _leave_out(parts.pop(Mode.NEVER, []), "never")
    return sum(_due_part(locked, name, part, now) for name, part in parts.items())


def _due_part(recipient: Recipient, name: str, part: list[Notification], now: datetime) -> int:
    """One mail of these notices, or the moment to look again."""
    place = zone_of(recipient)
    at = max(_due_at(recipient, name, part, now, place), _below_rate(recipient, now))
    at = quiet.allowed_from(max(at, now), place, recipient.quiet_from, recipient.quiet_until)
    if at > now:
        Notification.objects.filter(pk__in=[row.pk for row in part]).update(look_at=at)
        return 0
    kind = {Mode.HOURLY: Delivery.HOURLY, Mode.DAILY: Delivery.DAILY}.get(name, name)
    return _make(part, now, channel=Delivery.Channel.EMAIL, recipient=recipient, kind=kind)


def _due_at(recipient: Recipient, name: str, part: list[Notification], now: datetime, place: str) -> datetime:
    if name == Mode.DAILY:
        slot = quiet.last_slot(now, place)
        told = recipient.deliveries.filter(kind=Delivery.DAILY, created_at__gte=slot).exists()
        due = not told and min(row.created_at for row in part) < slot
        return now if due else quiet.next_slot(now, place)
    kind, apart = (Delivery.HOURLY, HOURLY) if name == Mode.HOURLY else (name, registry.get(name).apart)
    last = recipient.deliveries.filter(kind=kind).order_by("-pk").values_list("created_at", flat=True).first()
    return last + apart if last else now


def _below_rate(recipient: Recipient, now: datetime) -> datetime:
    recent = recipient.deliveries.filter(created_at__gt=now - RATE).order_by("-created_at")
    times = list(recent.values_list("created_at", flat=True)[:AT_MOST])
    return times[-1] + RATE if len(times) == AT_MOST else now


# --- channels ---------------------------------------------------------------------------------------------------------
@transaction.atomic
def _for_channel(endpoint_id: int, now: datetime) -> int:
    locked = (
        ChannelEndpoint.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
        .filter(pk=endpoint_id)
        .first()
    )
    if locked is None:
        return 0
    rows = _waiting(Q(endpoint=locked))
    if locked.status != ChannelEndpoint.Status.ACTIVE:
        _leave_out(rows, "turned off")
        return 0
    rows = _without_old(rows, now)
    parts: dict[str, list[Notification]] = defaultdict(list)
    for row in rows:
        parts[row.kind].append(row)
    made = 0
    for name, part in parts.items():
        last = locked.deliveries.filter(kind=name).order_by("-pk").values_list("created_at", flat=True).first()
        at = max(filter(None, (now, last and last + CHAT_APART, locked.not_before)))
        if at > now:
            Notification.objects.filter(pk__in=[row.pk for row in part]).update(look_at=at)
        else:
            made += _make(part, now, channel=locked.channel, endpoint=locked, kind=name)
    return made


# --- both -------------------------------------------------------------------------------------------------------------
def _waiting(whose: Q) -> list[Notification]:
    return list(Notification.objects.filter(whose, look_at__isnull=False).order_by("pk")[:MOST])


def _without_old(rows: list[Notification], now: datetime) -> list[Notification]:
    """Those that are still worth telling; the others are left out."""
    kept, old, unknown = [], [], []
    for row in rows:
        one: Kind | None = registry.find(row.kind)
        if one is None:
            unknown.append(row)
        elif row.created_at < now - one.expires:
            old.append(row)
        else:
            kept.append(row)
    _leave_out(old, "too old")
    _leave_out(unknown, "unknown kind")
    return kept


def _leave_out(rows: list[Notification], why: str) -> None:
    if rows:
        Notification.objects.filter(pk__in=[row.pk for row in rows]).update(look_at=None, left_out=why)


def _make(rows: list[Notification], now: datetime, **values) -> int:
    """The message and its notices. Where another process took one of them meanwhile, it is not in this message."""
    delivery = Delivery.objects.create(count=len(rows), created_at=now, next_attempt_at=now, **values)
    ours = Notification.objects.filter(pk__in=[row.pk for row in rows], look_at__isnull=False)
    taken = ours.update(look_at=None, delivery=delivery)
    if taken != len(rows):
        Delivery.objects.filter(pk=delivery.pk).update(count=taken)
    if not taken:
        delivery.delete()
    return 1 if taken else 0
