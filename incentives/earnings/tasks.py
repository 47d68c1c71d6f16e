"""Thin tasks: a message is a hint."""

from celery import shared_task

from incentives.earnings import evaluate as engine

BUDGET_SECONDS = 40
"""Below the soft time limit; what is left then is another hint's work."""


@shared_task(name="earnings.evaluate")
def evaluate() -> None:
    engine.evaluate(seconds=BUDGET_SECONDS)
    if engine.something_is_due():
        evaluate.delay()
