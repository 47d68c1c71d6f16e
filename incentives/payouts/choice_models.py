"""ProductChoice: which card one payout becomes, and who said so. RewardPreference: what a person always wants."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from incentives.core.fields import CurrencyField
from incentives.participants.models import Participant

USER = settings.AUTH_USER_MODEL


class ProductChoice(models.Model):
    """The question of one payout whose program allows several cards, and its answer.

    Unanswered, `product_code` is empty. The answer may change until the payout's approval writes the order; from
    `committed_at` on triggers refuse every edit. The payout's own product always is the answer, or the default before it.
    """

    class How(models.TextChoices):
        RECIPIENT = "recipient", _("chosen by the recipient")
        PREFERENCE = "preference", _("by the recipient's standing preference")
        DEFAULT = "default", _("the default, after the deadline")
        STAFF = "staff", _("chosen for the recipient")

    TO_RECIPIENT = {
        How.RECIPIENT: _("chosen by you"),
        How.PREFERENCE: _("by your standing preference"),
        How.DEFAULT: How.DEFAULT.label,
        How.STAFF: _("chosen for you"),
    }
    """`how` as its recipient reads it."""

    payout = models.OneToOneField("payouts.Payout", on_delete=models.PROTECT, related_name="choice")
    allowed = models.JSONField(
        default=list,
        help_text="Product codes in the definition's order when it was built; empty: any of the catalogue.",
    )
    product_code = models.CharField(max_length=64, blank=True)
    product_name = models.CharField(max_length=200, blank=True)
    how = models.CharField(max_length=10, choices=How.choices, blank=True)
    chosen_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    chosen_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=300, blank=True, help_text="Why somebody else chose.")
    staff = models.ManyToManyField(
        USER,
        related_name="+",
        help_text="Everybody who ever chose for the recipient: makers, whoever chose afterwards.",
    )
    asked = models.PositiveIntegerField(
        default=1, help_text="How often it was asked: again when a chosen card vanished."
    )
    asked_at = models.DateTimeField()
    deadline = models.DateTimeField(db_index=True)
    next_reminder_at = models.DateTimeField(null=True)
    committed_at = models.DateTimeField(null=True, help_text="When the order was written; nothing changes afterwards.")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(product_code="", how="", chosen_at__isnull=True, committed_at__isnull=True)
                | (~Q(product_code="") & ~Q(how="") & Q(chosen_at__isnull=False)),
                name="choice_whole",
            ),
            models.CheckConstraint(
                condition=~Q(how="staff") | (Q(chosen_by__isnull=False) & ~Q(reason="")), name="choice_staff_says_why"
            ),
        ]

    def __str__(self):
        return self.product_name or str(_("Not chosen yet"))

    @property
    def how_to_recipient(self) -> str:
        return self.TO_RECIPIENT.get(self.how, "")

    @property
    def answered(self) -> bool:
        return bool(self.product_code)


class RewardPreference(models.Model):
    """Always this card where it is allowed: one per person and currency. It answers new questions, never open ones."""

    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, related_name="reward_preferences")
    currency = CurrencyField()
    product_code = models.CharField(max_length=64)
    product_name = models.CharField(max_length=200)
    chosen_at = models.DateTimeField()

    class Meta:
        ordering = ["participant", "currency"]
        constraints = [models.UniqueConstraint(fields=["participant", "currency"], name="preference_once_per_currency")]

    def __str__(self):
        return self.product_name
