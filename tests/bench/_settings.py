"""The application's own settings for the processes a benchmark starts, with the views it is compared with beside it."""

from incentives.settings import *  # noqa: F403

ROOT_URLCONF = "tests.bench._urls"
LOGGING["root"]["level"] = "WARNING"  # noqa: F405
FOLLOW_UP_IS_SET = bool(globals().get("CRM_FOLLOW_UP_TASK"))
if not FOLLOW_UP_IS_SET:  # else the measured time would be the sweep's interval; the table says so
    CRM_FOLLOW_UP_TASK = "earnings.evaluate"
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # As the private PostgreSQL runs without fsync: else both sides would measure the disk.
    DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"  # noqa: F405
