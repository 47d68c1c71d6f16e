"""Promise 2: recompute everything from nothing and compare it with what is stored."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from django.db.models import F, Sum

from incentives.crm.models import ObjectState
from incentives.earnings import contests
from incentives.earnings.evaluate import evaluate
from incentives.earnings.facts import People, counts, fact_of, people_in, targets_of
from incentives.earnings.grouping import stacked
from incentives.earnings.models import ContestSeal, Earning, Participation
from incentives.earnings.running import Inputs, Running, inputs_for, running_programs
from incentives.participants.models import Participant
from incentives.programs.models import Program
from incentives.programs.rules.facts import Credit, Scorecard
from rewards.money import Money


@dataclass(frozen=True, slots=True)
class Difference:
    """One line whose stored earnings are not what the facts give. Minor units."""

    program: Program
    participant: str
    period_start: date
    line_key: str
    stored_minor: int
    computed_minor: int

    def __str__(self):
        stored, computed = (Money(v, self.program.currency) for v in (self.stored_minor, self.computed_minor))
        return f"{self.program} {self.participant} {self.period_start} {self.line_key}: stored {stored}, is {computed}"


@dataclass(slots=True)
class Computed:
    """One program from nothing: each participant's scorecards, and what a sealed contest reads besides."""

    running: Running
    cards: dict[str, Sequence[Scorecard]] = field(default_factory=dict)
    credits: dict[str, list[Credit]] = field(default_factory=lambda: defaultdict(list))
    received: dict[str, datetime | None] = field(default_factory=dict)  # fact id -> when it first reached us


def check() -> Iterator[Difference]:
    """Every line that differs, computed from facts, roster, targets, rates and versions alone; reads no stored credit and
    writes nothing. Facts still waiting to be credited count as they stand, so run it when nothing is due."""
    people = people_in(Participant.objects.select_related("team", "partner"))
    programs = running_programs()
    inputs = inputs_for(programs, people)
    seals = {seal.program_id: seal for seal in ContestSeal.objects.filter(contests__gt=0).select_related("version")}
    beside: list[Computed] = []
    for running in programs:
        found = _from_nothing(running, inputs)
        if running.program.stacks:
            beside.append(found)
        else:
            yield from _compare(running.program, _lines(found, inputs, seals), people)
    _stack(beside)
    for found in beside:
        yield from _compare(found.running.program, _lines(found, inputs, seals), people)
    for program in Program.objects.exclude(pk__in=[running.program.pk for running in programs]):
        yield from _compare(program, {}, people)
    yield from _wrong_totals()


def _from_nothing(running: Running, inputs: Inputs) -> Computed:
    """Everybody's scorecards in one program, before stacking."""
    people, found = inputs.people, Computed(running)
    for state in ObjectState.objects.order_by("pk").iterator(chunk_size=2000):
        if counts(state) and running.may_count(state):
            found.received[str(state.pk)] = state.received_at
            for credit in inputs.credits(running, fact_of(state, people)).credits:
                found.credits[credit.participant].append(credit)
    targets = targets_of(running.program.pk, people.keys)
    for key in set(found.credits) | set(_known(running.program, people.keys)):
        own = found.credits.get(key, [])
        found.cards[key] = running.timeline.score(people.roster[key], targets[people.ids[key]], own)
    return found


def _stack(beside: list[Computed]) -> None:
    """Put each participant's scorecards in programs that stack beside each other."""
    for key in {key for found in beside for key in found.cards}:
        own = [found for found in beside if key in found.cards]
        together = stacked([(found.running, found.cards[key]) for found in own])
        for found, cards in zip(own, together, strict=True):
            found.cards[key] = cards


def _lines(found: Computed, inputs: Inputs, seals: dict[int, ContestSeal]) -> dict[tuple, int]:
    """(participant id, start of period, line key) -> minor units, prizes included."""
    people, program = inputs.people, found.running.program
    lines = {
        (people.ids[key], card.period_start, line.key): line.amount_minor
        for key, own in found.cards.items()
        for card in own
        for line in card.lines
    }
    if seal := seals.get(program.pk):
        enrolment = inputs.enrolment(program)
        lines |= contests.computed_prizes(seal, people, enrolment, found.credits, found.cards, found.received)
    return lines


def _known(program: Program, keys) -> list[str]:
    return [keys[pk] for pk in program.participations.values_list("participant_id", flat=True)]


def _compare(program: Program, computed: dict, people: People) -> Iterator[Difference]:
    rows = Earning.objects.filter(participation__program=program)
    grouped = rows.values_list("participation__participant_id", "period_start", "line_key")
    stored = {(p, d, k): total for p, d, k, total in grouped.annotate(total=Sum("amount_minor")).order_by()}
    for key in sorted(set(computed) | set(stored), key=str):
        was, now = stored.get(key, 0), computed.get(key, 0)
        if was != now:
            name = people.roster[people.keys[key[0]]].name
            yield Difference(program, name, key[1], key[2], was, now)


def _wrong_totals() -> Iterator[Difference]:
    rows = Participation.objects.annotate(total=Sum("earnings__amount_minor")).exclude(earned_minor=F("total"))
    for row in rows.select_related("program", "participant"):
        if row.earned_minor != (row.total or 0):
            yield Difference(
                row.program, str(row.participant), row.program.starts_on, "total", row.earned_minor, row.total or 0
            )


def recompute() -> dict[str, int]:
    """Mark every fact and scorecard as due and evaluate: posts whatever differs. Returns evaluate's counts."""
    ObjectState.objects.update(changed_seq=F("changed_seq") + 1)
    Participation.objects.update(dirty_seq=F("dirty_seq") + 1)
    return evaluate(limit=10**9)
