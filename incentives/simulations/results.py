"""From a run to rows: what stands on the page of a simulation, and how the explanation lines are kept."""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from incentives.core.fields import ScaledDecimalField
from incentives.earnings.facts import People
from incentives.programs.rules.facts import Line, Scorecard
from incentives.simulations import figures, inputs
from incentives.simulations.models import Candidate, Overlap, SimulatedPerson, Simulation
from incentives.simulations.overlaps import Overlaps
from incentives.simulations.run import BASE, Contestant, Earned, read_facts

LINES = 5000
"""So many lines of one person are kept."""
PLACES = 100
"""So many places of a standing are kept."""
LOW, HIGH = -20, 20
DEFAULT_PERCENTS = (LOW, HIGH)


# --- lines -----------------------------------------------------------------------------------------------------------
def pack(lines: list[list]) -> bytes:
    """[[period start, reward type, fact id or None, day, minor units, words]] in about a tenth of its room."""
    return zlib.compress(json.dumps(lines, ensure_ascii=False, separators=(",", ":")).encode())


def unpack(packed: bytes) -> list[list]:
    return json.loads(zlib.decompress(bytes(packed))) if packed else []


def _plain(contestant: Contestant, card: Scorecard | None, line: Line) -> list:
    start = card.period_start if card else contestant.definition.starts_on
    fact = int(line.fact_id) if line.fact_id is not None else None
    day = contestant.day_of(card, line)
    return [start.isoformat(), line.reward_type, fact, day.isoformat(), line.amount_minor, line.explanation]


# --- one candidate ---------------------------------------------------------------------------------------------------
@dataclass
class Outcome:
    """One candidate's rows, not yet saved."""

    candidate: Candidate
    contestant: Contestant
    overlaps: Overlaps | None
    people: dict[int, SimulatedPerson] = field(default_factory=dict)
    compared: bool = False

    def collect(self) -> Iterator[None]:
        """Score everybody, some at a time; then contests and sums."""
        everyone: list[Earned] = []
        for some in self.contestant.everyone():
            for earned in some:
                self._add(earned)
            if self.overlaps:
                ids = self.contestant.people.ids
                paid = {ids[earned.person.key]: earned.by_fact() for earned in some}
                self.overlaps.look({pk: facts for pk, facts in paid.items() if facts})
            for earned in some:
                earned.lines = []  # packed by now: all people's together would not be little
            everyone += some
            yield
        self.contestant.settle(everyone)
        for earned in everyone:
            self._finish(earned)

    def _add(self, earned: Earned) -> None:
        contestant = self.contestant
        pk = contestant.people.ids[earned.person.key]
        for card, line in earned.lines:
            if line.amount_minor:
                contestant.by_day[contestant.day_of(card, line)] += line.amount_minor
        lines = [_plain(contestant, card, line) for card, line in earned.lines[:LINES]]
        self.people[pk] = SimulatedPerson(
            candidate=self.candidate, participant_id=pk, deals=earned.deals,
            measure=_fitting(earned.measure), target=_fitting(earned.target), attainment=earned.attainment,
            line_count=len(earned.lines), lines=pack(lines),
        )  # fmt: skip

    def _finish(self, earned: Earned) -> None:
        contestant = self.contestant
        row = self.people[contestant.people.ids[earned.person.key]]
        row.earned_minor, row.low_minor, row.high_minor = (earned.by_percent[percent] for percent in (BASE, LOW, HIGH))
        if prizes := contestant.prizes(earned.person.key):
            row.lines = pack(unpack(row.lines)[:LINES] + [_plain(contestant, None, line) for line in prizes])
            row.line_count += len(prizes)
            for line in prizes:
                contestant.by_day[contestant.day_of(None, line)] += line.amount_minor

    def compare(self, baseline: "Outcome") -> None:
        """Say for everybody what the baseline gives. Who would earn by it alone gets a row with nothing."""
        self.compared = True
        for pk, other in baseline.people.items():
            if other.earned_minor and pk not in self.people:
                self.people[pk] = SimulatedPerson(
                    candidate=self.candidate, participant_id=pk, earned_minor=0, low_minor=0, high_minor=0, measure=0
                )
        for pk, row in self.people.items():
            other = baseline.people.get(pk)
            row.before_minor = other.earned_minor if other else 0
            row.difference_minor = row.earned_minor - row.before_minor

    def document(self) -> dict:
        """Candidate.result. Minor units, days as text, `top_share` in hundredths of a per cent."""
        run, names = self.contestant, self.contestant.people.roster
        earned = [row.earned_minor for row in self.people.values() if row.earned_minor > 0]
        return {
            "total_minor": run.totals[BASE],
            "scenarios": [
                {"percent": percent, "total_minor": run.totals[percent], "earning": run.earning[percent]}
                for percent in sorted(run.percents)
            ],
            "by_count": run.counts_activities,
            "earning": len(earned),
            "counted": len(run.store.participants()),
            "eligible": run.who_could(),
            "activities": run.activities,
            "won_minor": int(run.won.scaleb(run.definition.digits).to_integral_value()),
            "unpriced": run.unpriced,
            "median_minor": figures.median(earned),
            "top_share": figures.top_share(earned),
            "histogram": figures.histogram(earned),
            "by_day": {day.isoformat(): minor for day, minor in sorted(run.by_day.items())},
            "standings": [_standing(standing, names) for standing in run.standings],
            "exceptions": {
                "codes": dict(run.codes.most_common()),
                "rows": [[p.code, p.message, p.object, p.participant] for p in run.problems],
            },
            "overlap": self.overlaps.document() if self.overlaps else None,
            "changes": self._changes(),
        }

    def _changes(self) -> dict | None:
        """Winners and losers against the baseline; None without one."""
        if not self.compared:
            return None
        found = [row.difference_minor for row in self.people.values()]
        gains, losses = [n for n in found if n > 0], [n for n in found if n < 0]
        return {
            "up": len(gains), "down": len(losses), "same": len(found) - len(gains) - len(losses),
            "gain_minor": sum(gains), "loss_minor": sum(losses),
        }  # fmt: skip


def _standing(standing, roster) -> dict:
    places = [
        [place.rank, place.participant, roster[place.participant].name, place.group, str(place.measure),
         place.prize_minor, place.tied]
        for place in standing.places[:PLACES]
    ]  # fmt: skip
    return {"by": standing.by, "ties": standing.ties, "n": len(standing.places), "places": places}


def _fitting(value: Decimal | None) -> Decimal | None:
    """Within what a column holds: an absurd figure must not end the run."""
    limit = ScaledDecimalField.LIMIT
    return None if value is None else max(min(value, limit), -limit)


# --- the whole simulation --------------------------------------------------------------------------------------------
def work(simulation: Simulation) -> Iterator[int | list[Outcome]]:
    """Runs it: yields how many facts were read, again and again, and at the end the outcomes. Writes nothing."""
    people = inputs.everybody()
    first, last = simulation.starts_on, simulation.ends_on
    candidates = list(simulation.candidates.select_related("program").order_by("position"))
    for candidate in candidates:
        candidate.simulation = simulation
    contestants = [contestant_of(candidate, people) for candidate in candidates]
    read = 0
    for read in read_facts(contestants, first, last, people):
        yield read
    baseline, outcomes = None, []
    for candidate, contestant in zip(candidates, contestants, strict=True):
        outcome = Outcome(candidate, contestant, _overlaps(candidate, candidates, contestant))
        for _ in outcome.collect():
            yield read
        if candidate.is_baseline:
            baseline = outcome
        elif baseline:
            outcome.compare(baseline)
        outcomes.append(outcome)
    yield outcomes


def contestant_of(candidate: Candidate, people: People) -> Contestant:
    simulation, options = candidate.simulation, candidate.simulation.options
    flat = options.get("target_value")
    return Contestant(
        candidate.document, simulation.starts_on, simulation.ends_on, people,
        {*DEFAULT_PERCENTS, *options.get("percents", ())}, program=candidate.program,
        targets=options.get("targets", inputs.ORDINAL), flat=Decimal(flat) if flat else None,
    )  # fmt: skip


def _overlaps(candidate: Candidate, candidates: list[Candidate], contestant: Contestant) -> Overlaps | None:
    """Of the baseline nobody asks. The candidate's own program and the one it is compared with are no others: the
    candidate takes their place."""
    if candidate.is_baseline:
        return None
    own = {one.program_id for one in candidates if one.program_id and (one is candidate or one.is_baseline)}
    return Overlaps(candidate, contestant.written, contestant.definition, own)


def store(outcomes: list[Outcome]) -> None:
    """Write every row anew: a run that is repeated replaces what an interrupted one left."""
    candidates = [outcome.candidate for outcome in outcomes]
    SimulatedPerson.objects.filter(candidate__in=candidates).delete()
    Overlap.objects.filter(candidate__in=candidates).delete()
    for outcome in outcomes:
        SimulatedPerson.objects.bulk_create(outcome.people.values(), batch_size=500)
        if outcome.overlaps:
            Overlap.objects.bulk_create(outcome.overlaps.rows, batch_size=500)
        candidate = outcome.candidate
        candidate.result, candidate.total_minor = outcome.document(), outcome.contestant.totals[BASE]
        candidate.save(update_fields=["result", "total_minor"])


def days(result: dict) -> dict[date, int]:
    """`by_day` of a result with days as days."""
    return {date.fromisoformat(day): minor for day, minor in result["by_day"].items()}
