"""ScheduledBuild: a day on which a program paid by itself."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from incentives.programs.models import Program
from rewards.money import Money


class ScheduledBuild(models.Model):
    """One program's build on one due day: a row per day, so that a repeat builds nothing twice.

    `position` is the last participation looked at: a build goes on in pieces, and after a crash where it stopped.
    """

    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="scheduled_builds")
    due_on = models.DateField(_("due on"), help_text="In the program's time zone.")
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    position = models.BigIntegerField(default=0)
    payouts = models.PositiveIntegerField(default=0)
    total_minor = models.BigIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0, help_text="People who got nothing this time.")
    carried_minor = models.BigIntegerField(default=0, help_text="What stays due because no card can represent it.")
    problem = models.CharField(max_length=300, blank=True, help_text="Why it cannot build at the moment.")

    class Meta:
        ordering = ["-due_on", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["program", "due_on"], name="scheduled_build_once"),
            models.CheckConstraint(
                condition=Q(total_minor__gte=0, carried_minor__gte=0), name="scheduled_build_not_below_zero"
            ),
        ]

    def __str__(self):
        return f"{self.program} on {self.due_on}"

    @property
    def status(self) -> str:
        return "done" if self.finished_at else "waiting" if self.problem else "running"

    @property
    def total(self) -> Money:
        return Money(self.total_minor, self.program.currency)

    @property
    def carried(self) -> Money:
        return Money(self.carried_minor, self.program.currency)
