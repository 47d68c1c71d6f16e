"""The audit trail, the seals of what must never change, and the heartbeats of long-running processes."""

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


class ChainHead(models.Model):
    """Where a hash chain ends: `audit` or `books`. Whoever adds to a chain holds this row's lock.

    A chain whose last link was taken away no longer ends here.
    """

    name = models.CharField(max_length=20, primary_key=True)
    number = models.BigIntegerField(default=0)
    chain = models.CharField(max_length=64)
    at = models.DateTimeField(help_text="When it last grew.")

    def __str__(self):
        return f"{self.name}:{self.number}:{self.chain}"


class SealedRow(models.Model):
    """The seal of one row of an append-only table that money stands on (postings, earnings, approvals). Rows are only added.

    `digest` covers every column of the row; `chain` links this seal to the one before, of whichever table. An empty digest:
    the row was gone before it was sealed.
    """

    id = models.BigIntegerField(primary_key=True, help_text="Its number in the chain, without a gap.")
    table = models.CharField(max_length=60, help_text="For example ledger.Posting.")
    row_id = models.BigIntegerField()
    digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the row's content.")
    chain = models.CharField(max_length=64, help_text="SHA-256 of the link before, number, table, row and digest.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["table", "row_id"], name="row_sealed_once")]

    def __str__(self):
        return f"{self.table} row {self.row_id}"


class UnsealedRow(models.Model):
    """A row that waits for its seal. A trigger writes it in the transaction of the row itself; the sweep seals and removes it."""

    table = models.CharField(max_length=60)
    row_id = models.BigIntegerField()

    def __str__(self):
        return f"{self.table} row {self.row_id}"


class Heartbeat(models.Model):
    """When a process last said it was alive: `name` is for example sweep."""

    name = models.CharField(max_length=60, primary_key=True)
    at = models.DateTimeField()
    detail = models.JSONField(default=dict)

    def __str__(self):
        return self.name
