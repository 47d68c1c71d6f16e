"""What the application may ask of `rewards`. Each function's own module has its rules and errors."""

from rewards import channel as channels
from rewards.batches import MOST_LINES, create_batch
from rewards.bodies import Delivery, DigitalDelivery, Links, Personalization, PhysicalShipment, po_number
from rewards.cards import ClaimSecret, reveal_card, rotate_keys
from rewards.catalogue import refresh_catalogue
from rewards.channel import emergency_stop, open_channel, restart_after_emergency
from rewards.dispatch import drain, provider_session
from rewards.nudges import nudge
from rewards.orders import cancel_order, create_order
from rewards.provider.client import Deadline, ProviderClient
from rewards.provider.types import ProviderOrder
from rewards.review import resolve_review, resume_unfunded, send_to_review
from rewards.webhooks import look_now

__all__ = [
    "MOST_LINES",
    "ClaimSecret",
    "Delivery",
    "DigitalDelivery",
    "Links",
    "Personalization",
    "PhysicalShipment",
    "cancel_order",
    "create_batch",
    "create_order",
    "drain",
    "emergency_stop",
    "list_provider_orders",
    "look_now",
    "nudge",
    "open_channel",
    "po_number",
    "refresh_catalogue",
    "resolve_review",
    "restart_after_emergency",
    "resume_unfunded",
    "reveal_card",
    "rotate_keys",
    "send_order",
    "send_to_review",
]


def send_order(order_id: int, *, client: ProviderClient | None = None, limit: int = 500) -> int:
    """Work on this order now if it is due, and on others that are. Returns how many calls were carried out."""
    return drain(order_id, client=client, limit=limit)


def list_provider_orders(*, client: ProviderClient | None = None, seconds: float = 300) -> list[ProviderOrder]:
    """Everything the provider lists, for the nightly comparison. Absence from it proves nothing.

    Raises NotConfigured and the provider's errors.
    """
    with provider_session(channels.current(), client) as (session, token):
        return list(session.list_orders(token=token.value, deadline=Deadline(seconds)))
