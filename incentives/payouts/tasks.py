"""Thin tasks: a message is a hint."""

from celery import shared_task

from incentives.payouts import services


@shared_task(name="payouts.follow_up")
def follow_up() -> None:
    services.follow_up()
