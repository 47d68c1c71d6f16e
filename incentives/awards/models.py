"""Award, AwardBatch."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from incentives.core.fields import CurrencyField
from incentives.participants.models import Participant
from incentives.programs.models import Program
from rewards.money import Money

USER = settings.AUTH_USER_MODEL


class AwardQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Everything or nothing; what somebody was given is shown by the portal."""
        return self if user.can("awards.view") else self.none()

    def standing(self):
        return self.filter(status=Award.Status.GIVEN)


class AwardBatch(models.Model):
    """A file of awards: read once, shown, then given as a whole or not at all. The same file is given once."""

    class Status(models.TextChoices):
        UPLOADED = "uploaded", _("To be confirmed")
        GIVEN = "given", _("Given")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="award_batches")
    file_name = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64, help_text="Of the file as uploaded; the file itself is not kept.")
    rows = models.JSONField(default=list, help_text="line, participant, amount, reason, note as texts.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.UPLOADED)
    uploaded_by = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    uploaded_at = models.DateTimeField(auto_now_add=True)
    given_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "award batches"
        constraints = [
            models.UniqueConstraint(
                fields=["program", "sha256"], condition=Q(status="given"), name="award_file_given_once"
            )
        ]

    def __str__(self):
        return self.file_name

    def get_absolute_url(self) -> str:
        return reverse("awards:batch", args=[self.public_id])


class Award(models.Model):
    """A reward that somebody gave somebody, with a reason. It is worth something because it also is a fact: giving it
    writes a delivery through Laurel's own connection, cancelling it a later version of the same record."""

    class Status(models.TextChoices):
        GIVEN = "given", _("Given")
        CANCELLED = "cancelled", _("Cancelled")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    record = models.CharField(max_length=36, unique=True, editable=False, help_text="The id of its record among facts.")
    code = models.CharField(max_length=64, editable=False, help_text="Of the program, as its condition names it.")
    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="awards")
    participant = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="awards")
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.GIVEN, db_index=True)
    amount_minor = models.BigIntegerField()
    currency = CurrencyField()
    reason = models.CharField(max_length=300, help_text="The recipient reads it.")
    note = models.CharField(max_length=500, blank=True, help_text="For staff only.")
    batch = models.ForeignKey(AwardBatch, null=True, blank=True, on_delete=models.PROTECT, related_name="awards")
    given_by = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    recipient_user = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    cancelled_at = models.DateTimeField(null=True)
    cancelled_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    cancelled_reason = models.CharField(max_length=300, blank=True)

    objects = AwardQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="award_above_zero"),
            # Promise 6, whatever door it came through: nobody gives themselves anything.
            models.CheckConstraint(
                condition=Q(recipient_user__isnull=True) | ~Q(recipient_user=F("given_by")), name="award_not_to_oneself"
            ),
            models.CheckConstraint(
                condition=Q(status="given", cancelled_at__isnull=True)
                | Q(status="cancelled", cancelled_at__isnull=False),
                name="award_cancelled_with_moment",
            ),
        ]
        indexes = [models.Index(fields=["program", "participant"], name="award_of_participant")]

    def __str__(self):
        return f"{self.amount} for {self.participant}"

    def get_absolute_url(self) -> str:
        return reverse("awards:award", args=[self.public_id])

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)
