"""ContactKey, RiskRule: what the risk checks compare with."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from incentives.core.fields import CurrencyField
from incentives.participants.models import Participant
from incentives.programs.models import Program
from rewards.money import Money

USER = settings.AUTH_USER_MODEL


class ContactKey(models.Model):
    """A participant's addresses in one spelling (contacts.email_key, phone_key), and what they were made from. Derived."""

    participant = models.OneToOneField(Participant, on_delete=models.CASCADE, related_name="contact_key")
    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=16, blank=True)
    email_key = models.CharField(max_length=254, blank=True, db_index=True)
    phone_key = models.CharField(max_length=16, blank=True, db_index=True)

    def __str__(self):
        return f"keys of {self.participant_id}"


class RiskRule(models.Model):
    """A limit on how much is paid how quickly, or a domain that recipients' addresses may have.

    Limits count payouts that are live (not ended) and were built in the window, this one included; days and months are
    UTC. Changed by finance; until a second person confirms, the editor approves nothing built after it.
    """

    class Kind(models.TextChoices):
        PARTICIPANT = "participant", _("Limit per participant")
        PROGRAM = "program", _("Limit per program")
        APPROVER = "approver", _("Limit per approver")
        DOMAIN = "domain", _("Allowed domain")

    class Window(models.TextChoices):
        DAY = "day", _("in a day")
        MONTH = "month", _("in a month")

    kind = models.CharField(max_length=12, choices=Kind.choices)
    program = models.ForeignKey(Program, null=True, blank=True, on_delete=models.PROTECT, related_name="risk_rules")
    window = models.CharField(max_length=6, choices=Window.choices, blank=True)
    currency = CurrencyField(default="USD")
    most_minor = models.BigIntegerField(null=True, blank=True)
    most_count = models.PositiveIntegerField(null=True, blank=True)
    domain = models.CharField(max_length=253, blank=True)
    is_active = models.BooleanField(default=True)
    edited_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    edited_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["kind", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="domain", window="", most_minor__isnull=True, most_count__isnull=True) & ~Q(domain="")
                | ~Q(kind="domain")
                & Q(domain="")
                & ~Q(window="")
                & (Q(most_minor__isnull=False) | Q(most_count__isnull=False)),
                name="risk_rule_complete",
            ),
            models.CheckConstraint(
                condition=Q(confirmed_by__isnull=True) | ~Q(confirmed_by=F("edited_by")),
                name="risk_rule_confirmed_by_another",
            ),
        ]

    def __str__(self):
        return self.domain or f"{self.get_kind_display()} {self.get_window_display()}"

    @property
    def most(self) -> Money | None:
        return None if self.most_minor is None else Money(self.most_minor, self.currency)
