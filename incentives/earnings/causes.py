"""Why was a line posted or corrected: what happened between one posting and the next."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext, gettext_noop

from incentives.core.models import AuditEvent
from incentives.crm.models import Activity, ObjectState
from incentives.earnings.models import Credit, Earning, Participation, SealedStanding
from incentives.earnings.record import Change, plain, steps
from incentives.participants.models import Participant
from incentives.participants.services import READ_BY_RULES
from incentives.programs.models import ProgramVersion

PERSON = {
    "type": gettext_noop("type"),
    "team": gettext_noop("team"),
    "partner": gettext_noop("partner"),
    "manager": gettext_noop("manager"),
    "region": gettext_noop("region"),
    "started_on": gettext_noop("first day"),
    "ended_on": gettext_noop("last day"),
}
"""Words for participants.services.READ_BY_RULES."""
RECORDS, EVENTS, NAMED = 2000, 500, 4
"""Records and events that are looked through, newest first, and causes that are named per posting."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that happened: `kind` is activity, version, target, person or standing; `other` for an activity about another
    record of the same participant. `by` and `activity` (its public id) are for staff."""

    kind: str
    text: str
    at: datetime
    known_at: datetime
    changes: list[Change] = field(default_factory=list)
    other: bool = False
    by: str = ""
    activity: UUID | None = None


def causes_of(rows: list[Earning], record: ObjectState | None, *, own: Participant | None) -> dict[int, list[Cause]]:
    """Earning id -> what happened after the posting before it, oldest first; of the first posting its newest cause.

    `rows` are the postings of one line in order. The record's own activities come before those of other records: these
    are named only where the record itself did not change. At most nine queries whatever the history.
    """
    found = sorted(_candidates(rows, record, own), key=lambda cause: cause.known_at)
    result, since = {}, None
    for row in rows:
        window = [c for c in found if c.known_at <= row.posted_at and (since is None or c.known_at > since)]
        result[row.pk] = _told(window, first=since is None)
        since = row.posted_at
    return result


def _told(window: list[Cause], *, first: bool) -> list[Cause]:
    own = [cause for cause in window if not cause.other]
    chosen = own or window
    if first:  # everything up to here led to it; the newest set it off
        return chosen[-1:]
    if len(chosen) > NAMED:
        rest = gettext("and %(n)s more changes") % {"n": len(chosen) - NAMED}
        last = chosen[-NAMED]
        return [*chosen[-NAMED + 1 :], replace(last, kind="more", text=rest, changes=[])]
    return chosen


def _candidates(rows: list[Earning], record: ObjectState | None, own: Participant | None) -> Iterable[Cause]:
    participation, last = rows[0].participation, rows[-1].posted_at
    since = rows[0].posted_at if len(rows) > 1 else last
    yield from _activities(participation, record, last, since, own)
    yield from _versions(participation, last, own)
    yield from _audited(participation, last, own)
    if any(row.line_key.endswith(":rank") for row in rows):
        yield from _standings(participation, last, own)


def _standings(participation: Participation, last: datetime, own) -> Iterable[Cause]:
    """A prize is decided by the sealed standing, and changed by a revision of it."""
    for sealed in SealedStanding.objects.filter(program=participation.program_id, recorded_at__lte=last)[:EVENTS]:
        words = (
            gettext("The standing was sealed") if sealed.revision == 1 else gettext("The sealed standing was revised")
        )
        yield Cause(
            kind="standing",
            text=words if own or sealed.revision == 1 or not sealed.reason else f"{words}: {sealed.reason}",
            at=sealed.recorded_at,
            known_at=sealed.recorded_at,
        )


def _activities(participation: Participation, record, last: datetime, since: datetime, own) -> Iterable[Cause]:
    """Those of the record, and those of the participant's other records once something was corrected."""
    ids = {record.pk} if record else set()
    if record is None or last != since:
        ids |= _records(participation)
    known = Activity.objects.filter(object__in=ids, recorded_at__lte=last)
    if record is not None:
        known = known.filter(object=record.pk) | known.filter(recorded_at__gt=since)
    found = list(known.select_related("connection", "object").order_by("-pk")[:EVENTS])[::-1]
    for activity, step in zip(found, steps(found, own), strict=True):
        other = record is not None and activity.object_id != record.pk
        yield Cause(
            kind="activity",
            text=f"{step.title}: {step.record}",
            at=step.at,
            known_at=activity.recorded_at,
            changes=step.changes,
            other=other,
            by=step.by,
            activity=step.activity,
        )


def _records(participation: Participation) -> set[int]:
    """Records that are or were credited to the participant here, as far as rows say so."""
    credited = Credit.objects.filter(participation=participation).order_by("-pk").values_list("object", flat=True)
    earned = participation.earnings.filter(object__isnull=False).order_by("-pk").values_list("object", flat=True)
    owned = Activity.objects.filter(participant=participation.participant_id).order_by("-pk")
    return {pk for rows in (credited, earned, owned.values_list("object", flat=True)) for pk in rows[:RECORDS]}


def _versions(participation: Participation, last: datetime, own) -> Iterable[Cause]:
    rows = ProgramVersion.objects.filter(program=participation.program_id, published_at__lte=last)
    for version in rows.select_related("published_by").order_by("-number")[:EVENTS]:
        yield Cause(
            kind="version",
            text=gettext("Version %(n)s of the rules was published") % {"n": version.number},
            at=version.published_at,
            known_at=version.published_at,
            by="" if own else str(version.published_by or ""),
        )


def _audited(participation: Participation, last: datetime, own) -> Iterable[Cause]:
    """Changed targets and changes of the person that rules read."""
    person, program = participation.participant, participation.program
    targets = AuditEvent.objects.filter(
        target_type="programs.program", target_id=str(program.public_id), action__startswith="target.",
        after__participant=person.key, at__lte=last,
    )  # fmt: skip
    for event in targets.order_by("-pk")[:EVENTS]:
        before, after = event.before.get("value") or "", event.after.get("value") or ""
        yield Cause(
            kind="target",
            text=gettext("The target was set"),
            at=event.at,
            known_at=event.at,
            changes=[Change(gettext("Target"), plain(before) if before else "", plain(after) if after else "")],
            by="" if own else event.actor_name,
        )
    changed = AuditEvent.objects.filter(
        target_type="participants.participant",
        target_id=str(person.public_id),
        action="participant.changed",
        at__lte=last,
    )
    for event in changed.order_by("-pk")[:EVENTS]:
        names = sorted(set(event.after) & set(READ_BY_RULES))
        if names:
            yield Cause(
                kind="person",
                text=gettext("The participant's %(what)s changed")
                % {"what": ", ".join(gettext(PERSON[name]) for name in names)},
                at=event.at,
                known_at=event.at,
                by="" if own else event.actor_name,
            )
