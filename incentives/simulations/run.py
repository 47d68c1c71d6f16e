"""One run: every candidate over the facts of the window. Pure towards the database but for reading; results.py stores.

Facts are read in chunks and become packed credits at once (store.py), so memory grows by some fifty bytes per credited
fact. Then people are scored one by one: as it was, and with fewer and more wins.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from incentives.earnings.facts import People, counts, fact_of
from incentives.earnings.selectors import in_words
from incentives.ledger.rates import Rates
from incentives.programs.models import Program
from incentives.programs.rules.contests import rank_standings
from incentives.programs.rules.crediting import credits_for, ineligible
from incentives.programs.rules.facts import Credit, Fact, Line, Person, Scorecard, Standing
from incentives.programs.rules.parsing import parse_definition
from incentives.programs.rules.periods import clock
from incentives.programs.rules.schema import Definition, Rank
from incentives.programs.rules.scoring import attainment, score
from incentives.programs.rules.whatif import MoreWins, counts_activities, mark, moved
from incentives.simulations import inputs
from incentives.simulations.store import Store

PEOPLE_AT_ONCE = 200
EXCEPTIONS = 500
"""So many exceptions are kept to be shown; all are counted."""
BASE = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of the exceptions list; `object` is the id of a stored fact, None where it is about a person."""

    code: str
    message: str
    object: int | None
    participant: str | None


@dataclass(slots=True)
class Earned:
    """One person by one candidate. `by_percent`: per cent of more wins -> minor units; BASE is what happened."""

    person: Person
    lines: list[tuple[Scorecard, Line]] = field(default_factory=list)
    by_percent: dict[int, int] = field(default_factory=dict)
    deals: int = 0
    measure: Decimal = Decimal(0)
    target: Decimal | None = None

    @property
    def minor(self) -> int:
        return self.by_percent[BASE]

    @property
    def attainment(self) -> int | None:
        """Of all periods together, in hundredths of a per cent."""
        return int(attainment(self.measure, self.target) * 100) if self.target else None

    def by_fact(self) -> dict[int, int]:
        """Fact id -> minor units, for the lines that are about one fact."""
        found: dict[int, int] = defaultdict(int)
        for _card, line in self.lines:
            if line.fact_id is not None and line.amount_minor:
                found[int(line.fact_id)] += line.amount_minor
        return found


class Contestant:
    """One definition in the window, and what a run finds out about it."""

    def __init__(
        self, document: dict, first: date, last: date, people: People, percents: Iterable[int], *,
        program: Program | None = None, targets: str = inputs.ORDINAL, flat: Decimal | None = None,
    ):  # fmt: skip
        self.written: Definition = parse_definition(document)
        self.definition = moved(self.written, first, last)
        self.program, self.people = program, people
        self.percents = [BASE, *sorted({*percents} - {BASE})]
        self.targets = inputs.targets_for(targets, self.written, self.definition, program, flat)
        self.rates = Rates(self.definition.currency)
        self.enrolment = inputs.enrolled(program, people)
        self.store = Store()
        self.marks = array("Q")
        self.activities = 0
        self.won = Decimal(0)
        self.unpriced = 0
        self.by_day: Counter[date] = Counter()
        self.codes: Counter[str] = Counter()
        self.problems: list[Problem] = []
        self.totals: Counter[int] = Counter()
        self.earning: Counter[int] = Counter()
        self.standings: tuple[Standing, ...] = ()
        self._ranks = any(isinstance(reward, Rank) for reward in self.definition.rewards)
        self._cards: dict[int, list[Scorecard]] = {percent: [] for percent in self.percents}
        self.counts_activities = counts_activities(self.definition)
        self._clock = clock(self.definition)

    # --- facts ---------------------------------------------------------------------------------------------------------
    def see(self, fact: Fact) -> None:
        credits, reasons = credits_for(
            self.definition, fact, self.people.roster, self.rates, enrolment=self.enrolment, words=False
        )
        for reason in reasons:
            if reason.exception:
                self._problem(reason.code, reason, int(fact.id))
        if credits:
            self.store.add(credits)
            self.marks.append(mark(fact.id))
            self.activities += 1
            self._add_won(fact, credits[0])

    def _add_won(self, fact: Fact, credit: Credit) -> None:
        """What was won with the activities that count, in the program's currency, whatever the program measures."""
        if fact.amount is None:
            return
        rate: Decimal | int | None = 1
        if fact.currency != self.definition.currency:
            rate = self.rates.get((fact.currency, self._clock.local_day(credit.counted_at)))
        if rate is None:
            self.unpriced += 1
        else:
            self.won += fact.amount * rate

    def _problem(self, code: str, reason, fact_id: int | None = None) -> None:
        self.codes[code] += 1
        if len(self.problems) < EXCEPTIONS:
            words = in_words(reason, self.people.roster)
            self.problems.append(Problem(code, words, fact_id, reason.participant))

    # --- people --------------------------------------------------------------------------------------------------------
    def everyone(self) -> Iterator[list[Earned]]:
        """Everybody with a credit, so many at a time. What contests win is there only after `settle`."""
        changes = {percent: MoreWins(self.definition, percent, self.marks) for percent in self.percents}
        keys = self.store.participants()
        for start in range(0, len(keys), PEOPLE_AT_ONCE):
            yield [self._scored(key, changes) for key in keys[start : start + PEOPLE_AT_ONCE]]

    def _scored(self, key: str, changes: dict[int, MoreWins]) -> Earned:
        person = self.people.roster[key]
        credits, targets = self.store.of(key), self.targets[self.people.ids[key]]
        found = Earned(person)
        for percent, change in changes.items():
            cards = score(self.definition, person, targets, change.apply(credits))
            found.by_percent[percent] = sum(card.earned_minor for card in cards)
            if percent == BASE:
                self._read(found, cards)
            if self._ranks:
                self._cards[percent] += [_slim(card) for card in cards]
        return found

    def _read(self, found: Earned, cards: list[Scorecard]) -> None:
        for card in cards:
            found.deals += card.deals
            found.measure += card.measure
            if card.target is not None:
                found.target = (found.target or 0) + card.target
            found.lines += [(card, line) for line in card.lines]
            for reason in card.problems:
                self._problem(reason.code, reason)

    def settle(self, everyone: list[Earned]) -> None:
        """Add what contests win, then the sums over all people. Once, when everybody was scored."""
        by_key = {earned.person.key: earned for earned in everyone}
        for percent in self.percents if self._ranks else ():
            standings = rank_standings(self.definition, self._cards.pop(percent), self.people.roster, self.enrolment)
            for standing in standings:
                for key, line in standing.lines.items():
                    by_key[key].by_percent[percent] += line.amount_minor
            if percent == BASE:
                self.standings = standings
        for earned in everyone:
            for percent, minor in earned.by_percent.items():
                self.totals[percent] += minor
                self.earning[percent] += minor > 0

    def prizes(self, key: str) -> list[Line]:
        return [standing.lines[key] for standing in self.standings if key in standing.lines]

    def day_of(self, card: Scorecard | None, line: Line) -> date:
        """When a line is earned: the day its activity counts, the last day of its period, the last of the program."""
        if line.counted_at is not None:
            return self._clock.local_day(line.counted_at)
        last = self.definition.ends_on
        return last if card is None else min(card.period_end, last)

    def who_could(self) -> int:
        """How many could earn: the program is for them and they were there on a day of the window, or an overlay of it
        gave them a share."""
        first, last = self.definition.starts_on, self.definition.ends_on
        eligible = {
            person.key
            for person in self.people.roster.values()
            if not ineligible(self.definition, person, self.enrolment)
            and (person.started_on is None or person.started_on <= last)
            and (person.ended_on is None or person.ended_on >= first)
        }
        return len(eligible.union(self.store.participants()))


def _slim(card: Scorecard) -> Scorecard:
    """What a standing reads of a scorecard: the sum of its lines in one."""
    return replace(card, lines=(Line("", 0, "", None, None, card.earned_minor, 0, ""),), problems=())


def read_facts(contestants: list[Contestant], first: date, last: date, people: People) -> Iterator[int]:
    """Show every fact near the window to every contestant; yields how many were read so far."""
    read = 0
    for chunk in inputs.in_chunks(inputs.facts_between(first, last)):
        for state in chunk:
            if counts(state):
                fact = fact_of(state, people)
                for contestant in contestants:
                    contestant.see(fact)
        read += len(chunk)
        yield read
