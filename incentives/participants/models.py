"""Who can earn: participants, the teams they sit in and the partner organisations they work for."""

import uuid

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

CODE = RegexValidator(r"^[A-Za-z0-9][A-Za-z0-9._-]*$", _("Expected letters, digits, dots, hyphens or underscores."))
E164 = RegexValidator(r"^\+[1-9]\d{6,14}$", _("Expected an international number such as +14155550123."))


class Team(models.Model):
    """A group of participants with a manager. Rules and files name it by `code`."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    code = models.CharField(max_length=64, unique=True, validators=[CODE])
    name = models.CharField(max_length=150)
    region = models.CharField(max_length=100, blank=True)
    manager = models.ForeignKey(
        "Participant", null=True, blank=True, on_delete=models.SET_NULL, related_name="managed_teams"
    )
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name", "code"]

    def __str__(self):
        return self.name


class Partner(models.Model):
    """A partner organisation (reseller, distributor). Rules name it by `code` and scale by `tier`."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    code = models.CharField(max_length=64, unique=True, validators=[CODE])
    name = models.CharField(max_length=150)
    tier = models.CharField(max_length=40, blank=True)
    region = models.CharField(max_length=100, blank=True)
    country = models.CharField(max_length=2, blank=True)
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name", "code"]

    def __str__(self):
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("participants:partner", args=[self.public_id])


class ParticipantQuerySet(models.QuerySet):
    """Every list starts from what a person may see."""

    def active(self):
        return self.filter(active=True)

    def visible_to(self, user):
        """All for staff roles, the own partner's people for a partner administrator, oneself for everybody else."""
        from incentives.accounts.models import Role

        if not user.is_authenticated:
            return self.none()
        if user.can("participants.view"):
            return self
        own = Q(user=user)
        if Role.PARTNER_ADMIN in user.roles:
            own |= Q(partner__isnull=False, partner__participants__user=user)
        return self.filter(own).distinct()


class Participant(models.Model):
    """Somebody who can earn: an employee, a contractor, or a partner's person."""

    class Type(models.TextChoices):
        EMPLOYEE = "employee", _("Employee")
        CONTRACTOR = "contractor", _("Contractor")
        PARTNER = "partner", _("Partner's person")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    external_user_id = models.CharField(max_length=128, blank=True)
    employee_number = models.CharField(max_length=64, blank=True)
    federation_id = models.CharField(max_length=128, blank=True)
    email = models.EmailField(_("e-mail"), blank=True)  # stored in lower case
    name = models.CharField(max_length=150)
    type = models.CharField(max_length=12, choices=Type.choices, default=Type.EMPLOYEE)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT, related_name="participants")
    partner = models.ForeignKey(Partner, null=True, blank=True, on_delete=models.PROTECT, related_name="participants")
    manager = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="reports")
    region = models.CharField(max_length=100, blank=True)
    country = models.CharField(max_length=2, blank=True)
    phone = models.CharField(max_length=16, blank=True, validators=[E164])
    language = models.CharField(max_length=8, default="en")
    time_zone = models.CharField(max_length=64, default="UTC")
    active = models.BooleanField(default=True)
    started_on = models.DateField(null=True, blank=True)
    ended_on = models.DateField(null=True, blank=True)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="participant"
    )
    contact_changed_at = models.DateTimeField(null=True, blank=True)  # e-mail or phone; payouts hold on recent changes
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    to_credit = models.BooleanField(default=False, editable=False)  # what rules read changed; the earnings engine looks

    objects = ParticipantQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        indexes = [models.Index(fields=["id"], condition=Q(to_credit=True), name="participant_to_credit")]
        constraints = [
            models.UniqueConstraint(
                fields=["external_user_id"], condition=~Q(external_user_id=""), name="participant_external_user_id"
            ),
            models.UniqueConstraint(
                fields=["employee_number"], condition=~Q(employee_number=""), name="participant_employee_number"
            ),
            models.UniqueConstraint(
                fields=["federation_id"], condition=~Q(federation_id=""), name="participant_federation_id"
            ),
            models.UniqueConstraint(Lower("email"), condition=~Q(email=""), name="participant_email_any_casing"),
        ]

    def __str__(self):
        return self.name

    @property
    def key(self) -> str:
        """What rules, files and exports call this person: the external user id, else the public id."""
        return self.external_user_id or str(self.public_id)
