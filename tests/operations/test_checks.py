"""Start-up checks that refuse a dangerous installation."""

import pytest
from django.db import connection

from incentives.operations import checks

SQLITE, POSTGRES = "sqlite", "postgresql"


def _ids(found):
    return [error.id for error in found]


def test_the_settings_as_they_are_pass():
    assert checks.queue_versions(None) == checks.time_limits(None) == checks.live_provider_on_sqlite(None) == []


def test_an_older_kombu_is_refused(monkeypatch):
    monkeypatch.setattr(checks, "version", {"celery": "5.7.0", "kombu": "5.6.2"}.get)
    found = checks.queue_versions(None)
    assert _ids(found) == ["operations.E001"]
    assert found[0].msg == "kombu 5.6.2 is installed; 5.7 or newer is needed."


def test_time_limits_must_follow_each_other(settings):
    settings.CELERY_TASK_SOFT_TIME_LIMIT = 90
    assert [error.msg for error in checks.time_limits(None)] == [
        "CELERY_TASK_SOFT_TIME_LIMIT (90 s) must be shorter than CELERY_TASK_TIME_LIMIT (90 s)."
    ]
    settings.CELERY_TASK_SOFT_TIME_LIMIT = 40
    settings.VISIBILITY_TIMEOUT = 100
    assert _ids(checks.time_limits(None)) == ["operations.E002", "operations.E002"]


@pytest.mark.parametrize(
    ("vendor", "url", "allowed", "refused"),
    [
        (SQLITE, "https://api.engage2reward.example", False, True),
        (SQLITE, "https://attest.example", False, True),
        (SQLITE, "https://api.engage2reward.example", True, False),
        (POSTGRES, "https://api.engage2reward.example", False, False),
        (SQLITE, "https://api-sandbox.engage2reward.example", False, False),
        (SQLITE, "https://localhost:8443", False, False),
        (SQLITE, "http://127.0.0.1:8010", False, False),
        (SQLITE, "", False, False),
    ],
)
def test_live_credentials_on_sqlite_need_an_explicit_yes(settings, monkeypatch, vendor, url, allowed, refused):
    monkeypatch.setattr(connection, "vendor", vendor)
    settings.E2R_BASE_URL, settings.ALLOW_SQLITE_LIVE = url, allowed
    assert _ids(checks.live_provider_on_sqlite(None)) == (["operations.E003"] if refused else [])
