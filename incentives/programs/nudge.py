"""Telling the earnings engine that something about programs changed."""

import logging

from celery import current_app

log = logging.getLogger(__name__)


def nudge_earnings() -> None:
    """Ask a worker to look at what a version or target changed. A hint: losing it costs seconds, the sweep looks as well."""
    try:
        current_app.send_task("earnings.evaluate")
    except Exception as exc:  # a broker that is away must not fail what is committed
        log.warning("no broker for a hint: %s", type(exc).__name__)
