"""The local copy of the catalogue, and what one card can be worth."""

import pytest

from rewards import selectors, services
from rewards.catalogue import to_text
from rewards.errors import RewardError
from rewards.models import Branding, Product, ShippingMethod
from rewards.money import Money
from tests.rewards.conftest import usd


def test_the_catalogue_is_read_completely(world):
    assert Product.objects.count() == 13
    product = Product.objects.get(product_id="BLUEBIRD")
    assert (product.denomination_type, product.denominations, product.delivery_types) == (
        "Fixed", [500, 1000, 2500, 5000], ["DigitalDelivery", "Links"],
    )  # fmt: skip
    assert (product.fee_minor, str(product.discount_percent), product.currency) == (25, "4.5500", "USD")
    assert product.description.splitlines()[0] == "Coffee, tea and something sweet."
    assert "<" not in product.description + product.terms
    assert product.image_url == "http://provider.test/media/BLUEBIRD.svg"
    assert list(Branding.objects.values_list("provider_id", flat=True)) == ["BR-78", "BR-77"]
    assert ShippingMethod.objects.get(provider_id="STANDARD").price_minor == 150


def test_orderable_products_by_currency_and_delivery(world, settings):
    names = [product.product_id for product in selectors.orderable_products("USD", "Links")]
    assert "ANYCARD" in names and "LUMEN" not in names and "EUROSHOP" not in names
    assert selectors.orderable_products("USD", "PhysicalShipment") == []
    settings.E2R_PHYSICAL = True
    assert [p.product_id for p in selectors.orderable_products("USD", "PhysicalShipment")] == ["PLASTIC"]


@pytest.mark.parametrize(
    ("product", "due", "value"),
    [
        ("BLUEBIRD", "4.99", None), ("BLUEBIRD", "5.00", "5.00"), ("BLUEBIRD", "24.99", "10.00"),
        ("BLUEBIRD", "500.00", "50.00"), ("CVS", "4.99", None), ("CVS", "5.00", "5.00"), ("CVS", "87.65", "87.00"),
        ("CVS", "9999.00", "500.00"),
    ],
)  # fmt: skip
def test_the_largest_card_not_above_what_is_due(world, product, due, value):
    found = selectors.card_value_for(Product.objects.get(product_id=product), usd(due))
    assert found == (usd(value) if value else None)


def test_cents_only_where_the_product_allows_them(world):
    product = Product.objects.get(product_id="CVS")
    product.allow_cents = True
    assert selectors.card_value_for(product, usd("87.65")) == usd("87.65")
    assert selectors.card_value_for(product, Money(8765, "EUR")) is None


def test_a_refresh_happens_weekly_unless_forced_and_keeps_our_flag(world):
    Product.objects.filter(product_id="CVS").update(allow_cents=True)
    assert services.refresh_catalogue(client=world.client) is None
    assert world.transport.requests == []
    assert services.refresh_catalogue(force=True, client=world.client) == 13
    assert Product.objects.get(product_id="CVS").allow_cents
    world.advance(8 * 24 * 3600)
    assert services.refresh_catalogue(client=world.client) == 13


@pytest.mark.parametrize("fault", ["500_before", "403", "truncated", "not_json", "reset_after", "redirect"])
def test_a_refresh_that_fails_leaves_the_old_copy_alone(world, fault):
    world.faults({"fault": fault, "on": "GET /v1/Products"})
    with pytest.raises(RewardError, match="the old copy stands"):
        services.refresh_catalogue(force=True, client=world.client)
    assert Product.objects.filter(orderable=True).count() == 13
    assert world.channel().catalogue_error


def test_an_empty_catalogue_is_not_believed(world, monkeypatch):
    monkeypatch.setattr("rewards.sandbox.catalogue.PRODUCTS", [])
    with pytest.raises(RewardError, match="came back empty"):
        services.refresh_catalogue(force=True, client=world.client)
    assert Product.objects.filter(orderable=True).count() == 13


def test_a_product_that_vanished_stays_for_history_and_comes_back(world, monkeypatch):
    from rewards.sandbox import catalogue

    order = world.order()
    monkeypatch.setattr(catalogue, "PRODUCTS", [entry for entry in catalogue.PRODUCTS if entry["Id"] != "CVS"])
    services.refresh_catalogue(force=True, client=world.client)
    assert not Product.objects.get(product_id="CVS").orderable
    with pytest.raises(RewardError, match="cannot be ordered any more"):
        world.order()
    world.sweep()
    order.refresh_from_db()
    assert order.state == "completed", "what was approved before is still sent; the provider has the last word"
    monkeypatch.undo()


def test_markup_becomes_text():
    assert (
        to_text("<p>A &amp; B</p><script>alert(1)</script><ul><li>one<li>two</ul>&lt;b&gt;") == "A & B\none\ntwo\n<b>"
    )


def test_books_and_counts(world):
    for _ in range(3):
        world.order()
    world.sweep()
    world.order()
    assert selectors.counts_by_state()["completed"] == 3
    books = selectors.books()
    assert (books["count"], books["face_value"], books["cost"]) == (3, usd("75.00"), usd("72.39"))
    assert world.books()["cost"] == "72.39"
