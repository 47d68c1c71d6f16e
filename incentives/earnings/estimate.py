"""What a deal that is not won yet would earn: the rules themselves, on the person's facts and one more; writes nothing."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from incentives.earnings.board_access import own_group, programs_with
from incentives.earnings.facts import people_in
from incentives.earnings.grouping import stacked
from incentives.earnings.leaderboards import boards_of, leaderboard
from incentives.earnings.models import Participation
from incentives.earnings.running import Running, inputs_for, running_programs
from incentives.earnings.scoring import credits_by_participation
from incentives.participants.models import Participant
from incentives.programs.models import Program, Target
from incentives.programs.rules.conditions import Group, Not, Test
from incentives.programs.rules.facts import Credit, Fact, Scorecard
from incentives.programs.rules.schema import Definition
from incentives.programs.told import told
from rewards.money import Money

ID = "estimate"
KINDS = ("deal.won", "claim.submitted")
"""What somebody can say of a deal ahead; reported metrics cannot be guessed."""
S = Program.Status
AHEAD = (S.SCHEDULED, S.ACTIVE, S.PAUSED, S.CLOSING)
KNOWN = frozenset(
    "kind amount quantity currency close_date occurred_at participant metric value received_at id external_id version object "
    "object_id object_type".split()
)
"""Fields a deal ahead has from the form itself, or cannot have."""


@dataclass(frozen=True, slots=True)
class Deal:
    """A deal as its owner expects it. `answers`: condition field -> text, True or False; those left open are missing."""

    amount: Decimal
    currency: str
    closes_on: date
    quantity: Decimal = Decimal(1)
    answers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """Something the rules of one's programs ask of a deal. `choices`: the values they name; `truth`: yes or no; neither:
    free text. `presence`: the rules only ask whether it is there at all."""

    field: str
    choices: tuple[str, ...] = ()
    truth: bool = False
    presence: bool = False


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one program would add. `lines`: (why, how much more or less); `why_not` in words when it would not count.
    `place`: rank on its board before (None: not on it) and after, where it is a contest."""

    program: Program
    gained: Money
    lines: list[tuple[str, Money]]
    why_not: tuple[str, ...] = ()
    place: tuple[int | None, int] | None = None


# --- what the rules ask -------------------------------------------------------------------------------------------------
def ahead_of(participant: Participant) -> list[Running]:
    """The programs somebody is in that a deal ahead may count for, oldest first."""
    runs = [run for run in running_programs() if run.program.status in AHEAD and kind_of(run.definition)]
    mine = {program.pk for program, _definition in programs_with(participant, [run.program for run in runs])}
    return [run for run in runs if run.program.pk in mine]


def questions(runs: Iterable[Running]) -> list[Question]:
    """Every field the programs' conditions read, each once, in the order met."""
    tests: dict[str, list[Test]] = defaultdict(list)
    for run in runs:
        for test in _tests_of(run.definition):
            if test.field.partition(".")[0] not in KNOWN:
                tests[test.field].append(test)
    return [_question(name, found) for name, found in tests.items()]


def _tests_of(definition: Definition) -> Iterator[Test]:
    yield from _walk(definition.qualifies)
    for test in _walk(definition.measure.lines):
        yield Test("lines." + test.field.removeprefix("line.").removeprefix("lines."), test.op, test.value)


def _walk(condition) -> Iterator[Test]:
    if isinstance(condition, Group):
        for item in condition.items:
            yield from _walk(item)
    elif isinstance(condition, Not):
        yield from _walk(condition.item)
    elif isinstance(condition, Test):
        prefix = condition.field.startswith("line.")
        yield Test("lines." + condition.field[5:], condition.op, condition.value) if prefix else condition


def _question(name: str, tests: list[Test]) -> Question:
    named = [test for test in tests if test.op in ("eq", "ne", "in", "not_in")]
    values = [value for test in named for value in _each(test.value)]
    if all(isinstance(value, bool) for value in values) and all(t.op == "exists" for t in tests if t not in named):
        return Question(name, truth=True, presence=not named)
    return Question(name, choices=tuple(dict.fromkeys(str(value) for value in values)) if named == tests else ())


def _each(value) -> tuple:
    return value if isinstance(value, tuple) else (value,)


def kind_of(definition: Definition) -> str:
    """The kind of fact this program counts, of those one can foresee; empty when it counts others."""
    asked = [value for test in _walk(definition.qualifies) if test.field == "kind" for value in _each(test.value)]
    return next((kind for kind in KINDS if kind in asked), "") if asked else KINDS[0]


# --- what it would earn -------------------------------------------------------------------------------------------------
def estimate(participant: Participant, runs: list[Running], deal: Deal, now: datetime | None = None) -> list[Estimate]:
    """One Estimate per program, those that would pay most first. Ten queries for any number of facts and programs,
    and those of a leaderboard per contest."""
    now = now or timezone.now()
    people = people_in(_with_managers(participant))
    person = people.roster[people.keys[participant.pk]]
    inputs = inputs_for(runs, people)
    standing = {
        p.program_id: p
        for p in Participation.objects.filter(participant=participant, program__in=[r.program for r in runs])
    }
    credits = credits_by_participation(list(standing.values()), people.keys)
    targets = _targets(participant, runs)
    before, after, found = [], [], []
    for run in runs:
        result = inputs.credits(run, fact_of(deal, run, person.key, now), words=True)
        new = [credit for credit in result.credits if credit.participant == person.key]
        own = credits[standing[run.program.pk].pk] if run.program.pk in standing else []
        mine = targets[run.program.pk]
        before.append((run, run.timeline.score(person, mine, own)))
        after.append((run, run.timeline.score(person, mine, [*own, *new])))
        reasons = tuple(told(r.message) for r in result.reasons if not new and r.participant in (None, person.key))
        found.append((run, new, reasons))
    cards = zip(_beside(before), _beside(after), strict=True)
    estimates = [
        _estimate(participant, *row, *pair) for row, pair in zip(found, cards, strict=True)
    ]  # fmt: skip
    return sorted(
        estimates, key=lambda one: (not one.gained.minor and not one.place, -one.gained.minor, one.program.name)
    )


def fact_of(deal: Deal, run: Running, key: str, now: datetime) -> Fact:
    """The deal as the CRM would send it on the day it closes, at noon in the program's time zone, received then."""
    moment = datetime.combine(deal.closes_on, time(12), ZoneInfo(run.definition.time_zone))
    parts: dict[str, dict[str, Any]] = {"account": {}, "partner": {}, "attributes": {}, "lines": {}}
    region = None
    for name, value in deal.answers.items():
        first, _, rest = name.partition(".")
        if name == "region":
            region = value
        elif rest and first in parts:
            parts[first][rest] = value
        else:
            parts["attributes"][name] = value
    line = {"quantity": deal.quantity, "total": deal.amount, **parts["lines"]}
    return Fact(
        id=ID, kind=kind_of(run.definition), occurred_at=moment, participant=key, close_date=deal.closes_on,
        amount=deal.amount, currency=deal.currency, quantity=deal.quantity, lines=(line,), account=parts["account"],
        partner=parts["partner"], region=region, attributes=parts["attributes"], received_at=max(now, moment),
    )  # fmt: skip


def _targets(participant: Participant, runs: list[Running]) -> dict[int, dict[date, Decimal]]:
    """Program id -> first day of the period -> target."""
    rows = Target.objects.filter(participant=participant, program__in=[run.program.pk for run in runs])
    found: dict[int, dict[date, Decimal]] = defaultdict(dict)
    for program_id, start, value in rows.values_list("program_id", "period_start", "value"):
        found[program_id][start] = value
    return found


def _with_managers(participant: Participant) -> list[Participant]:
    rows, one = [], participant
    while one is not None and one not in rows:
        rows.append(one)
        one = one.manager
    return rows


def _beside(scored: list[tuple[Running, list[Scorecard]]]) -> list[tuple[Scorecard, ...]]:
    """The scorecards as they stand beside those of the other stacking programs."""
    cards = [tuple(found) for _run, found in scored]
    places = [at for at, (run, _cards) in enumerate(scored) if run.program.stacks]
    if len(places) > 1:
        for at, found in zip(places, stacked([scored[at] for at in places]), strict=True):
            cards[at] = found
    return cards


def _estimate(participant, run: Running, new: list[Credit], reasons, before, after) -> Estimate:
    currency = run.definition.currency
    was = {(card.period_start, line.key): line.amount_minor for card in before for line in card.lines}
    lines, gained = [], 0
    for card in after:
        for line in card.lines:
            more = line.amount_minor - was.pop((card.period_start, line.key), 0)
            if more:
                lines.append((told(line.explanation), Money(more, currency)))
                gained += more
    gained -= sum(was.values())  # lines the new deal takes the place of
    place = _place(participant, run, new) if new else None
    return Estimate(run.program, Money(gained, currency), lines, reasons, place)


def _place(participant, run: Running, new: list[Credit]) -> tuple[int | None, int] | None:
    """(rank now, rank with the deal) on the first contest of the program."""
    board = boards_of(run.definition)[0]
    if not board.is_contest:
        return None
    rows = leaderboard(run.program, board, run.definition).rows
    group = own_group(run.program, board, participant)
    own = next((row for row in rows if row.group == group), None)
    measure = (own.measure if own else Decimal(0)) + sum(credit.measure for credit in new)
    return (own.rank if own else None), 1 + sum(1 for row in rows if row.group != group and row.measure > measure)
