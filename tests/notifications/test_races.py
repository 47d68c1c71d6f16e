"""Several processes at once: a thing is told once, and a message leaves once."""

import datetime

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone

from incentives.notifications import notify, once, sending
from incentives.notifications.gather import gather
from incentives.notifications.models import Delivery, Notification, Recipient
from tests.crm.conftest import in_parallel
from tests.factories import make_participant, make_user
from tests.notifications.conftest import NEWS, tell

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]
THREADS = 8


def test_threads_that_tell_the_same_tell_it_once():
    people = [make_user("manager"), *(make_participant(f"P {n}") for n in range(5))]

    def work(n: int) -> None:
        with transaction.atomic():
            notify(NEWS, to=people if n % 2 else people[::-1], key="a", data={"n": n})
            notify(NEWS, to=people[0], key=f"own-{n}")

    in_parallel(THREADS, work)
    assert Recipient.objects.count() == 6
    assert Notification.objects.filter(key="a").count() == 6
    assert Notification.objects.count() == 6 + THREADS


def test_threads_that_announce_announce_once():
    def work(n: int) -> bool:
        with transaction.atomic():
            return once("x")

    assert sorted(in_parallel(THREADS, work)) == [False] * (THREADS - 1) + [True]


def test_threads_that_gather_make_one_message(ann):
    tell(ann, *(f"k{n}" for n in range(20)))
    in_parallel(THREADS, lambda n: gather())
    assert list(Delivery.objects.values_list("count", flat=True)) == [20]
    assert Notification.objects.filter(delivery__isnull=False).count() == 20


def test_threads_that_send_send_each_message_once():
    people = [make_user("manager", email=f"p{n}@example.com") for n in range(12)]
    tell(people, "a")
    gather()
    assert sum(in_parallel(THREADS, lambda n: sending.send_due())) == 12
    assert sorted(message.to[0] for message in mail.outbox) == sorted(user.email for user in people)
    assert set(Delivery.objects.values_list("attempts", "status")) == {(1, "sent")}


def test_of_two_claims_one_holds(ann):
    tell(ann, "a")
    gather()
    pk, now = Delivery.objects.get().pk, timezone.now() + datetime.timedelta(seconds=1)
    found = in_parallel(THREADS, lambda n: sending.claim(pk, now))
    assert len([row for row in found if row]) == 1
