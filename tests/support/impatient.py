"""The application's settings with short waits, for processes of tests that kill workers: a lease of 180 s would make
every such test last as long. The inequalities between the waits hold here as well; the system check says so."""

from incentives.settings import *  # noqa: F403

E2R_CONNECT_SECONDS = 2
E2R_READ_SECONDS = 4
E2R_MINT_SECONDS = 4
E2R_CALL_DEADLINE_SECONDS = 6
E2R_DRAIN_SECONDS = 3
E2R_SLOT_LEASE_SECONDS = 8
CELERY_TASK_SOFT_TIME_LIMIT = 10
CELERY_TASK_TIME_LIMIT = 12
E2R_LEASE_SECONDS = 15
E2R_RETRY_BASE_SECONDS = 0.2
E2R_RETRY_CAP_SECONDS = 3
E2R_POLL_WAITS = (1, 2, 3)
E2R_HINT_PAUSE_SECONDS = 1
E2R_STALE_NUDGE_SECONDS = 20
