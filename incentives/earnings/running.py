"""The programs that credit facts, with everything besides facts that decides what they credit."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q

from incentives.crm.models import ObjectState
from incentives.earnings.facts import People
from incentives.ledger.rates import RateTable
from incentives.programs.models import Enrollment, Program, ProgramStop, ProgramVersion
from incentives.programs.rules.facts import NOTHING, CreditResult, Enrolment, Fact, Stops
from incentives.programs.rules.schema import Definition
from incentives.programs.rules.timeline import Timeline
from incentives.programs.versions import timeline_of, timeline_with

MARGIN = timedelta(days=2)
"""Wider than any difference of time zones: a cheap look at dates before the rules decide exactly."""


@dataclass(frozen=True, slots=True)
class Running:
    """A program that credits facts: its versions, and the times in which it had run out of money."""

    program: Program
    timeline: Timeline
    versions: dict[int, ProgramVersion]
    """By number; of a preview without the one that is not published."""
    stops: Stops = ()

    @property
    def version(self) -> ProgramVersion:
        """The version that governs at the program's end: contests, and what no other version has a say in."""
        return self.versions[self.timeline.last.number]

    @property
    def definition(self) -> Definition:
        """Of `version`."""
        return self.timeline.last.definition

    @property
    def newest(self) -> int:
        return max(self.versions)

    @property
    def named(self) -> list[str]:
        """Participant keys the definitions themselves name."""
        definitions = (segment.definition for segment in self.timeline.segments)
        return [overlay.participant for d in definitions for overlay in d.credit.overlays if overlay.participant]

    def version_at(self, moment: datetime) -> ProgramVersion:
        return self.versions[self.timeline.at(moment).number]

    def definition_of(self, number: int | None) -> Definition:
        """Of the version a line names (Line.version), else of `version`."""
        found = (segment.definition for segment in self.timeline.segments if segment.number == number)
        return next(found, self.definition)

    def definition_for(self, fact: Fact) -> Definition:
        """The definition that judges the fact."""
        return self.timeline.of_fact(fact).definition

    def may_count(self, state: ObjectState) -> bool:
        """Whether the rules have to look at this fact at all."""
        first, last = self._days()
        day = state.occurred_at.date()
        return first <= day <= last or (state.close_date is not None and first <= state.close_date <= last)

    def near(self) -> Q:
        """As `may_count`, of object states in the database."""
        first, last = self._days()
        return Q(occurred_at__date__range=(first, last)) | Q(close_date__range=(first, last))

    def _days(self):
        return self.timeline.last.definition.starts_on - MARGIN, self.timeline.last_day + MARGIN


def running_programs() -> list[Running]:
    """Programs that credit facts now, oldest first."""
    found: dict[int, list[ProgramVersion]] = defaultdict(list)
    published = ProgramVersion.objects.filter(program__status__in=Program.SCORED, published_at__isnull=False)
    for version in published.select_related("program").defer("definition").order_by("number"):
        found[version.program_id].append(version)
    stops = _stops()
    running = [_running(versions, stops.get(program_id, ())) for program_id, versions in found.items()]
    return sorted(running, key=lambda run: (run.program.starts_on, run.program.pk))


def _running(versions: list[ProgramVersion], stops: Stops) -> Running:
    return Running(versions[0].program, timeline_of(versions), {v.number: v for v in versions}, stops)


def _stops() -> dict[int, Stops]:
    found: dict[int, list] = defaultdict(list)
    for program_id, start, end in ProgramStop.objects.values_list("program_id", "stopped_at", "resumed_at"):
        found[program_id].append((start, end))
    return found


def running_of(program: Program) -> Running:
    """A program whatever its state; of a first draft, as if what is being written were published."""
    versions = list(program.versions.order_by("number"))
    published = [version for version in versions if version.published_at is not None]
    if not published:
        return imagined(program, versions[-1])
    return _running(published, _stops().get(program.pk, ()))


def imagined(program: Program, draft: ProgramVersion, starts_at: datetime | None = None) -> Running:
    """The program as it would be with `draft` published to start at that moment (None: from the first day on)."""
    versions = {v.number: v for v in program.versions.filter(published_at__isnull=False)} | {draft.number: draft}
    return Running(program, timeline_with(program, draft, starts_at), versions, _stops().get(program.pk, ()))


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a batch of facts is credited by: people, who is enrolled by name, exchange rates. Read once per batch."""

    people: People
    enrolments: dict[int, Enrolment]
    rates: RateTable = field(default_factory=RateTable)

    def credits(self, run: Running, fact: Fact, *, words: bool = False) -> CreditResult:
        """The credits of the fact in the program, by the version that governs."""
        rates, enrolment = self.rates.to(run.definition.currency), self.enrolment(run.program)
        return run.timeline.credits(
            fact, self.people.roster, rates, enrolment=enrolment, stops=run.stops, words=words
        )  # fmt: skip

    def enrolment(self, program: Program) -> Enrolment:
        return self.enrolments.get(program.pk, NOTHING)


def inputs_for(programs: Iterable[Running], people: People) -> Inputs:
    """The inputs for some programs and the people that some facts can credit."""
    found: dict[int, dict[str, str]] = defaultdict(dict)
    rows = Enrollment.objects.filter(program__in=[run.program.pk for run in programs])
    if len(people.keys) < 1000:
        rows = rows.filter(participant__in=people.keys)
    for program_id, participant_id, state in rows.values_list("program_id", "participant_id", "state"):
        if participant_id in people.keys:
            found[program_id][people.keys[participant_id]] = state
    return Inputs(people, found)
