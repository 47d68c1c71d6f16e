"""Participation, Credit, Scorecard, Earning."""

import uuid

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from incentives.core.fields import CurrencyField, ScaledDecimalField
from incentives.crm.models import ObjectState
from incentives.participants.models import Participant
from incentives.programs.models import Program, ProgramVersion
from incentives.programs.told import told
from rewards.money import Money


class Participation(models.Model):
    """One participant in one program: what is scored together and paid together.

    `dirty_seq` grows with everything that may change the score, `scored_seq` follows when it has been scored and
    `paid_seq` when payouts have looked at the result: workers find the rows where they differ. `earned_minor` is the sum
    of the earnings, checked by `recompute --check`.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="participations")
    participant = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="participations")
    dirty_seq = models.BigIntegerField(default=0)
    scored_seq = models.BigIntegerField(default=0)
    paid_seq = models.BigIntegerField(default=0)
    earned_minor = models.BigIntegerField(default=0)
    scored_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["program", "participant"], name="participation_once"),
            models.CheckConstraint(condition=models.Q(earned_minor__gte=0), name="participation_earned_not_negative"),
        ]
        indexes = [
            models.Index(
                fields=["id"], condition=models.Q(dirty_seq__gt=models.F("scored_seq")), name="participation_dirty"
            ),
            models.Index(
                fields=["id"],
                condition=models.Q(scored_seq__gt=models.F("paid_seq")),
                name="participation_to_pay",
            ),
        ]

    def __str__(self):
        return f"{self.participant} in {self.program}"

    @property
    def earned(self) -> Money:
        return Money(self.earned_minor, self.program.currency)


class Credit(models.Model):
    """A fact's share for one participant in one program, as it stands now. Derived: rewritten when the fact changes."""

    class Role(models.TextChoices):
        OWNER = "owner", _("Owner")
        SPLIT = "split", _("Split")
        OVERLAY = "overlay", _("Overlay")

    participation = models.ForeignKey(Participation, on_delete=models.CASCADE, related_name="credits")
    version = models.ForeignKey(ProgramVersion, on_delete=models.PROTECT, related_name="+")
    object = models.ForeignKey(ObjectState, on_delete=models.PROTECT, related_name="credits")
    role = models.CharField(max_length=8, choices=Role.choices)
    share_percent = ScaledDecimalField()
    share_from = ScaledDecimalField(default=0, help_text="Sum of the shares before this one: divides fixed amounts.")
    counted_at = models.DateTimeField()
    period_start = models.DateField()
    measure = ScaledDecimalField(help_text="This participant's part of the program's measure.")
    whole = ScaledDecimalField(help_text="The whole fact's measure.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["participation", "object", "role"], name="credit_once"),
        ]
        indexes = [models.Index(fields=["object"])]

    def __str__(self):
        return f"{self.share_percent} % of {self.object_id} for {self.participation_id}"


class Scorecard(models.Model):
    """The measure of one participation in one period, as of the last scoring. Derived."""

    participation = models.ForeignKey(Participation, on_delete=models.CASCADE, related_name="scorecards")
    period_start = models.DateField()
    period_end = models.DateField(help_text="The last day of the period.")
    measure = ScaledDecimalField()
    target = ScaledDecimalField(null=True)
    attainment = models.BigIntegerField(
        null=True, help_text="Of the target, in hundredths of a per cent, rounded down."
    )
    deals = models.PositiveIntegerField(default=0)
    amount_minor = models.BigIntegerField(default=0)
    prize_minor = models.BigIntegerField(default=0, help_text="The part of the amount that is contest prizes.")
    reached_at = models.DateTimeField(null=True, help_text="When the measure last grew: the tie rule `earliest`.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["participation", "period_start"], name="scorecard_once")]
        ordering = ["period_start"]

    def __str__(self):
        return f"{self.participation_id} {self.period_start}"


class Earning(models.Model):
    """One posted difference: what a line of a scorecard became worth more (or less), and why. Rows are only ever added.

    The lines under one `line_key` of a period add up to what the line is worth now; `n` counts them, so that two workers
    posting the same difference meet the unique constraint.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    participation = models.ForeignKey(Participation, on_delete=models.PROTECT, related_name="earnings")
    version = models.ForeignKey(ProgramVersion, on_delete=models.PROTECT, related_name="+")
    object = models.ForeignKey(ObjectState, null=True, on_delete=models.PROTECT, related_name="earnings")
    period_start = models.DateField()
    line_key = models.CharField(max_length=200)
    n = models.PositiveIntegerField()
    amount_minor = models.BigIntegerField()
    currency = CurrencyField()
    explanation = models.TextField()
    posted_at = models.DateTimeField(auto_now_add=True)
    booked_on = models.DateField(
        null=True,
        db_index=True,
        help_text="The accounting day: when it counted, or the day it became known where that month was closed.",
    )

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["participation", "period_start", "line_key", "n"], name="earning_difference_once"
            ),
            models.CheckConstraint(condition=~models.Q(amount_minor=0), name="earning_not_zero"),
        ]

    def __str__(self):
        return f"{self.amount} {self.line_key}"

    def get_absolute_url(self) -> str:
        """The page that explains its line."""
        return reverse("payouts:line", args=[self.public_id])

    @property
    def told(self) -> str:
        """The explanation in the reader's language."""
        return told(self.explanation)

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class SealedStanding(models.Model):
    """The standing of one contest (one `rank` reward) as it decided the prizes, with its evidence. Rows are only added.

    Revision 1 is sealed when the program closes. A correction of a fact that had been received by then makes the next
    revision; facts first received after the seal never enter. `places`: rank, participant (public id and name as they were),
    group, measure, prize in minor units, tied, reached_at. `evidence`: the definition's digest, the tie rule in words, how
    many facts, and what differs from the revision before.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="standings")
    version = models.ForeignKey(ProgramVersion, on_delete=models.PROTECT, related_name="+")
    reward_index = models.PositiveIntegerField()
    revision = models.PositiveIntegerField()
    sealed_at = models.DateTimeField(help_text="The program's moment of closing: the same in every revision.")
    recorded_at = models.DateTimeField(auto_now_add=True)
    by = models.CharField(max_length=12)
    ties = models.CharField(max_length=10)
    inputs_digest = models.CharField(max_length=64)
    places = models.JSONField(default=list)
    evidence = models.JSONField(default=dict)
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["program", "reward_index", "revision"]
        constraints = [
            models.UniqueConstraint(fields=["program", "reward_index", "revision"], name="standing_revision_once")
        ]

    def __str__(self):
        return f"{self.program} standing {self.revision}"


class ContestSeal(models.Model):
    """The moment a program's contests were sealed, once per program that closed (one without contests has `contests` 0).

    Everything but the counters is fixed by the first row. Facts first received at `sealed_at` or later never enter.
    `groups`: participant id -> [team code, partner code] as of the seal, where a contest is by team or partner: who moves
    later takes no prize along. `dirty_seq` grows with every scoring in the program, `ranked_seq` follows when the standing
    was computed again.
    """

    program = models.OneToOneField(Program, on_delete=models.PROTECT, related_name="contest_seal")
    version = models.ForeignKey(ProgramVersion, on_delete=models.PROTECT, related_name="+")
    sealed_at = models.DateTimeField()
    contests = models.PositiveIntegerField()
    groups = models.JSONField(default=dict)
    recorded_at = models.DateTimeField(auto_now_add=True)
    dirty_seq = models.BigIntegerField(default=0)
    ranked_seq = models.BigIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(
                fields=["id"], condition=models.Q(dirty_seq__gt=models.F("ranked_seq")), name="contest_to_rank"
            )
        ]

    def __str__(self):
        return f"{self.program} sealed at {self.sealed_at:%Y-%m-%d %H:%M} UTC"


class LeaderboardSnapshot(models.Model):
    """Who stood where on one board when a day of the program began: what movement is measured against.

    `board` is the index of a `rank` reward, or -1 for the board by measure. `ranks`: group (participant key, team or
    partner) -> rank.
    """

    program = models.ForeignKey(Program, on_delete=models.CASCADE, related_name="board_snapshots")
    board = models.IntegerField()
    day = models.DateField(help_text="In the program's time zone.")
    taken_at = models.DateTimeField(auto_now_add=True)
    ranks = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["program", "board", "day"], name="board_snapshot_once_per_day")]

    def __str__(self):
        return f"{self.program} board {self.board} on {self.day}"
