"""JournalAccount, JournalExport: where our books go in the customer's, and what went there."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from incentives.ledger.models import Budget, PeriodClose
from incentives.programs.models import Program
from incentives.reports.journal_rules import role_name


class JournalAccount(models.Model):
    """The account of the customer's general ledger for one role (`journal_rules.ROLES`): for everything, or for what
    belongs to one budget or one program. A program's goes before its budget's, and that before the general one."""

    role = models.CharField(_("used for"), max_length=40)
    budget = models.ForeignKey(Budget, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    program = models.ForeignKey(Program, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    number = models.CharField(_("number"), max_length=40)
    name = models.CharField(_("name"), max_length=120, blank=True)
    cost_centre = models.CharField(_("cost centre"), max_length=40, blank=True)
    edited_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    edited_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["role", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["role"],
                condition=Q(budget__isnull=True, program__isnull=True),
                name="journal_account_general_once",
            ),
            models.UniqueConstraint(
                fields=["role", "budget"], condition=Q(budget__isnull=False), name="journal_account_budget_once"
            ),
            models.UniqueConstraint(
                fields=["role", "program"], condition=Q(program__isnull=False), name="journal_account_program_once"
            ),
            models.CheckConstraint(
                condition=Q(budget__isnull=True) | Q(program__isnull=True), name="journal_account_one_override"
            ),
        ]

    def __str__(self):
        return f"{role_name(self.role)}: {self.number}"

    def get_absolute_url(self) -> str:
        return reverse("reports:journal-account", args=[self.pk])

    @property
    def applies_to(self) -> str:
        return str(self.program or self.budget or _("everything else"))


class JournalExport(models.Model):
    """The final journal of a closed month, kept as it was: fetched again it is the same to the byte.

    `content` is the gzipped CSV, `sha256` that of the CSV. One per closing of the month; opening the month again and closing
    it makes the next number. Rows are only ever added.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    month = models.DateField(help_text="The first day of the month.")
    number = models.PositiveIntegerField()
    close = models.OneToOneField(PeriodClose, on_delete=models.PROTECT, related_name="journal_export")
    line_count = models.PositiveIntegerField()
    totals = models.JSONField(default=dict, help_text="Currency -> minor units of all debits, equal to all credits.")
    accounts = models.JSONField(default=list, help_text="The account mapping as it was.")
    sha256 = models.CharField(max_length=64)
    content = models.BinaryField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-month", "-number"]
        constraints = [models.UniqueConstraint(fields=["month", "number"], name="journal_export_number_once")]

    def __str__(self):
        return f"{self.month:%Y-%m}/{self.number}"

    def get_absolute_url(self) -> str:
        return reverse("reports:journal-export", args=[self.public_id])
