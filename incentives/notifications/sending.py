"""Sending what is due: claim, call outside any transaction, note the result. At least once; a crash between the two repeats."""

import logging
import time
from datetime import datetime, timedelta

from django.core.mail import get_connection
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from incentives.accounts.selectors import people_who_can
from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.notifications import chat, mail, outbox
from incentives.notifications.gather import gather
from incentives.notifications.models import ChannelEndpoint, Delivery, Notification
from incentives.notifications.recipients import masked, person_of
from incentives.notifications.rendering import reader_of, sections, speaking

log = logging.getLogger(__name__)
S = Delivery.Status
LEASE = timedelta(minutes=10)
"""So long a claim holds; a message whose sender died is sent again after it."""
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=2), timedelta(hours=6)
GIVE_UP = timedelta(days=5)
LONGEST_ASKED = timedelta(days=1)
"""The longest that another side may ask us to wait."""
PATIENCE = timedelta(seconds=30)
"""So long the sweep waits for a worker before it sends something itself."""
SLICE_SECONDS = 4
WORK_SECONDS = 45
AT_ONCE = 200


def sweep_once() -> dict[str, int]:
    """Find what is due. A worker sends it; where none does, this sends for a few seconds. Called by the sweep."""
    now = timezone.now()
    made = gather(now)
    due = Delivery.objects.filter(next_attempt_at__lte=now)
    found = {"made": made, "due": due.count(), "sent": 0}
    if due.filter(next_attempt_at__lte=now - PATIENCE).exists():
        found["sent"] = send_due(seconds=SLICE_SECONDS)
    elif found["due"]:
        outbox.nudge()
    return found


def deliver(now: datetime | None = None, *, seconds: float = WORK_SECONDS) -> int:
    """Make and send what is due. Returns how many messages left."""
    gather(now)
    return send_due(now, seconds=seconds)


def send_due(now: datetime | None = None, *, seconds: float = WORK_SECONDS) -> int:
    """Send for at most so many seconds. A mail server that is away is left alone until the next round."""
    end, sent = time.monotonic() + seconds, 0
    due = Delivery.objects.filter(next_attempt_at__lte=now or timezone.now()).order_by("next_attempt_at", "pk")
    mailer = Mailer()
    try:
        for pk, channel in list(due.values_list("pk", "channel")[:AT_ONCE]):
            if time.monotonic() > end:
                break
            if not (mailer.away and channel == Delivery.Channel.EMAIL):
                sent += send(pk, mailer, now)
    finally:
        mailer.close()
    return sent


class Mailer:
    """One connection to the mail server for a round; `away` as soon as it could not be reached."""

    def __init__(self):
        self._connection, self.away = None, False

    def send(self, message) -> None:
        try:
            if self._connection is None:
                self._connection = get_connection()
                self._connection.open()
            message.connection = self._connection
            message.send()
        except Exception:
            self.away = not self._works()
            self.close()
            raise

    def _works(self) -> bool:
        """Whether the server still talks to us: a refused recipient is no outage."""
        server = getattr(self._connection, "connection", None)
        try:
            return server is not None and server.noop()[0] == 250
        except Exception:
            return False

    def close(self) -> None:
        if self._connection is not None:
            try:
                self._connection.close()
            except Exception as exc:
                log.info("the mail server was gone: %s", type(exc).__name__)
            self._connection = None


def send(delivery_id: int, mailer: Mailer | None = None, now: datetime | None = None) -> int:
    """One attempt at one message. 1 when it left."""
    now = now or timezone.now()
    delivery = claim(delivery_id, now)
    if delivery is None:
        return 0
    try:
        if delivery.endpoint_id:
            return _to_channel(delivery, now)
        return _to_person(delivery, mailer or Mailer(), now)
    except Exception as exc:  # rendering failed, or the server said something nobody expected
        log.exception("message %s was not sent", delivery.public_id)
        _again(delivery, type(exc).__name__, now)
        return 0


def claim(delivery_id: int, now: datetime) -> Delivery | None:
    """Take a message that is due: moved away by a lease, under the next number. None when somebody else has it."""
    due = Delivery.objects.filter(pk=delivery_id, next_attempt_at__lte=now)
    if not due.update(attempts=F("attempts") + 1, gen=F("gen") + 1, next_attempt_at=now + LEASE):
        return None
    return Delivery.objects.select_related("recipient__user", "endpoint").get(pk=delivery_id)


def _to_person(delivery: Delivery, mailer: Mailer, now: datetime) -> int:
    person = person_of(delivery.recipient)
    if person is None:
        return _end(delivery, S.DROPPED, now, last_error="no address")
    with speaking(person.language, person.time_zone):
        found = sections(delivery, reader_of(delivery, person), mail=True)
        if not found:
            return _end(delivery, S.DROPPED, now)
        message = mail.message_for(delivery, person, found)
    address = masked(person.email)
    try:
        mailer.send(message)
    except Exception as exc:
        words = mail.in_words(exc)
        log.warning("message %s was not sent: %s", delivery.public_id, words)
        if mail.is_final(exc):
            return _end(delivery, S.FAILED, now, last_error=words, address=address)
        return _again(delivery, words, now, address=address)
    _end(delivery, S.SENT, now, address=address, last_error="")
    return 1


def _to_channel(delivery: Delivery, now: datetime) -> int:
    endpoint = delivery.endpoint
    if endpoint.status != ChannelEndpoint.Status.ACTIVE:
        return _end(delivery, S.DROPPED, now, last_error="turned off")
    if endpoint.not_before and endpoint.not_before > now:
        return _again(delivery, delivery.last_error, now, at=endpoint.not_before, counted=False)
    with speaking(endpoint.language):
        found = sections(delivery, reader_of(delivery, None), mail=False)
        if not found:
            return _end(delivery, S.DROPPED, now)
        body = chat.payload(endpoint.channel, found)
    outcome = chat.post(endpoint, body)
    return note(delivery, endpoint, outcome, now)


def note(delivery: Delivery, endpoint: ChannelEndpoint, outcome: chat.Outcome, now: datetime) -> int:
    """What a channel's answer does to the message and to the channel."""
    told = {"last_error": outcome.words[:200], "address": endpoint.host}
    if outcome.result == "sent":
        _end(delivery, S.SENT, now, address=endpoint.host, last_error="")
        ChannelEndpoint.objects.filter(pk=endpoint.pk).update(last_ok_at=now, last_error="", not_before=None)
        return 1
    log.warning("message %s was not taken by channel %s: %s", delivery.public_id, endpoint.public_id, outcome.words)
    ChannelEndpoint.objects.filter(pk=endpoint.pk).update(last_error=outcome.words[:200])
    if outcome.result == "later":
        at = now + min(timedelta(seconds=outcome.wait), LONGEST_ASKED) if outcome.wait else None
        if at:
            ChannelEndpoint.objects.filter(pk=endpoint.pk).update(not_before=at)
        return _again(delivery, outcome.words, now, at=at, address=endpoint.host)
    _end(delivery, S.FAILED, now, **told)
    if outcome.result == "gone":
        turn_off(endpoint, outcome.words)
    return 0


def turn_off(endpoint: ChannelEndpoint, why: str) -> None:
    """The other side says the channel does not exist any more: nothing more goes there, and administrators hear of it."""
    with transaction.atomic():
        active = ChannelEndpoint.objects.filter(pk=endpoint.pk, status=ChannelEndpoint.Status.ACTIVE)
        if not active.update(status=ChannelEndpoint.Status.INACTIVE, reason=why[:200]):
            return
        audit.record(
            "channel.turned_off", endpoint, before={"status": "active"}, after={"status": "inactive"}, reason=why
        )
        people = people_who_can("notifications.edit")
        key = f"{endpoint.public_id}:{timezone.now().isoformat()}"
        outbox.notify("notifications.channel_off", to=people, key=key, data={"channel": str(endpoint.public_id)})


def backoff(attempts: int) -> timedelta:
    """2, 4, 8 ... minutes, at most six hours."""
    return min(FIRST_WAIT * 2 ** min(attempts - 1, 16), LONGEST_WAIT)


def _again(
    delivery: Delivery, words: str, now: datetime, *, at: datetime | None = None, counted: bool = True, **also
) -> int:
    """Later; given up after five days. `at`: not before then."""
    if now - delivery.created_at > GIVE_UP:
        return _end(delivery, S.FAILED, now, last_error=words[:200], **also)
    later = max(filter(None, (at, now + backoff(delivery.attempts) if counted else None)))
    values = {"next_attempt_at": later, "last_error": words[:200], **also}
    if not counted:
        values["attempts"] = F("attempts") - 1
    _mine(delivery).update(**values)
    return 0


def _end(delivery: Delivery, status: str, now: datetime, **also) -> int:
    _mine(delivery).update(status=status, ended_at=now, next_attempt_at=None, **also)
    return 0


def _mine(delivery: Delivery):
    """The row while nobody else took it over."""
    return Delivery.objects.filter(pk=delivery.pk, gen=delivery.gen, next_attempt_at__isnull=False)


def send_again(*, delivery: Delivery, actor) -> None:
    """A failed message once more, as a person asks. A repeat changes nothing. Raises NotAllowed."""
    if not actor.can("notifications.edit"):
        raise NotAllowed
    with transaction.atomic():
        failed = Delivery.objects.filter(pk=delivery.pk, status=S.FAILED)
        now = timezone.now()
        if failed.update(status=S.WAITING, ended_at=None, attempts=0, next_attempt_at=now):
            audit.record("notifications.sent_again", delivery, actor=actor)
            transaction.on_commit(outbox.nudge, robust=True)


def erase_old(days: int, now: datetime | None = None) -> int:
    """Forget what old notices said and to which address they went; that somebody was told stays, so that nobody is told twice."""
    before = (now or timezone.now()) - timedelta(days=days)
    old = Notification.objects.filter(look_at__isnull=True, created_at__lt=before).exclude(data={})
    Delivery.objects.filter(Q(created_at__lt=before) & ~Q(address="")).update(address="")
    return old.update(data={})
