"""The sweep: finds every order that a lost message, a killed worker or an emptied broker left behind."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.db import connection, connections

from rewards import channel as channels
from rewards import clock, conf
from rewards.dispatch import drain, due_orders
from rewards.errors import NotConfigured
from rewards.nudges import publish
from rewards.provider.client import ProviderClient
from rewards.webhooks import look_now

log = logging.getLogger(__name__)

INLINE_SECONDS = 10


def sweep_once(
    limit: int = 200,
    *,
    inline: bool | None = None,
    threads: int = 1,
    seconds: float | None = None,
    client: ProviderClient | None = None,
) -> dict[str, int]:
    """Find what is due: never nudged, lease run out, outcome unknown, poll due, webhook received, funded again.

    `inline` False tells the workers; True does the work here (the engine needs no broker and no worker); None tells the
    workers and does here only what has been due for STALE_NUDGE_SECONDS, which means that nobody listens.
    Returns counts: `hints`, `due`, `nudged`, `processed`.
    """
    found = {"hints": look_now(limit=limit), "due": 0, "nudged": 0, "processed": 0}
    channel, now = channels.current(), clock.now()
    if channel.not_before and channel.not_before > now:
        return found  # the provider asked everybody to wait
    due = list(due_orders(channel, now).values_list("pk", "next_attempt_at", "lease_until")[:limit])
    found["due"] = len(due)
    if not due:
        return found
    stale = now - timedelta(seconds=conf.STALE_NUDGE_SECONDS)
    here = inline if inline is not None else any(max(filter(None, row[1:])) < stale for row in due)
    if inline is not True:
        # Whoever takes one hint works on whatever is due, so a few are enough.
        found["nudged"] = sum(publish(pk) for pk, *_ in due[: 2 * conf.MAX_IN_FLIGHT])
    if here:
        found["processed"] = _work(client, threads, INLINE_SECONDS if seconds is None else seconds, limit)
    return found


def _work(client: ProviderClient | None, threads: int, seconds: float, limit: int) -> int:
    try:
        if threads <= 1 or connection.in_atomic_block:
            return drain(client=client, seconds=seconds, limit=limit)
        end = time.monotonic() + seconds
        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(lambda _: _in_thread(client, end, limit), range(threads)))
    except NotConfigured as exc:
        log.warning("%s", exc)
        return 0


def _in_thread(client: ProviderClient | None, end: float, limit: int) -> int:
    try:
        return drain(client=client, seconds=max(0.0, end - time.monotonic()), limit=limit)
    finally:
        connections.close_all()
