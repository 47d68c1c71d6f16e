"""Simulation, Candidate, SimulatedPerson, Overlap."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from incentives.core.fields import CurrencyField, ScaledDecimalField
from incentives.crm.models import ObjectState
from incentives.ledger.models import Budget
from incentives.participants.models import Participant
from incentives.programs.models import Program, ProgramVersion
from rewards.money import Money


class Simulation(models.Model):
    """One run of one to three definitions over a past window. It reads facts and writes only its own rows.

    A worker holds it by `lease_until` and tells of itself with every chunk; `attempt` fences it: who lost the lease writes
    nothing any more. `options`: targets (`ordinal`, `given` or `flat`), target_value, percents (of more or fewer wins).
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    OPEN = (Status.QUEUED, Status.RUNNING)

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=200)
    currency = CurrencyField()
    starts_on = models.DateField()
    ends_on = models.DateField()
    budget = models.ForeignKey(Budget, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    options = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED, db_index=True)
    done = models.PositiveIntegerField(default=0, help_text="Facts read so far.")
    total = models.PositiveIntegerField(default=0, help_text="Facts to read.")
    error = models.CharField(max_length=500, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["id"], condition=Q(status__in=["queued", "running"]), name="simulation_open"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(ends_on__gte=models.F("starts_on")), name="simulation_days_in_order")
        ]

    def __str__(self):
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("simulations:simulation", args=[self.public_id])

    @property
    def is_open(self) -> bool:
        return self.status in self.OPEN

    @property
    def took(self):
        """How long the run that ended took; None before that."""
        return self.finished_at - self.started_at if self.finished_at and self.started_at else None


class Candidate(models.Model):
    """One definition of a simulation, as it was then: `document` never changes, whatever becomes of program and version.

    The baseline is what the others are compared with: usually the version that runs. `result`: the figures, made by
    results.py; `total_minor` is the cost among them, null until it is known.
    """

    simulation = models.ForeignKey(Simulation, on_delete=models.CASCADE, related_name="candidates")
    position = models.PositiveSmallIntegerField(help_text="1 to 3; 0 is the baseline.")
    label = models.CharField(max_length=200)
    document = models.JSONField()
    digest = models.CharField(max_length=64)
    program = models.ForeignKey(Program, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(ProgramVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    total_minor = models.BigIntegerField(null=True)
    result = models.JSONField(default=dict)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["simulation", "position"], name="candidate_once_per_position")]

    def __str__(self):
        return self.label

    @property
    def is_baseline(self) -> bool:
        return self.position == 0

    @property
    def total(self) -> Money | None:
        return None if self.total_minor is None else Money(self.total_minor, self.simulation.currency)

    @property
    def letter(self) -> str:
        """A, B or C; empty for the baseline."""
        return "ABC"[self.position - 1] if self.position else ""


class SimulatedPerson(models.Model):
    """What one participant would earn by one candidate. Amounts are minor units of the simulation's currency.

    `low_minor`, `high_minor`: with fewer and more wins. `before_minor`: by the baseline, null without one.
    `lines`: the explanation lines, packed by results.pack; `line_count` of them there were, of which the first are kept.
    """

    candidate = models.ForeignKey(Candidate, on_delete=models.CASCADE, related_name="people")
    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, related_name="+")
    earned_minor = models.BigIntegerField()
    low_minor = models.BigIntegerField()
    high_minor = models.BigIntegerField()
    before_minor = models.BigIntegerField(null=True)
    difference_minor = models.BigIntegerField(null=True)
    deals = models.PositiveIntegerField(default=0)
    measure = ScaledDecimalField()
    target = ScaledDecimalField(null=True)
    attainment = models.BigIntegerField(null=True, help_text="Of the target, in hundredths of a per cent.")
    line_count = models.PositiveIntegerField(default=0)
    lines = models.BinaryField(default=bytes)

    class Meta:
        ordering = ["-earned_minor", "pk"]
        constraints = [models.UniqueConstraint(fields=["candidate", "participant"], name="simulated_person_once")]
        indexes = [models.Index(fields=["candidate", "earned_minor"], name="simulated_person_earned")]

    def __str__(self):
        return str(self.participant)

    def get_absolute_url(self) -> str:
        at = [self.candidate.simulation.public_id, self.candidate.position, self.participant.public_id]
        return reverse("simulations:person", args=at)

    def money(self, name: str) -> Money | None:
        minor = getattr(self, name)
        return None if minor is None else Money(minor, self.candidate.simulation.currency)


class Overlap(models.Model):
    """One activity that a candidate would pay somebody for and another program has paid as well.

    `own_minor` in the simulation's currency, `other_minor` in the other program's: what that had posted for the activity
    at the time of the run. `kept_minor` and `other_kept_minor` are what stacking would leave of each.
    """

    candidate = models.ForeignKey(Candidate, on_delete=models.CASCADE, related_name="overlaps")
    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, related_name="+")
    object = models.ForeignKey(ObjectState, on_delete=models.CASCADE, related_name="+")
    program = models.ForeignKey(Program, on_delete=models.CASCADE, related_name="+")
    own_minor = models.BigIntegerField()
    kept_minor = models.BigIntegerField()
    other_minor = models.BigIntegerField()
    other_kept_minor = models.BigIntegerField()

    class Meta:
        ordering = ["-own_minor", "pk"]
        indexes = [models.Index(fields=["candidate", "own_minor"], name="overlap_own")]

    def __str__(self):
        return f"{self.object} for {self.participant}"
