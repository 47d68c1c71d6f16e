"""Claim, call, settle: the only way an order reaches the provider.

1. `claim_next`: a short transaction takes one due order (lease, fence) and commits the attempt.
2. the call, holding no lock and no transaction.
3. `settle`: a short transaction writes what was proved, only while the fence still holds.
"""

import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from rewards import calls, clock, conf, tokens
from rewards import channel as channels
from rewards.channel import Slot
from rewards.errors import NotConfigured
from rewards.failpoints import hit
from rewards.models import Channel, OrderAttempt, RewardOrder
from rewards.orders import Fenced, change_state, write
from rewards.provider.client import Deadline, ProviderClient
from rewards.provider.errors import AccessOff, NotSent, ProviderError, SlowDown, TokenInvalid
from rewards.settle import RECEIVER_PAUSE, Claim, is_ambiguous, settle, to_review
from rewards.tokens import BearerToken

log = logging.getLogger(__name__)
State = RewardOrder.State
_clients: dict[tuple[int, str], ProviderClient] = {}


# --- what is due ------------------------------------------------------------------------------------------------------
def due_orders(channel: Channel, now: datetime) -> QuerySet[RewardOrder]:
    """Orders to work on at `now`, longest waiting first: what the channel's state allows and nobody holds."""
    states = [*(RewardOrder.SENDABLE if channel.may_send else ()), *((State.PENDING,) if channel.may_read else ())]
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    return RewardOrder.objects.filter(
        free, channel=channel, state__in=states, next_attempt_at__isnull=False, next_attempt_at__lte=now
    ).order_by("next_attempt_at", "pk")


# --- claim ------------------------------------------------------------------------------------------------------------
class Wait(Exception):
    """The provider asked all of us to go slower; `seconds` until it is worth asking again."""

    def __init__(self, seconds: float):
        self.seconds = seconds


class PutBack(Exception):
    """This order was not taken after all; another one may be due."""


def claim_next(channel: Channel, slot: Slot, token: BearerToken, order_id: int | None = None) -> Claim | None:
    """Take one due order (this one, when named): lease it, raise its fence, commit the attempt. None: nothing due.

    Raises Wait while the channel's pace allows no call, PutBack, and Fenced when the slot was lost.
    """
    candidate = fence = None
    try:
        with transaction.atomic(durable=True):
            now = clock.now()
            channel = Channel.objects.get(pk=channel.pk)
            candidate = _candidate(due_orders(channel, now), order_id)
            if candidate is None:
                return None
            fence = candidate.gen
            if seconds := channels.seconds_to_wait(channel, now):
                raise Wait(seconds)
            if not slot.renew(now):
                raise Fenced(slot.pk)
            if not _take(candidate, now):
                raise PutBack
            claim = _prepare(candidate, channel, now, token)
    except (Wait, Fenced, PutBack):
        raise
    except Exception:
        if candidate is not None:
            log.exception("order %s could not be claimed; it will be tried again", candidate.pk)
            _push_back(candidate.pk, fence)
            raise PutBack from None
        raise
    if claim is None:
        raise PutBack
    hit("CP7")
    return claim


def _candidate(due: QuerySet[RewardOrder], order_id: int | None) -> RewardOrder | None:
    due = due.select_related("product")
    if connection.features.has_select_for_update_skip_locked:
        due = due.select_for_update(skip_locked=True, of=("self",), no_key=True)
    return due.filter(pk=order_id).first() if order_id else due.first()


def _take(order: RewardOrder, now: datetime) -> bool:
    """Compare and set: correct without row locks (SQLite has none)."""
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    until = now + timedelta(seconds=conf.LEASE_SECONDS)
    taken = RewardOrder.objects.filter(free, pk=order.pk, gen=order.gen, state=order.state).update(
        gen=order.gen + 1, lease_until=until
    )
    order.gen, order.lease_until = order.gen + 1, until
    return bool(taken)


def _push_back(order_id: int, gen: int) -> None:
    """A receiver refused the first step: nothing was sent. Try later, so that others get their turn."""
    later = clock.now() + RECEIVER_PAUSE
    RewardOrder.objects.filter(pk=order_id, gen=gen).update(next_attempt_at=later)


def _prepare(order: RewardOrder, channel: Channel, now: datetime, token: BearerToken) -> Claim | None:
    hit("CP6")
    if order.state == State.PENDING or _only_look(order, now):
        return Claim(order, channel, now, token_generation=token.generation)
    if hashlib.sha256(bytes(order.body)).hexdigest() != order.body_sha256:
        channels.stop(channel, "body_changed", f"{order.po_number}: the stored body is not what was approved.")
        to_review(order, "body_changed", "The stored body does not fit its hash.", now)
        return None
    attempt = OrderAttempt.objects.create(
        order=order, number=order.attempt_count + 1, gen=order.gen, body_sha256=order.body_sha256, started_at=now
    )
    counted = {
        "attempt_count": order.attempt_count + 1,
        "window_attempts": order.window_attempts + 1,
        "first_sent_at": order.first_sent_at or now,
        "window_from": order.window_from or now,
    }
    if order.state == State.SUBMITTING:
        write(order, **counted)
    else:
        change_state(order, State.SUBMITTING, now=now, **counted)
    return Claim(order, channel, now, attempt.pk, token.generation)


def _only_look(order: RewardOrder, now: datetime) -> bool:
    """Whether the number may no longer be sent on our own: an attempt is unclear and the provider may have forgotten it."""
    if order.window_from is None:
        return False
    too_old = (now - order.window_from).total_seconds() > conf.PO_WINDOW_SECONDS
    return (too_old or order.window_attempts >= conf.MAX_ATTEMPTS) and is_ambiguous(order)


# --- call -------------------------------------------------------------------------------------------------------------
def carry_out(claim: Claim, client: ProviderClient, token: BearerToken, deadline: Deadline) -> bool:
    """The call outside any transaction, then its settlement. Whether the token was still good."""
    order = claim.order
    ask = calls.poll if order.state == State.PENDING else calls.send if claim.attempt_id else calls.look_up
    finding = ask(order, client, token.value, deadline)
    settle(claim, finding)
    return not (isinstance(finding, calls.Problem) and isinstance(finding.error, TokenInvalid))


def provider_client() -> ProviderClient:
    """This process's client for the configured account. Raises NotConfigured."""
    if not (settings.E2R_BASE_URL and settings.E2R_EMAIL and settings.E2R_ACCESS_TOKEN):
        raise NotConfigured
    key = (os.getpid(), tokens.fingerprint())  # a client does not survive a fork
    if key not in _clients:
        _clients[key] = ProviderClient(
            base_url=settings.E2R_BASE_URL, email=settings.E2R_EMAIL, access_token=settings.E2R_ACCESS_TOKEN
        )
    return _clients[key]


def token_for(channel: Channel, client: ProviderClient, deadline: Deadline) -> BearerToken:
    """A token, or the error of minting it, after telling the channel what that error means for everybody."""
    try:
        return tokens.current(channel, client, deadline)
    except TokenInvalid as error:
        channels.count_auth_failure(channel, "The provider refuses E2R_EMAIL and E2R_ACCESS_TOKEN (401).")
        channels.pause_calls(channel, 5)
        raise NotSent(f"No token: {error}") from error
    except AccessOff as error:
        channels.stop(channel, "access_off", str(error))
        raise
    except SlowDown as error:
        channels.slow_down(channel, error.retry_after)
        raise
    except ProviderError:
        channels.pause_calls(channel, 2)
        raise


@contextlib.contextmanager
def provider_session(
    channel: Channel, client: ProviderClient | None = None
) -> Iterator[tuple[ProviderClient, BearerToken]]:
    """A client, a token and one of the call slots, for calls that are not about one due order.

    Raises NotConfigured, NotSent when no slot is free in time, and what minting raises.
    """
    client, deadline = client or provider_client(), Deadline(conf.CALL_DEADLINE_SECONDS)
    while (slot := channels.acquire_slot(channel)) is None:
        if deadline.left < conf.CALL_DEADLINE_SECONDS / 2:
            raise NotSent("All call slots are taken; try again in a minute")
        time.sleep(0.2)
    try:
        yield client, token_for(channel, client, deadline)
    finally:
        slot.release()


# --- drain ------------------------------------------------------------------------------------------------------------
def drain(order_id: int | None = None, *, client: ProviderClient | None = None, seconds: float | None = None,
          limit: int = 500) -> int:  # fmt: skip
    """Work on the named order if it is due, then on whatever else is, until nothing is or `seconds` have passed.

    Returns how many calls were carried out. Harmless to call at any time, from any number of processes.
    """
    channel = channels.current()
    if not due_orders(channel, clock.now()).exists():
        return 0
    client = client or provider_client()
    end = time.monotonic() + (conf.DRAIN_SECONDS if seconds is None else seconds)
    done = 0
    while done < limit and (slot := channels.acquire_slot(channel)):
        try:
            worked = _drain_slot(channel, slot, client, order_id, end, limit - done)
        finally:
            slot.release()
        done, order_id = done + worked, None
        # What became due while every slot was taken, just before this one was released, has no other finder but the sweep.
        if not worked or time.monotonic() > end or not due_orders(channels.current(), clock.now()).exists():
            break
    return done


def _drain_slot(channel: Channel, slot: Slot, client, order_id: int | None, end: float, limit: int) -> int:
    done, token = 0, None
    while done < limit and (not done or time.monotonic() < end):
        deadline = Deadline(conf.CALL_DEADLINE_SECONDS)
        try:
            token = token or token_for(channel, client, deadline)
            claim = claim_next(channel, slot, token, order_id) if order_id else None
            claim = claim or claim_next(channel, slot, token)
        except Wait as wait:
            if wait.seconds > 1 or time.monotonic() + wait.seconds > end:
                return done
            time.sleep(wait.seconds)
            continue
        except PutBack:
            order_id = None
            if time.monotonic() > end:
                return done
            continue
        except (ProviderError, Fenced) as error:
            log.warning("nothing sent: %s", error)
            return done
        if claim is None:
            return done
        order_id = None
        good = carry_out(claim, client, token, deadline)
        token = token if good and done % 50 else None  # read it again now and then: it ages
        done += 1
    return done
