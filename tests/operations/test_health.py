"""/healthz, /readyz and /metrics."""

import datetime

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from incentives.core.models import Heartbeat
from incentives.operations import health

pytestmark = pytest.mark.django_db


def _swept(seconds_ago: float, **detail) -> None:
    at = timezone.now() - datetime.timedelta(seconds=seconds_ago)
    Heartbeat.objects.create(name="sweep", at=at, detail=detail)


def test_healthz_says_the_process_answers(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response["Cache-Control"].startswith("max-age=0, no-cache, no-store")


def test_probes_answer_a_load_balancer_that_knows_only_the_address(client):
    assert client.get("/healthz", headers={"host": "10.0.0.7:8000"}).status_code == 200
    assert client.get("/accounts/login/", headers={"host": "10.0.0.7:8000"}).status_code == 400


def test_probes_are_not_redirected_to_https(client, settings):
    settings.SECURE_SSL_REDIRECT = True
    _swept(1)
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200
    assert client.get("/accounts/login/").status_code == 301


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_only_read(client, path):
    assert client.post(path).status_code == 405


def test_readyz_is_ready_when_all_parts_are(client):
    _swept(59)
    response = client.get("/readyz")
    assert response.status_code == 200
    body = response.json()
    assert body["ready"] is True
    assert {name: body[name]["ready"] for name in ("database", "broker", "sweep")} == dict.fromkeys(
        ("database", "broker", "sweep"), True
    )
    assert 59 <= body["sweep"]["age_seconds"] < 70


def test_readyz_names_the_silent_sweep(client):
    _swept(61)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["sweep"]["ready"] is False
    assert "61 s ago" in response.json()["sweep"]["problem"]
    assert response.json()["database"] == {"ready": True}


def test_readyz_names_a_sweep_that_never_ran(client):
    response = client.get("/readyz")
    assert (response.status_code, response.json()["ready"]) == (503, False)
    assert response.json()["sweep"]["problem"].startswith("no sweep ran yet")


def test_readyz_names_the_broker_and_keeps_its_password(client, settings):
    _swept(1)
    settings.REDIS_URL = "redis://:hunter2@127.0.0.1:9/0"
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["broker"] == {"ready": False, "problem": "Redis does not answer (ConnectionError)"}
    assert "hunter2" not in response.content.decode()


@pytest.mark.parametrize(("policy", "status"), [("noeviction", 200), ("volatile-lru", 200), ("allkeys-lru", 503)])
def test_readyz_refuses_a_redis_that_drops_the_queue(client, settings, monkeypatch, policy, status):
    class Client:
        def __enter__(self):
            return self

        def __exit__(self, *args):
            return None

        def info(self, section):
            return {"maxmemory_policy": policy}

    _swept(1)
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    monkeypatch.setattr(health, "broker_client", Client)
    response = client.get("/readyz")
    assert response.status_code == status
    if status == 503:
        assert "allkeys-lru" in response.json()["broker"]["problem"]


@pytest.mark.sqlite_only
def test_readyz_names_a_broker_folder_that_is_gone(client, settings, tmp_path):
    _swept(1)
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_out": str(tmp_path / "gone")}
    response = client.get("/readyz")
    assert (response.status_code, response.json()["broker"]["ready"]) == (503, False)


def test_readyz_answers_when_the_database_does_not(client, monkeypatch):
    def away():
        raise OperationalError("could not connect to server at db.internal.example")

    monkeypatch.setattr(connection, "cursor", away)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["database"]["ready"] is response.json()["sweep"]["ready"] is False
    assert "db.internal" not in response.content.decode()


def test_metrics_do_not_exist_without_a_token_in_the_settings(client):
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"authorization": "Bearer "}).status_code == 404


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Bearer ", "Basic scrape-me", "Bearer scrape-m\u00e9"])
def test_metrics_are_hidden_from_who_has_no_token(client, settings, given):
    settings.METRICS_TOKEN = "scrape-me"
    headers = {"authorization": given} if given else {}
    assert client.get("/metrics", headers=headers).status_code == 404


def test_metrics_are_prometheus_text(client, settings):
    settings.METRICS_TOKEN = "scrape-me"
    _swept(30, **{"rewards.sweep.sweep_once": "failed: KeyError", "incentives.core.audit.seal": 3})
    response = client.get("/metrics", headers={"authorization": "Bearer scrape-me"})
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = response.content.decode().splitlines()
    assert "laurel_ready 1" in lines
    assert 'laurel_part_ready{part="broker"} 1' in lines
    assert 'laurel_sweeper_failing{sweeper="rewards.sweep.sweep_once"} 1' in lines
    assert 'laurel_sweeper_failing{sweeper="incentives.core.audit.seal"} 0' in lines
    assert lines.count("# TYPE laurel_part_ready gauge") == 1
    age = next(line for line in lines if line.startswith("laurel_sweep_age_seconds "))
    assert 30 <= float(age.split()[1]) < 40
