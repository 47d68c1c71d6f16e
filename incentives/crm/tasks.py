"""Thin doors to the pipeline. A message carries nothing: the work is found in the database."""

import time
from datetime import timedelta

from celery import current_app, shared_task
from django.conf import settings
from django.utils import timezone

from incentives.crm import imports, ingest, services

BUDGET_SECONDS = 40  # below the soft time limit; what is left waits for the next nudge, sent at the end


@shared_task(name="crm.process_deliveries")
def process_deliveries_task() -> int:
    """Work through waiting deliveries until none is left or the time is up. Returns how many."""
    until, done = time.monotonic() + BUDGET_SECONDS, 0
    while found := ingest.process_deliveries():
        done += found
        _follow_up()
        if time.monotonic() > until:
            process_deliveries_task.delay()
            break
    return done


@shared_task(name="crm.run_imports")
def run_imports_task() -> int:
    """Go on with uploaded files until none waits or the time is up, then see to what they brought."""
    touched = imports.carry_on(BUDGET_SECONDS)
    if touched:
        process_deliveries_task.delay()
        run_imports_task.delay()
    return touched


@shared_task(name="crm.erase_old")
def erase_old_task() -> int:
    """Blank the content of deliveries older than CRM_RAW_DAYS (default 90): they hold personal data. Returns how many."""
    return services.erase_raw(timezone.now() - timedelta(days=getattr(settings, "CRM_RAW_DAYS", 90)))


def _follow_up() -> None:
    """Tell whoever reads object states, by the name in the settings: this app knows nothing of the apps below it."""
    name = getattr(settings, "CRM_FOLLOW_UP_TASK", "")
    if name:
        try:
            current_app.send_task(name)
        except Exception:  # a hint only: the sweep finds changed objects
            ingest.log.warning("follow-up not sent", exc_info=True)


def sweep_once(limit: int = 200) -> int:
    """Work through deliveries whose nudge was lost or whose worker died, at most `limit`. Called by the sweep."""
    found = ingest.process_deliveries(limit)
    if found:
        _follow_up()
    imports.carry_on(budget_seconds=5)
    return found
