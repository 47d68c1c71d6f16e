"""The numbers of ordering, from Django's settings where an installation names another value. Times in seconds.

The chain deadline < soft limit < hard limit < lease < visibility time-out must hold, else a call outlives its owner
(checked at start by incentives.operations and, for what stands here alone, by rewards.checks).
"""

from datetime import timedelta

from django.conf import settings

_DEFAULTS = {
    "CONNECT_SECONDS": 5,
    "READ_SECONDS": 30,
    "CALL_DEADLINE_SECONDS": 45,  # one step: token, POST and the GETs a 409 asks for, together
    "MINT_SECONDS": 20,
    "TOKEN_WAIT_SECONDS": 8,  # for another worker's mint; after that the order waits for the next sweep instead
    "LEASE_SECONDS": 180,
    "SLOT_LEASE_SECONDS": 60,  # longer than a call, so that a slot is never free while its call runs
    "DRAIN_SECONDS": 10,  # a task starts no further call after this; 10 + 45 stays below the soft limit of 60
    "PO_WINDOW_SECONDS": 24 * 3600,  # how long the provider surely remembers a PONumber; published windows differ
    "MAX_ATTEMPTS": 60,
    "RETRY_BASE_SECONDS": 2,
    "RETRY_CAP_SECONDS": 15 * 60,
    "HINT_PAUSE_SECONDS": 30,  # at most one poll per order in this time, however many webhooks come
    "POLL_WAITS": (10, 30, 60, 120, 300, 900, 1800),
    "BATCH_POLL_STEP": 2,  # a batch is looked at after a minute first: more lines take longer (contract 7.1)
    "POLL_SLOWDOWN_WITH_WEBHOOK": 2,
    "POLL_HOURLY_UNTIL": 24 * 3600,
    "POLL_GIVE_UP_AFTER": 7 * 24 * 3600,
    "NOT_VISIBLE_SECONDS": 3600,  # a GET 404 on a known id is "not visible yet" for this long
    "STALE_NUDGE_SECONDS": 30,  # due for longer than this: nobody listens to nudges, the sweep does the work itself
    "CATALOGUE_AGE": timedelta(days=7),
    "AUTH_FAILURES_TO_STOP": 3,
    "MAX_IN_FLIGHT": 4,
}


def __getattr__(name: str):
    """`conf.LEASE_SECONDS` is settings.E2R_LEASE_SECONDS, or the value above."""
    try:
        default = _DEFAULTS[name]
    except KeyError:
        raise AttributeError(name) from None
    return getattr(settings, f"E2R_{name}", default)
