"""The outbox: what is to be told to whom, the messages made of it, and how people and channels want to be told."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from incentives.notifications.registry import Mode

USER = settings.AUTH_USER_MODEL


class Recipient(models.Model):
    """Somebody who is told things. `ref` names them: `user:<pk>`, or a participant without an account.

    The address is not kept here; it is read when a message is sent. `name` is for pages.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    ref = models.CharField(max_length=120, unique=True)
    user = models.OneToOneField(USER, null=True, on_delete=models.CASCADE, related_name="told")
    name = models.CharField(max_length=200, blank=True)
    quiet_from = models.TimeField(_("quiet from"), null=True, blank=True)
    quiet_until = models.TimeField(_("quiet until"), null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self):
        return self.name or self.ref


class Preference(models.Model):
    """How often somebody wants to hear of one kind. Without a row: as the kind says."""

    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="preferences")
    kind = models.CharField(max_length=60)
    mode = models.CharField(max_length=8, choices=Mode.CHOICES)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["recipient", "kind"], name="preference_once")]

    def __str__(self):
        return f"{self.kind}: {self.get_mode_display()}"


class ChannelEndpoint(models.Model):
    """An incoming webhook of a Slack or Teams channel. Its address is a secret and lies here encrypted."""

    class Channel(models.TextChoices):
        SLACK = "slack", _("Slack")
        TEAMS = "teams", _("Microsoft Teams")

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")
        INACTIVE = "inactive", _("Turned off")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True)
    channel = models.CharField(_("chat"), max_length=8, choices=Channel.choices)
    sealed = models.TextField(editable=False)
    host = models.CharField(max_length=253, editable=False)
    kinds = models.JSONField(default=list)
    programs = models.JSONField(default=list, blank=True)  # public ids; empty: every program
    language = models.CharField(_("language"), max_length=8, default="en")
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.ACTIVE)
    reason = models.CharField(max_length=200, blank=True)  # why it is turned off
    not_before = models.DateTimeField(null=True, blank=True)  # the other side asked to wait
    tried_at = models.DateTimeField(null=True, blank=True)  # a test message
    last_ok_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("notifications:channel-edit", args=[self.public_id])

    @property
    def label(self) -> str:
        """Under which its address is encrypted."""
        return f"channel:{self.public_id}"


class Delivery(models.Model):
    """One message over one channel: of one kind, or a digest of several. Sent at least once."""

    class Channel(models.TextChoices):
        EMAIL = "email", _("E-mail")
        SLACK = "slack", _("Slack")
        TEAMS = "teams", _("Microsoft Teams")

    class Status(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Failed")
        DROPPED = "cancelled", _("No longer needed")

    HOURLY, DAILY = "digest.hourly", "digest.daily"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    channel = models.CharField(max_length=8, choices=Channel.choices)
    recipient = models.ForeignKey(Recipient, null=True, on_delete=models.CASCADE, related_name="deliveries")
    endpoint = models.ForeignKey(ChannelEndpoint, null=True, on_delete=models.CASCADE, related_name="deliveries")
    kind = models.CharField(max_length=60)  # of a digest: HOURLY or DAILY
    count = models.PositiveIntegerField()
    address = models.CharField(max_length=254, blank=True)  # masked, as it was when it was tried last
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    gen = models.PositiveIntegerField(default=0)  # fence: who lost the claim writes nothing
    next_attempt_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "deliveries"
        constraints = [
            models.CheckConstraint(
                condition=Q(recipient__isnull=True, endpoint__isnull=False)
                | Q(recipient__isnull=False, endpoint__isnull=True),
                name="notification_delivery_to_one",
            )
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="notification_delivery_due"
            ),
            models.Index(fields=["recipient", "created_at"], name="notification_delivery_of"),
        ]

    def __str__(self):
        return f"{self.kind} to {self.recipient or self.endpoint}"

    def get_absolute_url(self) -> str:
        return reverse("notifications:delivery", args=[self.public_id])


class Notification(models.Model):
    """One thing to tell one person or one channel, once per kind and key. Written in the transaction of the change.

    `data` names what it is about; never secrets, claim links or addresses. `look_at`: when to decide next whether it is to be
    sent; null once it went into a message or was left out (`left_out` says why).
    """

    kind = models.CharField(max_length=60)
    key = models.CharField(max_length=200)
    recipient = models.ForeignKey(Recipient, null=True, on_delete=models.CASCADE, related_name="notifications")
    endpoint = models.ForeignKey(ChannelEndpoint, null=True, on_delete=models.CASCADE, related_name="notifications")
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    look_at = models.DateTimeField(null=True, default=timezone.now)
    delivery = models.ForeignKey(Delivery, null=True, on_delete=models.SET_NULL, related_name="notifications")
    left_out = models.CharField(max_length=20, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["recipient", "kind", "key"], name="person_told_once"),
            models.UniqueConstraint(fields=["endpoint", "kind", "key"], name="channel_told_once"),
            models.CheckConstraint(
                condition=Q(recipient__isnull=True, endpoint__isnull=False)
                | Q(recipient__isnull=False, endpoint__isnull=True),
                name="notification_to_one",
            ),
        ]
        indexes = [models.Index(fields=["look_at"], condition=Q(look_at__isnull=False), name="notification_to_look")]

    def __str__(self):
        return f"{self.kind} {self.key}"


class Announcement(models.Model):
    """That something was announced to everybody it concerns, so that nobody looks for them again."""

    key = models.CharField(max_length=200, unique=True)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self):
        return self.key
