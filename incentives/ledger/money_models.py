"""FundingLimit; BudgetAlert; DepositEntry, DepositLimit and DepositCheck."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from incentives.core.fields import CurrencyField
from incentives.ledger.models import Budget
from rewards.money import Money

USER = settings.AUTH_USER_MODEL


class FundingLimit(models.Model):
    """Above which sum one person does not fund alone, in one currency. Without a row `funding.DEFAULT` holds.

    A change waits in `proposed_minor` until another person confirms it; the former limit holds meanwhile.
    """

    currency = CurrencyField(_("currency"), unique=True)
    amount_minor = models.BigIntegerField()
    proposed_minor = models.BigIntegerField(null=True)
    proposed_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(null=True)
    set_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    confirmed_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    confirmed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["currency"]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_minor__gte=0) & (Q(proposed_minor__isnull=True) | Q(proposed_minor__gte=0)),
                name="funding_limit_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(confirmed_by__isnull=True) | ~Q(confirmed_by=F("set_by")),
                name="funding_limit_confirmed_by_another",
            ),
        ]

    def __str__(self):
        return f"Funding limit {self.amount}"

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def proposed(self) -> Money | None:
        return None if self.proposed_minor is None else Money(self.proposed_minor, self.currency)


class BudgetAlert(models.Model):
    """A threshold that was crossed: of a budget, or (without one) of the deposit account in a currency.

    Open until money came in and the threshold is no longer crossed; only then may it be crossed, and told, again.
    `standing` says whether it is crossed at this moment.
    """

    DEPOSIT, LEFT = "deposit", "left"
    budget = models.ForeignKey(Budget, null=True, on_delete=models.PROTECT, related_name="alerts")
    currency = CurrencyField()
    threshold = models.CharField(max_length=12, help_text="Per cent used, `left`, or `deposit`.")
    limit_minor = models.BigIntegerField(null=True, help_text="The amount that should be left.")
    available_minor = models.BigIntegerField(help_text="What was left when it was found.")
    allocated_minor = models.BigIntegerField(default=0)
    at = models.DateTimeField()
    standing = models.BooleanField(default=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "threshold"],
                condition=Q(ended_at__isnull=True, budget__isnull=False),
                name="alert_open_once",
            ),
            models.UniqueConstraint(
                fields=["currency"],
                condition=Q(ended_at__isnull=True, budget__isnull=True),
                name="deposit_alert_open_once",
            ),
        ]

    def __str__(self):
        return f"{self.budget or self.currency}: {self.threshold}"

    @property
    def available(self) -> Money:
        return Money(self.available_minor, self.currency)

    @property
    def allocated(self) -> Money:
        return Money(self.allocated_minor, self.currency)

    @property
    def limit(self) -> Money | None:
        return None if self.limit_minor is None else Money(self.limit_minor, self.currency)


# --- the deposit account at the provider ----------------------------------------------------------------------------------
class DepositEntry(models.Model):
    """Money paid in at the provider, or a correction of what we believe stands there. Rows are only ever added: a mistake
    is undone by a row that reverses it."""

    class Kind(models.TextChoices):
        DEPOSIT = "deposit", _("Deposit")
        CORRECTION = "correction", _("Correction")
        REVERSAL = "reversal", _("Reversed entry")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    key = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    currency = CurrencyField(_("currency"))
    amount_minor = models.BigIntegerField(help_text="Negative where money leaves the account.")
    on = models.DateField(_("day"))
    reference = models.CharField(_("reference"), max_length=70)
    note = models.CharField(_("note"), max_length=200, blank=True)
    reverses = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="reversed_by")
    entered_by = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    entered_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=~Q(amount_minor=0), name="deposit_entry_not_zero"),
            models.CheckConstraint(condition=~Q(kind="deposit") | Q(amount_minor__gt=0), name="deposit_brings_money"),
            models.CheckConstraint(
                condition=Q(kind="reversal", reverses__isnull=False) | (~Q(kind="reversal") & Q(reverses__isnull=True)),
                name="deposit_reversal_names_its_entry",
            ),
        ]

    def __str__(self):
        return f"{self.get_kind_display()} {self.reference}"

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class DepositLimit(models.Model):
    """Below which estimated balance finance is warned, in one currency. Without a row nobody is."""

    currency = CurrencyField(_("currency"), unique=True)
    low_minor = models.BigIntegerField()
    set_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    set_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(low_minor__gte=0), name="deposit_limit_not_negative")]

    def __str__(self):
        return f"Low below {Money(self.low_minor, self.currency)}"


class DepositCheck(models.Model):
    """The balance the provider showed at one moment, beside what we believed then. Rows are only ever added."""

    currency = CurrencyField(_("currency"))
    shown_minor = models.BigIntegerField()
    deposits_minor = models.BigIntegerField()
    cost_minor = models.BigIntegerField()
    in_flight_minor = models.BigIntegerField()
    guessed = models.PositiveIntegerField(default=0, help_text="Cards issued whose cost the provider did not report.")
    note = models.CharField(_("note"), max_length=200, blank=True)
    entered_by = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self):
        return f"{self.shown} shown"

    @property
    def shown(self) -> Money:
        return Money(self.shown_minor, self.currency)

    @property
    def estimated(self) -> Money:
        return Money(self.deposits_minor - self.cost_minor - self.in_flight_minor, self.currency)

    @property
    def difference(self) -> Money:
        return Money(self.shown_minor - self.estimated.minor, self.currency)
