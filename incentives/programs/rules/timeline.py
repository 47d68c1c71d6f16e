"""Which version of a program governs when, and what a program with several versions credits and pays.

A moment is governed by the published version with the highest number among those that start at or before it; a version
without a start moment starts with the program, so it replaces all before it. An activity is credited and paid by the
version that governs the moment it counts at. What a period earns as a whole (bands over the period, tiers, milestones,
prizes) and the caps follow the version that governs at the end of that period.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from .caps import Caps
from .crediting import credits_for
from .facts import NOTHING, Credit, CreditResult, Enrolment, Fact, Person, Rates, Roster, Scorecard, Stops
from .periods import clock, midnight, period_end, window
from .schema import Definition
from .scoring import by_period, card_of, in_order, plan_of, scorecard, targets_by_period
from .scoring import score as score_one

KEPT = ("currency", "time_zone", "period", "counts_by", "starts_on")
"""What a version with a start moment keeps of the version it follows: a period cannot be counted in two ways."""


class Segment(NamedTuple):
    """A version and the moment it starts at; None: with the program."""

    starts_at: datetime | None
    number: int
    definition: Definition


class Timeline:
    """The published versions of one program. `segments` are those that govern some moment, in the order of time."""

    def __init__(self, versions: Iterable[Segment]):
        segments: list[Segment] = []
        for version in sorted(versions, key=lambda segment: segment.number):
            while segments and (version.starts_at is None or _begins(segments[-1], version.starts_at)):
                segments.pop()
            segments.append(version)
        if not segments:
            raise ValueError("a timeline needs a version")
        self.segments = tuple(segments)
        self._moments = [segment.starts_at for segment in segments[1:]]

    @property
    def last(self) -> Segment:
        """The version that governs at the end of the program."""
        return self.segments[-1]

    @property
    def last_day(self) -> date:
        """The last day on which any version counts."""
        return max(segment.definition.ends_on for segment in self.segments)

    def at(self, moment: datetime) -> Segment:
        return self.segments[bisect_right(self._moments, moment)]

    def of_fact(self, fact: Fact) -> Segment:
        """The version that credits the fact; the last one where it counts at no moment."""
        if len(self.segments) == 1:
            return self.last
        moment = clock(self.last.definition).moment(fact)
        return self.last if moment is None else self.at(moment)

    def of_period(self, start: date) -> Segment:
        """The version that governs at the end of the period."""
        definition = self.last.definition
        if len(self.segments) == 1 or definition.period == "program":
            return self.last
        end = midnight(period_end(definition, start) + timedelta(days=1), definition.time_zone)
        return self.at(end - timedelta(microseconds=1))

    def credits(
        self, fact: Fact, roster: Roster, rates: Rates = NOTHING, *, enrolment: Enrolment = NOTHING, stops: Stops = (),
        words: bool = True,
    ) -> CreditResult:  # fmt: skip
        """As `credits_for`, by the version that governs."""
        definition = self.of_fact(fact).definition
        return credits_for(definition, fact, roster, rates, enrolment=enrolment, stops=stops, words=words)

    def score(
        self, person: Person, targets: Mapping[date, Decimal] = NOTHING, credits: Iterable[Credit] = ()
    ) -> list[Scorecard]:
        """As `score`, each line by the version that pays it. What is left of a unit begins anew with each version."""
        if len(self.segments) == 1:
            return score_one(self.last.definition, person, targets, credits)
        periods = by_period(credits, person.key)
        goals = targets_by_period(self.last.definition, targets)
        cards: list[Scorecard] = []
        for start in sorted({*periods, *goals}):
            governing = self.of_period(start).definition
            if start in periods or start in plan_of(governing, person.partner_tier).periods:
                used = sum(card.earned_minor for card in cards)
                cards.append(self._scorecard(person, start, periods.get(start, []), goals.get(start), used))
        return cards

    def _scorecard(self, person: Person, start: date, credits: list[Credit], target: Decimal | None, used: int):
        governing, card = self.of_period(start), card_of(credits, target)
        plan = plan_of(governing.definition, person.partner_tier)
        paying = [(governing, payer, card) for payer in plan.payers if payer.of_period]
        for segment, own in self._by_version(credits):
            part = card_of(own, target)
            payers = plan_of(segment.definition, person.partner_tier).payers
            paying += [(segment, payer, part) for payer in payers if not payer.of_period]
        drafts = [(payer, draft, segment.number) for segment, payer, of in paying for draft in payer.drafts(of)]
        lines = Caps(governing.definition, plan.words, used).apply(in_order(drafts, card))
        missing = target is None and any(payer.of_target for _, payer, _ in paying)
        return scorecard(governing.definition, person, start, card, target, lines, missing)

    def _by_version(self, credits: list[Credit]) -> list[tuple[Segment, list[Credit]]]:
        found: dict[int, tuple[Segment, list[Credit]]] = {}
        for credit in credits:
            segment = self.at(credit.counted_at)
            found.setdefault(segment.number, (segment, []))[1].append(credit)
        return list(found.values())


def _begins(segment: Segment, moment: datetime) -> bool:
    """Whether the segment begins at the moment or later."""
    return segment.starts_at is not None and segment.starts_at >= moment


def start_problem(
    timeline: Timeline | None, definition: Definition, starts_at: datetime | None
) -> tuple[str, Any, Any]:
    """What keeps a version from starting at that moment: (what is wrong, what was expected, what was found).

    The first is a field of `KEPT`, `first` (there is no version before it), `before` or `after` (the program's days), or
    empty when nothing does.
    """
    if starts_at is None:
        return "", None, None
    if timeline is None:
        return "first", None, starts_at
    followed = timeline.at(starts_at).definition
    for name in KEPT:
        if getattr(definition, name) != getattr(followed, name):
            return name, getattr(followed, name), getattr(definition, name)
    if definition.measure.metric != followed.measure.metric:
        return "measure.metric", followed.measure.metric, definition.measure.metric
    first, end = window(definition)
    if starts_at < first:
        return "before", first, starts_at
    return ("after", end, starts_at) if starts_at >= end else ("", None, None)
