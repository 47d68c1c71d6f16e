"""Comparisons with the provider's list: each run, what differed in it, and each difference once with what people say of it."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from incentives.core.fields import CurrencyField
from rewards.money import Money

USER = settings.AUTH_USER_MODEL


class ProviderComparison(models.Model):
    """One run of the comparison of our orders with the provider's list. One of a day is the sweep's; people and the command add
    others.

    A worker claims a run by raising `attempts`, which fences its result, and keeps it until `next_attempt_at`: after that another
    may begin anew. A failed run of the sweep's is tried again at that moment, as long as its day lasts.
    """

    class Trigger(models.TextChoices):
        DAILY = "daily", _("Daily")
        BY_HAND = "by_hand", _("Asked for")
        COMMAND = "command", _("Command line")

    class Status(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        AGREES = "ok", _("Agrees")
        DIFFERS = "mismatch", _("Differs")
        FAILED = "failed", _("Failed")

    OPEN = (Status.WAITING, Status.RUNNING)
    DONE = (Status.AGREES, Status.DIFFERS)

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    day = models.DateField(help_text="The UTC day it was asked for.")
    trigger = models.CharField(max_length=8, choices=Trigger.choices)
    asked_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    status = models.CharField(_("status"), max_length=8, choices=Status.choices, default=Status.WAITING, db_index=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=300, blank=True, help_text="Why the last attempt failed.")
    orders = models.PositiveIntegerField(default=0, help_text="Issued here.")
    listed = models.PositiveIntegerField(default=0, help_text="Orders in the provider's list.")
    currency = CurrencyField()
    ours_minor = models.BigIntegerField(default=0, help_text="Face value issued here.")
    theirs_minor = models.BigIntegerField(default=0, help_text="Face value issued there, of orders known here.")
    serious = models.PositiveIntegerField(default=0)
    remarks = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["day"], condition=Q(trigger="daily"), name="comparison_once_a_day"),
            models.UniqueConstraint(
                fields=["trigger"],
                condition=Q(trigger="by_hand", status__in=("waiting", "running")),
                name="comparison_asked_once",
            ),
        ]

    def __str__(self):
        return f"comparison of {self.created_at:%Y-%m-%d %H:%M} UTC"

    def get_absolute_url(self) -> str:
        return reverse("reports:comparison", args=[self.public_id])

    @property
    def ours(self) -> Money | None:
        return Money(self.ours_minor, self.currency) if self.status in self.DONE else None

    @property
    def theirs(self) -> Money | None:
        return Money(self.theirs_minor, self.currency) if self.status in self.DONE else None

    @property
    def is_open(self) -> bool:
        return self.status in self.OPEN


class ProviderDifference(models.Model):
    """Something that does not agree, once however many comparisons find it. `told_at`: when finance was told that it is serious."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    fingerprint = models.CharField(max_length=64, unique=True, help_text="SHA-256 of code, reference and message.")
    code = models.CharField(max_length=20)
    reference = models.CharField(max_length=200, help_text="A PONumber, where it is about an order.")
    message = models.TextField()
    serious = models.BooleanField(help_text="As last seen; a remark may become serious with time.")
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self):
        return f"{self.code} {self.reference}"

    def get_absolute_url(self) -> str:
        return reverse("reports:difference", args=[self.public_id])


class ComparisonDifference(models.Model):
    """That one comparison found one difference. Rows are only ever added."""

    comparison = models.ForeignKey(ProviderComparison, on_delete=models.PROTECT, related_name="differences")
    difference = models.ForeignKey(ProviderDifference, on_delete=models.PROTECT, related_name="findings")
    serious = models.BooleanField()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["comparison", "difference"], name="comparison_difference_once")]

    def __str__(self):
        return f"{self.difference_id} in {self.comparison_id}"


class DifferenceNote(models.Model):
    """What finance found out about a difference. Rows are only ever added; the difference stays listed."""

    difference = models.ForeignKey(ProviderDifference, on_delete=models.PROTECT, related_name="notes")
    text = models.TextField()
    by = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return f"{self.by} {self.at:%Y-%m-%d %H:%M}"
