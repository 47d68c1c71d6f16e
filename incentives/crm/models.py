"""Facts from outside: connections, raw deliveries, the objects they are about, and the activities derived from them."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from incentives.core.fields import CurrencyField, ScaledDecimalField
from incentives.participants.models import Participant


class Connection(models.Model):
    """One CRM org, portal, file feed or API client that sends us facts."""

    class Kind(models.TextChoices):
        GENERIC = "generic", _("Generic endpoint")
        FILE = "file", _("File import")
        API = "api", _("API client")
        AWARDS = "awards", _("Awards given here")
        CLAIMS = "claims", _("Approved claims")

    OWN = (Kind.AWARDS, Kind.CLAIMS)
    """Laurel's own: facts from its own records come through it and nothing from outside does."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")
        PAUSED = "paused", _("Paused")  # deliveries are stored and wait

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.GENERIC)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)  # SHA-256 of the URL token
    currency = CurrencyField()  # for facts that name none
    time_zone = models.CharField(max_length=64, default="UTC")  # for dates without a time
    go_live_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    type_map = models.JSONField(default=dict, blank=True)  # CloudEvents type -> kind
    stage_map = models.JSONField(default=dict, blank=True)  # stage label -> open, won or lost
    field_map = models.JSONField(default=dict, blank=True)  # the saved mapping of a file feed or connector
    key_header = models.CharField(max_length=64, blank=True)  # an API key may come in this header too
    allowed_origins = models.JSONField(default=list, blank=True)  # of the CloudEvents handshake
    rate_per_minute = models.PositiveIntegerField(default=6000)
    max_amount = ScaledDecimalField(default=1_000_000_000)  # a larger amount waits for a person
    refused_count = models.PositiveBigIntegerField(default=0)  # failed authentications
    last_received_at = models.DateTimeField(null=True, blank=True)
    silent_after_hours = models.PositiveIntegerField(null=True, blank=True)  # administrators hear of a longer silence
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["kind"], condition=Q(kind="awards"), name="connection_of_awards_once"),
            models.UniqueConstraint(fields=["kind"], condition=Q(kind="claims"), name="connection_of_claims_once"),
        ]

    def __str__(self):
        return self.name

    @property
    def is_own(self) -> bool:
        return self.kind in self.OWN


class ConnectionSecret(models.Model):
    """A credential of a connection. What is only compared is stored hashed; a signing secret is stored encrypted."""

    class Kind(models.TextChoices):
        BEARER = "bearer", _("Bearer or API key")
        BASIC = "basic", _("HTTP Basic")
        SIGNING = "signing", _("Standard Webhooks signing secret")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="secrets")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    digest = models.CharField(max_length=64, blank=True, editable=False)  # SHA-256 of the key, or of user:password
    sealed = models.TextField(blank=True, editable=False)  # Fernet ciphertext of a signing secret
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self):
        return f"{self.get_kind_display()} of {self.connection}"


class Delivery(models.Model):
    """One raw event as received, kept so that it can be replayed. Raw text is personal data: it may be erased."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Waiting")
        PROCESSED = "processed", _("Processed")
        DUPLICATE = "duplicate", _("Duplicate")
        IGNORED = "ignored", _("Changed nothing")
        QUARANTINED = "quarantined", _("Quarantined")
        FAILED = "failed", _("Failed")

    class Channel(models.TextChoices):
        PUSH = "push", _("Push")
        POLL = "poll", _("Poll")
        STREAM = "stream", _("Stream")
        FILE = "file", _("File")
        API = "api", _("API")
        MANUAL = "manual", _("By hand")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="deliveries")
    delivery_key = models.CharField(max_length=400)
    external_id = models.CharField(max_length=255, blank=True)  # the caller's, where the source has one
    object_type = models.CharField(max_length=64, blank=True)
    object_id = models.CharField(max_length=255, blank=True)
    channel = models.CharField(max_length=10, choices=Channel.choices, default=Channel.PUSH)
    raw = models.TextField(blank=True)
    event = models.JSONField(default=dict)  # the normalised content, which the worker reads; personal data as well
    content_hash = models.CharField(max_length=64)  # SHA-256 of `event`
    overrides = models.JSONField(default=dict, blank=True)  # values mended by a person, with the reason in the audit
    headers = models.JSONField(default=dict, blank=True)  # without credentials
    received_at = models.DateTimeField(default=timezone.now)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.PENDING)
    code = models.CharField(max_length=64, blank=True)
    message = models.TextField(blank=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_gen = models.PositiveIntegerField(default=0)  # fence: a worker that lost its lease writes nothing
    processed_at = models.DateTimeField(null=True, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    import_job = models.ForeignKey(
        "ImportJob", null=True, blank=True, on_delete=models.SET_NULL, related_name="deliveries"
    )

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["connection", "delivery_key"], name="delivery_once"),
            models.UniqueConstraint(
                fields=["connection", "external_id"], condition=~Q(external_id=""), name="delivery_external_id_once"
            ),
        ]
        indexes = [
            # not a partial index: SQLite cannot use one for a status that is a bound parameter
            models.Index(fields=["status", "id"], name="delivery_by_status"),
            models.Index(fields=["connection", "object_type", "object_id"], name="delivery_object"),
        ]

    def __str__(self):
        return self.external_id or self.delivery_key


NAMED = {
    "deal": gettext_noop("deal %(id)s"),
    "metric": gettext_noop("metric %(id)s"),
    "claim": gettext_noop("claim %(id)s"),
}
"""How a record is called by its type; of any other type by the type itself."""


class ObjectState(models.Model):
    """One CRM record (or reported metric, or claim) as it stands now: what the earnings engine reads.

    Two registers, each with the version that set it: the state (and the moment of winning), and the values. The newest
    version wins whatever the order of arrival; equal versions go by the order of receipt.
    """

    class State(models.TextChoices):
        NONE = "", _("Unknown")
        OPEN = "open", _("Open")
        WON = "won", _("Won")
        LOST = "lost", _("Lost")
        DELETED = "deleted", _("Deleted")
        REPORTED = "reported", _("Reported")  # metric.reported
        PENDING = "pending", _("Waiting for approval")  # claim.submitted: does not count yet
        GIVEN = "given", _("Given")  # award.given
        APPROVED = "approved", _("Approved")  # a claim that was reviewed here

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="objects_seen")
    object_type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=255)

    state = models.CharField(max_length=10, choices=State.choices, default=State.NONE, blank=True)
    state_version = models.CharField(max_length=255, blank=True)
    state_delivery = models.BigIntegerField(default=0)  # order of receipt, for equal versions
    version = models.CharField(max_length=255, blank=True)
    version_delivery = models.BigIntegerField(default=0)
    win_ordinal = models.PositiveIntegerField(default=0)
    ever_won = models.BooleanField(default=False)
    baseline = models.BooleanField(default=False)  # won before go-live: known, never rewarded

    kind = models.CharField(max_length=20, blank=True)
    external_id = models.CharField(max_length=400, blank=True)  # of the standing activity
    occurred_at = models.DateTimeField(null=True, blank=True)  # of a deal: the moment of winning (or losing...)
    received_at = models.DateTimeField(null=True, blank=True)  # when this win, report or claim first reached us
    receipts = models.JSONField(default=dict, blank=True)  # what decides that: see receipt.py
    close_date = models.DateField(null=True, blank=True)
    participant = models.ForeignKey(
        Participant, null=True, blank=True, on_delete=models.PROTECT, related_name="objects_owned"
    )
    amount = ScaledDecimalField(null=True, blank=True)
    quantity = ScaledDecimalField(null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    lines = models.JSONField(default=list, blank=True)
    splits = models.JSONField(default=list, blank=True)  # participant = public id of the Participant; percentage 0-100
    account = models.JSONField(default=dict, blank=True)
    partner = models.JSONField(default=dict, blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    region = models.CharField(max_length=100, blank=True)
    metric = models.CharField(max_length=100, blank=True)
    value = ScaledDecimalField(null=True, blank=True)
    period_start = models.DateField(null=True, blank=True)
    period_end = models.DateField(null=True, blank=True)

    changed_seq = models.BigIntegerField(default=0)  # grows with every change
    credited_seq = models.BigIntegerField(default=0)  # the change the earnings engine has seen
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "object_type", "object_id"], name="object_state_once")
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(changed_seq__gt=F("credited_seq")), name="object_state_to_credit"),
            models.Index(fields=["participant", "occurred_at"], name="object_state_participant"),
            models.Index(fields=["kind", "occurred_at"], name="object_state_kind"),
        ]

    def __str__(self):
        if self.object_type == "award":  # its id says nothing to anybody, the reason does
            return gettext("award: %(reason)s") % {"reason": str(self.attributes.get("reason") or self.object_id)[:80]}
        form = NAMED.get(self.object_type)
        return gettext(form) % {"id": self.object_id} if form else f"{self.object_type} {self.object_id}"


class Activity(models.Model):
    """One normalised business fact. Rows are only ever added; triggers refuse edits and removal."""

    class Kind(models.TextChoices):
        DEAL_WON = "deal.won", _("Deal won")
        DEAL_UPDATED = "deal.updated", _("Deal updated")
        DEAL_REOPENED = "deal.reopened", _("Deal reopened")
        DEAL_LOST = "deal.lost", _("Deal lost")
        DEAL_DELETED = "deal.deleted", _("Deal deleted")
        METRIC_REPORTED = "metric.reported", _("Metric reported")
        CLAIM_SUBMITTED = "claim.submitted", _("Claim submitted")
        AWARD_GIVEN = "award.given", _("Award given")
        AWARD_CANCELLED = "award.cancelled", _("Award cancelled")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="activities")
    external_id = models.CharField(max_length=400)
    object = models.ForeignKey(ObjectState, on_delete=models.PROTECT, related_name="activities")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()
    recorded_at = models.DateTimeField(default=timezone.now)
    participant = models.ForeignKey(
        Participant, null=True, blank=True, on_delete=models.PROTECT, related_name="activities"
    )
    version = models.CharField(max_length=255, blank=True)
    snapshot = models.JSONField(default=dict)
    previous = models.JSONField(default=dict)
    delivery = models.ForeignKey(Delivery, on_delete=models.PROTECT, related_name="activities")
    channel = models.CharField(max_length=10, choices=Delivery.Channel.choices)

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "activities"
        constraints = [models.UniqueConstraint(fields=["connection", "external_id"], name="activity_once")]
        indexes = [models.Index(fields=["object", "id"], name="activity_object")]

    def __str__(self):
        return f"{self.kind} {self.external_id}"


class IdentityLink(models.Model):
    """What a connection calls a participant. Made by an administrator, or by an earlier match on something stronger."""

    class Source(models.TextChoices):
        PERSON = "person", _("Linked by hand")
        MATCHED = "matched", _("Matched earlier")

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="identity_links")
    external_user_id = models.CharField(max_length=255)
    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, related_name="identity_links")
    source = models.CharField(max_length=10, choices=Source.choices, default=Source.PERSON)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "external_user_id"], name="identity_link_once")]

    def __str__(self):
        return f"{self.external_user_id} is {self.participant}"


class ImportJob(models.Model):
    """One uploaded file of facts, from upload through preview to its result."""

    class Status(models.TextChoices):
        UPLOADED = "uploaded", _("Uploaded")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="imports")
    file_name = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64)
    path = models.CharField(max_length=255, blank=True)  # in the private storage
    mapping = models.JSONField(default=dict, blank=True)
    full = models.BooleanField(default=False)  # objects missing from the file count as deleted
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.UPLOADED)
    counts = models.JSONField(default=dict, blank=True)
    progress = models.PositiveIntegerField(default=0)  # rows read
    result_path = models.CharField(max_length=255, blank=True)
    error = models.TextField(blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self):
        return self.file_name
