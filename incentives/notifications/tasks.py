"""The workers' doors to the outbox."""

from celery import shared_task
from django.conf import settings

from incentives.notifications import sending


@shared_task(name="notifications.deliver")
def deliver() -> int:
    """Make and send what is due. A message is a hint: a repeat finds nothing."""
    return sending.deliver()


@shared_task(name="notifications.erase_old")
def erase_old() -> int:
    return sending.erase_old(settings.NOTIFICATION_DAYS)
