"""Administrators hear once of a connection that is silent for longer than it is set to."""

from datetime import timedelta

import pytest
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from incentives.crm.models import Connection
from incentives.crm.notices import watch_silence
from incentives.notifications.models import Notification
from incentives.notifications.sending import deliver
from tests.factories import deal, make_connection, make_participant, make_user, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin():
    return make_user("administrator", email="admin@example.com")


def test_a_silence_is_told_once_and_the_next_one_again(admin, clock):
    crm = make_connection("Sales CRM", silent_after_hours=24)
    make_user("manager")
    clock.shift(timedelta(hours=23, minutes=59))
    assert watch_silence() == 0
    clock.shift(60)
    assert (watch_silence(), watch_silence()) == (1, 0)
    assert deliver() == 1
    (message,) = mail.outbox
    assert (message.to, message.subject) == (["admin@example.com"], "Nothing comes from “Sales CRM”")
    for text in (message.body, message.alternatives[0][0]):
        assert "never heard of" in text and "token-" not in text
    send(crm, deal("A", make_participant(), "1.00"))
    Connection.objects.update(last_received_at=timezone.now())
    assert watch_silence() == 0
    clock.shift(timedelta(hours=24))
    assert watch_silence() == 1
    assert deliver() == 1 and "last heard of on 16 July 2026, 12:00" in mail.outbox[1].body


def test_a_source_that_sends_again_before_the_mail_left_worries_nobody(admin, clock):
    make_connection(silent_after_hours=1)
    clock.shift(timedelta(hours=1))
    watch_silence()
    Connection.objects.update(last_received_at=timezone.now())
    assert deliver() == 0 and mail.outbox == []


@pytest.mark.parametrize("how", [{"status": "paused"}, {"silent_after_hours": None}])
def test_who_is_paused_or_not_watched_may_be_silent(admin, clock, how):
    make_connection(**{"silent_after_hours": 1} | how)
    clock.shift(timedelta(days=9))
    assert watch_silence() == 0 and not Notification.objects.exists()


def test_an_administrator_sets_it_on_the_connection(client, admin):
    crm = make_connection()
    client.force_login(admin)
    data = {"name": crm.name, "currency": "USD", "time_zone": "UTC", "silent_after_hours": "48"}
    assert client.post(reverse("crm:connection-edit", args=[crm.public_id]), data).status_code == 302
    crm.refresh_from_db()
    assert crm.silent_after_hours == 48
    assert "48 hours" in client.get(reverse("crm:connection", args=[crm.public_id])).content.decode()
