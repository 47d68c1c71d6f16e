"""Reading orders and the catalogue. Nothing here writes."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Count, Q, QuerySet, Sum

from rewards import channel as channels
from rewards import clock
from rewards.catalogue import card_value_for, denominations_text
from rewards.models import DeliveryType, Product, RewardOrder
from rewards.money import Money

__all__ = [
    "alarms",
    "books",
    "card_value_for",
    "counts_by_state",
    "denominations_text",
    "in_review",
    "orderable_products",
    "orders",
]

State = RewardOrder.State


def orderable_products(currency: str, delivery_type: str) -> list[Product]:
    """Products that may be ordered in this currency and way, by name; physical ones only when switched on."""
    if delivery_type == DeliveryType.PHYSICAL and not settings.E2R_PHYSICAL:
        return []
    products = Product.objects.filter(orderable=True, currency=currency)
    return [product for product in products if delivery_type in product.delivery_types]


def orders(*, state: str = "", search: str = "") -> QuerySet[RewardOrder]:
    """Newest first; `search` is a PONumber, a reference or a provider id, or the start of one."""
    found = RewardOrder.objects.select_related("product")
    if state:
        found = found.filter(state=state)
    if search := search.strip():
        found = found.filter(
            Q(po_number__istartswith=search)
            | Q(reference__istartswith=search)
            | Q(provider_order_id__istartswith=search)
        )
    return found


def in_review() -> QuerySet[RewardOrder]:
    """What waits for a person, oldest first, with attempts and events at hand."""
    return orders(state=State.REVIEW).order_by("pk").prefetch_related("attempts", "events")


def counts_by_state() -> dict[str, int]:
    """Every state with its number of orders, also the empty ones."""
    found = dict(RewardOrder.objects.order_by().values_list("state").annotate(Count("pk")))
    return {state: found.get(state, 0) for state in State.values}


def books(currency: str | None = None) -> dict[str, Money | int]:
    """What cards issued (lines of batches, not the batches) add up to: `count`, `face_value`, `cost` (reported, else expected), `expected_cost`."""
    currency = currency or settings.E2R_CURRENCY
    completed = RewardOrder.objects.filter(state=State.COMPLETED, currency=currency, line_count=None)
    sums = completed.aggregate(
        count=Count("pk"), face=Sum("amount_minor"), expected=Sum("expected_cost_minor"), reported=Sum("cost_minor")
    )
    unreported = completed.filter(cost_minor=None).aggregate(sum=Sum("expected_cost_minor"))["sum"] or 0
    return {
        "count": sums["count"],
        "face_value": Money(sums["face"] or 0, currency),
        "cost": Money((sums["reported"] or 0) + unreported, currency),
        "expected_cost": Money(sums["expected"] or 0, currency),
    }


def alarms() -> list[str]:
    """What somebody should look at: a stopped channel, orders that wait too long, review, differing costs."""
    now, channel, found = clock.now(), channels.current(), []
    if channel.emergency_stop:
        found.append("The emergency stop is on.")
    if channel.state != channel.State.OPEN:
        found.append(f"The channel is {channel.get_state_display().lower()}: {channel.reason or channel.code}.")
    for state, limit, words in (
        (State.DRAFT, timedelta(minutes=5), "ready but not sent for over 5 minutes"),
        (State.SUBMITTING, timedelta(minutes=15), "with unknown outcome for over 15 minutes"),
        (State.PENDING, timedelta(hours=24), "in progress at the provider for over 24 hours"),
    ):
        field = {"draft": "created_at", "submitting": "first_sent_at", "pending": "known_since"}[state]
        if count := RewardOrder.objects.filter(state=state, **{f"{field}__lt": now - limit}).count():
            found.append(f"{count} orders {words}.")
    if count := RewardOrder.objects.filter(state=State.REVIEW).count():
        found.append(f"{count} orders need a person.")
    if count := RewardOrder.objects.filter(cost_differs=True).count():
        found.append(f"{count} orders cost something else than expected.")
    return found
