"""The sweep: finds what a lost message, a killed worker or an emptied broker left behind (promise 8).

A process of its own runs it every 15 s (`manage.py sweep --loop`), independent of beat and Redis; beat's task stands in
where that process does not run. Each sweeper is a function that may be called at any time, any number of times.
"""

import logging
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

from django.db import Error, close_old_connections, connection, reset_queries
from django.utils import timezone

from incentives.core.models import Heartbeat
from incentives.operations.locks import holding, process_lock

log = logging.getLogger(__name__)

SWEEPERS = (
    "incentives.core.audit.seal",
    "incentives.core.sealing.seal",
    "incentives.programs.life.advance_by_date",
    "incentives.programs.versions.follow_versions",
    "incentives.crm.tasks.sweep_once",
    "incentives.earnings.contests.seal_due",
    "incentives.earnings.evaluate.sweep_once",
    "incentives.earnings.snapshots.snapshot_due",
    "incentives.payouts.services.sweep_once",
    "rewards.sweep.sweep_once",
    "incentives.ledger.alerts.sweep_once",
    "incentives.simulations.services.sweep_once",
    "incentives.reports.export_services.sweep_once",
    "incentives.reports.comparisons.sweep_once",
    "incentives.api.idempotency.sweep_once",
    "incentives.crm.notices.watch_silence",
    "incentives.earnings.notices.announce_due",
    "incentives.notifications.sending.sweep_once",
)
"""Dotted paths in the order of the flow, so that one sweep carries a fact as far as it can go."""

HEARTBEAT = "sweep"
SILENCE_SECONDS = 60
"""A heartbeat older than this means that nobody sweeps: `/readyz` says so."""
LOOP_LOCK = "sweep-loop"
ROUND_LOCK = "sweep"


def load(path: str) -> Callable | None:
    """The function behind a dotted path, or None when its module does not exist. Errors inside a module that exists
    are not hidden."""
    module, name = path.rsplit(".", 1)
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        if find_spec(".".join(parts[:end])) is None:
            return None
    return getattr(import_module(module), name)


def sweep() -> dict[str, object] | None:
    """Call every sweeper once, each isolated from the others' exceptions, and leave a heartbeat after each.

    Returns what each gave (a number of things done, or a text; `failed: <exception>` for one that raised), by dotted path;
    None when another process is sweeping at this moment.
    """
    with holding(ROUND_LOCK) as mine:
        if not mine:
            return None
        results: dict[str, object] = {}
        for path in SWEEPERS:
            if not connection.in_atomic_block:  # a connection the database dropped must not fail the next sweeper too
                close_old_connections()
            results[path] = _run(path)
            _beat(results)
        return results


def _run(path: str) -> object:
    started = time.monotonic()
    try:
        sweeper = load(path)
        if sweeper is None:
            return None
        result = sweeper()
    except Exception as exc:  # one broken part must not stop the others
        log.exception("sweeper %s failed", path)
        return f"failed: {type(exc).__name__}"
    if any(result.values()) if isinstance(result, dict) else result:
        log.info("sweeper %s: %s in %.1f s", path, result, time.monotonic() - started)
    return result if result is None or isinstance(result, int | str) else str(result)


def _beat(results: dict[str, object]) -> None:
    detail = {path: result for path, result in results.items() if result is not None}
    try:
        Heartbeat.objects.update_or_create(name=HEARTBEAT, defaults={"at": timezone.now(), "detail": detail})
    except Error:  # the database is away: the missing heartbeat says so, and the next round tries again
        log.exception("the sweep could not leave its heartbeat")


def heartbeat_age() -> float | None:
    """Seconds since the last sweep; None when there was none."""
    beat = Heartbeat.objects.filter(name=HEARTBEAT).first()
    return None if beat is None else (timezone.now() - beat.at).total_seconds()


def stand_in() -> dict[str, object] | None:
    """Sweep once unless a `--loop` process is at work. What beat's task calls."""
    with holding(LOOP_LOCK) as mine:
        return sweep() if mine else None


def loop(every: float, stop: Callable[[float], bool]) -> None:
    """Sweep every `every` seconds while elected; idle while another process is. `stop(seconds)` waits and tells whether
    to end."""
    lock, idle = process_lock(LOOP_LOCK), False
    try:
        while True:
            elected = _elected(lock)
            if elected:
                _round()
            elif not idle:
                log.info("another process sweeps; waiting to take over")
            idle = not elected
            if stop(every):
                return
    finally:
        lock.release()


def _elected(lock) -> bool:
    try:
        return lock.held() or lock.acquire()
    except Error as exc:
        log.warning("the database is away: %s", type(exc).__name__)
        return False


def _round() -> None:
    reset_queries()
    try:
        sweep()
    except Error as exc:
        log.warning("the database is away: %s", type(exc).__name__)
