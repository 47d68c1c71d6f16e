"""TaxProfile, TaxProfileChange, TaxRule, OutsideAward, TaxExport.

No tax identification number is stored anywhere: only that a form is on file, since when, and who saw it.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from incentives.core.fields import CurrencyField
from incentives.participants.models import Participant
from rewards.money import Money

USER = settings.AUTH_USER_MODEL


class Classification(models.TextChoices):
    EMPLOYEE = "employee", _("Employee")
    NON_EMPLOYEE = "non_employee", _("Non-employee")
    FOREIGN = "foreign", _("Foreign person")
    EXEMPT = "exempt", _("Exempt")


class TaxProfile(models.Model):
    """What finance knows of one participant's tax status. A row that nobody filled in says nothing: defaults apply.

    Its row is also the lock of everything that counts this person's year (services.holds).
    """

    participant = models.OneToOneField(Participant, on_delete=models.PROTECT, related_name="tax_profile")
    classification = models.CharField(
        _("classification"), max_length=12, choices=Classification.choices, blank=True,
        help_text=_("Empty: by the participant's type."),
    )  # fmt: skip
    country = models.CharField(_("country"), max_length=2, blank=True, help_text=_("Empty: the participant's own."))
    form_kind = models.CharField(_("form"), max_length=20, blank=True)
    form_on_file_since = models.DateField(_("on file since"), null=True, blank=True)
    form_expires_on = models.DateField(_("valid until"), null=True, blank=True, help_text="The last valid day.")
    seen_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    seen_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(_("note"), max_length=300, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(form_kind="", form_on_file_since__isnull=True, seen_by__isnull=True)
                | (~Q(form_kind="") & Q(form_on_file_since__isnull=False, seen_by__isnull=False)),
                name="tax_form_with_day_and_witness",
            ),
            models.CheckConstraint(
                condition=Q(form_expires_on__isnull=True) | Q(form_expires_on__gte=F("form_on_file_since")),
                name="tax_form_days_in_order",
            ),
        ]

    def __str__(self):
        return str(self.participant)


class TaxProfileChange(models.Model):
    """One change of a profile, with what it was and became. Kept here and not in the audit trail, which more people read.
    Rows are only ever added."""

    profile = models.ForeignKey(TaxProfile, on_delete=models.PROTECT, related_name="changes")
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    actor = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    actor_name = models.CharField(max_length=200)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self):
        return f"{self.profile} by {self.actor_name}"


class TaxRule(models.Model):
    """What is asked and reported for a classification in a country, in the years from `year_from` to `year_to`.

    An empty country is every country without rows of its own for the classification. An empty `year_to` is until further notice.
    """

    class Report(models.TextChoices):
        NONE = "", _("Nothing")
        W2 = "W-2", _("W-2, through payroll")
        MISC = "1099-MISC", _("1099-MISC")

    class Action(models.TextChoices):
        NONE = "none", _("No hold")
        AT_THRESHOLD = "hold_at_threshold", _("Hold at the threshold until the form is on file")
        REVIEW = "always_review", _("Hold every payout for review")

    country = models.CharField(_("country"), max_length=2, blank=True)
    classification = models.CharField(_("classification"), max_length=12, choices=Classification.choices)
    year_from = models.PositiveSmallIntegerField(_("first year"))
    year_to = models.PositiveSmallIntegerField(_("last year"), null=True, blank=True)
    form_needed = models.CharField(_("form needed"), max_length=20, blank=True)
    threshold_minor = models.BigIntegerField(null=True, blank=True)
    currency = CurrencyField(_("currency"), default="USD")
    report_kind = models.CharField(_("report"), max_length=10, choices=Report.choices, blank=True)
    hold_action = models.CharField(_("hold"), max_length=20, choices=Action.choices, default=Action.NONE)
    source = models.CharField(_("source"), max_length=300, blank=True, help_text=_("The law or instruction behind it."))

    class Meta:
        ordering = ["country", "classification", "-year_from"]
        constraints = [
            models.UniqueConstraint(fields=["country", "classification", "year_from"], name="tax_rule_once_per_year"),
            models.CheckConstraint(
                condition=Q(year_to__isnull=True) | Q(year_to__gte=F("year_from")), name="tax_rule_years_in_order"
            ),
            models.CheckConstraint(
                condition=Q(threshold_minor__isnull=True) | Q(threshold_minor__gte=0), name="tax_threshold_not_negative"
            ),
            models.CheckConstraint(
                condition=~Q(hold_action="hold_at_threshold") | (Q(threshold_minor__isnull=False) & ~Q(form_needed="")),
                name="tax_hold_needs_threshold_and_form",
            ),
        ]

    def __str__(self):
        years = f"{self.year_from}–{self.year_to}" if self.year_to else f"{self.year_from}+"
        years = str(self.year_from) if self.year_to == self.year_from else years
        return f"{self.country or '*'} {self.get_classification_display()} {years}"

    def get_absolute_url(self) -> str:
        return reverse("tax:rule", args=[self.pk])

    @property
    def threshold(self) -> Money | None:
        return None if self.threshold_minor is None else Money(self.threshold_minor, self.currency)


class OutsideAward(models.Model):
    """An award made outside Laurel that counts towards the year of its date. Never edited: cancelled with a reason."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    participant = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="outside_awards")
    on = models.DateField(_("date"))
    amount_minor = models.BigIntegerField()
    currency = CurrencyField(_("currency"), default="USD")
    source = models.CharField(_("source"), max_length=120)
    reference = models.CharField(_("reference"), max_length=80, blank=True)
    entered_by = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    entered_at = models.DateTimeField(auto_now_add=True)
    cancelled_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    cancelled_at = models.DateTimeField(null=True)
    cancel_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-on", "-pk"]
        indexes = [models.Index(fields=["on"], condition=Q(cancelled_at__isnull=True), name="outside_award_live")]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "reference"],
                condition=~Q(reference="") & Q(cancelled_at__isnull=True),
                name="outside_award_reference_once",
            ),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="outside_award_positive"),
        ]

    def __str__(self):
        return f"{self.amount} for {self.participant} on {self.on}"

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class TaxExport(models.Model):
    """A file made for payroll or the 1099 filing, kept as it was: fetched again it is the same to the byte.

    `rows` are lists of texts; `sha256` is that of the CSV. Rows are only ever added.
    """

    class Kind(models.TextChoices):
        MISC = "1099-MISC", _("1099-MISC")
        W2 = "W-2", _("W-2 pay period")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    title = models.CharField(max_length=120)
    parameters = models.JSONField(default=dict)
    columns = models.JSONField(default=list, help_text="[label, kind]; kind is text or money.")
    rows = models.JSONField(default=list)
    row_count = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    created_by = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self):
        return self.title
