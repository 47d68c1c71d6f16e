"""Promise 2: recompute everything from nothing and compare it with what is stored."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from django.db.models import F, Sum

from incentives.crm.models import ObjectState
from incentives.earnings import contests
from incentives.earnings.evaluate import evaluate
from incentives.earnings.facts import counts, fact_of, people_in, targets_of
from incentives.earnings.models import ContestSeal, Earning, Participation
from incentives.earnings.running import inputs_for, running_programs
from incentives.participants.models import Participant
from incentives.programs.models import Program
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


def check() -> Iterator[Difference]:
    """Every line that differs, computed from facts, roster, targets and versions alone; reads no stored credit and
    writes nothing. Facts still waiting to be credited count as they stand, so run it when nothing is due."""
    people = people_in(Participant.objects.select_related("team", "partner"))
    roster, ids, keys = people.roster, people.ids, people.keys
    programs, scored = running_programs(), set()
    inputs = inputs_for(programs, people)
    seals = {seal.program_id: seal for seal in ContestSeal.objects.filter(contests__gt=0).select_related("version")}
    for running in programs:
        scored.add(running.program.pk)
        credits, received, cards = defaultdict(list), {}, {}
        for state in ObjectState.objects.order_by("pk").iterator(chunk_size=2000):
            if counts(state) and running.may_count(state):
                received[str(state.pk)] = state.received_at
                for credit in inputs.credits(running, fact_of(state, people)).credits:
                    credits[credit.participant].append(credit)
        targets = targets_of(running.program.pk, keys)
        computed = {}
        for key in set(credits) | set(_known(running.program, keys)):
            cards[key] = running.timeline.score(roster[key], targets[ids[key]], credits.get(key, []))
            for card in cards[key]:
                for line in card.lines:
                    computed[ids[key], card.period_start, line.key] = line.amount_minor
        if seal := seals.get(running.program.pk):
            computed |= contests.computed_prizes(
                seal, people, inputs.enrolment(running.program), credits, cards, received
            )
        yield from _compare(running.program, computed, roster, keys)
    for program in Program.objects.exclude(pk__in=scored):
        yield from _compare(program, {}, roster, keys)
    yield from _wrong_totals()


def _known(program: Program, keys) -> list[str]:
    return [keys[pk] for pk in program.participations.values_list("participant_id", flat=True)]


def _compare(program: Program, computed: dict, roster, keys) -> Iterator[Difference]:
    rows = Earning.objects.filter(participation__program=program)
    grouped = rows.values_list("participation__participant_id", "period_start", "line_key")
    stored = {(p, d, k): total for p, d, k, total in grouped.annotate(total=Sum("amount_minor")).order_by()}
    for key in sorted(set(computed) | set(stored), key=str):
        was, now = stored.get(key, 0), computed.get(key, 0)
        if was != now:
            yield Difference(program, roster[keys[key[0]]].name, key[1], key[2], was, now)


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
