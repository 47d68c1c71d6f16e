"""Reading disputes: queues, threads, counts, and what may have corrected a subject."""

from django.db.models import Count, F, Q, QuerySet

from incentives.awards.models import Award
from incentives.core.models import AuditEvent
from incentives.crm.models import Activity
from incentives.disputes.models import Dispute, DisputeMessage
from incentives.disputes.services import Correction

S = Dispute.Status
CANDIDATES = 12


def queue(user) -> QuerySet[Dispute]:
    """What staff may see, with everything a row shows."""
    return Dispute.objects.visible_to(user).select_related("participant__team", "program", "assigned_to")


def thread(dispute: Dispute, *, staff: bool) -> list[DisputeMessage]:
    """The messages in order; internal ones for staff only."""
    rows = dispute.messages.all()
    return list(rows if staff else rows.filter(internal=False))


def waiting_for(user) -> dict[str, int]:
    """How many open questions there are, and how many of them are this person's or nobody's. One query."""
    foreign = Q(participant__user__isnull=True) | ~Q(participant__user=user)
    found = Dispute.objects.filter(foreign, status=S.OPEN).aggregate(
        all=Count("pk"), mine=Count("pk", filter=Q(assigned_to=user)), free=Count("pk", filter=Q(assigned_to=None))
    )
    return found


def unread_of(participant) -> int:
    """Questions of the participant that were answered or asked back and not looked at since."""
    told = Dispute.objects.filter(participant=participant, status__in=(*Dispute.DECIDED, S.WAITING))
    return told.filter(Q(seen_at=None) | Q(seen_at__lt=F("moved_at"))).count()


def open_about(participant, key: str) -> Dispute | None:
    return Dispute.objects.open().filter(participant=participant, subject_key=key).first()


def about_line(participant, earning) -> list[Dispute]:
    """The participant's questions about the earning's line, newest first."""
    rows = Dispute.objects.filter(
        participant=participant, earning__participation=earning.participation_id,
        earning__period_start=earning.period_start, earning__line_key=earning.line_key,
    )  # fmt: skip
    return list(rows.order_by("-pk"))


def candidates(dispute: Dispute) -> list[Correction]:
    """What happened since the question was asked and may be its correction, newest first."""
    person, since = dispute.participant, dispute.opened_at
    found: list[tuple] = []
    about = Q(participant=person) | (Q(object=dispute.object_id) if dispute.object_id else Q(pk__in=[]))
    activities = Activity.objects.filter(about, recorded_at__gte=since).select_related("object").order_by("-pk")
    for activity in activities[:CANDIDATES]:
        if activity.object.object_type != "award":
            label = f"{activity.get_kind_display()}: {activity.object}"
            found.append((activity.recorded_at, Correction("activity", str(activity.public_id), label)))
    awards = Award.objects.filter(Q(created_at__gte=since) | Q(cancelled_at__gte=since), participant=person)
    for award in awards.order_by("-pk")[:CANDIDATES]:
        moment = award.cancelled_at or award.created_at
        label = f"{award.get_status_display()}: {award.reason}, {award.amount}"
        found.append((moment, Correction("award", str(award.public_id), label)))
    targets = AuditEvent.objects.filter(action__startswith="target.", after__participant=person.key, at__gte=since)
    if dispute.program_id:
        targets = targets.filter(target_type="programs.program", target_id=str(dispute.program.public_id))
    for event in targets.order_by("-pk")[:CANDIDATES]:
        label = f"{event.target_label}: {event.before.get('value') or '–'} → {event.after.get('value') or '–'}"
        found.append((event.at, Correction("target", str(event.pk), label)))
    return [item for _at, item in sorted(found, key=lambda pair: pair[0], reverse=True)][:CANDIDATES]
