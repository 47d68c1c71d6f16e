"""Writing down what is to be told, in the transaction of the change it is about."""

import logging
import re
import time
from collections.abc import Iterable
from datetime import timedelta

from celery import current_app
from django.db import IntegrityError, connection, transaction
from django.db.models import Count
from django.utils import timezone

from incentives.core.logs import redact
from incentives.notifications import registry
from incentives.notifications.models import Announcement, ChannelEndpoint, Delivery, Notification, Preference, Recipient
from incentives.notifications.recipients import recipients_for, ref_of
from incentives.notifications.registry import CHATS, Mode

log = logging.getLogger(__name__)
LINK = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
LONGEST, DEEPEST = 300, 4
QUIET_SECONDS = 1.0
_next_nudge = 0.0


def notify(kind: str, *, to, key: str, data: dict | None = None, program: str = "") -> int:
    """Tell a person, several, or the chat channels (`to=CHATS`) something of this kind, once per `key`.

    `to`: a User, a participant, an iterable of them, or CHATS. `key` says what happened (`<payout>:<step>`): a repeat, also
    one at the same moment, tells nothing again. `data`: what rendering needs, plain JSON; addresses and links in it are blacked
    out and long texts cut. `program`: public id, for channels that take only some programs. Returns how many are told.

    Nothing is sent here. Raises KeyError for an unknown kind, RuntimeError outside a transaction: a notice of a change that is
    rolled back must not leave.
    """
    one = registry.get(kind)
    if not connection.in_atomic_block:
        raise RuntimeError("notify must share the transaction of the change")
    if to is CHATS:
        return _write(one, [{"endpoint": row} for row in endpoints_for(one, program)], key, data)
    people = to if isinstance(to, Iterable) else [to]
    return _write(one, [{"recipient": row} for row in recipients_for(people)], key, data)


def notify_many(kind: str, *, to, rows: Iterable[tuple[str, dict]], program: str = "") -> int:
    """Several things, (key, data) each, to one person, one channel or the chat channels. Two queries for all of them."""
    one = registry.get(kind)
    if not connection.in_atomic_block:
        raise RuntimeError("notify must share the transaction of the change")
    if to is CHATS:
        targets = [{"endpoint": row} for row in endpoints_for(one, program)]
    elif isinstance(to, ChannelEndpoint):
        targets = [{"endpoint": to}]
    else:
        targets = [{"recipient": row} for row in recipients_for([to])]
    return _store([_row(one, target, key, data) for target in targets for key, data in rows])


def _write(one: registry.Kind, targets: list[dict], key: str, data: dict | None) -> int:
    return _store([_row(one, target, key, data) for target in targets])


def _row(one: registry.Kind, target: dict, key: str, data: dict | None) -> Notification:
    if not key or len(key) > 200:
        raise ValueError(f"key: expected 1 to 200 characters, found {len(key)}")
    return Notification(kind=one.name, key=key, data=plain(data or {}), **target)


def _store(rows: list[Notification]) -> int:
    if not rows:
        return 0
    Notification.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
    transaction.on_commit(nudge, robust=True)
    return len(rows)


def endpoints_for(one: registry.Kind, program: str = "") -> list[ChannelEndpoint]:
    """The channels that take this kind and program. What belongs to no program goes to those that take every one."""
    if not one.chat:
        return []
    rows = ChannelEndpoint.objects.filter(status=ChannelEndpoint.Status.ACTIVE)
    return [row for row in rows if one.name in row.kinds and (not row.programs or program in row.programs)]


def plain(value, depth: int = 0):
    """JSON without addresses, links and secrets. A program's name may hold anything, so it is blacked out, not refused."""
    if isinstance(value, dict) and depth < DEEPEST:
        return {str(name)[:60]: plain(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple) and depth < DEEPEST:
        return [plain(inner, depth + 1) for inner in value[:100]]
    if value is None or isinstance(value, bool | int):
        return value
    return LINK.sub("[link]", redact(str(value)))[:LONGEST]


def once(key: str) -> bool:
    """Whether this is the first time: in the transaction of the announcement. False for everybody after."""
    try:
        with transaction.atomic():
            Announcement.objects.create(key=key[:200])
    except IntegrityError:
        return False
    return True


def announced(keys: list[str]) -> set[str]:
    """Those of the keys that `once` has seen: asked before looking for the people."""
    return set(Announcement.objects.filter(key__in=keys).values_list("key", flat=True)) if keys else set()


def wants(user, kind: str) -> bool:
    """Whether somebody hears of a kind at all, so that a writer may leave out what nobody reads."""
    return mode_of(user, kind) != Mode.NEVER


def mode_of(user, kind: str) -> str:
    one = registry.get(kind)
    rows = Preference.objects.filter(recipient__ref=ref_of(user), kind=kind)
    return effective(one, rows.values_list("mode", flat=True).first())


def effective(one: registry.Kind, mode: str | None) -> str:
    """What holds: a choice that the kind does not allow (any more) counts as none."""
    return mode if mode in dict(one.modes) else one.default


def recipient_of(user) -> Recipient:
    with transaction.atomic():
        return recipients_for([user])[0]


def nudge() -> None:
    """Ask a worker to look. A hint, at most one a second from a process: the sweep looks as well."""
    global _next_nudge
    if time.monotonic() < _next_nudge:
        return
    _next_nudge = time.monotonic() + QUIET_SECONDS
    try:
        current_app.send_task("notifications.deliver", ignore_result=True)
    except Exception as exc:  # a broker that is away must not fail what is committed
        _next_nudge = time.monotonic() + 10 * QUIET_SECONDS
        log.warning("no broker for a hint: %s", type(exc).__name__)


def figures() -> dict:
    """How the outbox stands: notices not yet in a message (`collecting`), messages to send, and since when one is overdue."""
    now = timezone.now()
    due = Delivery.objects.filter(next_attempt_at__isnull=False)
    overdue = due.filter(next_attempt_at__lte=now).order_by("next_attempt_at").values_list("next_attempt_at", flat=True)
    day = Delivery.objects.filter(ended_at__gte=now - timedelta(days=1)).order_by().values_list("status")
    ended = dict(day.annotate(n=Count("pk")))
    return {
        "collecting": Notification.objects.filter(look_at__isnull=False).count(),
        "waiting": due.count(),
        "overdue": overdue.first(),
        "sent": ended.get(Delivery.Status.SENT, 0),
        "failed": ended.get(Delivery.Status.FAILED, 0),
    }
