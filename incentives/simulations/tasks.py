"""The worker's door to simulations."""

from celery import shared_task

from incentives.simulations import services


@shared_task(name="simulations.carry_on", soft_time_limit=3600, time_limit=3660)
def carry_on() -> int:
    """Runs whatever waits, to the end. A message is a hint: a repeat finds nothing."""
    return services.carry_on()
