"""The catalogue, the channel to the provider, and orders with their attempts and cards."""

import uuid

from django.db import models
from django.db.models import Q

from rewards.money import Money


class DeliveryType(models.TextChoices):
    DIGITAL = "DigitalDelivery", "E-mail or SMS from the provider"
    LINKS = "Links", "Claim link"
    PHYSICAL = "PhysicalShipment", "Card by post"


# --- catalogue --------------------------------------------------------------------------------------------------------
class Product(models.Model):
    """One entry of the provider's catalogue. One that vanished there stays for history and cannot be ordered."""

    class DenominationType(models.TextChoices):
        FIXED = "Fixed", "One of a list"
        VARIABLE = "Variable", "Any value in a range"

    product_id = models.CharField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=40, blank=True, help_text="The provider's word, for example Digital.")
    denomination_type = models.CharField(max_length=10, choices=DenominationType)
    denominations = models.JSONField(default=list, help_text="Minor units, ascending; for a range: lowest, highest.")
    delivery_types = models.JSONField(default=list)
    currency = models.CharField(max_length=3)
    fee_minor = models.BigIntegerField(default=0)
    discount_percent = models.DecimalField(max_digits=7, decimal_places=4, default=0)
    description = models.TextField(blank=True, help_text="Plain text; the provider's HTML is removed.")
    terms = models.TextField(blank=True)
    redemption_note = models.TextField(blank=True)
    image_url = models.CharField(max_length=500, blank=True)
    allow_cents = models.BooleanField(default=False, help_text="Order values that are not whole currency units.")
    orderable = models.BooleanField(default=True)
    refreshed_at = models.DateTimeField()

    class Meta:
        ordering = ("name", "product_id")

    def __str__(self) -> str:
        return self.name


class NamedChoice(models.Model):
    """A branding or shipping method of the provider's platform."""

    provider_id = models.CharField(max_length=100, unique=True)
    name = models.CharField(max_length=200, blank=True)
    listed = models.BooleanField(default=True)
    refreshed_at = models.DateTimeField()

    class Meta:
        abstract = True
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name or self.provider_id


class Branding(NamedChoice):
    pass


class ShippingMethod(NamedChoice):
    price_minor = models.BigIntegerField(null=True, blank=True)


# --- the channel to the provider --------------------------------------------------------------------------------------
class Channel(models.Model):
    """One account at the provider: whether we send, at what pace, and how many calls run at once."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        PAUSED = "paused", "Waiting for funding"
        STOPPED = "stopped", "Stopped"

    name = models.CharField(max_length=40, unique=True, default="default")
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    code = models.CharField(max_length=40, blank=True)
    reason = models.TextField(blank=True)
    emergency_stop = models.BooleanField(default=False)
    restart_requested_by = models.CharField(max_length=200, blank=True)
    auth_failures = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(
        null=True, blank=True, help_text="The provider asked us to wait until then (429)."
    )
    interval_ms = models.PositiveIntegerField(default=0, help_text="Least time between two calls of all workers.")
    next_call_at = models.DateTimeField(null=True, blank=True)
    slowed_at = models.DateTimeField(null=True, blank=True)
    catalogue_refreshed_at = models.DateTimeField(null=True, blank=True)
    catalogue_tried_at = models.DateTimeField(null=True, blank=True)
    catalogue_error = models.TextField(blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    UNREADABLE = frozenset({"access_off", "credentials", "wrong_address"})

    def __str__(self) -> str:
        return self.name

    @property
    def may_send(self) -> bool:
        return self.state == self.State.OPEN and not self.emergency_stop

    @property
    def may_read(self) -> bool:
        """Looking an order up costs nothing, so only a channel that cannot answer anyway stops that."""
        return not (self.state == self.State.STOPPED and self.code in self.UNREADABLE)


class ChannelEvent(models.Model):
    """What happened to a channel, by whom and why. Append-only."""

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="events")
    at = models.DateTimeField()
    what = models.CharField(max_length=40)
    reason = models.TextField(blank=True)
    actor_name = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.what} {self.at:%Y-%m-%d %H:%M}"


class CallSlot(models.Model):
    """The right to have one call in flight. There are E2R_MAX_IN_FLIGHT of them, shared by all workers."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="slots")
    number = models.PositiveSmallIntegerField()
    holder = models.CharField(max_length=40, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("channel", "number"), name="slot_once_per_channel")]

    def __str__(self) -> str:
        return f"{self.channel_id}/{self.number}"


class ProviderToken(models.Model):
    """The bearer token all workers share, encrypted. `generation` grows with every mint; one mints at a time."""

    channel = models.OneToOneField(Channel, on_delete=models.CASCADE, related_name="token")
    fingerprint = models.CharField(max_length=64, blank=True, help_text="Of address and credentials it belongs to.")
    sealed = models.TextField(blank=True)
    generation = models.PositiveIntegerField(default=0)
    refresh_at = models.DateTimeField(null=True, blank=True)
    mint_lease_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"token {self.generation}"


# --- orders -----------------------------------------------------------------------------------------------------------
class RewardOrder(models.Model):
    """One card for one recipient under one PONumber. Number and body are fixed when the order is made.

    A batch is an order too: its `lines` are such orders, sent together under the batch's number. Their own number and body stay
    unused unless the batch is proven refused (docs/decisions/0008-batches.md).
    """

    class State(models.TextChoices):
        DRAFT = "draft", "Ready to send"
        BATCHED = "batched", "In a batch"  # a line: its batch is sent, never it
        SUBMITTING = "submitting", "Being sent"  # a call is in flight, or nobody knows its outcome yet
        PENDING = "pending", "Accepted, in progress"
        UNFUNDED = "unfunded", "Waiting for funding"
        REVIEW = "review", "Needs a person"
        COMPLETED = "completed", "Issued"  # final, as are the next three
        REJECTED = "rejected", "Refused by the provider"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    NEXT = {
        State.DRAFT: {State.SUBMITTING, State.CANCELLED, State.REVIEW, State.BATCHED},
        State.BATCHED: {State.DRAFT, State.COMPLETED, State.FAILED, State.CANCELLED},
        State.SUBMITTING: {State.PENDING, State.COMPLETED, State.UNFUNDED, State.REJECTED, State.REVIEW},
        State.UNFUNDED: {State.SUBMITTING, State.REVIEW},
        State.PENDING: {State.COMPLETED, State.REVIEW},
        State.REVIEW: {State.SUBMITTING, State.PENDING, State.COMPLETED, State.FAILED},
    }
    FINAL = frozenset({State.COMPLETED, State.REJECTED, State.FAILED, State.CANCELLED})
    SENDABLE = (State.DRAFT, State.SUBMITTING, State.UNFUNDED)

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="orders")
    reference = models.CharField(max_length=200, unique=True)
    po_number = models.CharField(max_length=40, unique=True)
    content_hash = models.CharField(max_length=64)
    approval_hash = models.CharField(max_length=200)
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="orders")
    delivery_type = models.CharField(max_length=20, choices=DeliveryType)
    recipient = models.CharField(max_length=320, blank=True, help_text="E-mail or number; empty for claim links.")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    body = models.BinaryField()
    body_sha256 = models.CharField(max_length=64)
    hook_hash = models.CharField(max_length=64, null=True, blank=True, unique=True)

    state = models.CharField(max_length=12, choices=State, default=State.DRAFT)
    gen = models.PositiveIntegerField(default=0, help_text="Fence: whoever holds an older number may write nothing.")
    lease_until = models.DateTimeField(null=True, blank=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    first_sent_at = models.DateTimeField(null=True, blank=True)
    window_from = models.DateTimeField(
        null=True, blank=True, help_text="Automatic repeats count from here: the first send, or a person's decision."
    )
    window_attempts = models.PositiveIntegerField(default=0)
    attempt_count = models.PositiveIntegerField(default=0)
    last_problem = models.CharField(max_length=300, blank=True)

    provider_order_id = models.CharField(max_length=200, null=True, blank=True, unique=True)
    provider_status = models.CharField(max_length=100, blank=True, help_text="The provider's word, as it came.")
    known_since = models.DateTimeField(null=True, blank=True)
    polled_at = models.DateTimeField(null=True, blank=True)
    poll_count = models.PositiveIntegerField(default=0)
    empty_polls = models.PositiveSmallIntegerField(
        default=0, help_text="Done, said the provider, without a claim link."
    )

    batch = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="lines",
        help_text="The order that carries this one as a line, or carried it until it fell apart. Set once.",
    )  # fmt: skip
    line = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Which line of the batch, from 1.")
    line_count = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Of a batch: its lines. Empty for an order of one card."
    )

    expected_cost_minor = models.BigIntegerField(null=True, blank=True)
    cost_minor = models.BigIntegerField(null=True, blank=True, help_text="What the provider says it charged.")
    cost_differs = models.BooleanField(default=False)

    review_code = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-pk",)
        indexes = [
            models.Index(fields=("state", "next_attempt_at"), name="order_due"),
            models.Index(fields=("next_attempt_at",), condition=~Q(next_attempt_at=None), name="order_open_due"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="order_amount_positive"),
            models.CheckConstraint(
                condition=~Q(state__in=("pending", "completed")) | ~Q(provider_order_id=None),
                name="order_known_has_provider_id",
            ),
            models.CheckConstraint(
                condition=~Q(state="cancelled") | Q(first_sent_at=None), name="order_cancelled_was_never_sent"
            ),
            # With a condition it is an index, so that SQLite need not rebuild the table and lose its triggers.
            models.UniqueConstraint(
                fields=("batch", "line"), condition=Q(batch__isnull=False), name="order_line_once_per_batch"
            ),
        ]

    def __str__(self) -> str:
        return self.po_number

    @property
    def value(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def cost(self) -> Money | None:
        return None if self.cost_minor is None else Money(self.cost_minor, self.currency)

    @property
    def is_final(self) -> bool:
        return self.state in self.FINAL

    @property
    def is_batch(self) -> bool:
        return self.line_count is not None

    @property
    def in_batch(self) -> bool:
        """Whether its batch decides or decided about it; else it is or was ordered by itself, or never."""
        by_itself = self.attempt_count > 0 or self.state in (self.State.DRAFT, self.State.CANCELLED)
        return self.batch_id is not None and not by_itself

    @property
    def sent_as(self) -> "RewardOrder":
        """The order that the provider has or will get for this card: its batch while it is a line, else itself."""
        return self.batch if self.state == self.State.BATCHED else self


class OrderAttempt(models.Model):
    """One POST, committed before the socket opens. An empty outcome after a crash is the mark of the unknown."""

    class Outcome(models.TextChoices):
        OPEN = "", "Nobody knows"
        ACCEPTED = "accepted", "Accepted"
        CONFLICT = "conflict", "Number known already"
        REFUSED = "refused", "Refused"
        UNFUNDED = "unfunded", "Not enough funds"
        NOT_SENT = "not_sent", "Never arrived"
        TOKEN_INVALID = "token_invalid", "Token refused"
        ACCESS_OFF = "access_off", "Access switched off"
        SLOW_DOWN = "slow_down", "Asked to wait"
        UNKNOWN = "unknown", "Outcome unknown"

    PROVEN_NOT_ORDERED = frozenset(
        {Outcome.REFUSED, Outcome.UNFUNDED, Outcome.NOT_SENT, Outcome.TOKEN_INVALID, Outcome.ACCESS_OFF}
    )
    """Answers that prove that this attempt made no order. 429 is not among them: it is undocumented."""

    order = models.ForeignKey(RewardOrder, on_delete=models.PROTECT, related_name="attempts")
    number = models.PositiveIntegerField()
    gen = models.PositiveIntegerField()
    body_sha256 = models.CharField(max_length=64)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=20, choices=Outcome, blank=True, default="")
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    evidence = models.TextField(blank=True, help_text="Redacted; never a claim link.")

    class Meta:
        ordering = ("order", "number")
        constraints = [models.UniqueConstraint(fields=("order", "number"), name="attempt_number_once")]

    def __str__(self) -> str:
        return f"{self.order_id}/{self.number}"


class OrderEvent(models.Model):
    """Every change of state with its reason and evidence. Append-only."""

    order = models.ForeignKey(RewardOrder, on_delete=models.PROTECT, related_name="events")
    at = models.DateTimeField()
    old = models.CharField(max_length=12, blank=True)
    new = models.CharField(max_length=12)
    code = models.CharField(max_length=40, blank=True)
    reason = models.TextField(blank=True)
    actor_name = models.CharField(max_length=200, blank=True)
    evidence = models.JSONField(default=dict)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.order_id}: {self.old} -> {self.new}"


class Card(models.Model):
    """An issued card with a claim link. The link and its answer are money: encrypted, revealed one at a time."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    order = models.ForeignKey(RewardOrder, on_delete=models.PROTECT, related_name="cards")
    position = models.PositiveSmallIntegerField(default=0)
    provider_card_id = models.CharField(max_length=200, blank=True)
    sealed = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=("order", "position"), name="card_position_once")]

    def __str__(self) -> str:
        return f"card {self.public_id}"


class CardReveal(models.Model):
    """Who saw a claim link, and when. Append-only."""

    card = models.ForeignKey(Card, on_delete=models.PROTECT, related_name="reveals")
    at = models.DateTimeField()
    actor_name = models.CharField(max_length=200)
    actor_ref = models.CharField(max_length=200)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.card_id} {self.at:%Y-%m-%d %H:%M}"


class LookNow(models.Model):
    """A webhook came in for this order: look it up soon. One open row per order, whatever the webhook said."""

    order = models.OneToOneField(RewardOrder, on_delete=models.CASCADE, related_name="look_now")
    received_at = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)

    def __str__(self) -> str:
        return f"look at {self.order_id}"
