"""The log, the channels, one's own choices and the link in mails."""

import csv
import io
import re
from datetime import time

import pytest
from django.core import mail
from django.core.signing import dumps
from django.urls import reverse
from django.utils import timezone

from incentives.core.logs import redact
from incentives.core.models import AuditEvent
from incentives.notifications import CHATS, outbox, unsubscribe
from incentives.notifications.models import ChannelEndpoint, Delivery, Preference, Recipient
from incentives.notifications.sending import deliver
from tests.factories import make_participant, make_user
from tests.notifications.conftest import DUTY, NEWS, OTHER, make_endpoint, tell
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client):
    user = make_user("administrator", name="Ada Admin")
    client.force_login(user)
    return user


def link_in(message) -> str:
    return re.search(r"https?://\S+/notifications/unsubscribe/\S+", message.body).group(0)


# --- the log ----------------------------------------------------------------------------------------------------------------
def test_the_log_says_what_became_of_every_message_and_masks_addresses(client, admin, ann, chat_server):
    make_endpoint(chat_server.url(), NEWS, name="General")
    chat_server.answers = [(400, {}, b"invalid_payload")]
    tell(ann, "a", "b")
    tell(CHATS, "a")
    deliver()
    page = assert_page_clean(client.get(reverse("notifications:log")))
    for text in (
        "Label of test.news",
        "Ann Lee",
        "a…@example.com",
        "General",
        "HTTP 400 invalid_payload",
        "Sent",
        "Failed",
    ):
        assert text in page.text, text
    assert "ann@example.com" not in page.text and "secret-part" not in page.text
    assert "Ann Lee" not in assert_page_clean(client.get(reverse("notifications:log") + "?tab=failed")).text
    assert "HTTP 400" not in assert_page_clean(client.get(reverse("notifications:log") + "?channel=email&q=ann")).text
    rows = list(
        csv.reader(io.StringIO(b"".join(client.get(reverse("notifications:log") + "?export=csv")).decode("utf-8-sig")))
    )
    assert len(rows) == 3 and not any("ann@example.com" in cell for row in rows for cell in row)
    detail = assert_page_clean(client.get(Delivery.objects.get(channel="email").get_absolute_url()))
    assert "a…@example.com" in detail.text and "about a" not in detail.text, "what it said is not shown"


def test_the_log_takes_as_many_queries_for_many_rows(client, admin, django_assert_max_num_queries):
    for number in range(30):
        told = Recipient.objects.create(ref=f"x:{number}", name=f"P {number}")
        Delivery.objects.create(channel="email", recipient=told, kind=NEWS, count=1, next_attempt_at=timezone.now())
    with django_assert_max_num_queries(16):
        client.get(reverse("notifications:log") + "?per=50")


def test_a_failed_message_is_sent_again_when_asked(client, admin, ann, mail_server):
    mail_server.refuse = {"ann@example.com": "550 no"}
    tell(ann, "a")
    deliver()
    mail_server.refuse = {}
    address = reverse("notifications:again", args=[Delivery.objects.get().public_id])
    assert client.post(address).status_code == 302
    assert client.post(address).status_code == 404, "it is not failed any more"
    assert deliver() == 1
    assert len(mail_server.messages) == 1
    assert AuditEvent.objects.get(action="notifications.sent_again").actor == admin


# --- channels ---------------------------------------------------------------------------------------------------------------
def test_an_administrator_makes_a_channel_tries_it_and_turns_it_off(client, admin, chat_server):
    data = {"name": "Deals", "channel": "slack", "url": chat_server.url(), "kinds": [NEWS], "language": "en"}
    assert client.post(reverse("notifications:channel-new"), data).status_code == 302
    row = ChannelEndpoint.objects.get()
    page = client.get(row.get_absolute_url())
    assert "secret-part" not in page.content.decode() and "localhost" in assert_page_clean(page).text
    chat_server.answers = [(403, {}, b"action_prohibited")]
    response = client.post(reverse("notifications:channel-test", args=[row.public_id]), follow=True)
    assert "action_prohibited" in assert_page_clean(response).text
    client.post(reverse("notifications:channel-off", args=[row.public_id]))
    row.refresh_from_db()
    assert (row.status, row.reason) == ("inactive", "by Ada Admin")
    client.post(row.get_absolute_url(), data | {"url": "", "name": "Wins"})
    row.refresh_from_db()
    assert (row.name, row.status) == ("Wins", "inactive")
    client.post(reverse("notifications:channel-on", args=[row.public_id]))
    row.refresh_from_db()
    assert (row.status, row.reason) == ("active", "")


@pytest.mark.parametrize("wrong", [{"url": "http://example.com/"}, {"kinds": []}, {"channel": "irc"}, {"name": ""}])
def test_a_wrong_channel_is_told_on_the_form(client, admin, wrong):
    data = {
        "name": "Deals",
        "channel": "slack",
        "url": "https://example.com/x",
        "kinds": [NEWS],
        "language": "en",
    } | wrong
    assert client.post(reverse("notifications:channel-new"), data).status_code == 400
    assert not ChannelEndpoint.objects.exists()


# --- one's own choices --------------------------------------------------------------------------------------------------------
def test_everybody_chooses_for_themselves(client, ann):
    client.force_login(ann)
    page = assert_page_clean(client.get(reverse("notifications:mine")))
    assert "Label of test.news" in page.text and "A reward is on its way" not in page.text
    data = {f"mode-{one.name}": "at_once" for one in outbox.registry.every() if one.concerns(ann)}
    data |= {f"mode-{NEWS}": "daily", f"mode-{OTHER}": "never", "quiet_from": "22:00", "quiet_until": "07:00"}
    assert client.post(reverse("notifications:mine"), data).status_code == 302
    assert client.post(reverse("notifications:mine"), data).status_code == 302
    told = Recipient.objects.get(user=ann)
    assert (told.quiet_from, told.quiet_until) == (time(22), time(7))
    assert dict(Preference.objects.values_list("kind", "mode")) == {NEWS: "daily", OTHER: "never"}
    actions = sorted(AuditEvent.objects.values_list("action", flat=True))
    assert actions == ["notifications.preference"] * 2 + ["notifications.quiet_hours"], "a repeat records nothing"
    shown = client.get(reverse("notifications:mine")).content.decode()
    assert 'value="22:00"' in shown and '<option value="daily" selected>' in shown


@pytest.mark.parametrize(
    "wrong", [{f"mode-{DUTY}": "never"}, {f"mode-{NEWS}": "yearly"}, {"quiet_from": "22:00"}, {"quiet_from": "25:00"}]
)
def test_what_cannot_be_chosen_is_refused_and_nothing_is_kept(client, ann, wrong):
    client.force_login(ann)
    data = {f"mode-{one.name}": "hourly" for one in outbox.registry.every() if one.concerns(ann)}
    response = client.post(reverse("notifications:mine"), data | wrong)
    assert response.status_code == 400
    assert_page_clean(response)
    assert not Preference.objects.exists() and not AuditEvent.objects.exists()


# --- the link in mails ----------------------------------------------------------------------------------------------------------
def test_the_link_asks_first_and_ends_the_kind_when_posted(client, ann):
    tell(ann, "a")
    deliver()
    address = link_in(mail.outbox[0])
    page = assert_page_clean(client.get(address))
    assert "Label of test.news" in page.text and not Preference.objects.exists(), "a scanner of mail follows links"
    response = client.post(address)
    assert response.status_code == 200 and "no more e-mails" in assert_page_clean(response).text
    assert response["Referrer-Policy"] == "no-referrer"
    tell(ann, "b")
    tell(ann, "c", kind=OTHER)
    client.post(address)
    assert AuditEvent.objects.filter(action="notifications.preference").count() == 1
    assert outbox.mode_of(ann, NEWS) == "never" and outbox.mode_of(ann, OTHER) == "at_once"


def test_a_mail_program_unsubscribes_with_one_click(client, ann, settings):
    """RFC 8058: a POST of `List-Unsubscribe=One-Click` without a session, cookies or a token against forgery."""
    settings.BASE_URL = "https://rewards.example.com"
    tell(ann, "a")
    deliver()
    headers = mail.outbox[0].extra_headers
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address = re.fullmatch(r"<https://rewards\.example\.com(/\S+)>", headers["List-Unsubscribe"]).group(1)
    strict = type(client)(enforce_csrf_checks=True)
    response = strict.post(address, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded")
    assert response.status_code == 200 and not response.cookies
    assert outbox.mode_of(ann, NEWS) == "never"


def test_one_click_is_only_named_where_it_is_safe(ann, settings):
    settings.BASE_URL = "http://localhost:8000"
    tell(ann, "a")
    deliver()
    assert "List-Unsubscribe-Post" not in mail.outbox[0].extra_headers
    assert "List-Unsubscribe" in mail.outbox[0].extra_headers


def test_a_duty_has_no_link_and_cannot_be_ended_by_one(client, ann):
    tell(ann, "a", kind=DUTY)
    deliver()
    (message,) = mail.outbox
    assert (
        "unsubscribe" not in message.body + message.alternatives[0][0]
        and "List-Unsubscribe" not in message.extra_headers
    )
    assert "/profile/notifications/" in message.body
    forged = unsubscribe.path_for(Recipient.objects.get(), [DUTY])
    assert "cannot be turned off here" in assert_page_clean(client.post(forged)).text
    assert not Preference.objects.exists()


def test_a_participant_without_an_account_leaves_by_the_link(client):
    rep = make_participant("Ana", email="ana@rep.example")
    tell(rep, "a")
    deliver()
    assert "/profile/" not in mail.outbox[0].body
    assert client.post(link_in(mail.outbox[0])).status_code == 200
    tell(rep, "b")
    assert deliver() == 0


@pytest.mark.parametrize("token", ["x", "a:b:c", "signed for something else"])
def test_a_link_nobody_made_does_not_exist(client, ann, token):
    token = dumps(["not-a-person", [NEWS]], salt="another") if " " in token else token
    address = reverse("notifications:unsubscribe", args=[token])
    assert (client.get(address).status_code, client.post(address).status_code) == (404, 404)


def test_a_token_is_in_no_log():
    assert redact("GET /notifications/unsubscribe/abc:def:ghi/ 200") == "GET /notifications/unsubscribe/[token]/ 200"
    assert redact("https://hooks.slack.com/services/T0/B0/key") == "https://hooks.slack.com/[secret]"
    assert redact("https://x.logic.azure.com/w?a=1&sig=abc&b=2") == "https://x.logic.azure.com/w?a=1&sig=[secret]&b=2"
