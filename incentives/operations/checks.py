"""Start-up checks: refuse to run in a way that is known to lose or double money (source: docs/decisions/0003-queue.md)."""

import re
from importlib.metadata import version
from itertools import pairwise
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import Error
from django.db import connection

from rewards import conf

OLDEST = {"celery": (5, 7), "kombu": (5, 7)}
"""Older kombu stops consuming after a Redis reconnect."""
NOT_LIVE = {"sandbox", "staging", "test", "localhost"}


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2])


def queue_versions(app_configs, **kwargs) -> list[Error]:
    return [
        Error(
            f"{name} {version(name)} is installed; {'.'.join(map(str, oldest))} or newer is needed.",
            hint="Install requirements.txt: older versions stop consuming after a Redis reconnect.",
            id="operations.E001",
        )
        for name, oldest in OLDEST.items()
        if _numbers(version(name)) < oldest
    ]


def time_limits(app_configs, **kwargs) -> list[Error]:
    """call deadline < soft limit < hard limit < lease < visibility time-out: else a call outlives its owner."""
    chain = [
        ("the provider call's deadline", conf.CALL_DEADLINE_SECONDS),
        ("CELERY_TASK_SOFT_TIME_LIMIT", settings.CELERY_TASK_SOFT_TIME_LIMIT),
        ("CELERY_TASK_TIME_LIMIT", settings.CELERY_TASK_TIME_LIMIT),
        ("the order's lease", conf.LEASE_SECONDS),
        ("VISIBILITY_TIMEOUT", settings.VISIBILITY_TIMEOUT),
    ]
    return [
        Error(f"{low} ({below} s) must be shorter than {high} ({above} s).", id="operations.E002")
        for (low, below), (high, above) in pairwise(chain)
        if below >= above
    ]


def live_provider_on_sqlite(app_configs, **kwargs) -> list[Error]:
    """SQLite is for one machine and for trying out; real money needs PostgreSQL, unless somebody says otherwise."""
    if connection.vendor != "sqlite" or not is_live(settings.E2R_BASE_URL) or settings.ALLOW_SQLITE_LIVE:
        return []
    return [
        Error(
            "E2R_BASE_URL is a live provider, but the database is SQLite.",
            hint="Set DATABASE_URL to PostgreSQL, or ALLOW_SQLITE_LIVE=1 if one machine and its disk are enough for you.",
            id="operations.E003",
        )
    ]


def is_live(url: str) -> bool:
    """Whether this address can issue cards that cost money: https, and no word of its host names a test system."""
    parts = urlsplit(url)
    return parts.scheme == "https" and NOT_LIVE.isdisjoint(re.split(r"[.-]", parts.hostname or ""))
