"""API tokens, and the answers kept so that a repeated request gets the same one."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from incentives.crm.models import Connection


class ApiToken(models.Model):
    """A bearer token of the REST API. It acts as `user`, a person or a machine, and its scopes only ever narrow that."""

    STATES = {"active": _("Active"), "expired": _("Expired"), "revoked": _("Revoked")}

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)  # SHA-256; the token is stored nowhere
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="api_tokens")
    scopes = models.JSONField(default=list)
    connection = models.ForeignKey(  # facts sent with this token belong to it: never chosen by a payload
        Connection, null=True, blank=True, on_delete=models.PROTECT, related_name="api_tokens"
    )
    rate_per_minute = models.PositiveIntegerField(default=600)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    last_used_at = models.DateTimeField(null=True, blank=True)
    window = models.BigIntegerField(default=0, editable=False)  # the minute (Unix time / 60) that is being counted
    window_count = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        ordering = ["-pk"]

    def __str__(self):
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("api:token", args=[self.public_id])

    @property
    def status(self) -> str:
        if self.revoked_at is not None:
            return "revoked"
        return "active" if self.expires_at > timezone.now() else "expired"

    @property
    def kind(self) -> str:
        return "machine" if self.user.is_service else "person"


class IdempotencyKey(models.Model):
    """One `Idempotency-Key` of one token at one address, and the answer that its first use got.

    `running` is committed before anything is done, so that a second request meets it; `done` in the transaction of the
    change. A lease that ended (a crash) may be taken over; `lease_gen` keeps the former holder from committing then.
    """

    class Status(models.TextChoices):
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="keys")
    endpoint = models.CharField(max_length=255)  # method and path
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)  # SHA-256 over method, path, query and body
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.RUNNING)
    lease_until = models.DateTimeField()
    lease_gen = models.PositiveIntegerField(default=1)
    answer_status = models.PositiveSmallIntegerField(default=0)
    answer = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["token", "endpoint", "key"], name="idempotency_key_once"),
            models.CheckConstraint(
                condition=Q(status="running", answer_status=0) | Q(status="done", answer_status__gte=200),
                name="idempotency_key_done_has_answer",
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotency_key_age")]

    def __str__(self):
        return f"{self.endpoint} {self.key}"
