"""Start-up checks of what only `rewards` knows: refuse to run in a way that could double or lose money."""

import re
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import Error

from rewards import conf
from rewards.money import MINOR_DIGITS

PO_PREFIX = re.compile(r"[A-Za-z0-9]{1,12}")


def settings_fit(app_configs, **kwargs) -> list[Error]:
    problems = []
    if not PO_PREFIX.fullmatch(settings.E2R_PO_PREFIX):
        problems.append(("E2R_PO_PREFIX must be 1 to 12 of A-Z, a-z, 0-9.", "rewards.E001"))
    if settings.E2R_CURRENCY not in MINOR_DIGITS:
        problems.append((f"E2R_CURRENCY {settings.E2R_CURRENCY!r} is not a known ISO 4217 code.", "rewards.E002"))
    if conf.MAX_IN_FLIGHT < 1:
        problems.append(("E2R_MAX_IN_FLIGHT must be at least 1.", "rewards.E003"))
    if not conf.CALL_DEADLINE_SECONDS < conf.SLOT_LEASE_SECONDS <= conf.LEASE_SECONDS:
        problems.append(("Call deadline < slot lease <= order lease must hold.", "rewards.E004"))
    if conf.DRAIN_SECONDS + conf.CALL_DEADLINE_SECONDS >= settings.CELERY_TASK_SOFT_TIME_LIMIT:
        problems.append(("DRAIN_SECONDS + call deadline must be below the soft task limit.", "rewards.E005"))
    if settings.E2R_BASE_URL and not _sound(settings.E2R_BASE_URL):
        problems.append(("E2R_BASE_URL must be https://host (http only for this machine).", "rewards.E006"))
    return [Error(message, id=number) for message, number in problems]


def _sound(url: str) -> bool:
    parts = urlsplit(url)
    local = parts.hostname in {"localhost", "127.0.0.1", "::1", "sandbox"}
    return (
        bool(parts.hostname) and not parts.username and (parts.scheme == "https" or (parts.scheme == "http" and local))
    )
