"""Budget, Account, Posting (source: design, section 5; reliability.md, section 2)."""

import uuid

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from incentives.core.fields import CurrencyField, ExactDecimalField
from rewards.money import Money


def usual_percents() -> list[int]:
    return [75, 90, 100]


class Budget(models.Model):
    """Money finance set aside for programs. Its four buckets are accounts; see selectors.budget_figures."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(_("name"), max_length=120, unique=True)
    currency = CurrencyField(_("currency"), default="USD")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    note = models.TextField(_("note"), blank=True)
    is_active = models.BooleanField(default=True)
    alert_percents = models.JSONField(
        default=usual_percents, help_text="Per cent used at which finance and the owner are told, rising."
    )
    alert_left_minor = models.BigIntegerField(null=True, help_text="And when less than this is available.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(parent__isnull=True) | ~models.Q(parent=models.F("pk")), name="budget_not_own_parent"
            )
        ]

    def __str__(self):
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("ledger:budget", args=[self.public_id])


class BudgetTransfer(models.Model):
    """Available money one person wants moved to another budget; another person decides. It holds nothing before that.

    Without a source it is funding from outside, too large for one person (funding.py); `reference` is its document.
    """

    class Status(models.TextChoices):
        PROPOSED = "proposed", _("Proposed")
        APPROVED = "approved", _("Approved")
        DECLINED = "declined", _("Declined")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    NEXT = {Status.PROPOSED: {Status.APPROVED, Status.DECLINED, Status.WITHDRAWN}}

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    source = models.ForeignKey(Budget, null=True, on_delete=models.PROTECT, related_name="transfers_out")
    destination = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="transfers_in")
    amount_minor = models.BigIntegerField()
    currency = CurrencyField()
    reference = models.CharField(_("reference"), max_length=70, blank=True)
    reason = models.CharField(_("reason"), max_length=200)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.PROPOSED, db_index=True)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(auto_now_add=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=200, blank=True, help_text="Why it was declined or withdrawn.")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=models.Q(amount_minor__gt=0), name="transfer_amount_positive"),
            models.CheckConstraint(
                condition=models.Q(source__isnull=True) | ~models.Q(source=models.F("destination")),
                name="transfer_between_two_budgets",
            ),
            models.CheckConstraint(
                condition=models.Q(source__isnull=False) | ~models.Q(reference=""), name="funding_has_a_document"
            ),
            models.UniqueConstraint(
                fields=["destination", "reference"],
                condition=models.Q(source__isnull=True, status__in=["proposed", "approved"]),
                name="funding_document_once",
            ),
            models.CheckConstraint(
                condition=models.Q(status="proposed", decided_by__isnull=True)
                | models.Q(status="withdrawn", decided_by=models.F("proposed_by"))
                | (
                    models.Q(status__in=["approved", "declined"], decided_by__isnull=False)
                    & ~models.Q(decided_by=models.F("proposed_by"))
                ),
                name="transfer_decided_by_another",
            ),
        ]

    def __str__(self):
        if self.is_funding:
            return f"{self.amount} new money for {self.destination}"
        return f"{self.amount} from {self.source} to {self.destination}"

    def get_absolute_url(self) -> str:
        return reverse("ledger:transfer", args=[self.public_id])

    @property
    def is_funding(self) -> bool:
        return self.source_id is None

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class Account(models.Model):
    """One place money can be.

    A tracked account keeps its balance beside the postings, changed in the same transaction, and never goes below zero.
    An untracked one (the world outside: bank, accruals) may be on either side of any amount; its balance is the sum of
    its postings, so that it is not a row everybody waits for.
    """

    class Book(models.TextChoices):
        BUDGET = "budget", _("Budget")
        PARTICIPANT = "participant", _("Participant")
        CASH = "cash", _("Cash")

    code = models.CharField(max_length=120, unique=True)
    book = models.CharField(max_length=12, choices=Book.choices)
    bucket = models.CharField(max_length=24)
    currency = CurrencyField()
    budget = models.ForeignKey(Budget, null=True, on_delete=models.PROTECT, related_name="accounts")
    tracked = models.BooleanField(default=True)
    balance_minor = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(balance_minor__gte=0), name="account_not_below_zero"),
            models.CheckConstraint(
                condition=models.Q(tracked=True) | models.Q(balance_minor=0), name="account_untracked_keeps_no_balance"
            ),
        ]

    def __str__(self):
        return self.code

    @property
    def balance(self) -> Money:
        return Money(self.balance_minor, self.currency)


class Posting(models.Model):
    """A positive amount moved from one account to another: it cannot fail to balance. Rows are only ever added."""

    key = models.CharField(max_length=120, unique=True)
    source = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="postings_out")
    destination = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="postings_in")
    amount_minor = models.BigIntegerField()
    currency = CurrencyField()
    kind = models.CharField(max_length=24, help_text="What happened: allocate, reserve, commit, settle, ...")
    cause = models.CharField(max_length=80, db_index=True, help_text="What caused it, for example payout:<public id>.")
    memo = models.CharField(max_length=200, blank=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    posted_at = models.DateTimeField(auto_now_add=True)
    booked_on = models.DateField(
        null=True,
        db_index=True,
        help_text="The accounting day: of an earning its own, else the day (UTC) it was posted. Never in a closed month.",
    )

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(condition=models.Q(amount_minor__gt=0), name="posting_amount_positive"),
            models.CheckConstraint(condition=~models.Q(source=models.F("destination")), name="posting_moves"),
        ]
        indexes = [models.Index(fields=["source", "posted_at"]), models.Index(fields=["destination", "posted_at"])]

    def __str__(self):
        return self.key

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class ExchangeRate(models.Model):
    """What one unit of `currency` is worth in `to_currency` on the days from `starts_on` to `ends_on`, both included.

    A monthly rate is one row, a daily rate one row of one day. Rows of one pair do not overlap.
    """

    currency = CurrencyField()
    to_currency = CurrencyField()
    starts_on = models.DateField()
    ends_on = models.DateField()
    rate = ExactDecimalField(help_text="Units of to_currency for one unit of currency.")
    source = models.CharField(max_length=120, blank=True, help_text="Where the figure is from, for example ECB.")
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    set_at = models.DateTimeField(auto_now=True)
    to_credit = models.BooleanField(default=True, help_text="Changed since the earnings engine last looked.")

    class Meta:
        ordering = ["currency", "to_currency", "starts_on"]
        constraints = [
            models.UniqueConstraint(fields=["currency", "to_currency", "starts_on"], name="rate_once_per_day"),
            models.CheckConstraint(condition=models.Q(ends_on__gte=models.F("starts_on")), name="rate_days_in_order"),
            models.CheckConstraint(condition=~models.Q(currency=models.F("to_currency")), name="rate_two_currencies"),
        ]

    def __str__(self):
        return f"1 {self.currency} = {self.rate} {self.to_currency} from {self.starts_on}"


class FormerRate(models.Model):
    """A mark: days of a pair that lost their rate. The earnings engine counts their facts anew and removes the row."""

    currency = CurrencyField()
    to_currency = CurrencyField()
    starts_on = models.DateField()
    ends_on = models.DateField()

    def __str__(self):
        return f"{self.currency} to {self.to_currency} from {self.starts_on}"


class PeriodClose(models.Model):
    """A month that finance closed: nothing is booked into it any more until it is opened again, which is recorded.

    What is earned or corrected for a closed month is booked on the day it becomes known.
    """

    month = models.DateField(help_text="The first day of the month.")
    closed_at = models.DateTimeField()
    closed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    note = models.CharField(max_length=300, blank=True)
    reopened_at = models.DateTimeField(null=True)
    reopened_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    reopen_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-month", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["month"], condition=models.Q(reopened_at__isnull=True), name="month_closed_once"
            )
        ]

    def __str__(self):
        return f"{self.month:%Y-%m}"


# Django finds models in this module alone; these stand in a file of their own.
from incentives.ledger.money_models import (  # noqa: E402, F401
    BudgetAlert,
    DepositCheck,
    DepositEntry,
    DepositLimit,
    FundingLimit,
)
