"""The published versions of programs as timelines: which one governs when (rules/timeline.py has the rule)."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from django.db.models import Q
from django.utils import timezone

from incentives.programs.models import Program, ProgramVersion
from incentives.programs.rules.parsing import parse_definition
from incentives.programs.rules.schema import Definition
from incentives.programs.rules.timeline import Segment, Timeline, start_problem


@lru_cache(maxsize=1024)
def _parsed(digest: str, version_id: int) -> Definition:
    return parse_definition(ProgramVersion.objects.get(pk=version_id).definition)


def definition_of(version: ProgramVersion) -> Definition:
    """The parsed definition, kept per version: a published one never changes, and its digest is part of the key."""
    return _parsed(version.digest, version.pk)


def segment_of(version: ProgramVersion) -> Segment:
    return Segment(version.starts_at, version.number, definition_of(version))


def timeline_of(versions: Iterable[ProgramVersion]) -> Timeline | None:
    """The timeline of a program's published versions; None while there is none. Drafts among them are left out."""
    published = [segment_of(version) for version in versions if version.published_at is not None]
    return Timeline(published) if published else None


def timeline_with(program: Program, draft: ProgramVersion, starts_at: datetime | None = None) -> Timeline:
    """The timeline as it would be with `draft` published to start at that moment: for checks and previews."""
    published = program.versions.filter(published_at__isnull=False)
    segments = [segment_of(version) for version in published]
    return Timeline([*segments, Segment(starts_at, draft.number, parse_definition(draft.definition))])


def why_not_start(program: Program, draft: ProgramVersion, starts_at: datetime | None) -> str:
    """What keeps `draft` from starting at that moment, in words; empty when nothing does."""
    timeline = timeline_of(program.versions.all())
    what, expected, found = start_problem(timeline, parse_definition(draft.definition), starts_at)
    match what:
        case "":
            return ""
        case "first":
            return "The first version starts with the program; leave its start moment empty."
        case "before":
            return f"A version cannot start before the program's first moment ({expected:%Y-%m-%d %H:%M} UTC)."
        case "after":
            return f"The version ends at {expected:%Y-%m-%d %H:%M} UTC; it must start before that."
    return (
        f"{what}: the version it follows has {expected}, this one has {found}. A version that starts while the program "
        "runs must keep it; change it back, or let the version count from the program's first day."
    )


def stacking_problem(program: Program, definition: Definition) -> str:
    """Which other program of the stacking group pays in another currency, in words; empty when none does."""
    if definition.stacking is None:
        return ""
    group, others = definition.stacking.group, Program.objects.filter(stacks=True, status__in=Program.SCORED)
    versions = ProgramVersion.objects.filter(program__in=others.exclude(pk=program.pk), published_at__isnull=False)
    for version in versions.select_related("program").order_by("program", "number"):
        other = definition_of(version)
        if other.stacking and other.stacking.group == group and other.currency != definition.currency:
            return (
                f"{version.program} pays {other.currency} in the stacking group {group}, this program "
                f"{definition.currency}; amounts of two currencies do not compare. Choose another group."
            )
    return ""


def follow_versions(now: datetime | None = None) -> int:
    """Programs whose next version has started take its name and kind into the lists. The sweep calls it.

    Returns how many changed; a repeat changes nothing.
    """
    now = now or timezone.now()
    started = ProgramVersion.objects.filter(published_at__isnull=False, starts_at__lte=now).values("program")
    changed = 0
    for program in Program.objects.filter(pk__in=started):
        changed += bool(Program.objects.filter(_differs(program, now), pk=program.pk).update(**_listed(program, now)))
    return changed


def _listed(program: Program, now: datetime) -> dict:
    definition = definition_of(program.version_at(now))
    return {"name": definition.name, "template": definition.template}


def _differs(program: Program, now: datetime) -> Q:
    found = _listed(program, now)
    return ~Q(**found)


def copy_for_lists(program: Program, now: datetime | None = None) -> None:
    """Set what lists show of a published program (unsaved): name and kind of the version that governs now, the days of all.

    The days are those of the whole timeline at once, because they bound what may count at all.
    """
    now = now or timezone.now()
    timeline = timeline_of(program.versions.all())
    for name, value in _listed(program, now).items():
        setattr(program, name, value)
    last = timeline.last.definition
    program.currency, program.starts_on, program.ends_on = last.currency, last.starts_on, timeline.last_day
    program.stacks = any(definition_of(v).stacking for v in program.versions.filter(published_at__isnull=False))
