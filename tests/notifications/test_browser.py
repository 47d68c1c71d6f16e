"""In a real browser: an administrator connects a channel, and somebody leaves by the link of a mail on a phone."""

import re

import pytest
from django.core import mail

from incentives.notifications import outbox
from incentives.notifications.models import ChannelEndpoint
from incentives.notifications.sending import deliver
from tests.factories import make_user
from tests.notifications.conftest import NEWS, tell

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_an_administrator_connects_a_channel_and_sees_the_test_arrive(page, sign_in, chat_server):
    sign_in(page, make_user("administrator"))
    page.goto("/notifications/")
    page.get_by_role("link", name="Chat channels").click()
    page.get_by_role("link", name="New channel").first.click()
    page.get_by_label("Name").fill("Deals")
    page.get_by_label("Webhook address").fill(chat_server.url())
    page.get_by_label("A connection is silent").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Deals").click()
    page.get_by_role("link", name="Send a test").click()
    page.get_by_role("button", name="Send the test").click()
    page.get_by_text("The chat took the test message.").wait_for()
    assert [body["text"] for _path, _headers, body in chat_server.requests] == ["Laurel can write here"]
    assert ChannelEndpoint.objects.get().kinds == ["connections.silent"]


def test_somebody_leaves_by_the_link_on_a_phone_and_returns_on_their_own_page(
    new_page, sign_in, ann, settings, live_server
):
    settings.BASE_URL = live_server.url
    tell(ann, "a")
    deliver()
    page = new_page(width=390)
    page.goto(re.search(r"\S+/unsubscribe/\S+", mail.outbox[0].body).group(0))
    page.get_by_role("button", name="No more of these").click()
    page.get_by_role("heading", name="Done").wait_for()
    assert outbox.mode_of(ann, NEWS) == "never"
    sign_in(page, ann)
    page.goto("/profile/")
    page.locator("main").get_by_role("link", name="What I am told").click()
    page.get_by_label("Label of test.news").select_option("daily")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Your choices are saved.").wait_for()
    assert outbox.mode_of(ann, NEWS) == "daily"
