"""Doors for Celery. A message carries one id; losing or repeating it is harmless."""

import logging

from celery import shared_task

from rewards import services
from rewards.errors import NotConfigured

log = logging.getLogger(__name__)


def _drain(order_id: int) -> None:
    try:
        services.drain(order_id)
    except NotConfigured as exc:
        log.warning("order %s waits: %s", order_id, exc)


@shared_task(name="rewards.send_order")
def send_order(order_id: int) -> None:
    """Send this order if it is due, then whatever else is."""
    _drain(order_id)


@shared_task(name="rewards.poll_order")
def poll_order(order_id: int) -> None:
    """A webhook came in: look at this order, then at whatever else is due."""
    services.look_now(order_id)
    _drain(order_id)


@shared_task(name="rewards.refresh_catalogue")
def refresh_catalogue(force: bool = False) -> None:
    """The weekly refresh; beat asks more often, the age of the copy decides."""
    try:
        services.refresh_catalogue(force=force)
    except NotConfigured:
        return
