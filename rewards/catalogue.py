"""The local copy of the provider's catalogue: what may be ordered, at which values, at what cost."""

import logging
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser

from django.conf import settings
from django.db import transaction

from rewards import channel as channels
from rewards import clock, conf
from rewards.errors import NotOrderable, RewardError
from rewards.models import Branding, Channel, DeliveryType, Product, ShippingMethod
from rewards.money import MINOR_DIGITS, Money
from rewards.provider.client import Deadline, ProviderClient
from rewards.provider.errors import ProviderError
from rewards.provider.types import CatalogueProduct, Choice

log = logging.getLogger(__name__)

RETRY_AFTER = timedelta(minutes=30)
REFRESH_SECONDS = 45


# --- what may be ordered ----------------------------------------------------------------------------------------------
def check_orderable(product_id: str, value: Money, delivery_type: str) -> Product:
    """The product, when the local catalogue allows this value and delivery. Raises NotOrderable."""
    product = Product.objects.filter(product_id=product_id).first()
    if product is None:
        raise NotOrderable("product_id", f"{product_id!r} is not in the catalogue.")
    if not product.orderable:
        raise NotOrderable("product_id", f"{product_id!r} cannot be ordered any more.")
    if delivery_type not in product.delivery_types:
        allowed = ", ".join(product.delivery_types) or "nothing"
        raise NotOrderable("delivery", f"{product_id} allows {allowed}, not {delivery_type}.")
    if value.currency != product.currency or value.currency != settings.E2R_CURRENCY:
        raise NotOrderable(
            "value", f"expected {settings.E2R_CURRENCY} and the product's {product.currency}, not {value.currency}."
        )
    if not allows(product, value):
        raise NotOrderable("value", f"{value} is not a value of {product_id}: expected {denominations_text(product)}.")
    return product


def allows(product: Product, value: Money) -> bool:
    """Whether one card of this product can have exactly this value."""
    if value.minor <= 0 or value.currency != product.currency:
        return False
    if not _is_range(product):
        return value.minor in product.denominations
    lowest, highest = product.denominations
    return lowest <= value.minor <= highest and (product.allow_cents or value.minor % _unit(product) == 0)


def card_value_for(product: Product, due: Money) -> Money | None:
    """The largest value of one card that is not above `due`; None when even the smallest card is.

    Fixed: the largest denomination. Variable: whole currency units between the limits, unless `allow_cents`.
    """
    if due.currency != product.currency:
        return None
    if not _is_range(product):
        minor = max((value for value in product.denominations if value <= due.minor), default=None)
        return None if minor is None else Money(minor, product.currency)
    lowest, highest = product.denominations
    minor = min(due.minor, highest)
    if not product.allow_cents:
        minor -= minor % _unit(product)
    return Money(minor, product.currency) if minor >= lowest else None


def expected_cost(product: Product, value: Money) -> Money:
    """What one card should cost us, for estimates: value less discount plus fee, rounded half up (contract 11)."""
    share = 1 - product.discount_percent / 100
    return Money.from_decimal(value.decimal * share, value.currency) + Money(product.fee_minor, value.currency)


def denominations_text(product: Product) -> str:
    values = [str(Money(minor, product.currency)) for minor in product.denominations]
    if _is_range(product):
        return f"{values[0]} to {values[1]}" + ("" if product.allow_cents else " in whole units")
    return ", ".join(values) or "no value at all"


def _is_range(product: Product) -> bool:
    return product.denomination_type == Product.DenominationType.VARIABLE and len(product.denominations) == 2


def _unit(product: Product) -> int:
    return 10 ** MINOR_DIGITS[product.currency]


# --- refresh ----------------------------------------------------------------------------------------------------------
def refresh_catalogue(*, force: bool = False, client: ProviderClient | None = None) -> int | None:
    """Fetch products, brandings and shipping methods; returns how many products there are now.

    At most weekly (None when the copy is young enough, or a try failed within half an hour) unless forced. A refresh that
    fails or comes back empty leaves the old copy alone and raises RewardError when forced.
    """
    from rewards.dispatch import provider_session

    channel = channels.current()
    if not force and not _is_due(channel):
        return None
    Channel.objects.filter(pk=channel.pk).update(catalogue_tried_at=clock.now())
    try:
        with provider_session(channel, client) as (session, token):
            deadline = Deadline(REFRESH_SECONDS)
            products = session.list_products(token=token.value, deadline=deadline)
            extras = _extras(session, token.value, deadline)
    except (ProviderError, RewardError) as exc:
        return _failed(channel, str(exc), force)
    usable = [product for product in products if product.currency in MINOR_DIGITS]
    if not usable:
        return _failed(channel, "the catalogue came back empty", force)
    _store(channel, usable, *extras)
    return len(usable)


def _is_due(channel: Channel) -> bool:
    now = clock.now()
    if channel.catalogue_refreshed_at and now - channel.catalogue_refreshed_at < conf.CATALOGUE_AGE:
        return False
    return not channel.catalogue_tried_at or now - channel.catalogue_tried_at > RETRY_AFTER


def _extras(client: ProviderClient, token: str, deadline: Deadline) -> tuple[list[Choice] | None, list[Choice] | None]:
    """Brandings and shipping methods; None where they cannot be read: their shapes are undocumented."""
    found = []
    for fetch in (client.list_brandings, client.list_shipping_methods):
        try:
            found.append(fetch(token=token, deadline=deadline))
        except ProviderError as exc:
            log.warning("no brandings or shipping methods: %s", exc)
            found.append(None)
    return found[0], found[1]


def _failed(channel: Channel, problem: str, force: bool) -> None:
    Channel.objects.filter(pk=channel.pk).update(catalogue_error=problem[:500])
    log.warning("catalogue not refreshed: %s", problem)
    if force:
        raise RewardError(f"The catalogue was not refreshed, the old copy stands: {problem}.")


def _store(channel: Channel, products, brandings: list[Choice] | None, methods: list[Choice] | None) -> None:
    now = clock.now()
    with transaction.atomic():
        fields = {product.id: _fields(product) | {"refreshed_at": now} for product in products}
        Product.objects.bulk_create(
            [Product(product_id=number, **values) for number, values in fields.items()],
            update_conflicts=True,
            unique_fields=["product_id"],
            update_fields=list(next(iter(fields.values()))),
            batch_size=200,
        )
        Product.objects.exclude(product_id__in=[product.id for product in products]).update(orderable=False)
        for model, choices in ((Branding, brandings), (ShippingMethod, methods)):
            if choices is not None:
                _store_choices(model, choices, now)
        Channel.objects.filter(pk=channel.pk).update(catalogue_refreshed_at=now, catalogue_error="")


def _store_choices(model, choices: list[Choice], now) -> None:
    for choice in choices:
        defaults = {"name": choice.name, "listed": True, "refreshed_at": now}
        if model is ShippingMethod and choice.price is not None:
            defaults["price_minor"] = Money.from_decimal(choice.price, settings.E2R_CURRENCY).minor
        model.objects.update_or_create(provider_id=choice.id, defaults=defaults)
    model.objects.exclude(provider_id__in=[choice.id for choice in choices]).update(listed=False)


def _fields(product: CatalogueProduct) -> dict:
    """Contract 4.3: Variable with two numbers is a range; with any other count only the listed numbers are allowed."""
    values = sorted({Money.from_decimal(value, product.currency).minor for value in product.denominations if value > 0})
    ranged = product.denomination_type.lower() == "variable" and len(values) == 2
    kinds = [kind for kind in product.delivery_types if kind in DeliveryType.values]
    return {
        "name": to_text(product.name)[:200],
        "kind": product.kind,
        "denomination_type": Product.DenominationType.VARIABLE if ranged else Product.DenominationType.FIXED,
        "denominations": values,
        "delivery_types": kinds,
        "currency": product.currency,
        "fee_minor": Money.from_decimal(max(product.fee, Decimal(0)), product.currency).minor,
        "discount_percent": min(max(product.discount_percent, Decimal(0)), Decimal(100)).quantize(Decimal("0.0001")),
        "description": to_text(product.description),
        "terms": to_text(product.terms),
        "redemption_note": to_text(product.redemption_note),
        "image_url": product.image_url,
        "orderable": bool(values and kinds),
    }


class _Text(HTMLParser):
    """Keeps the words, drops scripts and styles, ends a line where a block ends."""

    BLOCKS = frozenset("p br div li ul ol tr h1 h2 h3 h4 h5 h6".split())
    SILENT = frozenset({"script", "style", "template", "noscript"})

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag, attrs):
        self.silent += tag in self.SILENT
        if tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag):
        self.silent = max(0, self.silent - (tag in self.SILENT))
        if tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data):
        if not self.silent:
            self.parts.append(data)


def to_text(markup: str) -> str:
    """The provider's HTML as plain text with line breaks; nothing of it is ever shown as markup."""
    parser = _Text()
    parser.feed(markup)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.parts).splitlines())
    return "\n".join(line for line in lines if line)
