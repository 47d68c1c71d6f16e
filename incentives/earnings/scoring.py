"""What participations are worth now, from the stored credits; writes nothing."""

from collections import defaultdict
from dataclasses import dataclass, replace

from incentives.earnings import contests
from incentives.earnings.facts import people_in, targets_of
from incentives.earnings.grouping import siblings_of, stacked
from incentives.earnings.models import Credit, Participation
from incentives.earnings.running import Running, running_programs
from incentives.participants.models import Participant
from incentives.programs.models import ProgramVersion
from incentives.programs.rules.facts import Credit as CreditValue

VALUES = ("share_percent", "share_from", "counted_at", "period_start", "measure", "whole")
"""What a stored credit carries of the rules' Credit, in its order after fact, participant and role."""


@dataclass(frozen=True, slots=True)
class Computed:
    """What the rules say about one participation now."""

    participation: Participation
    running: Running | None
    scorecards: tuple
    prizes: tuple = ()  # (period, line) of the sealed standings

    def version_of(self, number: int | None) -> ProgramVersion | None:
        """The version a line is paid by: the one it names, else the one that governs at the end."""
        if self.running is None:
            return self.participation.program.newest_version
        return self.running.versions.get(number) or self.running.version


def compute(participations: list[Participation]) -> list[Computed]:
    """Score from the stored credits, beside what the same people have in other programs that stack; writes nothing."""
    scored = _scored([*participations, *siblings_of(participations)])
    stacking: dict[int, list[int]] = defaultdict(list)
    for place, item in enumerate(scored):
        if item.running is not None and item.running.program.stacks:
            stacking[item.participation.participant_id].append(place)
    for places in stacking.values():
        if len(places) > 1:
            cards = stacked([(scored[place].running, scored[place].scorecards) for place in places])
            for place, found in zip(places, cards, strict=True):
                scored[place] = replace(scored[place], scorecards=found)
    return scored[: len(participations)]


def _scored(participations: list[Participation]) -> list[Computed]:
    """Each participation by itself."""
    rows = Participant.objects.filter(pk__in={p.participant_id for p in participations})
    people = people_in(rows.select_related("team", "partner"))
    credits = credits_by_participation(participations, people.keys)
    programs = {running.program.pk: running for running in running_programs()}
    targets = {
        program_id: targets_of(program_id, people.keys)
        for program_id in {p.program_id for p in participations} & set(programs)
    }
    prizes = contests.prize_lines(participations)
    result = []
    for participation in participations:
        running = programs.get(participation.program_id)
        if running is None:  # not scored: a draft earns nothing
            result.append(Computed(participation, None, ()))
            continue
        person = people.roster[people.keys[participation.participant_id]]
        mine = targets[participation.program_id][participation.participant_id]
        cards = running.timeline.score(person, mine, credits[participation.pk])
        won = tuple(prizes.get(participation.pk, ()))
        result.append(Computed(participation, running, tuple(cards), won))
    return result


def credits_by_participation(participations, keys) -> dict[int, list[CreditValue]]:
    credits: dict[int, list[CreditValue]] = defaultdict(list)
    key_of = {p.pk: keys[p.participant_id] for p in participations}
    rows = Credit.objects.filter(participation__in=participations).values_list(
        "participation_id", "object_id", "role", *VALUES
    )
    for pk, object_id, role, *values in rows.iterator(chunk_size=5000):
        credits[pk].append(CreditValue(str(object_id), key_of[pk], role, *values))
    return credits
