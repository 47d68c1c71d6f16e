"""The worker's doors to full exports and comparisons with the provider."""

from celery import shared_task

from incentives.reports import comparisons, export_services


@shared_task(name="reports.export", soft_time_limit=3 * 3600, time_limit=3 * 3600 + 60)
def export() -> int:
    """Makes whatever export waits. A message is a hint: a repeat finds nothing."""
    return export_services.carry_on()


@shared_task(name="reports.compare", soft_time_limit=500, time_limit=560)
def compare() -> int:
    """Carries out whatever comparison is due. A message is a hint: a repeat finds nothing."""
    return comparisons.carry_on()
