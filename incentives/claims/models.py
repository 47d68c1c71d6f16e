"""Claim, its lines, serial numbers, proofs, and what speaks against it."""

import uuid
from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from incentives.accounts.models import Role
from incentives.core.fields import CurrencyField, ScaledDecimalField
from incentives.crm.models import ObjectState
from incentives.participants.models import Participant, Partner
from incentives.programs.models import Program
from rewards.money import Money

USER = settings.AUTH_USER_MODEL


class ClaimQuerySet(models.QuerySet):
    """Every list starts from what a person may see."""

    def visible_to(self, user):
        """What was sent for reviewers; one's own, and those of the own organisation for its administrator."""
        if not user.is_authenticated:
            return self.none()
        seen = Q(pk__in=[])
        if user.can("claims.view"):
            seen |= Q(submitted_at__isnull=False)
        if user.can("claims.submit"):
            seen |= Q(participant__user=user)
            if Role.PARTNER_ADMIN in user.roles:
                own = Participant.objects.filter(user=user, partner__isnull=False)
                seen |= Q(partner__in=own.values("partner"))
        return self.filter(seen)

    def with_flagged(self):
        """Adds `flagged`: whether another claim that still stands speaks against this one."""
        standing = ClaimFlag.objects.filter(claim=OuterRef("pk"), other__status__in=Claim.LIVE)
        return self.annotate(flagged=Exists(standing))


class Claim(models.Model):
    """A sale that a partner's person reports under a channel program, with proof.

    `version` grows with every change of values or state; a decision names the version it was made on. Keys are normalised
    forms (fingerprints.py). The amount is in minor units of `currency`.
    """

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        SUBMITTED = "submitted", _("Submitted")
        IN_REVIEW = "in_review", _("In review")  # somebody has taken it
        RETURNED = "returned", _("Returned")  # the claimant has to add something
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")  # final, as are the next two
        WITHDRAWN = "withdrawn", _("Withdrawn")
        REVERSED = "reversed", _("Taken back")  # an approval that was undone

    NEXT = {
        Status.DRAFT: {Status.SUBMITTED, Status.WITHDRAWN},
        Status.SUBMITTED: {
            Status.IN_REVIEW, Status.RETURNED, Status.APPROVED, Status.REJECTED, Status.WITHDRAWN,
        },
        Status.IN_REVIEW: {
            Status.SUBMITTED, Status.RETURNED, Status.APPROVED, Status.REJECTED, Status.WITHDRAWN,
        },
        Status.RETURNED: {Status.SUBMITTED, Status.REJECTED, Status.WITHDRAWN},
        Status.APPROVED: {Status.REVERSED},
        Status.REJECTED: set(),
        Status.WITHDRAWN: set(),
        Status.REVERSED: set(),
    }  # fmt: skip
    OPEN = (Status.SUBMITTED, Status.IN_REVIEW)
    """Waits for a reviewer."""
    LIVE = (*OPEN, Status.RETURNED, Status.APPROVED)
    """Holds its invoice and serial numbers: no other claim of the partner in the program may use them."""
    EDITABLE = (Status.DRAFT, Status.RETURNED)
    DECIDED = (Status.APPROVED, Status.REJECTED, Status.WITHDRAWN, Status.REVERSED)

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="claims")
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="claims")
    participant = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="claims")
    status = models.CharField(_("status"), max_length=12, choices=Status.choices, default=Status.DRAFT)
    version = models.PositiveIntegerField(default=1)

    invoice_number = models.CharField(_("invoice number"), max_length=100, blank=True)
    invoice_key = models.CharField(max_length=100, blank=True, editable=False)
    invoice_date = models.DateField(_("sale date"), null=True, blank=True)
    customer = models.CharField(_("end customer"), max_length=200, blank=True)
    customer_key = models.CharField(max_length=200, blank=True, editable=False)
    amount_minor = models.BigIntegerField(null=True)
    currency = CurrencyField()
    note = models.TextField(max_length=2000, blank=True)

    created_by = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    submitted_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    submitted_at = models.DateTimeField(null=True)  # the first time: it decides what came first
    waiting_since = models.DateTimeField(null=True)  # the last time it was sent
    returned_at = models.DateTimeField(null=True)
    reviewer = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    decided_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    reason = models.CharField(
        max_length=1000, blank=True
    )  # of the last return, rejection or reversal; the partner reads it
    covered_by = models.ForeignKey(ObjectState, null=True, on_delete=models.PROTECT, related_name="+")

    objects = ClaimQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["status", "waiting_since"], name="claim_queue"),
            models.Index(fields=["invoice_key"], name="claim_invoice"),
            models.Index(fields=["customer_key", "invoice_date"], name="claim_sale"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["program", "partner", "invoice_key"],
                condition=Q(status__in=["submitted", "in_review", "returned", "approved"]) & ~Q(invoice_key=""),
                name="claim_invoice_once_per_partner",
            ),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | Q(submitted_by__isnull=True) | ~Q(decided_by=F("submitted_by")),
                name="claim_not_decided_by_its_sender",
            ),
            models.CheckConstraint(
                condition=Q(amount_minor__isnull=True) | Q(amount_minor__gte=0), name="claim_amount_not_negative"
            ),
        ]

    def __str__(self):
        return self.reference

    def get_absolute_url(self) -> str:
        return reverse("claims:detail", args=[self.public_id])

    @property
    def reference(self) -> str:
        """What people call it on the telephone."""
        return f"C-{self.pk:05d}" if self.pk else "C"

    @property
    def amount(self) -> Money | None:
        return None if self.amount_minor is None else Money(self.amount_minor, self.currency)

    @property
    def waiting(self) -> bool:
        return self.status in self.OPEN

    @property
    def editable(self) -> bool:
        return self.status in self.EDITABLE

    @property
    def my_url(self) -> str:
        """The same claim as its partner sees it."""
        return reverse("claims:my-claim", args=[self.public_id])


class ClaimLine(models.Model):
    """One product sold. The unit price is in major units of the claim's currency."""

    claim = models.ForeignKey(Claim, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveSmallIntegerField()
    sku = models.CharField(max_length=100, blank=True)
    name = models.CharField(max_length=200, blank=True)
    quantity = ScaledDecimalField()
    unit_price = ScaledDecimalField(null=True)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["claim", "position"], name="claim_line_once")]

    def __str__(self):
        return self.name or self.sku

    @property
    def total(self) -> Decimal | None:
        return None if self.unit_price is None else self.quantity * self.unit_price


class ClaimSerial(models.Model):
    """One serial number of a claim's line. Two constraints stand behind the rules: one partner claims it once in a program,
    and one program pays it once, whoever claims it."""

    claim = models.ForeignKey(Claim, on_delete=models.CASCADE, related_name="serials")
    line = models.ForeignKey(ClaimLine, on_delete=models.CASCADE, related_name="serials")
    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="+")
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="+")
    serial = models.CharField(max_length=100)
    key = models.CharField(max_length=100, db_index=True)
    live = models.BooleanField(default=False)  # the claim is in one of Claim.LIVE
    paid = models.BooleanField(default=False)  # the claim is approved

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["program", "partner", "key"], condition=Q(live=True), name="claim_serial_once_per_partner"
            ),
            models.UniqueConstraint(fields=["program", "key"], condition=Q(paid=True), name="claim_serial_paid_once"),
            models.UniqueConstraint(fields=["claim", "key"], name="claim_serial_once"),
        ]

    def __str__(self):
        return self.serial


class ClaimProof(models.Model):
    """A file that proves the sale. Stored under a random name in the private storage and served by one view alone."""

    class Kind(models.TextChoices):
        PDF = "application/pdf", _("PDF")
        JPEG = "image/jpeg", _("Photo")
        PNG = "image/png", _("Picture")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    claim = models.ForeignKey(Claim, on_delete=models.CASCADE, related_name="proofs")
    name = models.CharField(max_length=150)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    size = models.PositiveIntegerField()  # bytes stored
    sha256 = models.CharField(max_length=64, db_index=True)  # of the file as it was uploaded
    stored_sha256 = models.CharField(max_length=64)  # of the file as it is kept: pictures are written anew
    path = models.CharField(max_length=100)  # in the folder of claims
    sent = models.BooleanField(default=False)  # was part of what a reviewer saw: it stays
    added_by = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["claim", "sha256"], name="claim_proof_once")]

    def __str__(self):
        return self.name

    @property
    def is_picture(self) -> bool:
        return self.kind != self.Kind.PDF


class ClaimFlag(models.Model):
    """Another claim that makes this one doubtful, with the evidence as it was found. The partner never sees it."""

    class Kind(models.TextChoices):
        INVOICE = "invoice", _("Same invoice, other partner")
        SERIAL = "serial", _("Same serial number, other partner")
        SALE = "sale", _("Same customer, day and amount")
        FILE = "file", _("Same file as proof")

    claim = models.ForeignKey(Claim, on_delete=models.CASCADE, related_name="flags")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    other = models.ForeignKey(Claim, on_delete=models.PROTECT, related_name="+")
    evidence = models.CharField(max_length=500)
    found_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["claim", "kind", "other"], name="claim_flag_once")]

    def __str__(self):
        return f"{self.get_kind_display()}: {self.other}"
