"""Program, ProgramVersion, ReviewLimit, Target, ProgramStop, Enrollment, Terms and who accepted them."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from incentives.core.fields import CurrencyField, ScaledDecimalField
from incentives.ledger.models import Budget
from incentives.participants.models import Participant
from rewards.money import Money

USER = settings.AUTH_USER_MODEL


class Program(models.Model):
    """An incentive. What it does stands in its versions; what is copied here from the present one is for lists only."""

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        IN_REVIEW = "in_review", _("In review")  # a second manager confirms before it is launched
        SCHEDULED = "scheduled", _("Scheduled")
        ACTIVE = "active", _("Active")
        PAUSED = "paused", _("Paused")
        CLOSING = "closing", _("Closing")  # ended, late facts still count until the grace days are over
        CLOSED = "closed", _("Closed")
        ARCHIVED = "archived", _("Archived")

    NEXT = {
        Status.DRAFT: {Status.IN_REVIEW, Status.SCHEDULED, Status.ACTIVE, Status.ARCHIVED},
        Status.IN_REVIEW: {Status.DRAFT, Status.SCHEDULED, Status.ACTIVE},
        Status.SCHEDULED: {Status.ACTIVE, Status.DRAFT, Status.PAUSED},
        Status.ACTIVE: {Status.PAUSED, Status.CLOSING, Status.CLOSED},
        Status.PAUSED: {Status.ACTIVE, Status.SCHEDULED, Status.CLOSING, Status.CLOSED},
        Status.CLOSING: {Status.ACTIVE, Status.CLOSED},  # active again: a version with a later last day
        Status.CLOSED: {Status.ARCHIVED},
        Status.ARCHIVED: set(),
    }
    SCORED = (Status.SCHEDULED, Status.ACTIVE, Status.PAUSED, Status.CLOSING, Status.CLOSED, Status.ARCHIVED)
    """States in which facts are credited. A pause stops payouts, not the count; a closed one still takes corrections, and
    so does one that was put away: what it earned stands as long as its facts do."""

    class Names(models.TextChoices):
        """How much of people's names everybody else on a board sees; teams and organisations always have theirs."""

        FULL = "full", _("First and last name")
        SHORT = "short", _("First name and initial")
        HIDDEN = "hidden", _("No names, only teams")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(_("name"), max_length=120)
    template = models.CharField(_("kind"), max_length=20, default="spiff", db_index=True)
    status = models.CharField(_("status"), max_length=12, choices=Status.choices, default=Status.DRAFT, db_index=True)
    currency = CurrencyField(_("currency"))
    starts_on = models.DateField(_("starts on"))
    ends_on = models.DateField(_("ends on"))
    budget = models.ForeignKey(Budget, null=True, blank=True, on_delete=models.PROTECT, related_name="programs")
    owner = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    launched_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True, help_text="When it closed: contests were sealed then.")
    board_names = models.CharField(_("names on boards"), max_length=8, choices=Names.choices, default=Names.SHORT)
    board_amounts = models.BooleanField(_("amounts on boards"), default=True)
    stacks = models.BooleanField(
        default=False,
        editable=False,
        help_text="A published version names a stacking group: it is scored beside others.",
    )
    credited_version = models.PositiveIntegerField(
        default=0, editable=False, help_text="The version the earnings engine has credited facts by."
    )

    class Meta:
        ordering = ["-starts_on", "name"]

    def __str__(self):
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("programs:program", args=[self.public_id])

    @property
    def newest_version(self) -> "ProgramVersion | None":
        """The newest published version, whether it has started or not; None while the program is a first draft."""
        return self.versions.filter(published_at__isnull=False).order_by("-number").first()

    @property
    def current_version(self) -> "ProgramVersion | None":
        """The published version that governs now, or None while the program is a first draft."""
        return self.version_at(timezone.now())

    def version_at(self, moment) -> "ProgramVersion | None":
        """The published version that governs a moment (rules/timeline.py), or None while the program is a first draft."""
        started = Q(starts_at__isnull=True) | Q(starts_at__lte=moment)
        return self.versions.filter(started, published_at__isnull=False).order_by("-number").first()

    @property
    def current_definition(self) -> dict:
        """The definition that governs now; of a draft, what is being written."""
        version = self.current_version or self.versions.order_by("-number").first()
        return version.definition if version else {}


class ProgramVersion(models.Model):
    """One definition of a program (design, section 4). Once published it never changes; an edit makes the next one.

    `created_by` began it, `edited_by` changed it last, `writers` are all of them: none of them may review it.
    """

    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    definition = models.JSONField()
    digest = models.CharField(max_length=64)
    note = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    published_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    published_at = models.DateTimeField(null=True)
    starts_at = models.DateTimeField(
        null=True, help_text="Governs facts that count at this moment or later; empty: from the program's first day."
    )
    starts_on_publish = models.BooleanField(
        default=False, help_text="In review: it starts at the moment of its publication."
    )
    edited_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    writers = models.ManyToManyField(USER, related_name="+")
    review_requested_at = models.DateTimeField(null=True)
    review_requested_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    reviewed_by = models.ForeignKey(
        USER, null=True, on_delete=models.PROTECT, related_name="+", help_text="The second manager who published it."
    )
    returned_reason = models.CharField(max_length=500, blank=True, help_text="Why a reviewer sent it back.")

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["program", "number"], name="version_number_once"),
            models.UniqueConstraint(
                fields=["program"], condition=Q(published_at__isnull=True), name="version_one_draft_per_program"
            ),
            # Behind the service, which asks for all writers: nobody reviews what they wrote or asked a review of.
            models.CheckConstraint(
                condition=Q(reviewed_by__isnull=True)
                | (
                    (Q(created_by__isnull=True) | ~Q(reviewed_by=F("created_by")))
                    & (Q(edited_by__isnull=True) | ~Q(reviewed_by=F("edited_by")))
                    & (Q(review_requested_by__isnull=True) | ~Q(reviewed_by=F("review_requested_by")))
                ),
                name="version_reviewed_by_another",
            ),
        ]

    def __str__(self):
        return f"{self.program} v{self.number}"

    @property
    def in_review(self) -> bool:
        """Whether it waits for a second manager."""
        return self.review_requested_at is not None and self.published_at is None


class ReviewLimit(models.Model):
    """From which budget on a second manager must confirm what is published, in one currency. Without a row
    `review_limits.DEFAULT` holds."""

    currency = CurrencyField(_("currency"), unique=True)
    amount_minor = models.BigIntegerField()
    edited_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    edited_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["currency"]
        constraints = [models.CheckConstraint(condition=Q(amount_minor__gte=0), name="review_limit_not_negative")]

    def __str__(self):
        return f"Review above {self.amount}"

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class Target(models.Model):
    """What a participant is measured against in one period of a program."""

    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="targets")
    participant = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="targets")
    period_start = models.DateField()
    value = ScaledDecimalField()
    updated_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)
    to_score = models.BooleanField(default=True, help_text="Changed since the earnings engine last looked.")

    class Meta:
        indexes = [models.Index(fields=["id"], condition=Q(to_score=True), name="target_to_score")]
        constraints = [
            models.UniqueConstraint(fields=["program", "participant", "period_start"], name="target_once_per_period"),
            models.CheckConstraint(condition=Q(value__gt=0), name="target_above_zero"),
        ]

    def __str__(self):
        return f"{self.participant} {self.period_start}: {self.value}"


class TargetChange(models.Model):
    """One change of one target: who, when, from what to what, and why. Rows are only ever added.

    `whole` is the value before proration where the change is one. `before` is empty for the first value.
    """

    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="target_changes")
    participant = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="target_changes")
    period_start = models.DateField()
    before = ScaledDecimalField(null=True)
    after = ScaledDecimalField()
    whole = ScaledDecimalField(null=True)
    reason = models.CharField(max_length=300, blank=True)
    changed_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    changed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["program", "participant", "period_start"])]

    def __str__(self):
        return f"{self.participant} {self.period_start}: {self.before} -> {self.after}"


class ProgramStop(models.Model):
    """A time in which a `stop_when_spent` program had run out: facts first received in it do not count.

    Moments, `stopped_at` included and `resumed_at` not; one that still lasts has no end.
    """

    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="stops")
    stopped_at = models.DateTimeField()
    resumed_at = models.DateTimeField(null=True)
    resumed_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300, blank=True)
    to_credit = models.BooleanField(default=True, help_text="Begun or ended since the earnings engine last looked.")

    class Meta:
        ordering = ["stopped_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["program"], condition=Q(resumed_at__isnull=True), name="program_stopped_once_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(resumed_at__isnull=True) | Q(resumed_at__gte=F("stopped_at")), name="program_stop_in_order"
            ),
        ]

    def __str__(self):
        return f"{self.program} from {self.stopped_at}"


class Enrollment(models.Model):
    """A person invited to a program beyond its eligibility rule, or excluded from it whatever the rule says."""

    class State(models.TextChoices):
        INVITED = "invited", _("Invited")
        EXCLUDED = "excluded", _("Excluded")

    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="enrollments")
    participant = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="enrollments")
    state = models.CharField(max_length=10, choices=State.choices)
    reason = models.CharField(max_length=300, blank=True)
    set_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    set_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["program", "participant"], name="enrollment_once")]

    def __str__(self):
        return f"{self.participant}: {self.get_state_display()}"


class EnrollmentChange(models.Model):
    """A mark: this person's facts are to be credited anew in this program. The earnings engine removes what it has seen.

    A row per change and no unique constraint, so that a change during the engine's work leaves a mark of its own.
    """

    program = models.ForeignKey(Program, on_delete=models.CASCADE, related_name="+")
    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, related_name="+")

    def __str__(self):
        return f"{self.participant_id} in {self.program_id}"


class Terms(models.Model):
    """One text of a program's terms. Once published it never changes; a change makes the next number.

    `asks_again`: who accepted an earlier text must accept this one too; the first text always asks. `holds_payouts`:
    payouts wait until their recipient has accepted. Of the published texts the newest one decides.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="terms")
    number = models.PositiveIntegerField()
    title = models.CharField(_("title"), max_length=150)
    body = models.TextField(_("text"))
    digest = models.CharField(max_length=64)
    asks_again = models.BooleanField(default=True)
    holds_payouts = models.BooleanField(default=True)
    edited_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    edited_at = models.DateTimeField(auto_now=True)
    published_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    published_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["program", "number"]
        verbose_name_plural = "terms"
        constraints = [
            models.UniqueConstraint(fields=["program", "number"], name="terms_number_once"),
            models.UniqueConstraint(
                fields=["program"], condition=Q(published_at__isnull=True), name="terms_one_draft_per_program"
            ),
            models.CheckConstraint(condition=Q(asks_again=True) | Q(number__gt=1), name="terms_first_asks"),
        ]

    def __str__(self):
        return f"{self.title} ({self.number})"


class TermsAcceptance(models.Model):
    """That somebody accepted one text: who, when, from where, and the digest of what they read. Rows are only added."""

    terms = models.ForeignKey(Terms, on_delete=models.PROTECT, related_name="acceptances")
    participant = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="acceptances")
    user = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    accepted_at = models.DateTimeField(auto_now_add=True)
    digest = models.CharField(max_length=64)
    ip_address = models.GenericIPAddressField(null=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["terms", "participant"], name="terms_accepted_once")]

    def __str__(self):
        return f"{self.participant} accepted {self.terms_id}"
