"""A connection with its key, a rep, and helpers to post and process facts."""

import json
import threading

import pytest
from django.db import connection as database

from incentives.crm import credentials, hooks, ingest, services
from incentives.crm.models import Activity, Delivery, ObjectState
from tests.factories import make_participant, make_user


@pytest.fixture(autouse=True)
def quiet(settings, monkeypatch):
    """No broker, no memory of other tests."""
    settings.ALLOWED_HOSTS = ["testserver"]
    monkeypatch.setattr("incentives.crm.nudge._nudger.wake", lambda: None)
    monkeypatch.setattr(hooks, "connections_bucket", hooks.Bucket())
    monkeypatch.setattr(hooks, "strangers_bucket", hooks.Bucket())
    credentials.forget()


@pytest.fixture
def ana(db):
    return make_participant("Ana Silva", email="ana.silva@example.com", external_user_id="E-1009")


@pytest.fixture
def ben(db):
    return make_participant("Ben Ito", email="ben.ito@example.com", external_user_id="E-1012")


@pytest.fixture
def administrator(db):
    return make_user("administrator")


@pytest.fixture
def issued(db):
    return services.create_connection(name="ERP", currency="EUR")


@pytest.fixture
def connection(issued):
    return issued.connection


class Hook:
    """Posts to a connection's address."""

    def __init__(self, client, issued):
        self.client, self.issued = client, issued
        self.path = f"/hooks/{issued.token}/events"

    def __call__(self, body, *, key=True, content_type="application/json", **headers):
        if key:
            headers.setdefault("Authorization", f"Bearer {self.issued.secrets['bearer']}")
        raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
        return self.client.post(self.path, raw, content_type=content_type, headers=headers)


@pytest.fixture
def hook(client, issued):
    return Hook(client, issued)


def event(external_id="inv-1-won", **changes) -> dict:
    """A complete, valid event; a change to None leaves the member out."""
    made = {
        "external_id": external_id,
        "kind": "deal.won",
        "occurred_at": "2026-03-04T16:20:00+01:00",
        "participant": {"email": "ana.silva@example.com", "external_user_id": "E-1009"},
        "amount": "12500.00",
        "currency": "EUR",
        "quantity": "5",
        "object": {"type": "order", "id": "20455", "version": "2026-03-04T15:20:00Z"},
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def process() -> None:
    while ingest.process_deliveries():
        pass


def nothing_stored() -> bool:
    return not (Delivery.objects.exists() or Activity.objects.exists() or ObjectState.objects.exists())


def in_parallel(count, work):
    """Run `work(n)` in threads that start together; returns the results."""
    results, barrier = [None] * count, threading.Barrier(count)

    def run(n):
        try:
            barrier.wait()
            results[n] = work(n)
        finally:
            database.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
