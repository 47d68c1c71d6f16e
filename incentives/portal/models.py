"""WallScreen: a leaderboard's address for a screen on the wall."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from incentives.programs.models import Program

USER = settings.AUTH_USER_MODEL


class WallScreen(models.Model):
    """An address that shows boards to whoever stands before it, without signing in, until it is taken back.

    The address's token is kept as a hash: it is shown once, when it is made.
    """

    class Look(models.TextChoices):
        DARK = "dark", _("Dark")
        LIGHT = "light", _("Light")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(_("name"), max_length=80, help_text=_("Where it hangs, for example Sales floor, Lyon."))
    token_hash = models.CharField(max_length=64, unique=True)
    programs = models.ManyToManyField(Program, through="WallScreenProgram", related_name="+")
    seconds = models.PositiveIntegerField(_("seconds per board"), default=20)
    look = models.CharField(_("look"), max_length=8, choices=Look.choices, default=Look.DARK)
    created_by = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField(null=True, help_text="When a screen last asked, to the minute.")
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.CheckConstraint(condition=Q(seconds__gte=5, seconds__lte=600), name="screen_seconds"),
        ]

    def __str__(self):
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("portal:screen", args=[self.public_id])

    @property
    def status(self) -> str:
        return "revoked" if self.revoked_at else "active" if self.seen_at else "new"


class WallScreenProgram(models.Model):
    """A program whose boards a screen shows, in `position` order."""

    screen = models.ForeignKey(WallScreen, on_delete=models.CASCADE, related_name="shown")
    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="+")
    position = models.PositiveIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["screen", "program"], name="screen_program_once")]

    def __str__(self):
        return f"{self.screen}: {self.program}"
