"""RewardReminder: that somebody was reminded of a card."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from incentives.payouts.models import Payout


class RewardReminder(models.Model):
    """The newest reminder of one card and how its e-mail fares; the earlier ones stand in the audit trail.

    One row per card: a further reminder is an UPDATE that names how old the last one must be, so two people who press
    the button at once send one.
    """

    payout = models.OneToOneField(Payout, on_delete=models.PROTECT, related_name="reminder")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=1)
    sent_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["next_attempt_at"], condition=Q(sent_at__isnull=True), name="reminder_due")]

    def __str__(self):
        return f"reminder of {self.payout}"
