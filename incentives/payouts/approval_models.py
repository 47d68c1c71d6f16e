"""Delegation: who decides for whom."""

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
