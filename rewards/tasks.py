"""Doors for Celery. A message carries one id; losing or repeating it is harmless."""

from celery import shared_task

from rewards import services
from rewards.errors import NotConfigured


@shared_task(name="rewards.send_order")
def send_order(order_id: int) -> None:
    """Send this order if it is due, then whatever else is."""
    services.drain(order_id)


@shared_task(name="rewards.poll_order")
def poll_order(order_id: int) -> None:
    """A webhook came in: look at this order, then at whatever else is due."""
    services.look_now(order_id)
    services.drain(order_id)


@shared_task(name="rewards.refresh_catalogue")
def refresh_catalogue(force: bool = False) -> None:
    """The weekly refresh; beat asks more often, the age of the copy decides."""
    try:
        services.refresh_catalogue(force=force)
    except NotConfigured:
        return
