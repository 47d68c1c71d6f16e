"""Is the provider's order ours, and which of its lines is which of ours? Asked before any order is adopted (contract 6.2)."""

from rewards.models import DeliveryType, RewardOrder
from rewards.provider.types import OrderLine, ProviderOrder


def differences(order: RewardOrder, found: ProviderOrder) -> list[str]:
    """What contradicts that `found` is this order; empty when nothing does. What the provider leaves out is no contradiction."""
    problems = []
    if found.po_number and found.po_number.lower() != order.po_number.lower():
        problems.append(f"PONumber is {found.po_number}")
    if found.type and found.type.lower() != order.delivery_type.lower():
        problems.append(f"type is {found.type}, not {order.delivery_type}")
    if order.is_batch:
        problems += _batch_differences(order, found)
    else:
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
    return bool(
        found.po_number or (found.lines and all(line.product_id and line.value is not None for line in found.lines))
    )


# --- the lines of a batch -----------------------------------------------------------------------------------------------
def lines_of(order: RewardOrder) -> list[RewardOrder]:
    """The lines of a batch as they were sent, the first one first."""
    return list(order.lines.select_related("product").order_by("line"))


def _batch_differences(order: RewardOrder, found: ProviderOrder) -> list[str]:
    if not found.lines:
        return []
    ours = lines_of(order)
    if len(found.lines) != len(ours):
        return [f"{len(found.lines)} lines, not {len(ours)}"]
    fits = _candidates(ours, found.lines)
    strange = [f"line {n} is none of ours" for n, mine in enumerate(fits, start=1) if not mine]
    reached = frozenset().union(*fits)
    strange += [f"line {ours[n].line} is not there" for n in range(len(ours)) if n not in reached]
    crowded = {mine for mine in fits if fits.count(mine) > len(mine) > 0}
    return strange + [f"{fits.count(mine)} lines for {len(mine)} of ours" for mine in crowded]


def _candidates(ours: list[RewardOrder], lines: tuple[OrderLine, ...]) -> list[frozenset[int]]:
    """For each line of the answer the places of ours that nothing in it contradicts.

    Our own id of the line decides where the provider repeats it on every line; else product, value and address do.
    """
    fits = [frozenset(n for n, line in enumerate(ours) if not _line_differences(line, theirs)) for theirs in lines]
    by_id = {line.po_number.lower(): n for n, line in enumerate(ours)}
    named = [by_id.get(theirs.external_id.lower()) for theirs in lines]
    if set(named) == set(range(len(ours))):
        return [mine & {n} for mine, n in zip(fits, named, strict=True)]
    return fits


def pair_lines(ours: list[RewardOrder], found: ProviderOrder) -> dict[int, OrderLine] | None:
    """{our line's pk: the answer's line}, for an answer without differences; None where it does not tell them apart.

    Lines that look alike in the answer may be taken in any order where that gives nobody anything else. All fared alike: they
    were sent with the same product, value and address, or none carries a claim link. Fared differently: sent the same, and the
    provider's own line ids keep them apart for ever.
    """
    groups: dict[frozenset[int], list[OrderLine]] = {}
    for theirs, mine in zip(found.lines, _candidates(ours, found.lines), strict=True):
        groups.setdefault(mine, []).append(theirs)
    if sorted(n for mine in groups for n in mine) != list(range(len(ours))):
        return None  # they overlap: a line of ours could be one of several that differ
    paired = {}
    for mine, lines in groups.items():
        places = sorted(mine)
        if len(places) > 1 and not _interchangeable([ours[n] for n in places], lines):
            return None
        lines.sort(key=lambda line: line.id)
        paired |= {ours[n].pk: line for n, line in zip(places, lines, strict=True)}
    return paired


def _interchangeable(ours: list[RewardOrder], lines: list[OrderLine]) -> bool:
    alike = len({(line.product_id, line.amount_minor, line.recipient) for line in ours}) == 1
    alike = alike and ours[0].delivery_type != DeliveryType.PHYSICAL  # the name alone is no address
    if len({line.progress for line in lines}) > 1:
        return alike and len({line.id for line in lines}) == len(lines)
    return alike or not any(claim.link for line in lines for claim in line.claims)
