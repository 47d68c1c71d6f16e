"""Making, sending and settling orders when nothing goes wrong, and what is refused before anything is written."""

import json

import pytest
from django.db import IntegrityError, transaction

from rewards import services
from rewards.bodies import DigitalDelivery, Links, Personalization, PhysicalShipment, po_number
from rewards.errors import IllegalMove, InvalidOrder, NotOrderable, ReferenceConflict
from rewards.models import Card, OrderAttempt, OrderEvent, RewardOrder
from rewards.money import Money
from tests.rewards.conftest import usd


def test_an_order_by_email_is_issued_once(world):
    order = world.order(personalization=Personalization(to="Dana", from_name="Sales", message="Well done"))
    assert order.state == "draft"
    assert world.sweep()["processed"] == 1
    order.refresh_from_db()
    assert (order.state, order.provider_status, order.cost_minor, order.expected_cost_minor, order.cost_differs) == (
        "completed", "Completed", 2413, 2413, False,
    )  # fmt: skip
    assert order.provider_order_id.startswith("ord-")
    assert [(a.number, a.outcome, a.status_code) for a in order.attempts.all()] == [(1, "accepted", 201)]
    assert [(e.old, e.new) for e in order.events.all()] == [
        ("", "draft"),
        ("draft", "submitting"),
        ("submitting", "completed"),
    ]
    assert world.books()["orders"] == 1
    assert world.books()["face_value"] == "25.00"
    assert world.sweep()["processed"] == 0
    assert len(world.posts()) == 1


def test_the_body_is_the_documented_one_to_the_byte(world):
    order = world.order(
        value=usd("12.00"), webhook=True, personalization=Personalization(to="Dana", message="“Great”"),
        delivery=DigitalDelivery(sms="+14155550123"),
    )  # fmt: skip
    body = bytes(order.body).decode()
    given = json.loads(body)
    hook = given.pop("WebhookSettings")["FulfillmentComplete"]
    assert hook.startswith("http://localhost:8000/hooks/rewards/") and len(hook.rsplit("/", 1)[1]) == 43
    assert given == {
        "Type": "DigitalDelivery",
        "LineItems": [
            {
                "ProductId": "CVS",
                "Value": 12,
                "Quantity": 1,
                "DigitalDeliveryAddress": {"Sms": "+14155550123"},
                "Personalization": {"To": "Dana", "Message": "“Great”"},
            }
        ],
        "PONumber": order.po_number,
    }
    world.sweep()
    assert world.posts()[0].body == bytes(order.body)
    assert "WebhookSettings" not in bytes(world.order(webhook=False).body).decode()


def test_cents_are_sent_exactly(world):
    from rewards.models import Product

    Product.objects.filter(product_id="CVS").update(allow_cents=True)
    order = world.order(value=usd("19.99"))
    assert '"Value":19.99,' in bytes(order.body).decode()
    world.sweep()
    assert world.books()["face_value"] == "19.99"


def test_a_claim_link_is_kept_encrypted_and_each_reveal_is_recorded(world):
    order = world.order(links=True)
    world.sweep()
    card = Card.objects.get(order=order)
    assert "claim.sandbox.example" not in card.sealed
    secret = services.reveal_card(card.pk, actor_name="Dana Rep", actor_ref="user:7")
    assert secret.link.startswith("https://claim.sandbox.example/claim/")
    assert len(secret.answer) == 4
    assert "claim.sandbox" not in repr(secret)
    assert [(r.actor_name, r.actor_ref) for r in card.reveals.all()] == [("Dana Rep", "user:7")]


def test_a_delivery_by_the_provider_leaves_no_card_with_us(world):
    world.order()
    world.sweep()
    assert Card.objects.count() == 0


def test_the_number_is_derived_short_and_without_personal_data():
    number = po_number(["org", "program", "42"])
    assert number == po_number(["org", "program", "42"])
    assert number != po_number(["org", "program", "43"])
    assert number.startswith("TEST-") and len(number) == 29
    assert set(number) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567-")


def test_repeating_a_reference_gives_the_same_order_and_other_content_is_refused(world):
    first = world.order(reference="r", po_parts=["p"])
    again = world.order(reference="r", po_parts=["p"], delivery=DigitalDelivery(email="rep1@team.example"))
    assert again.pk == first.pk
    for change in (
        {"value": usd("26.00")},
        {"po_parts": ["q"]},
        {"approval_hash": "b"},
        {"delivery": DigitalDelivery(email="else@team.example")},
        {"personalization": Personalization(to="X")},
    ):
        given = {"reference": "r", "po_parts": ["p"], "delivery": DigitalDelivery(email="rep1@team.example"), **change}
        with pytest.raises(ReferenceConflict):
            world.order(**given)
    with pytest.raises(ReferenceConflict, match="belongs to another order"):
        world.order(reference="other", po_parts=["p"])
    assert RewardOrder.objects.count() == 1
    assert OrderEvent.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"product_id": "NOPE"}, NotOrderable, "product_id: 'NOPE' is not in the catalogue."),
        ({"value": usd("4.00")}, NotOrderable, "expected 5.00 USD to 500.00 USD in whole units"),
        ({"value": usd("501.00")}, NotOrderable, "501.00 USD is not a value"),
        ({"value": usd("25.50")}, NotOrderable, "25.50 USD is not a value"),
        ({"value": Money(0, "USD")}, NotOrderable, "0.00 USD is not a value"),
        ({"value": Money(-2500, "USD")}, NotOrderable, "-25.00 USD is not a value"),
        ({"value": Money(2500, "EUR")}, NotOrderable, "expected USD and the product's USD, not EUR"),
        ({"product_id": "EUROSHOP", "value": Money(2500, "EUR")}, NotOrderable, "expected USD"),
        ({"product_id": "BLUEBIRD", "value": usd("30.00")}, NotOrderable, "expected 5.00 USD, 10.00 USD, 25.00 USD, 50.00 USD"),
        ({"product_id": "LUMEN", "delivery": Links()}, NotOrderable, "LUMEN allows DigitalDelivery, not Links"),
        ({"delivery": DigitalDelivery()}, InvalidOrder, "exactly one"),
        ({"delivery": DigitalDelivery(email="a@b.co", sms="+14155550123")}, InvalidOrder, "exactly one"),
        ({"delivery": DigitalDelivery(sms="0041 79")}, InvalidOrder, "E.164"),
        ({"delivery": DigitalDelivery(email="nobody")}, InvalidOrder, "expected an e-mail address"),
        ({"personalization": Personalization(message="x" * 2001)}, InvalidOrder, "personalization.message"),
        ({"personalization": Personalization(to="a\x00b")}, InvalidOrder, "personalization.to"),
        ({"approval_hash": ""}, InvalidOrder, "approval_hash"),
        ({"reference": ""}, InvalidOrder, "reference"),
        ({"po_parts": []}, InvalidOrder, "po_parts"),
        ({"po_parts": ["a|b"]}, InvalidOrder, "po_parts"),
        (
            {"product_id": "PLASTIC", "delivery": PhysicalShipment("A", "1 St", "X", "NY", "1", "US", "STANDARD")},
            InvalidOrder, "switched off",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_leaves_nothing(world, quiet_nudges, change, error, words):
    with pytest.raises(error) as caught:
        world.order(**change)
    assert words in caught.value.user_message
    assert (RewardOrder.objects.count(), OrderEvent.objects.count(), quiet_nudges) == (0, 0, [])


def test_a_card_by_post_is_sent_where_it_is_switched_on(world, settings):
    settings.E2R_PHYSICAL = True
    order = world.order(
        product_id="PLASTIC",
        delivery=PhysicalShipment("Dana", "1 Main St", "Albany", "NY", "12207", "US", "STANDARD"),
    )
    line = json.loads(bytes(order.body))["LineItems"][0]
    assert line["PhysicalDeliveryAddress"] == {
        "ShippingMethodId": "STANDARD", "CarrierId": "DEFAULT", "Name": "Dana", "AddressLine1": "1 Main St",
        "City": "Albany", "State": "NY", "Zip": "12207", "Country": "US",
    }  # fmt: skip
    world.sweep()
    order.refresh_from_db()
    assert order.state == "completed"


def test_a_draft_can_be_cancelled_and_what_was_sent_cannot(world):
    order = world.order()
    services.cancel_order(order.pk, actor_name="Finance", reason="duplicate")
    assert services.cancel_order(order.pk, actor_name="Finance", reason="duplicate").state == "cancelled"
    assert world.sweep()["processed"] == 0
    sent = world.order()
    world.sweep()
    with pytest.raises(IllegalMove):
        services.cancel_order(sent.pk, actor_name="Finance", reason="too late")
    assert world.books()["orders"] == 1


@pytest.mark.parametrize(
    "change",
    [{"po_number": "X"}, {"body": b"{}"}, {"amount_minor": 1}, {"currency": "EUR"}, {"recipient": "x@y.z"},
     {"body_sha256": "0"}, {"approval_hash": "z"}, {"delivery_type": "Links"}, {"reference": "z"}],
)  # fmt: skip
def test_number_body_and_money_never_change_in_the_database(world, change):
    order = world.order()
    world.sweep()
    with pytest.raises(IntegrityError), transaction.atomic():
        RewardOrder.objects.filter(pk=order.pk).update(**change)
    stored = RewardOrder.objects.get(pk=order.pk)
    assert {name: getattr(stored, name) for name in change} == {name: getattr(order, name) for name in change} or bytes(
        stored.body
    ) == bytes(order.body)


def test_history_cannot_be_edited_or_removed(world):
    order = world.order(links=True)
    world.sweep()
    services.reveal_card(Card.objects.get().pk, actor_name="A", actor_ref="user:1")
    reveal = Card.objects.get().reveals.get()
    attempts = [
        lambda: OrderEvent.objects.filter(order=order).update(reason="x"),
        lambda: OrderEvent.objects.filter(order=order)._raw_delete("default"),
        lambda: OrderAttempt.objects.filter(order=order).update(outcome="refused"),
        lambda: type(reveal).objects.filter(pk=reveal.pk).update(actor_name="B"),
        lambda: RewardOrder.objects.filter(pk=order.pk)._raw_delete("default"),
        lambda: RewardOrder.objects.filter(pk=order.pk).update(first_sent_at=None),
        lambda: Card.objects.all()._raw_delete("default"),
    ]
    for attempt in attempts:
        with pytest.raises(IntegrityError), transaction.atomic():
            attempt()
    order.refresh_from_db()
    assert (order.state, order.events.count(), order.attempts.get().outcome) == ("completed", 3, "accepted")


def test_a_changed_body_is_never_sent(world):
    """Whoever gets past the trigger still does not get past the hash."""
    from rewards import dispatch

    order = world.order()
    candidate = dispatch._candidate

    def altered(due, pk):
        found = candidate(due, pk)
        if found:
            found.body = b'{"PONumber": "X"}'
        return found

    dispatch._candidate = altered
    try:
        world.sweep()
    finally:
        dispatch._candidate = candidate
    order.refresh_from_db()
    assert (order.state, order.review_code) == ("review", "body_changed")
    assert world.channel().state == "stopped"
    assert world.posts() == []
