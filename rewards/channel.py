"""The channel to the provider: open or stopped, its pace, and the slots that limit calls in flight across all workers."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Q

from rewards import clock, conf
from rewards.errors import EvidenceNeeded, SecondPersonNeeded
from rewards.models import CallSlot, Channel, ChannelEvent

PACE_MIN_MS, PACE_MAX_MS = 50, 5_000
PACE_CHANGES_AFTER = timedelta(seconds=5)
"""The pace doubles or halves at most once in this time: many workers hear one 429 at once."""
WAIT_WHEN_UNSAID = 5.0


def current() -> Channel:
    """The channel orders go through. Made on first use."""
    channel = Channel.objects.filter(name="default").first()
    return channel or Channel.objects.get_or_create(name="default")[0]


def record(channel: Channel, what: str, reason: str = "", actor_name: str = "") -> None:
    ChannelEvent.objects.create(
        channel=channel, at=clock.now(), what=what, reason=reason[:2000], actor_name=actor_name[:200]
    )


# --- open, paused, stopped --------------------------------------------------------------------------------------------
def pause_for_funding(channel: Channel, reason: str) -> None:
    """422: nothing more is sent until somebody has funded the account. Repeats change nothing."""
    _halt(channel, Channel.State.PAUSED, "funding", reason, only_from=(Channel.State.OPEN,))


def stop(channel: Channel, code: str, reason: str, actor_name: str = "") -> None:
    """An invariant tripped or access is gone: nothing is sent until a person opens the channel again."""
    _halt(channel, Channel.State.STOPPED, code, reason, (Channel.State.OPEN, Channel.State.PAUSED), actor_name)


def _halt(channel: Channel, state: str, code: str, reason: str, only_from, actor_name: str = "") -> None:
    with transaction.atomic():
        changed = Channel.objects.filter(pk=channel.pk, state__in=only_from).update(
            state=state, code=code, reason=reason[:2000], changed_at=clock.now()
        )
        if changed:
            record(channel, state, f"{code}: {reason}", actor_name)


def open_channel(*, actor_name: str, reason: str) -> Channel:
    """Send again after a stop or a pause. An emergency stop stays. Raises EvidenceNeeded without name and reason."""
    _named(actor_name, reason)
    with transaction.atomic():
        channel = Channel.objects.select_for_update(no_key=True).get(pk=current().pk)
        if channel.state != Channel.State.OPEN:
            channel.state, channel.code, channel.reason = Channel.State.OPEN, "", ""
            channel.auth_failures = 0
            channel.save(update_fields=["state", "code", "reason", "auth_failures", "changed_at"])
            record(channel, "open", reason, actor_name)
    return channel


def emergency_stop(*, actor_name: str, reason: str) -> Channel:
    """No POST starts after this commits. Survives restarts; see request_restart."""
    _named(actor_name, reason)
    with transaction.atomic():
        channel = current()
        if Channel.objects.filter(pk=channel.pk, emergency_stop=False).update(
            emergency_stop=True, restart_requested_by="", changed_at=clock.now()
        ):
            record(channel, "emergency_stop", reason, actor_name)
    return current()


def restart_after_emergency(*, actor_name: str, reason: str) -> Channel:
    """The first person asks, a second one confirms; only then is the emergency stop lifted.

    Raises SecondPersonNeeded when the same person confirms their own request.
    """
    _named(actor_name, reason)
    with transaction.atomic():
        channel = Channel.objects.select_for_update(no_key=True).get(pk=current().pk)
        if not channel.emergency_stop:
            return channel
        if channel.restart_requested_by == actor_name:
            raise SecondPersonNeeded("You asked for the restart; another person must confirm it.")
        if channel.restart_requested_by:
            channel.emergency_stop, channel.restart_requested_by = False, ""
            what = "emergency_lifted"
        else:
            channel.restart_requested_by, what = actor_name, "restart_requested"
        channel.save(update_fields=["emergency_stop", "restart_requested_by", "changed_at"])
        record(channel, what, reason, actor_name)
    return channel


def _named(actor_name: str, reason: str) -> None:
    if not actor_name.strip() or not reason.strip():
        raise EvidenceNeeded("Say who you are and why: both the name and the reason are kept.")


def count_auth_failure(channel: Channel, reason: str) -> None:
    """A second 401 in a row. One may be a blip; several without a success between them are wrong credentials."""
    Channel.objects.filter(pk=channel.pk).update(auth_failures=F("auth_failures") + 1)
    channel.refresh_from_db(fields=["auth_failures"])
    if channel.auth_failures >= conf.AUTH_FAILURES_TO_STOP:
        stop(channel, "credentials", reason)


def auth_works(channel: Channel) -> None:
    if channel.auth_failures:
        Channel.objects.filter(pk=channel.pk).update(auth_failures=0)


# --- pace -------------------------------------------------------------------------------------------------------------
def slow_down(channel: Channel, seconds: float | None) -> datetime:
    """429: all workers wait `seconds`, and from then on leave more time between calls. Returns when to go on."""
    now = clock.now()
    until = now + timedelta(seconds=WAIT_WHEN_UNSAID if seconds is None else seconds)
    with transaction.atomic():
        row = Channel.objects.select_for_update(no_key=True).get(pk=channel.pk)
        row.not_before = max(filter(None, (row.not_before, until)))
        if not row.slowed_at or now - row.slowed_at > PACE_CHANGES_AFTER:
            row.interval_ms = min(max(row.interval_ms * 2, PACE_MIN_MS), PACE_MAX_MS)
            row.slowed_at = now
        row.save(update_fields=["not_before", "interval_ms", "slowed_at", "changed_at"])
    return row.not_before


def pause_calls(channel: Channel, seconds: float) -> None:
    """The provider cannot be reached for a token: nobody tries again before that."""
    until = clock.now() + timedelta(seconds=seconds)
    Channel.objects.filter(Q(not_before=None) | Q(not_before__lt=until), pk=channel.pk).update(not_before=until)


def seconds_to_wait(channel: Channel, now: datetime) -> float:
    """Take a turn: 0 means go ahead now; otherwise how long until it is worth asking again. Shared by all workers."""
    if channel.not_before and channel.not_before > now:
        return (channel.not_before - now).total_seconds()
    if not channel.interval_ms:
        return 0.0
    if channel.next_call_at and channel.next_call_at > now:
        return (channel.next_call_at - now).total_seconds()
    eased, slowed_at = channel.interval_ms, channel.slowed_at
    if slowed_at and now - slowed_at > PACE_CHANGES_AFTER:
        eased = 0 if eased <= PACE_MIN_MS else eased // 2
        slowed_at = now
    taken = Channel.objects.filter(pk=channel.pk, next_call_at=channel.next_call_at).update(
        next_call_at=now + timedelta(milliseconds=channel.interval_ms), interval_ms=eased, slowed_at=slowed_at
    )
    return 0.0 if taken else channel.interval_ms / 1000


# --- slots ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Slot:
    pk: int
    holder: str

    def renew(self, now: datetime) -> bool:
        """Whether it is still ours, and then for the time of one more call."""
        until = now + timedelta(seconds=conf.SLOT_LEASE_SECONDS)
        return bool(CallSlot.objects.filter(pk=self.pk, holder=self.holder).update(lease_until=until))

    def release(self) -> None:
        CallSlot.objects.filter(pk=self.pk, holder=self.holder).update(lease_until=None, holder="")


def acquire_slot(channel: Channel) -> Slot | None:
    """The right to have one call in flight, or None while all E2R_MAX_IN_FLIGHT are taken. Whoever dies holding one
    loses it after SLOT_LEASE_SECONDS, which no call outlives."""
    limit, holder = conf.MAX_IN_FLIGHT, uuid.uuid4().hex
    if CallSlot.objects.filter(channel=channel, number__lt=limit).count() < limit:
        rows = [CallSlot(channel=channel, number=number) for number in range(limit)]
        CallSlot.objects.bulk_create(rows, ignore_conflicts=True)
    with transaction.atomic():
        now = clock.now()
        free = Q(lease_until=None) | Q(lease_until__lt=now)
        slots = CallSlot.objects.filter(free, channel=channel, number__lt=limit).order_by("number")
        if connection.features.has_select_for_update_skip_locked:
            slots = slots.select_for_update(skip_locked=True, no_key=True)[:1]
        until = now + timedelta(seconds=conf.SLOT_LEASE_SECONDS)
        for slot in slots:
            if CallSlot.objects.filter(free, pk=slot.pk).update(lease_until=until, holder=holder):
                return Slot(slot.pk, holder)
    return None
