"""Recovery, WriteOff, WriteOffLine: what was paid too much, and what became of it."""

import uuid
from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from incentives.core.fields import CurrencyField
from incentives.crm.models import ObjectState
from incentives.earnings.models import Participation
from rewards.money import Money

USER = settings.AUTH_USER_MODEL


class Recovery(models.Model):
    """How one participation stands: what is recoverable, and how much of a later payout may be withheld for it.

    `recoverable_minor` and `written_off_minor` repeat the ledger and the write-off lines for lists; `check_ledger` compares.
    Without instalments (neither `percent` nor `most_minor`) a later payout is withheld in full until all is recovered.
    """

    participation = models.OneToOneField(Participation, on_delete=models.PROTECT, related_name="recovery")
    recoverable_minor = models.BigIntegerField(default=0)
    written_off_minor = models.BigIntegerField(default=0)
    since = models.DateTimeField(null=True, help_text="Since when something is recoverable; empty while nothing is.")
    percent = models.DecimalField(
        max_digits=5, decimal_places=2, null=True, help_text="At most this share of each later payout is withheld."
    )
    most_minor = models.BigIntegerField(null=True, help_text="At most this much of each later payout is withheld.")
    set_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    set_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(recoverable_minor__gte=0), name="recovery_not_below_zero"),
            models.CheckConstraint(condition=Q(written_off_minor__gte=0), name="recovery_written_off_not_below_zero"),
            models.CheckConstraint(
                condition=Q(percent__isnull=True) | Q(most_minor__isnull=True), name="recovery_one_kind_of_instalment"
            ),
            models.CheckConstraint(
                condition=Q(percent__isnull=True) | Q(percent__gt=0, percent__lte=100), name="recovery_percent"
            ),
            models.CheckConstraint(condition=Q(most_minor__isnull=True) | Q(most_minor__gt=0), name="recovery_most"),
        ]

    def __str__(self):
        return f"recovery of {self.participation}"

    @property
    def recoverable(self) -> Money:
        return Money(self.recoverable_minor, self.participation.program.currency)

    @property
    def in_instalments(self) -> bool:
        return self.percent is not None or self.most_minor is not None

    def instalment(self, gross_minor: int) -> int:
        """How much of a payout of `gross_minor` may be withheld at most, in minor units, rounded down."""
        if self.percent is not None:
            return int(Decimal(gross_minor) * self.percent / 100)
        return gross_minor if self.most_minor is None else min(self.most_minor, gross_minor)


class WriteOffQuerySet(models.QuerySet):
    def visible_to(self, user):
        return self if user.can("recovery.view") else self.none()


class WriteOff(models.Model):
    """Giving up a part of what is recoverable: proposed by one person, decided by another one of finance.

    Of a program that does not recover (`recovery: none`), Laurel writes off by itself. What is said about it never
    changes; only the decision is added.
    """

    class Status(models.TextChoices):
        PROPOSED = "proposed", _("Waits for finance")
        APPROVED = "approved", _("Written off")
        DECLINED = "declined", _("Declined")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    participation = models.ForeignKey(Participation, on_delete=models.PROTECT, related_name="write_offs")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PROPOSED, db_index=True)
    amount_minor = models.BigIntegerField()
    currency = CurrencyField()
    reason = models.CharField(max_length=300)
    by_policy = models.BooleanField(default=False, help_text="The program does not recover: Laurel wrote it off.")
    proposed_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(auto_now_add=True)
    decided_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    decision_reason = models.CharField(max_length=300, blank=True)

    objects = WriteOffQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["participation"], condition=Q(status="proposed"), name="write_off_proposed_once"
            ),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="write_off_amount_positive"),
            models.CheckConstraint(
                condition=~Q(status="approved") | Q(by_policy=True) | Q(decided_by__isnull=False),
                name="write_off_decided_by_somebody",
            ),
            models.CheckConstraint(
                condition=~Q(status="approved")
                | Q(decided_by__isnull=True)
                | Q(proposed_by__isnull=True)
                | ~Q(decided_by=F("proposed_by")),
                name="write_off_two_people",
            ),
        ]

    def __str__(self):
        return f"{self.amount} of {self.participation}"

    def get_absolute_url(self) -> str:
        return reverse("payouts:write-off", args=[self.public_id])

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class WriteOffLine(models.Model):
    """How much of a write-off stands against one fact (or, without a fact, one period). Rows are only ever added.

    Negative where it is taken back because the fact counts again. `n` counts the rows of one participation, so that two
    writers meet the unique constraint.
    """

    participation = models.ForeignKey(Participation, on_delete=models.PROTECT, related_name="write_off_lines")
    write_off = models.ForeignKey(WriteOff, null=True, on_delete=models.PROTECT, related_name="lines")
    n = models.PositiveIntegerField()
    object = models.ForeignKey(ObjectState, null=True, on_delete=models.PROTECT, related_name="+")
    period_start = models.DateField(null=True)
    amount_minor = models.BigIntegerField()
    reason = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["participation", "n"], name="write_off_line_once"),
            models.CheckConstraint(condition=~Q(amount_minor=0), name="write_off_line_not_zero"),
            models.CheckConstraint(
                condition=Q(object__isnull=False, period_start__isnull=True)
                | Q(object__isnull=True, period_start__isnull=False),
                name="write_off_line_fact_or_period",
            ),
        ]

    def __str__(self):
        return f"{self.amount_minor} of {self.participation_id}"
