"""Why did this earn, or not: one fact seen by every program that could count it."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from django.db.models import Q
from django.utils.translation import gettext

from incentives.crm.models import ObjectState
from incentives.earnings.evaluate import compute
from incentives.earnings.facts import counts, fact_of, people_of
from incentives.earnings.models import Credit, Earning, Participation
from incentives.earnings.running import Inputs, Running, inputs_for, running_programs
from incentives.earnings.selectors import in_words
from incentives.participants.models import Participant
from incentives.programs.models import Program, ProgramVersion
from incentives.programs.rules.conditions import Explained, holds
from incentives.programs.rules.conditions import explain as explain_condition
from incentives.programs.rules.crediting import condition_of
from incentives.programs.rules.facts import Fact
from incentives.programs.rules.schema import Definition
from incentives.programs.selectors import measure_text, period_label
from rewards.money import Money


@dataclass(frozen=True, slots=True)
class PeriodLine:
    """What the period as a whole earned (bands, tiers): this fact is one of those that made it."""

    amount: Money
    explanation: str


@dataclass(frozen=True, slots=True)
class Share:
    """One participant's part of the fact in one program.

    `percent` and `role` are None and empty for somebody who is no longer credited. `lines` are the posted earnings about
    this fact, corrections included, oldest first; `unpaid` says why a rule that looked at it pays nothing.
    """

    participant: Participant
    participation: Participation | None
    role: str
    percent: Decimal | None
    measure: str
    period: str
    amount: Money
    lines: list[Earning] = field(default_factory=list)
    unpaid: list[str] = field(default_factory=list)
    period_lines: list[PeriodLine] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Explanation:
    """One program's view of one fact. `verdict`: earned, credited (counts, but is worth nothing by itself), refused, or
    taken_back (earned before, no longer)."""

    program: Program
    version: ProgramVersion | None
    qualifies: bool
    conditions: list[Explained]
    product_lines: list[tuple[str, bool]]
    reasons: list[str]
    shares: list[Share]
    amount: Money

    @property
    def verdict(self) -> str:
        if self.amount.minor > 0:
            return "earned"
        if any(share.lines for share in self.shares):
            return "taken_back"
        return "credited" if any(share.role for share in self.shares) else "refused"


def explain(state: ObjectState) -> list[Explanation]:
    """One explanation per program that could count the fact, or has: its conditions with what was found, whose it is and
    what it earned, or the reason it did not. Programs in the order of their start. Writes nothing.

    Judged by the fact as it stands; when `changed_seq > credited_seq` the earnings are still on their way.
    """
    earnings = _earnings_about(state)
    programs = [run for run in running_programs() if run.may_count(state) or run.program.pk in earnings]
    people = people_of([state], {key for run in programs for key in run.named})
    fact = fact_of(state, people) if state.kind and state.occurred_at else None
    participations = _participations(state, programs)
    scored = {item.participation.pk: item for item in compute(participations)} if participations else {}
    teller = _Teller(state, fact, inputs_for(programs, people), participations, scored)
    return [teller.program(run, earnings.get(run.program.pk, [])) for run in programs]


def why_never(state: ObjectState) -> str:
    """Why no program looks at the fact at all; empty when programs do."""
    if counts(state):
        return ""
    if state.baseline:
        return gettext("It was won before its connection went live: it is known, but never rewarded.")
    if state.state == ObjectState.State.PENDING:
        return gettext("The claim waits for approval; it counts from then on.")
    return gettext("It says neither what happened nor when, so there is nothing to count.")


def waiting(state: ObjectState) -> bool:
    """Whether the earnings engine has yet to look at the fact's last change."""
    return state.changed_seq > state.credited_seq


def _earnings_about(state: ObjectState) -> dict[int, list[Earning]]:
    rows = Earning.objects.filter(object=state).select_related("participation__program", "participation__participant")
    found: dict[int, list[Earning]] = defaultdict(list)
    for row in rows.order_by("pk"):
        found[row.participation.program_id].append(row)
    return found


def _participations(state: ObjectState, programs: list[Running]) -> list[Participation]:
    """Those the fact has credits or earnings in."""
    mine = Q(pk__in=Credit.objects.filter(object=state).values("participation")) | Q(
        pk__in=Earning.objects.filter(object=state).values("participation")
    )
    rows = Participation.objects.filter(mine, program__in=[run.program.pk for run in programs])
    return list(rows.select_related("program", "participant").order_by("pk"))


class _Teller:
    def __init__(self, state, fact: Fact | None, inputs: Inputs, participations, scored):
        people = inputs.people
        self.state, self.fact, self.inputs, self.roster, self.ids = state, fact, inputs, people.roster, people.ids
        self.scored = scored
        self.known = {(p.program_id, p.participant_id): p for p in participations}
        self.people = Participant.objects.in_bulk({*people.ids.values(), *(p.participant_id for p in participations)})

    def program(self, run: Running, earnings: list[Earning]) -> Explanation:
        fact = self.fact
        definition = run.definition_for(fact) if fact else run.definition
        condition = condition_of(definition)
        counted = counts(self.state) and fact is not None
        result = self.inputs.credits(run, fact, words=True) if counted else None
        passes = fact is not None and holds(condition, fact)
        reasons = [in_words(reason, self.roster) for reason in (result.reasons if result else ())]
        if not passes and result:
            reasons = []  # the conditions say it, each with what was found
        if why := why_never(self.state):
            reasons.append(why)
        shares = self.shares(run, result.credits if result else (), earnings)
        return Explanation(
            program=run.program,
            version=run.versions[run.timeline.of_fact(fact).number] if fact else run.version,
            qualifies=passes,
            conditions=explain_condition(condition, fact) if fact else [],
            product_lines=_product_lines(definition, fact),
            reasons=reasons,
            shares=shares,
            amount=Money(sum(row.amount_minor for row in earnings), run.program.currency),
        )

    def shares(self, run: Running, credits, earnings: list[Earning]) -> list[Share]:
        by_person: dict[int, list[Earning]] = defaultdict(list)
        for row in earnings:
            by_person[row.participation.participant_id].append(row)
        found, told = [], set()
        for credit in credits:
            person = self.ids[credit.participant]
            lines = [
                row for row in by_person[person] if row.line_key.endswith(":overlay") == (credit.role == "overlay")
            ]
            told |= {row.pk for row in lines}
            found.append(self.credited(run, credit, person, lines))
        for person, rows in by_person.items():
            if rest := [row for row in rows if row.pk not in told]:
                found.append(self.former(run, person, rest))
        return found

    def credited(self, run: Running, credit, person: int, lines: list[Earning]) -> Share:
        participation = self.known.get((run.program.pk, person))
        card = self.card(participation, credit.period_start)
        return Share(
            participant=self.people[person],
            participation=participation,
            role=str(Credit.Role(credit.role).label),
            percent=credit.share_percent,
            measure=measure_text(run.definition, credit.measure),
            period=period_label(run.definition, credit.period_start),
            amount=Money(sum(row.amount_minor for row in lines), run.program.currency),
            lines=lines,
            unpaid=self.unpaid(card, credit),
            period_lines=self.of_period(card, run.program.currency),
            problems=[in_words(reason, self.roster) for reason in card.problems] if card else [],
        )

    def former(self, run: Running, person: int, lines: list[Earning]) -> Share:
        return Share(
            participant=self.people[person],
            participation=self.known.get((run.program.pk, person)),
            role="",
            percent=None,
            measure="",
            period=period_label(run.definition, lines[-1].period_start),
            amount=Money(sum(row.amount_minor for row in lines), run.program.currency),
            lines=lines,
        )

    def card(self, participation: Participation | None, start: date):
        item = self.scored.get(participation.pk) if participation else None
        return next((card for card in item.scorecards if card.period_start == start), None) if item else None

    def unpaid(self, card, credit) -> list[str]:
        if card is None:
            return []
        overlay = credit.role == "overlay"
        own = [
            line for line in card.lines if line.fact_id == credit.fact_id and line.key.endswith(":overlay") == overlay
        ]
        return [line.explanation for line in own if not line.amount_minor]

    def of_period(self, card, currency: str) -> list[PeriodLine]:
        lines = [line for line in card.lines if line.fact_id is None and line.amount_minor] if card else []
        return [PeriodLine(Money(line.amount_minor, currency), line.explanation) for line in lines]


def _product_lines(definition: Definition, fact: Fact | None) -> list[tuple[str, bool]]:
    """Each product line's name and whether the program measures it; empty when it measures the whole activity."""
    if definition.measure.lines is None or fact is None:
        return []
    return [(_line_name(line), holds(definition.measure.lines, fact, line)) for line in fact.lines[:50]]


def _line_name(line) -> str:
    return str(line.get("name") or line.get("sku") or line.get("line_id") or gettext("without name"))[:80]
