"""Fixtures of the whole suite. What each marker means stands in pyproject.toml; `make test` in tests/support/run.py."""

import datetime
import os
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings as django_settings
from django.test import SimpleTestCase, TransactionTestCase

from tests.support.environment import ROOT
from tests.support.flush import allow_flush_of_append_only_tables, refill_after_flush
from tests.support.processes import Processes, purge_broker

pytest_plugins = ["tests.support.browser"]

allow_flush_of_append_only_tables()
refill_after_flush()

PASS = os.environ.get("LAUREL_TEST_PASS", "")
"""`sqlite`, `postgresql` or `quick` under `make test`; empty when somebody runs pytest directly."""

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile(
    "ci", deadline=None, derandomize=True, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")

DATABASE_FIXTURES = {"db", "transactional_db", "django_db_setup", "live_server", "processes"}


def _uses_services(item) -> bool:
    """Whether a test can tell one database or broker from another. Without database access it cannot."""
    if item.get_closest_marker("django_db") or item.get_closest_marker("broker"):
        return True
    if cls := getattr(item, "cls", None):
        if issubclass(cls, TransactionTestCase):
            return True
        if issubclass(cls, SimpleTestCase):
            return bool(cls.databases)
    return bool(DATABASE_FIXTURES & set(getattr(item, "fixturenames", ())))


def _belongs(item) -> bool:
    """Whether this pass of `make test` runs the test; each test runs in at least one pass."""
    if PASS in {"sqlite", "quick"}:
        return not item.get_closest_marker("postgres") and not (PASS == "quick" and item.get_closest_marker("browser"))
    if PASS == "postgresql":
        skipped = item.get_closest_marker("sqlite_only") or item.get_closest_marker("pure")
        return not skipped and (bool(item.get_closest_marker("postgres")) or _uses_services(item))
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    for item in items:
        if item.get_closest_marker("chaos"):
            item.add_marker(pytest.mark.xdist_group("chaos"))
    unwanted = [item for item in items if not _belongs(item)]
    if unwanted:
        config.hook.pytest_deselected(items=unwanted)
        items[:] = [item for item in items if _belongs(item)]


def pytest_runtest_setup(item):
    postgres = django_settings.DATABASES["default"]["ENGINE"].endswith("postgresql")
    if item.get_closest_marker("postgres") and not postgres:
        pytest.skip("needs PostgreSQL: run it with make test")
    if item.get_closest_marker("sqlite_only") and postgres:
        pytest.skip("is about SQLite")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.failed_call = report.failed
    return report


@pytest.fixture(autouse=True)
def nothing_left_over():
    """Rate limits, and the language of the last request, do not reach the next test."""
    from django.core.cache import cache
    from django.utils import translation

    cache.clear()
    translation.activate("en")


@pytest.fixture
def shared_data() -> Path:
    """The folder of the public CRM sample, beside the clone (or in LAUREL_SHARED)."""
    shared = Path(os.environ.get("LAUREL_SHARED") or ROOT.parent / "shared")
    folder = shared / "data" / "crm-sales"
    if not folder.is_dir():
        pytest.skip(f"needs ../shared/data/crm-sales, and {folder} does not exist (LAUREL_SHARED names another place)")
    return folder


@pytest.fixture
def clock():
    """A stopped clock at 2026-07-15 12:00 UTC: `clock.shift(60)` in seconds, `clock.move_to(datetime)`.

    It stops Python's clock of this process alone, not the database's `Now()` and not other processes.
    """
    import time_machine

    with time_machine.travel(datetime.datetime(2026, 7, 15, 12, tzinfo=datetime.UTC), tick=False) as traveller:
        yield traveller


@pytest.fixture
def processes(transactional_db, tmp_path):
    """Starts real processes of the application: `processes.manage("sweep")`, `.worker()`, `.server("sandbox")`."""
    running = Processes(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def real_celery_worker(processes):
    """A Celery worker in a process of its own (two children) on this test's database and broker, and ready."""
    purge_broker()
    return processes.worker()


@pytest.fixture
def sandbox(processes, settings, tmp_path):
    """The provider's stand-in as a real HTTP server; `sandbox.url`. This test and its processes order from it."""
    server = processes.server("sandbox", "--db", str(tmp_path / "sandbox.sqlite3"))
    settings.E2R_BASE_URL = server.url
    return server
