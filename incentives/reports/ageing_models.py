"""RewardReminder: that somebody was reminded of a card."""

from django.conf import settings
from django.db import models

from incentives.payouts.models import Payout


class RewardReminder(models.Model):
    """The newest reminder of one card; the earlier ones stand in the audit trail.

    One row per card: a further reminder is an UPDATE that names how old the last one must be, so two people who press
    the button at once send one.
    The mail itself is a notice of the outbox.
    """

    payout = models.OneToOneField(Payout, on_delete=models.PROTECT, related_name="reminder")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=1)

    def __str__(self):
        return f"reminder of {self.payout}"
