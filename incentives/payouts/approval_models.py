"""Delegation, ApproverPreference, ApproverMail: who decides for whom, and how approvers hear of what waits."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

USER = settings.AUTH_USER_MODEL


class Delegation(models.Model):
    """An approver names a deputy from one day to another (UTC, both included).

    The deputy decides steps that name the delegator, with the deputy's own permission, and may not approve what either of
    the two made or receives.
    """

    delegator = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="delegations_given")
    deputy = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="delegations_held")
    starts_on = models.DateField(_("from"))
    ends_on = models.DateField(_("to"))
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-starts_on", "-pk"]
        constraints = [
            models.CheckConstraint(condition=~Q(deputy=F("delegator")), name="delegation_to_another"),
            models.CheckConstraint(condition=Q(ends_on__gte=F("starts_on")), name="delegation_days_in_order"),
        ]

    def __str__(self):
        return f"{self.delegator} to {self.deputy}"


class ApproverPreference(models.Model):
    """How somebody hears of payouts that wait for them. Without a row: at once."""

    class Mode(models.TextChoices):
        AT_ONCE = "at_once", _("At once")
        HOURLY = "hourly", _("At most once an hour")
        NEVER = "never", _("Never")

    user = models.OneToOneField(USER, on_delete=models.CASCADE, related_name="approver_preference")
    mode = models.CharField(
        _("e-mail about payouts to decide"), max_length=8, choices=Mode.choices, default=Mode.AT_ONCE
    )

    def __str__(self):
        return self.get_mode_display()


class ApproverMail(models.Model):
    """One e-mail to one approver, written before it is sent: sent at least once, repeated until it left."""

    user = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="approver_mails")
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0)
    next_attempt_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(sent_at__isnull=True), name="approver_mail_due")
        ]

    def __str__(self):
        return f"to {self.user}"


class ApproverNotice(models.Model):
    """That somebody was told of one step of one payout: once, escalations apart."""

    mail = models.ForeignKey(ApproverMail, on_delete=models.CASCADE, related_name="notices")
    user = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    payout = models.ForeignKey("payouts.Payout", on_delete=models.PROTECT, related_name="notices")
    step = models.IntegerField()
    escalated = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "payout", "step", "escalated"], name="approver_told_once")
        ]

    def __str__(self):
        return f"{self.user_id} of {self.payout_id}"
