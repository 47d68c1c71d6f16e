"""Slack and Teams through a real HTTPS server: what they get, and what their answers do."""

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.db import transaction

from incentives.core.models import AuditEvent
from incentives.notifications import CHATS, channels, chat, notify
from incentives.notifications.errors import ChannelAnswer, ChannelInvalid
from incentives.notifications.models import ChannelEndpoint, Delivery, Notification
from incentives.notifications.sending import deliver
from rewards.errors import Unreadable
from tests.factories import make_user
from tests.notifications.conftest import DUTY, NEWS, OTHER, make_endpoint, states, tell

pytestmark = pytest.mark.django_db
BASE = "http://localhost:8000"


@pytest.fixture
def admin(db):
    return make_user("administrator", email="admin@example.com")


def test_slack_gets_blocks_with_a_link_and_nothing_that_mentions_anybody(chat_server, settings):
    settings.BASE_URL = BASE
    make_endpoint(chat_server.url())
    tell(CHATS, "a", text="Win <!channel> & <https|x> at *Acme*")
    assert deliver() == 1
    ((path, headers, body),) = chat_server.requests
    assert path == "/services/T0/B0/secret-part" and headers["Content-Type"] == "application/json"
    assert body == {
        "text": "News: 1",
        "unfurl_links": False,
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "News: 1", "emoji": False}},
            {
                "type": "section",
                "text": {
                    "type": "mrkdwn", "text": "Win &lt;!channel&gt; &amp; &lt;https|x&gt; at *Acme*", "verbatim": True,
                },
            },
            {
                "type": "actions",
                "elements": [
                    {
                        "type": "button", "text": {"type": "plain_text", "text": "Look", "emoji": False},
                        "url": f"{BASE}/me/",
                    }
                ],
            },
        ],
    }  # fmt: skip


def test_teams_gets_an_adaptive_card(chat_server, settings):
    settings.BASE_URL = BASE
    make_endpoint(chat_server.url("/workflows/x?sig=secret"), channel="teams")
    chat_server.answers = [(202, {}, b"")]
    tell(CHATS, "a", text="See [this](evil) now")
    assert deliver() == 1
    card = chat_server.requests[0][2]["attachments"][0]
    assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert card["content"]["type"] == "AdaptiveCard" and card["content"]["version"] == "1.4"
    assert [block["text"] for block in card["content"]["body"]] == ["News: 1", "See \\[this\\](evil) now"]
    assert card["content"]["actions"] == [{"type": "Action.OpenUrl", "title": "Look", "url": f"{BASE}/me/"}]


@pytest.mark.parametrize("channel", ["slack", "teams"])
def test_a_message_stays_below_what_the_chat_takes(chat_server, channel):
    make_endpoint(chat_server.url(), channel=channel)
    tell(CHATS, *(f"{n}-{'k' * 100}" for n in range(60)), text="ä€" * 140)
    deliver()
    body = chat_server.requests[0][2]
    assert len(json.dumps(body).encode()) < 28_000
    if channel == "slack":
        assert len(body["blocks"]) <= 50 and len(body["blocks"][1]["text"]["text"]) <= 3000


def test_a_channel_hears_of_its_kinds_and_programs_alone(chat_server):
    everything = make_endpoint(chat_server.url(), NEWS, OTHER, name="All")
    one = make_endpoint(chat_server.url(), NEWS, name="One", programs=["p1"])
    make_endpoint(chat_server.url(), NEWS, name="Off", status="inactive")
    with transaction.atomic():
        notify(NEWS, to=CHATS, key="a", program="p1")
        notify(NEWS, to=CHATS, key="b", program="p2")
        notify(NEWS, to=CHATS, key="c")
        notify(OTHER, to=CHATS, key="d", program="p1")
        notify(DUTY, to=CHATS, key="e")
    found = sorted(Notification.objects.values_list("endpoint__name", "key"))
    assert found == [("All", "a"), ("All", "b"), ("All", "c"), ("All", "d"), ("One", "a")]
    assert deliver() == 3
    assert states(endpoint=everything) == [("sent", 3), ("sent", 1)] and states(endpoint=one) == [("sent", 1)]


def test_a_kind_for_people_alone_never_goes_to_a_channel(chat_server, kinds):
    object.__setattr__(kinds[NEWS], "chat", False)
    make_endpoint(chat_server.url())
    tell(CHATS, "a")
    assert not Notification.objects.exists()


def test_many_things_in_a_minute_are_one_message(chat_server, clock):
    make_endpoint(chat_server.url())
    tell(CHATS, "a", "b")
    assert deliver() == 1
    tell(CHATS, "c")
    assert deliver() == 0
    clock.shift(60)
    assert deliver() == 1
    assert [body["text"] for _path, _headers, body in chat_server.requests] == ["News: 2", "News: 1"]


@pytest.mark.parametrize(("status", "word"), [(404, b"channel_not_found"), (410, b"channel_is_archived")])
def test_a_channel_that_is_gone_is_turned_off_and_administrators_hear_of_it(chat_server, admin, clock, status, word):
    endpoint = make_endpoint(chat_server.url(), NEWS, OTHER)
    chat_server.answers = [(status, {}, word)]
    tell(CHATS, "a")
    assert deliver() == 0
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.reason) == ("inactive", f"HTTP {status} {word.decode()}")
    assert Delivery.objects.values_list("status", "last_error").get() == ("failed", f"HTTP {status} {word.decode()}")
    assert AuditEvent.objects.get(action="channel.turned_off").reason == endpoint.reason
    assert deliver() == 1
    (message,) = mail.outbox
    assert (message.to, message.subject) == (["admin@example.com"], "A chat channel was turned off")
    for text in (message.body, message.alternatives[0][0]):
        assert "General" in text and word.decode() in text and "secret-part" not in text
    tell(CHATS, "b")
    assert deliver() == 0 and len(chat_server.requests) == 1
    assert "List-Unsubscribe" not in message.extra_headers


def test_a_channel_that_was_turned_on_again_meanwhile_worries_nobody(chat_server, admin):
    endpoint = make_endpoint(chat_server.url())
    chat_server.answers = [(410, {}, b"")]
    tell(CHATS, "a")
    deliver()
    channels.set_active(actor=admin, endpoint=endpoint, active=True)
    assert deliver() == 0 and mail.outbox == []


def test_a_channel_that_asks_to_wait_is_left_alone_so_long(chat_server, clock):
    endpoint = make_endpoint(chat_server.url(), NEWS, OTHER)
    chat_server.answers = [(429, {"Retry-After": "1800"}, b"rate_limited")]
    tell(CHATS, "a")
    deliver()
    tell(CHATS, "b", kind=OTHER)
    clock.shift(1790)
    assert deliver() == 0 and len(chat_server.requests) == 1
    clock.shift(10)
    assert deliver() == 2
    endpoint.refresh_from_db()
    assert (endpoint.not_before, endpoint.last_error, Delivery.objects.first().status) == (None, "", "sent")


def test_nobody_makes_us_wait_longer_than_a_day(chat_server, clock):
    make_endpoint(chat_server.url())
    chat_server.answers = [(503, {"Retry-After": "999999999"}, b"")]
    tell(CHATS, "a")
    deliver()
    assert Delivery.objects.get().next_attempt_at == datetime.now(UTC) + timedelta(days=1)


@pytest.mark.parametrize(
    ("answer", "state", "error"),
    [
        ((500, {}, b"rollup_error"), "waiting", "HTTP 500 rollup_error"),
        ((400, {}, b"invalid_payload"), "failed", "HTTP 400 invalid_payload"),
        ((403, {}, b"action_prohibited"), "failed", "HTTP 403 action_prohibited"),
        ((302, {"Location": "https://evil.example/"}, b""), "failed", "HTTP 302"),
        ((500, {}, b"<html>https://hooks.example/secret</html>"), "waiting", "HTTP 500"),
    ],
)
def test_what_other_answers_mean(chat_server, answer, state, error):
    endpoint = make_endpoint(chat_server.url())
    chat_server.answers = [answer]
    tell(CHATS, "a")
    assert deliver() == 0
    assert Delivery.objects.values_list("status", "last_error").get() == (state, error)
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.last_error) == ("active", error)


def test_a_chat_that_is_away_is_tried_again_for_days(chat_server, clock):
    make_endpoint(chat_server.url())
    port, answers = chat_server.port, []
    chat_server.stop()
    tell(CHATS, "a")
    deliver()
    while (row := Delivery.objects.get()).status == "waiting":
        answers.append(row.last_error)
        clock.move_to(row.next_attempt_at)
        deliver()
    assert port and set(answers) <= {"ConnectError", "ConnectTimeout"} and row.attempts > 15
    assert datetime.now(UTC) - row.created_at > timedelta(days=5)


def test_a_channel_whose_name_leads_inside_is_not_called(chat_server, settings):
    settings.OUTGOING_PRIVATE_NETWORKS = []
    make_endpoint(chat_server.url())
    tell(CHATS, "a")
    assert deliver() == 0
    assert chat_server.connections == 0
    assert Delivery.objects.get().last_error.startswith("The address leads into a private network")


def test_the_address_is_encrypted_and_in_no_log_audit_or_error(chat_server, admin, caplog):
    caplog.set_level(logging.DEBUG)
    row = channels.save_channel(
        actor=admin, name="Deals", channel="slack", url=chat_server.url(), kinds=[NEWS], programs=[]
    )
    chat_server.answers = [(500, {}, b""), (410, {}, b"")]
    tell(CHATS, "a")
    deliver()
    with pytest.raises(ChannelAnswer) as caught:
        channels.try_channel(actor=admin, endpoint=row)
    row.refresh_from_db()
    texts = [caplog.text, str(caught.value), row.sealed, row.host, row.last_error, repr(row)]
    texts += [str(list(model.objects.values())) for model in (AuditEvent, Delivery, Notification)]
    assert not [text for text in texts if "secret-part" in text]
    assert chat.vault.unseal(row.label, row.sealed) == {"url": chat_server.url()}
    other = make_endpoint("https://x.example/", name="Other")
    other.sealed = row.sealed
    with pytest.raises(Unreadable):
        chat.vault.unseal(other.label, other.sealed)


# --- what administrators do -------------------------------------------------------------------------------------------------
def test_a_channel_is_made_changed_and_tried(chat_server, admin):
    row = channels.save_channel(
        actor=admin, name=" Deals ", channel="slack", url=chat_server.url(), kinds=[OTHER, NEWS], programs=[]
    )
    assert (row.name, row.host, row.kinds, row.status) == ("Deals", "localhost", [NEWS, OTHER], "active")
    sealed = row.sealed
    channels.save_channel(actor=admin, endpoint=row, name="Wins", channel="slack", kinds=[NEWS], programs=["p1"])
    row.refresh_from_db()
    assert (row.name, row.sealed, row.programs) == ("Wins", sealed, ["p1"])
    channels.try_channel(actor=admin, endpoint=row)
    assert chat_server.requests[0][2]["text"] == "Laurel can write here"
    row.refresh_from_db()
    assert row.last_ok_at is not None
    with pytest.raises(ChannelInvalid, match="a moment ago"):
        channels.try_channel(actor=admin, endpoint=row)
    assert len(chat_server.requests) == 1
    actions = AuditEvent.objects.order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["channel.made", "channel.changed", "channel.tried"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://hooks.slack.com/x"}, {"url": ""}, {"url": "https://u:p@example.com/"}, {"kinds": []},
        {"kinds": ["test.typo"]}, {"kinds": ["notifications.channel_off"]}, {"name": "Taken"},
    ],
)  # fmt: skip
def test_a_channel_that_cannot_be_is_refused_and_nothing_is_left(admin, wrong):
    make_endpoint("https://example.com/", name="Taken")
    values = {"name": "New", "channel": "slack", "url": "https://example.com/x", "kinds": [NEWS], "programs": []}
    with pytest.raises(ChannelInvalid):
        channels.save_channel(actor=admin, **(values | wrong))
    assert ChannelEndpoint.objects.count() == 1 and not AuditEvent.objects.exists()


def test_only_administrators_make_channels(ann):
    from incentives.core.errors import NotAllowed

    with pytest.raises(NotAllowed):
        channels.save_channel(actor=ann, name="x", channel="slack", url="https://a.example/", kinds=[NEWS], programs=[])
    assert not ChannelEndpoint.objects.exists()
