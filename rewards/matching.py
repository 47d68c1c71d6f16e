"""Is the provider's order ours? Asked before any order is adopted (contract 6.2)."""

from rewards.models import RewardOrder
from rewards.provider.types import ProviderOrder


def differences(order: RewardOrder, found: ProviderOrder) -> list[str]:
    """What contradicts that `found` is this order; empty when nothing does. What the provider leaves out is no contradiction."""
    problems = []
    if found.po_number and found.po_number.lower() != order.po_number.lower():
        problems.append(f"PONumber is {found.po_number}")
    if found.type and found.type.lower() != order.delivery_type.lower():
        problems.append(f"type is {found.type}, not {order.delivery_type}")
    if len(found.lines) > 1:
        problems.append(f"{len(found.lines)} lines, not 1")
    for line in found.lines[:1]:
        problems += _line_differences(order, line)
    if RewardOrder.objects.filter(provider_order_id=found.id).exclude(pk=order.pk).exists():
        problems.append(f"provider order {found.id} belongs to another order of ours")
    return problems


def _line_differences(order: RewardOrder, line) -> list[str]:
    problems = []
    if line.product_id and line.product_id.lower() != order.product.product_id.lower():
        problems.append(f"product is {line.product_id}, not {order.product.product_id}")
    if line.value is not None and line.value != order.value.decimal:
        problems.append(f"value is {line.value}, not {order.value.decimal}")
    if line.quantity is not None and line.quantity != 1:
        problems.append(f"quantity is {line.quantity}, not 1")
    if (
        line.recipient
        and order.delivery_type == "DigitalDelivery"
        and line.recipient.lower() != order.recipient.lower()
    ):
        problems.append("the recipient is another one")
    return problems


def is_proof(found: ProviderOrder) -> bool:
    """Whether an order found by its id alone says enough to be compared: its number, or product and value."""
    line = found.lines[0] if found.lines else None
    return bool(found.po_number or (line and line.product_id and line.value is not None))
