"""User and role."""

import uuid

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What a person may do: see permissions.GRANTS. A person may hold several."""

    MANAGER = "manager", _("Program manager")
    FINANCE = "finance", _("Finance")
    PARTICIPANT = "participant", _("Participant")
    PARTNER_ADMIN = "partner_admin", _("Partner administrator")
    ADMINISTRATOR = "administrator", _("Administrator")
    AUDITOR = "auditor", _("Auditor")


class UserManager(BaseUserManager):
    """People are found by e-mail address, in any casing."""

    def get_by_natural_key(self, email):
        return self.get(email__iexact=email)

    def create_user(self, email, password=None, **fields):
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email, password=None, **fields):
        user = self.create_user(email, password, is_staff=True, is_superuser=True, **fields)
        UserRole.objects.create(user=user, role=Role.ADMINISTRATOR)
        return user


class User(AbstractBaseUser, PermissionsMixin):
    """Somebody who signs in with an e-mail address."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    email = models.EmailField(_("e-mail"), unique=True)
    name = models.CharField(_("name"), max_length=150, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False, help_text=_("May open the Django admin."))
    time_zone = models.CharField(max_length=64, default="UTC")
    language = models.CharField(max_length=8, default="en")
    created_at = models.DateTimeField(auto_now_add=True)
    is_service = models.BooleanField(default=False, editable=False)
    """A machine: acts through API tokens alone, holds no role, may what permissions.SERVICE_MAY says and never decides."""
    responsible = models.ForeignKey(
        "self", null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="machines"
    )
    """Of a machine: the person who made it, who counts as having done what it does."""

    limited_to: frozenset[str] | None = None
    """The permissions an API token leaves of this person's for one request; None: all of them."""

    objects = UserManager()
    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: list[str] = []

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_email_any_casing"),
            models.CheckConstraint(
                condition=models.Q(is_service=False, responsible__isnull=True)
                | models.Q(is_service=True, responsible__isnull=False),
                name="user_machine_has_somebody_responsible",
            ),
        ]

    def __str__(self):
        return self.name or self.email

    def get_full_name(self):
        return str(self)

    def get_short_name(self):
        return str(self).split(" ")[0]

    @property
    def roles(self) -> frozenset[str]:
        """The roles held now, read once per request."""
        if not hasattr(self, "_roles"):
            held = self.role_set.values_list("role", flat=True) if self.is_active and not self.is_service else ()
            self._roles = frozenset(held)
        return self._roles

    def can(self, permission: str) -> bool:
        """Whether a role of this person grants `permission`; see permissions.py. Superuser status grants nothing.

        A machine may what its fixed list says; an API token never gives more than the person has.
        """
        from incentives.accounts.permissions import SERVICE_MAY, roles_with

        granted = roles_with(permission)
        if not self.is_active or (self.limited_to is not None and permission not in self.limited_to):
            return False
        return permission in SERVICE_MAY if self.is_service else not self.roles.isdisjoint(granted)


class UserRole(models.Model):
    """One role of one person."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="role_set")
    role = models.CharField(max_length=20, choices=Role.choices)
    granted_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    granted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "role"], name="user_role_once")]

    def __str__(self):
        return self.get_role_display()
