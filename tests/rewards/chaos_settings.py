"""The application's settings with short times, so that minutes of chaos show what hours would."""

import os

from incentives.settings import *  # noqa: F403

ROOT_URLCONF = "tests.rewards.chaos_urls"
E2R_CONNECT_SECONDS, E2R_READ_SECONDS, E2R_CALL_DEADLINE_SECONDS, E2R_MINT_SECONDS = 2, 3, 4, 2
E2R_DRAIN_SECONDS, E2R_SLOT_LEASE_SECONDS, E2R_LEASE_SECONDS = 2, 5, 10
CELERY_TASK_SOFT_TIME_LIMIT, CELERY_TASK_TIME_LIMIT = 7, 9
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 5
E2R_RETRY_CAP_SECONDS, E2R_HINT_PAUSE_SECONDS, E2R_STALE_NUDGE_SECONDS = 6, 1, 6
E2R_POLL_WAITS = (1, 2, 3, 4, 5) + (5,) * 50
E2R_MAX_IN_FLIGHT = int(os.environ.get("CHAOS_IN_FLIGHT", "4"))
ALLOWED_HOSTS = ["*"]
SECURE_SSL_REDIRECT = False
