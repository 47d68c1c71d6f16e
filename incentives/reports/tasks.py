"""The worker's door to full exports."""

from celery import shared_task

from incentives.reports import export_services


@shared_task(name="reports.export", soft_time_limit=3 * 3600, time_limit=3 * 3600 + 60)
def export() -> int:
    """Makes whatever export waits. A message is a hint: a repeat finds nothing."""
    return export_services.carry_on()
