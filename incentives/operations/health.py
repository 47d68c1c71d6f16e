"""Is this installation ready? Each part answers for itself, in words an operator can act on."""

import os
from pathlib import Path

import redis
from django.conf import settings
from django.db import Error, connection

from incentives.operations.sweep import SILENCE_SECONDS, heartbeat_age

PROBE_SECONDS = 2


class NotReady(Exception):
    """A part is not ready; the text says what is wrong. It carries no address, password or host name."""


def database() -> dict:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as exc:
        raise NotReady(f"the database does not answer ({type(exc).__name__})") from exc
    return {}


def broker_client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=PROBE_SECONDS, socket_timeout=PROBE_SECONDS)


def broker() -> dict:
    """Redis answers and is set not to throw the queue away; or the broker's folder can be written."""
    if not settings.REDIS_URL:
        folder = Path(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_out"])
        if not os.access(folder, os.W_OK | os.X_OK):
            raise NotReady("the broker's folder in DATA_DIR cannot be written")
        return {}
    try:
        with broker_client() as client:
            policy = client.info("memory").get("maxmemory_policy", "")
    except redis.RedisError as exc:
        raise NotReady(f"Redis does not answer ({type(exc).__name__})") from exc
    if policy.startswith("allkeys"):
        raise NotReady(f"Redis has maxmemory-policy {policy}, which drops queued work; expected noeviction")
    return {}


def sweep() -> dict:
    try:
        age = heartbeat_age()
    except Error as exc:
        raise NotReady("its heartbeat cannot be read") from exc
    if age is None:
        raise NotReady("no sweep ran yet; start `manage.py sweep --loop`")
    if age > SILENCE_SECONDS:
        raise NotReady(f"the last sweep was {age:.0f} s ago; is `manage.py sweep --loop` running?")
    return {"age_seconds": round(age, 1)}


PARTS = {"database": database, "broker": broker, "sweep": sweep}


def readiness() -> tuple[bool, dict]:
    """Whether every part is ready, and `{part: {"ready": bool, "problem": text, ...}}`."""
    answer = {}
    for name, check in PARTS.items():
        try:
            answer[name] = {"ready": True, **check()}
        except NotReady as exc:
            answer[name] = {"ready": False, "problem": str(exc)}
    return all(part["ready"] for part in answer.values()), answer
