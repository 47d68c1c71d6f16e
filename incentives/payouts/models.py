"""Payout, PayoutEarning, ApprovalPolicy, Approval, Hold, OrderDecision."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from incentives.core.fields import CurrencyField
from incentives.earnings.models import Earning, Participation
from incentives.ledger.models import Budget
from incentives.participants.models import Participant
from incentives.programs.models import Program
from rewards.models import RewardOrder
from rewards.money import Money

USER = settings.AUTH_USER_MODEL


class PayoutQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Everything or nothing; what somebody receives is shown by the portal."""
        return self if user.can("payouts.view") else self.none()


class Payout(models.Model):
    """An amount due to one participant from one program: one payout, one PONumber, one card.

    What the approvers saw (amount, product, recipient) is fixed when it is built; `content_hash` covers it. Two things may
    still be filled in while it awaits approval, each with a new hash: the product its `choice` names, an address it lacked.
    """

    class Status(models.TextChoices):
        SUBMITTED = "submitted", _("Awaiting approval")  # money reserved, unless a funding hold says otherwise
        APPROVED = "approved", _("Approved")  # money committed, card not ordered yet
        ORDERED = "ordered", _("Ordered")  # the provider has the order
        FULFILLED = "fulfilled", _("Delivered")  # card issued, money spent; final, as are the next four
        REJECTED = "rejected", _("Rejected")
        EXPIRED = "expired", _("Expired")
        CANCELLED = "cancelled", _("Cancelled")
        FAILED = "failed", _("Failed")  # the money is back in the budget; a new payout replaces this one

    NEXT = {
        Status.SUBMITTED: {Status.APPROVED, Status.REJECTED, Status.EXPIRED, Status.CANCELLED},
        Status.APPROVED: {Status.ORDERED, Status.FULFILLED, Status.FAILED, Status.CANCELLED},
        Status.ORDERED: {Status.FULFILLED, Status.FAILED},
        Status.FULFILLED: set(),
        Status.REJECTED: set(),
        Status.EXPIRED: set(),
        Status.CANCELLED: set(),
        Status.FAILED: set(),
    }
    LIVE = (Status.SUBMITTED, Status.APPROVED, Status.ORDERED, Status.FULFILLED)
    """States in which the payout uses up what was earned."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    participation = models.ForeignKey(Participation, on_delete=models.PROTECT, related_name="payouts")
    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="payouts")
    participant = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="payouts")
    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="payouts")
    n = models.PositiveIntegerField(help_text="The how-manieth payout of this participation; part of the PONumber.")
    status = models.CharField(
        _("status"), max_length=12, choices=Status.choices, default=Status.SUBMITTED, db_index=True
    )
    amount_minor = models.BigIntegerField()
    currency = CurrencyField()
    product_code = models.CharField(max_length=64)
    product_name = models.CharField(max_length=200)
    delivery_type = models.CharField(max_length=20)
    recipient_name = models.CharField(max_length=150)
    recipient_email = models.EmailField(blank=True)
    recipient_phone = models.CharField(max_length=20, blank=True)
    content_hash = models.CharField(max_length=64)
    reserved = models.BooleanField(default=False, help_text="Whether its money left `available`.")
    steps = models.JSONField(default=list, help_text="Approval steps it must pass, fixed when it was built.")
    submitted_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    expires_at = models.DateTimeField()
    order = models.OneToOneField(RewardOrder, null=True, blank=True, on_delete=models.PROTECT, related_name="payout")
    outcome = models.CharField(max_length=300, blank=True, help_text="Why it was rejected, cancelled or failed.")
    batch_lines = models.IntegerField(null=True, help_text="It may be sent with others, at most so many in one order.")
    escalate_after_hours = models.IntegerField(null=True, help_text="A step that waits longer is opened to others.")
    escalate_to = models.CharField(max_length=12, null=True)
    escalated_step = models.IntegerField(null=True, help_text="The step that waited too long, while it waits.")
    policy_editors = models.ManyToManyField(
        USER,
        related_name="+",
        help_text="Who had changed an approval policy without a second person when it was built.",
    )

    objects = PayoutQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["participation", "n"], name="payout_number_once"),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="payout_amount_positive"),
            models.CheckConstraint(
                condition=Q(reserved=True) | ~Q(status__in=["approved", "ordered", "fulfilled"]),
                name="payout_approved_has_money",
            ),
        ]
        indexes = [models.Index(fields=["status", "created_at"])]

    def __str__(self):
        return f"{self.amount} to {self.recipient_name}"

    def get_absolute_url(self) -> str:
        return reverse("payouts:detail", args=[self.public_id])

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def cause(self) -> str:
        """How postings name this payout."""
        return f"payout:{self.public_id}"


class PayoutEarning(models.Model):
    """How much of an earning a payout pays. Negative for a correction it recovers. Sums to the payout's amount."""

    payout = models.ForeignKey(Payout, on_delete=models.PROTECT, related_name="allocations")
    earning = models.ForeignKey(Earning, on_delete=models.PROTECT, related_name="allocations")
    amount_minor = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["payout", "earning"], name="payout_earning_once"),
            models.CheckConstraint(condition=~Q(amount_minor=0), name="payout_earning_not_zero"),
        ]

    def __str__(self):
        return f"{self.amount_minor} of earning {self.earning_id}"

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.payout.currency)


class ApprovalPolicy(models.Model):
    """Which steps a payout must pass. The first active policy in `position` order that fits decides.

    Whoever changed one approves no payout built after that, until a second person has confirmed the change.
    """

    class Step(models.TextChoices):
        MANAGER = "manager", _("A program manager")
        FINANCE = "finance", _("Finance")

    class Risk(models.TextChoices):
        HOLD = "hold", _("It was held for a risk")
        NEW_RECIPIENT = "new_recipient", _("The first card for this person")
        UNUSUAL = "unusual", _("Far above the program's usual")

    name = models.CharField(max_length=120, unique=True)
    position = models.PositiveIntegerField(default=100)
    program = models.ForeignKey(Program, null=True, blank=True, on_delete=models.PROTECT, related_name="policies")
    participant_type = models.CharField(max_length=12, blank=True)
    currency = CurrencyField(default="USD")
    up_to_minor = models.BigIntegerField(null=True, blank=True, help_text="Fits amounts up to this; empty: any amount.")
    steps = models.JSONField(
        default=list,
        blank=True,
        help_text="For example ['finance'], or {'who': 'people', 'people': [user ids], 'count': 2}; empty: automatic.",
    )
    risk = models.JSONField(
        default=list, blank=True, help_text="Fits only payouts with one of these; empty: any payout."
    )
    batch_lines = models.IntegerField(
        null=True,
        blank=True,
        help_text="Payouts approved together are sent in orders of up to so many; empty: one by one.",
    )
    escalate_after_hours = models.IntegerField(null=True, blank=True)
    escalate_to = models.CharField(max_length=12, choices=Step.choices, blank=True)
    is_active = models.BooleanField(default=True)
    edited_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    edited_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(confirmed_by__isnull=True) | ~Q(confirmed_by=F("edited_by")),
                name="policy_confirmed_by_another",
            )
        ]
        verbose_name_plural = "approval policies"

    def __str__(self):
        return self.name


class Approval(models.Model):
    """One person's decision on one payout: who, when, from where, and what they saw. Rows are only ever added."""

    class Decision(models.TextChoices):
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")

    payout = models.ForeignKey(Payout, on_delete=models.PROTECT, related_name="approvals")
    step = models.PositiveIntegerField()
    decision = models.CharField(max_length=10, choices=Decision.choices)
    actor = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    actor_name = models.CharField(max_length=200)
    on_behalf_of = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    submitted_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    recipient_user = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    seen_hash = models.CharField(max_length=64)
    seen = models.JSONField(default=dict)
    reason = models.TextField(blank=True)
    ip_address = models.GenericIPAddressField(null=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["payout", "step"], name="approval_step_once"),
            models.UniqueConstraint(fields=["payout", "actor"], name="approval_one_per_person"),
            # The last line of promise 6: whatever door it came through, the database refuses it.
            models.CheckConstraint(
                condition=Q(actor__isnull=True)
                | (
                    (Q(submitted_by__isnull=True) | ~Q(actor=F("submitted_by")))
                    & (Q(recipient_user__isnull=True) | ~Q(actor=F("recipient_user")))
                ),
                name="approval_not_by_maker_or_recipient",
            ),
        ]

    def __str__(self):
        return f"{self.get_decision_display()} by {self.actor_name}"


class Hold(models.Model):
    """A named reason why a payout waits."""

    class Kind(models.TextChoices):
        FUNDING = "funding", _("Budget has no room")
        CONTACT = "contact", _("Address missing")
        CONTACT_CHANGED = "contact_changed", _("Address changed lately")
        SAME_CONTACT = "same_contact", _("Same address as somebody else")
        TERMS = "terms", _("Terms not accepted")
        CHOICE = "choice", _("Reward not chosen")
        DOMAIN = "domain", _("Outside the allowed domains")
        VELOCITY = "velocity", _("Too much too quickly")
        UNUSUAL = "unusual", _("Far above the usual")
        STRUCTURING = "structuring", _("Just under a limit, again and again")
        TAX = "tax", _("Tax form missing")
        TAX_REVIEW = "tax_review", _("Tax review")
        REVIEW = "review", _("Held for review")

    BY_ITSELF = (Kind.FUNDING, Kind.TERMS, Kind.CHOICE, Kind.CONTACT)
    """Kinds that nobody lifts: what they wait for lifts them."""

    payout = models.ForeignKey(Payout, on_delete=models.PROTECT, related_name="holds")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    reason = models.CharField(max_length=300)
    evidence = models.JSONField(default=dict, help_text="Ids and figures for the review page; never an address.")
    placed_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    placed_at = models.DateTimeField(auto_now_add=True)
    lifted_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    lifted_at = models.DateTimeField(null=True)
    lifted_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["payout", "kind"], condition=Q(lifted_at__isnull=True), name="hold_open_once"
            )
        ]

    def __str__(self):
        return self.get_kind_display()


class OrderDecision(models.Model):
    """A final answer about an order nobody could be sure of: one person proposes it, another one confirms it.

    Source: reliability.md, section 1, state quarantined. Nothing happens to the order before the second person.
    """

    class Decision(models.TextChoices):
        FAIL = "fail", _("No card was issued and none will be")
        COMPLETE = "complete", _("The card was issued")

    order = models.ForeignKey(RewardOrder, on_delete=models.PROTECT, related_name="decisions")
    decision = models.CharField(max_length=10, choices=Decision.choices)
    provider_order_id = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=500)
    evidence = models.TextField()
    proposed_by = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(auto_now_add=True)
    confirmed_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["order"], condition=Q(closed_at__isnull=True), name="order_decision_open_once"
            ),
            models.CheckConstraint(
                condition=Q(confirmed_by__isnull=True) | ~Q(confirmed_by=F("proposed_by")),
                name="order_decision_two_people",
            ),
        ]

    def __str__(self):
        return f"{self.get_decision_display()}: {self.order}"


# Django finds models in this module alone; these stand in files of their own.
from incentives.payouts.approval_models import Delegation  # noqa: E402, F401
from incentives.payouts.choice_models import ProductChoice, RewardPreference  # noqa: E402, F401
from incentives.payouts.recovery_models import Recovery, WriteOff, WriteOffLine  # noqa: E402, F401
from incentives.payouts.risk_models import ContactKey, RiskRule  # noqa: E402, F401
from incentives.payouts.schedule_models import ScheduledBuild  # noqa: E402, F401
