"""Hints to the workers. Losing one costs seconds: the sweep finds whatever is due."""

import logging
import time

from celery import current_app
from django.db import transaction

log = logging.getLogger(__name__)

SEND, POLL = "rewards.send_order", "rewards.poll_order"
SILENCE_SECONDS = 10
_broken_until = 0.0


def nudge(order_id: int, task: str = SEND) -> None:
    """After the commit, tell a worker to look at this order. Never raises, broker or not."""
    transaction.on_commit(lambda: publish(order_id, task), robust=True)


def publish(order_id: int, task: str = SEND) -> bool:
    """Whether the broker took it. After a failure none is tried for 10 s, so that nobody waits for a dead broker."""
    global _broken_until
    if time.monotonic() < _broken_until:
        return False
    try:
        current_app.send_task(task, [order_id], ignore_result=True)
    except Exception as exc:
        _broken_until = time.monotonic() + SILENCE_SECONDS
        log.warning("the broker took no hint (%s); the sweep will find order %s", type(exc).__name__, order_id)
        return False
    return True
