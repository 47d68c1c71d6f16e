"""Beat's door to the sweep."""

from celery import shared_task

from incentives.operations import sweep


@shared_task(name="operations.sweep")
def sweep_task() -> None:
    """Sweeps where no `manage.py sweep --loop` does; a repeat is harmless."""
    sweep.stand_in()
