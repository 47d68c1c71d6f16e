"""The application's settings for a test run, in an environment made here.

Nothing of the developer's shell or `.env` reaches the tests, above all not their DATABASE_URL: the database comes from
TEST_DATABASE_URL (an SQLite file without it) and the broker from TEST_REDIS_URL (the file-system broker without it).
Each xdist worker has its own folder, database and broker.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import environ

from tests.support.environment import FOREIGN, TEST_ENVIRONMENT

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")


def _run_folder() -> Path:
    """A temporary folder shared by the workers of one run; whoever made it removes it."""
    if given := os.environ.get("LAUREL_TEST_TMP"):
        return Path(given)
    folder = tempfile.mkdtemp(prefix="laurel-test-")
    os.environ["LAUREL_TEST_TMP"] = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _redis_url() -> str:
    """TEST_REDIS_URL names a server without a database number: each worker gets one of the sixteen."""
    base = os.environ.get("TEST_REDIS_URL", "").rstrip("/")
    number = int(WORKER.removeprefix("gw")) + 1 if WORKER.startswith("gw") else 0
    return f"{base}/{number}" if base else ""


TEST_DATA_DIR = _run_folder() / WORKER
TEST_DATA_DIR.mkdir(parents=True, exist_ok=True)
for _name in FOREIGN:
    os.environ.pop(_name, None)
os.environ.update(
    TEST_ENVIRONMENT,
    DATA_DIR=str(TEST_DATA_DIR),
    DATABASE_URL=os.environ.get("TEST_DATABASE_URL") or f"sqlite:///{TEST_DATA_DIR / 'laurel.sqlite3'}",
    REDIS_URL=_redis_url(),
)
environ.Env.read_env = staticmethod(lambda *args, **kwargs: None)

from incentives.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {  # noqa: F405 (pages are tested without collecting static files first)
    "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # As the private PostgreSQL runs without fsync: a power cut during a test loses nothing of value.
    DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"  # noqa: F405
