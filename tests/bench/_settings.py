"""The application's own settings for the processes a benchmark starts, with the views it is compared with beside it."""

from incentives.settings import *  # noqa: F403

ROOT_URLCONF = "tests.bench._urls"
LOGGING["root"]["level"] = "WARNING"  # noqa: F405
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # As the private PostgreSQL runs without fsync: else both sides would measure the disk.
    DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"  # noqa: F405
