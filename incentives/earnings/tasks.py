"""Thin tasks: a message is a hint."""

from celery import shared_task

from incentives.earnings.evaluate import evaluate as evaluate_due


@shared_task(name="earnings.evaluate")
def evaluate() -> None:
    evaluate_due()
