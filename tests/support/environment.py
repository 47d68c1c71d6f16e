"""The environment of every process a test starts, and of the test run itself."""

import os
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent.parent

TEST_ENVIRONMENT = {
    "DEBUG": "0",
    "SECRET_KEY": "of-the-tests-only-" + "x" * 40,
    "FIELD_ENCRYPTION_KEYS": "Jj7wQk9tVw0zXn1m3r5u8x2A4D6G9K0N3Q6S8V1Y4a0=",
    "BASE_URL": "http://localhost:8000",
    "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
    "E2R_BASE_URL": "http://127.0.0.1:9",  # nobody listens: a test that forgets the provider fails at once
    "E2R_EMAIL": "api@example.com",
    "E2R_ACCESS_TOKEN": "of-the-tests-only",
    "E2R_PO_PREFIX": "TEST",
    "EMAIL_URL": "memorymail://",
    "LOG_LEVEL": "INFO",
}

FOREIGN = (
    "BEHIND_PROXY CONN_MAX_AGE DEFAULT_FROM_EMAIL E2R_CURRENCY E2R_MAX_IN_FLIGHT E2R_PHYSICAL E2R_PO_KEY E2R_WEBHOOKS "
    "MAX_IMPORT_BYTES METRICS_TOKEN SECURE_HSTS_SECONDS SECURE_SSL_REDIRECT STATIC_ROOT TEST_SQLITE_FILE "
    "ALLOW_SQLITE_LIVE"
).split()
"""Variables of the application that the tests leave at their defaults, whatever the shell says."""


def database_url() -> str:
    """The database the running test works on, as a DATABASE_URL for another process."""
    from django.db import connection

    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{values['NAME']}"
    password = f":{quote(values['PASSWORD'])}" if values["PASSWORD"] else ""
    return f"postgres://{values['USER']}{password}@{values['HOST']}:{values['PORT']}/{values['NAME']}"


def process_environment(**overrides: str) -> dict[str, str]:
    """Environment for `manage.py` and `celery` processes that share this test's database, broker and provider.

    Call it inside a test with a database (`django_db(transaction=True)`: another process sees only what is committed).
    Processes run the application's own settings, not those of the tests.
    """
    from django.conf import settings

    live = {name: str(getattr(settings, name)) for name in ("E2R_BASE_URL", "E2R_EMAIL", "E2R_ACCESS_TOKEN")}
    return {
        **{name: value for name, value in os.environ.items() if name not in FOREIGN and name != "CI"},
        **TEST_ENVIRONMENT,
        **live,
        "DATABASE_URL": database_url(),
        "REDIS_URL": settings.REDIS_URL,
        "DATA_DIR": str(settings.DATA_DIR),
        "EMAIL_URL": "dummymail://",
        "DJANGO_SETTINGS_MODULE": "incentives.settings",
        "PYTHONUNBUFFERED": "1",
        **overrides,
    }
