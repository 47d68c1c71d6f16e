"""Choosing a reward on one's own pages: what they say, and what they refuse."""

import pytest
from django.core import mail
from django.utils import timezone
from django.utils.formats import date_format

from incentives.notifications.sending import deliver
from incentives.payouts import services
from incentives.payouts.models import Payout, ProductChoice, RewardPreference
from rewards.models import Product
from tests.factories import make_participant, make_user
from tests.payouts.scene import TWO
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
LIST = "/me/choices/"


@pytest.fixture
def asked(scene):
    """A payout of 100.00 that may become Demo (the default) or Other."""
    scene.second_product()
    scene.asked = scene.payout(program=scene.program(name="Free choice", delivery=TWO))
    scene.page = f"{LIST}{scene.asked.public_id}/"
    return scene


def test_the_own_page_asks_and_leads_there_until_it_is_chosen(asked, as_user):
    client = as_user(asked.rep_user)
    page = assert_page_clean(client.get("/me/"))
    assert "A reward waits: choose which card it becomes." in page.text and "A card of your choice" in page.text
    assert asked.page in page.links and "Yours to choose" in page.text
    listed = assert_page_clean(client.get("/me/rewards/"))
    assert "A card of your choice" in listed.text and asked.page in listed.links
    client.post(asked.page, {"product": "OTHER"})
    page = assert_page_clean(client.get("/me/"))
    assert "A reward waits" not in page.text and "Being checked" in page.text and "Change the card" in page.text


def test_choosing_says_what_until_when_and_what_otherwise(asked, as_user):
    client = as_user(asked.rep_user)
    page = assert_page_clean(client.get(asked.page))
    assert "Not chosen yet. Choose until" in page.text and "Otherwise you get Demo." in page.text
    assert "Sent when you do not choose" in page.text and "checked" not in client.get(asked.page).content.decode()
    done = client.post(asked.page, {"product": "OTHER", "always": "yes"}, follow=True)
    page = assert_page_clean(done)
    assert "You get Other." in page.text and "You can change it until it is approved." in page.text
    assert "Always, where it is allowed" in page.text
    assert RewardPreference.objects.get().product_name == "Other"
    assert "Now it is Other (chosen by you)." in assert_page_clean(client.get(asked.page)).text
    services.approve_payout(payout_id=asked.asked.pk, actor=asked.finance)
    page = assert_page_clean(client.get(asked.page))
    assert "It is Other." in page.text and "It cannot be changed any more" in page.text
    assert 'type="radio"' not in client.get(asked.page).content.decode()
    client.post(f"{LIST}forget/", {"currency": "USD"})
    assert not RewardPreference.objects.exists()


def test_what_cannot_be_chosen_is_refused_and_nothing_changes(asked, as_user):
    client = as_user(asked.rep_user)
    assert client.post(asked.page).status_code == 400
    refused = client.post(asked.page, {"product": "NOPE"})
    assert refused.status_code == 409
    assert "This reward cannot be sent for this amount." in assert_page_clean(refused).text
    assert ProductChoice.objects.get().product_code == ""
    services.cancel_payout(payout_id=asked.asked.pk, actor=asked.finance, reason="Oops")
    assert client.post(asked.page, {"product": "OTHER"}).status_code == 404
    assert Payout.objects.get().product_code == "DEMO"


def test_for_everybody_else_and_where_nothing_is_asked_the_page_does_not_exist(asked, as_user):
    stranger = make_user("participant")
    make_participant("Somebody Else", user=stranger)
    plain = asked.payout()
    for user in (stranger, asked.users["partner_admin"], asked.manager, asked.finance, asked.users["auditor"]):
        client = as_user(user)
        assert client.get(asked.page).status_code == client.post(asked.page, {"product": "OTHER"}).status_code == 404
    assert as_user(asked.rep_user).get(f"{LIST}{plain.public_id}/").status_code == 404
    assert ProductChoice.objects.get().product_code == ""


def test_a_long_list_is_searched_and_nothing_to_order_is_said(asked, as_user):
    for number in range(12):
        asked.second_product(f"P{number}", name=f"Shop {number}")
    payout = asked.payout(program=asked.program(delivery=TWO | {"products": "any"}))
    client = as_user(asked.rep_user)
    page = client.get(f"{LIST}{payout.public_id}/?q=shop 1")
    assert [product.name for product in page.context["options"]] == ["Shop 1", "Shop 10", "Shop 11"]
    assert "No card has this name" in assert_page_clean(client.get(f"{LIST}{payout.public_id}/?q=zzz")).text
    Product.objects.update(orderable=False)
    assert "No card can be ordered right now" in assert_page_clean(client.get(f"{LIST}{payout.public_id}/")).text


def test_the_mail_says_until_when_what_otherwise_and_where(asked):
    assert deliver() == 1
    (message,) = mail.outbox
    body = message.body.replace("\xa0", " ")
    day = date_format(timezone.localtime(asked.asked.choice.deadline), "j M Y")
    assert message.subject == "Choose which reward you get"
    assert f"100.00 USD (Free choice), until {day}; otherwise you get Demo." in body and asked.page in body
    assert "no account" not in body


def test_what_was_chosen_meanwhile_is_not_told_and_who_has_no_account_is_sent_to_the_manager(asked):
    services.choose_reward(payout_id=asked.asked.pk, product_id="OTHER", actor=asked.rep_user)
    ben = make_participant("Ben Ode", email="ben@rep.example")
    asked.payout(program=asked.asked.program, rep=ben)
    deliver()
    (message,) = mail.outbox
    assert message.to == ["ben@rep.example"] and "/me/" not in message.body
    assert "tell your program manager which card you would like" in message.body


def test_staff_see_the_hold_its_evidence_and_who_chose(asked, as_user):
    hold = asked.asked.holds.get()
    client = as_user(asked.manager)
    page = assert_page_clean(client.get(f"/payouts/holds/{hold.pk}/"))
    assert "Sent otherwise" in page.text and "the default is sent" in page.text and "Lift the hold" not in page.text
    page = assert_page_clean(client.get(asked.asked.get_absolute_url()))
    assert "unless the recipient chooses another" in page.text and "Choose for the recipient" in page.text
    address = f"/payouts/{asked.asked.public_id}/choose/"
    assert client.post(address, {"product": "OTHER", "reason": ""}).status_code == 400
    assert client.post(address, {"product": "NOPE", "reason": "Phone"}).status_code == 400
    assert ProductChoice.objects.get().product_code == ""
    done = assert_page_clean(client.post(address, {"product": "OTHER", "reason": "Phone"}, follow=True))
    assert "It becomes Other." in done.text and "Chosen for the recipient: " in done.text
