"""Laurel: sales incentive programs from the closed deal to the delivered gift card."""

from incentives.celery import app as celery_app

__all__ = ["celery_app"]
