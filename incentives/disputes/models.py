"""Dispute, DisputeMessage."""

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.fields import CurrencyField
from incentives.crm.models import ObjectState
from incentives.earnings.models import Earning
from incentives.participants.models import Participant
from incentives.payouts.models import Payout
from incentives.programs.models import Program
from incentives.programs.told import told
from rewards.money import Money

USER = settings.AUTH_USER_MODEL
REOPEN_DAYS = 14


class DisputeQuerySet(models.QuerySet):
    def visible_to(self, user):
        """All for who answers or audits, but for those about themselves: of these they read what participants read."""
        return self.exclude(participant__user=user) if user.can("disputes.view") else self.none()

    def raised_by_person(self, user):
        """Those about what this person earns; nobody else's."""
        mine = getattr(user, "participant", None) if user.can("disputes.raise") else None
        return self.filter(participant=mine) if mine is not None else self.none()

    def open(self):
        return self.filter(status__in=Dispute.OPEN)


class Dispute(models.Model):
    """A question of a participant about what they earned, or did not. `version` grows with everything that happens to it:
    who decides names the version they saw, so that of two who decide at once one is refused."""

    class About(models.TextChoices):
        LINE = "line", _("An amount")
        RECORD = "record", _("A deal")
        PAYOUT = "payout", _("A reward")
        MISSING = "missing", _("Something is missing")

    class Status(models.TextChoices):
        OPEN = "open", _("Open")  # somebody of staff must act
        WAITING = "waiting_for_rep", _("Waiting for the participant")
        ANSWERED = "answered", _("Explained")
        CORRECTED = "corrected", _("Corrected")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    NEXT = {
        Status.OPEN: {Status.WAITING, Status.ANSWERED, Status.CORRECTED, Status.WITHDRAWN},
        Status.WAITING: {Status.OPEN, Status.ANSWERED, Status.CORRECTED, Status.WITHDRAWN},
        Status.ANSWERED: {Status.OPEN},
        Status.CORRECTED: {Status.OPEN},
        Status.WITHDRAWN: set(),
    }
    OPEN = (Status.OPEN, Status.WAITING)
    DECIDED = (Status.ANSWERED, Status.CORRECTED)

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    participant = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="disputes")
    raised_by = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    about = models.CharField(max_length=10, choices=About.choices)
    subject = models.CharField(max_length=200, help_text="What it is about, in words.")
    subject_key = models.CharField(
        max_length=300, blank=True, editable=False, help_text="One open question per subject."
    )
    program = models.ForeignKey(Program, null=True, blank=True, on_delete=models.PROTECT, related_name="disputes")
    earning = models.ForeignKey(Earning, null=True, blank=True, on_delete=models.PROTECT, related_name="disputes")
    object = models.ForeignKey(ObjectState, null=True, blank=True, on_delete=models.PROTECT, related_name="disputes")
    payout = models.ForeignKey(Payout, null=True, blank=True, on_delete=models.PROTECT, related_name="disputes")
    status = models.CharField(_("status"), max_length=16, choices=Status.choices, default=Status.OPEN, db_index=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    assigned_to = models.ForeignKey(USER, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(default=timezone.now)
    moved_at = models.DateTimeField(default=timezone.now, help_text="When it last changed hands or state.")
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    participant_user = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    reopened_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True, help_text="When the participant last opened it.")
    currency = CurrencyField(blank=True)
    before_minor = models.BigIntegerField(null=True, help_text="What the subject was worth when it was questioned.")
    after_minor = models.BigIntegerField(null=True, help_text="What it was worth when it was decided.")
    correction = models.CharField(max_length=20, blank=True, help_text="Kind of what was corrected.")
    correction_ref = models.CharField(max_length=64, blank=True)
    correction_label = models.CharField(max_length=200, blank=True)

    objects = DisputeQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["participant", "subject_key"],
                condition=Q(status__in=["open", "waiting_for_rep"]) & ~Q(subject_key=""),
                name="dispute_open_once",
            ),
            # Whatever door it came through: nobody decides a question of their own.
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True)
                | Q(participant_user__isnull=True)
                | ~Q(decided_by=F("participant_user")),
                name="dispute_not_decided_by_its_participant",
            ),
        ]
        indexes = [models.Index(fields=["status", "moved_at"], name="dispute_queue")]

    def __str__(self):
        return f"{self.subject} ({self.participant})"

    def get_absolute_url(self) -> str:
        return reverse("disputes:dispute", args=[self.public_id])

    @property
    def told(self) -> str:
        """The subject in the reader's language: its record's name, or the explanation of a line about a whole period."""
        if self.object_id is not None:
            return str(self.object)
        return told(self.subject) if self.about == self.About.LINE else self.subject

    @property
    def own_url(self) -> str:
        return reverse("disputes:own", args=[self.public_id])

    @property
    def before(self) -> Money | None:
        return None if self.before_minor is None else Money(self.before_minor, self.currency)

    @property
    def after(self) -> Money | None:
        return None if self.after_minor is None else Money(self.after_minor, self.currency)

    @property
    def difference(self) -> Money | None:
        """What the decision changed; None where there is nothing to compare."""
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def may_reopen(self) -> bool:
        """Once, within REOPEN_DAYS of the decision."""
        if self.status not in self.DECIDED or self.reopened_at is not None or self.decided_at is None:
            return False
        return timezone.now() <= self.decided_at + timedelta(days=REOPEN_DAYS)

    @property
    def is_open(self) -> bool:
        return self.status in self.OPEN

    @property
    def unread(self) -> bool:
        """The participant has not looked since somebody answered or asked back."""
        waits = self.status in (*self.DECIDED, self.Status.WAITING)
        return waits and (self.seen_at is None or self.seen_at < self.moved_at)

    @property
    def state_for_participant(self) -> str:
        if self.status == self.Status.OPEN:
            return gettext("Being looked at")
        return gettext("We asked you something") if self.status == self.Status.WAITING else self.get_status_display()


class DisputeMessage(models.Model):
    """One contribution to the thread. `internal` ones are for staff. Rows are only ever added."""

    class Kind(models.TextChoices):
        QUESTION = "question", _("asked")
        REPLY = "reply", _("replied")
        ASKED = "asked", _("asked back")
        EXPLAINED = "explained", _("explained")
        CORRECTED = "corrected", _("corrected")
        NOTE = "note", _("noted internally")
        WITHDRAWN = "withdrawn", _("withdrew the question")
        REOPENED = "reopened", _("opened it again")

    dispute = models.ForeignKey(Dispute, on_delete=models.PROTECT, related_name="messages")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    author = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    author_name = models.CharField(max_length=200)
    by_staff = models.BooleanField()
    internal = models.BooleanField(default=False)
    text = models.TextField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return f"{self.author_name} {self.get_kind_display()}"
