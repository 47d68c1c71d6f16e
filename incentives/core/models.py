"""The audit trail and the heartbeats of long-running processes."""

from django.conf import settings
from django.db import models


class AuditEvent(models.Model):
    """One recorded change. Rows are only ever added; triggers on both databases refuse edits and removal.

    `digest` covers the row's own content. The sweep seals rows into the chain: it numbers them in `seq` and links each to
    the one before through `chain`. Sealing after the commit keeps one hot row from serialising every transaction
    (docs/decisions/0004-audit-chain.md).
    """

    at = models.DateTimeField()
    action = models.CharField(max_length=80, db_index=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    actor_name = models.CharField(max_length=200)
    target_type = models.CharField(max_length=60)
    target_id = models.CharField(max_length=64)
    target_label = models.CharField(max_length=200)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    reason = models.TextField(blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64)
    seq = models.BigIntegerField(null=True, unique=True)
    chain = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes = [models.Index(fields=["target_type", "target_id"])]
        ordering = ["-pk"]

    def __str__(self):
        return f"{self.action} {self.target_label}"


class Heartbeat(models.Model):
    """When a process last said it was alive: `name` is for example sweep."""

    name = models.CharField(max_length=60, primary_key=True)
    at = models.DateTimeField()
    detail = models.JSONField(default=dict)

    def __str__(self):
        return self.name
