"""Thin tasks: a message is a hint."""

from celery import shared_task

from incentives.payouts import services

AT_ONCE = 500
"""Participations looked at in one task, well below its time limit."""


@shared_task(name="payouts.follow_up")
def follow_up() -> None:
    if services.follow_up(limit=AT_ONCE)["looked"] >= AT_ONCE:
        follow_up.delay()
