"""What the pages of a simulation show, from the stored figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property

from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import formats
from django.utils.translation import gettext, ngettext

from incentives.core.templatetags.laurel import MINUS, money_text, number, percent
from incentives.ledger.selectors import budget_figures
from incentives.programs.rules.parsing import parse_definition
from incentives.programs.rules.periods import clock
from incentives.programs.rules.schema import Definition
from incentives.programs.rules.whatif import moved
from incentives.programs.selectors import measure_text, needs_targets
from incentives.simulations import figures, inputs, results
from incentives.simulations.models import Candidate, SimulatedPerson, Simulation
from rewards.money import Money

TOP = 8
CHANGES = 5


def visible(user) -> QuerySet[Simulation]:
    """What this person may see: everything or nothing."""
    return Simulation.objects.all() if user.can("programs.simulate") else Simulation.objects.none()


def with_cost(simulations: QuerySet[Simulation]) -> QuerySet[Simulation]:
    """Each with `cost_minor` of its first candidate and `program_name`. Adds no query."""
    first = Candidate.objects.filter(simulation=OuterRef("pk"), position=1)
    return simulations.annotate(
        cost_minor=Subquery(first.values("total_minor")[:1]), program_name=Subquery(first.values("program__name")[:1])
    )


@dataclass(frozen=True, slots=True)
class Fit:
    """What a cost means for a budget: `left` is below zero where it does not suffice; `runs_out` the day it would."""

    cost: Money
    available: Money
    left: Money
    runs_out: date | None = None
    day: int = 0  # of the window, from 1
    days: int = 0

    @property
    def fits(self) -> bool:
        return self.left.minor >= 0

    @property
    def missing(self) -> Money:
        return -self.left


@dataclass
class Figures:
    """One candidate's figures for a page."""

    simulation: Simulation
    candidate: Candidate
    available: Money | None
    result: dict = field(init=False)

    def __post_init__(self):
        self.result = self.candidate.result

    @cached_property
    def definition(self) -> Definition:
        written = parse_definition(self.candidate.document)
        return moved(written, self.simulation.starts_on, self.simulation.ends_on)

    def money(self, minor: int) -> Money:
        return Money(minor, self.simulation.currency)

    @property
    def cost(self) -> Money:
        return self.money(self.result["total_minor"])

    def scenario(self, change: int) -> Money:
        return self.money(next(s["total_minor"] for s in self.result["scenarios"] if s["percent"] == change))

    @property
    def low(self) -> Money:
        return self.scenario(results.LOW)

    @property
    def high(self) -> Money:
        return self.scenario(results.HIGH)

    @property
    def scenarios(self) -> list[dict]:
        """Rows for a bar list."""
        return [
            {"label": change_words(s["percent"]), "value": self.money(s["total_minor"])}
            for s in self.result["scenarios"]
        ]

    @property
    def people_share(self) -> str:
        return percent(_ratio(self.result["earning"], self.result["eligible"]))

    @property
    def per_won(self) -> Decimal | None:
        """Cost as a part of what was won with the activities that count."""
        return _ratio(self.result["total_minor"], self.result["won_minor"])

    @property
    def top_share(self) -> Decimal:
        return Decimal(self.result["top_share"]) / 10_000

    @property
    def median(self) -> Money:
        return self.money(self.result["median_minor"])

    @property
    def average(self) -> Money:
        earning = self.result["earning"]
        return self.money((2 * self.result["total_minor"] + earning) // (2 * earning) if earning else 0)

    # --- budget
    @cached_property
    def by_day(self) -> Mapping[date, int]:
        return results.days(self.result)

    @property
    def fit(self) -> Fit | None:
        return self.fit_of(self.cost)

    def fit_of(self, cost: Money) -> Fit | None:
        if self.available is None:
            return None
        day = figures.crossing(self.by_day, self.available.minor) if cost == self.cost else None
        first, last = self.simulation.starts_on, self.simulation.ends_on
        number_of = (day - first).days + 1 if day else 0
        return Fit(cost, self.available, self.available - cost, day, number_of, (last - first).days + 1)

    @property
    def fits(self) -> list[tuple[str, Fit]]:
        """(which change of the wins, fit) for every scenario; empty without a budget."""
        if self.available is None:
            return []
        return [(row["label"], self.fit_of(row["value"])) for row in self.scenarios]

    # --- charts
    @property
    def over_time(self) -> list[dict]:
        columns = figures.over_time(self.by_day, self.simulation.starts_on, self.simulation.ends_on)
        monthly = len(columns) > 1 and all(day.day == 1 for day, _ in columns)
        style = "M Y" if monthly else gettext("j M")
        return [{"label": formats.date_format(day, style), "value": self.money(minor)} for day, minor in columns]

    @property
    def histogram(self) -> list[dict]:
        """How many people earn how much; whole amounts without their cents."""
        return [{"label": self._edge(bar["from"]), "value": bar["n"]} for bar in self.result["histogram"]]

    @property
    def step(self) -> str:
        bars = self.result["histogram"]
        return money_text(self.money(bars[0]["to"])) if bars else ""

    def _edge(self, minor: int) -> str:
        whole, rest = divmod(minor, 10**self.definition.digits)
        return number(whole) if not rest else number(self.money(minor).decimal)

    # --- people
    def people(self) -> QuerySet[SimulatedPerson]:
        return self.candidate.people.defer("lines").select_related("participant__team")

    @cached_property
    def top(self) -> list[dict]:
        rows = self.people().filter(earned_minor__gt=0).order_by("-earned_minor", "participant__name")[:TOP]
        return [{"label": row.participant.name, "value": self.money(row.earned_minor)} for row in rows]

    @cached_property
    def changes(self) -> dict | None:
        """Who wins and loses most against the baseline; None without one."""
        found = self.result["changes"]
        if found is None:
            return None
        up = self.people().filter(difference_minor__gt=0).order_by("-difference_minor", "participant__name")[:CHANGES]
        down = self.people().filter(difference_minor__lt=0).order_by("difference_minor", "participant__name")[:CHANGES]
        return {
            **found,
            "gain": self.money(found["gain_minor"]),
            "minus": self.money(found["loss_minor"]),
            "net": self.money(found["gain_minor"] + found["loss_minor"]),
            "winners": [{"label": r.participant.name, "value": self.money(r.difference_minor), "text": f"+{money_text(self.money(r.difference_minor))}"} for r in up],
            "losers": [{"label": r.participant.name, "value": self.money(-r.difference_minor), "text": money_text(self.money(r.difference_minor))} for r in down],
        }  # fmt: skip

    # --- overlap, contests, exceptions
    @property
    def overlap(self) -> dict | None:
        found = self.result["overlap"]
        if not found or not found["n"]:
            return None
        programs = [
            {**row, "own": self.money(row["own_minor"]), "other": Money(row["other_minor"], row["currency"]),
             "cut": Money(row["other_cut_minor"], row["currency"])}
            for row in found["programs"]
        ]  # fmt: skip
        return {**found, "own": self.money(found["own_minor"]), "cut": self.money(found["cut_minor"]), "programs": programs}  # fmt: skip

    @property
    def standings(self) -> list[dict]:
        return [
            {
                "by": standing["by"],
                "n": standing["n"],
                "rows": [
                    {"rank": rank, "name": name, "team": "" if standing["by"] == "participant" else group,
                     "score": self._measured(measure), "prize": self.money(prize) if prize else None, "top": prize > 0}
                    for rank, _key, name, group, measure, prize, _tied in standing["places"][:10]
                ],
            }
            for standing in self.result["standings"]
        ]  # fmt: skip

    def _measured(self, measure: str):
        value = Decimal(measure)
        if self.definition.measure.metric == "amount":
            return Money.from_decimal(value, self.simulation.currency)
        return measure_text(self.definition, value)

    @property
    def exceptions(self) -> int:
        return sum(self.result["exceptions"]["codes"].values())

    # --- what to keep in mind
    @property
    def notes(self) -> list[str]:
        """What the reader should know about how days, targets and wins were taken."""
        written = parse_definition(self.candidate.document)
        found = []
        own, days = (
            (written.ends_on - written.starts_on).days,
            (self.simulation.ends_on - self.simulation.starts_on).days,
        )
        if own != days:
            words = gettext("The window has %(n)s, the program %(own)s. Targets, tiers and caps were not scaled to it.")
            found.append(words % {"n": _days(days + 1), "own": _days(own + 1)})
        if needs_targets(written) and self.simulation.options.get("targets") == inputs.ORDINAL:
            more = len(clock(self.definition).starts) - len(clock(written).starts)
            if more > 0:
                words = ngettext(
                    "%(n)s period here is beyond the program's last one; the last one's target was taken again.",
                    "%(n)s periods here are beyond the program's last one; the last one's target was taken again.", more,
                )  # fmt: skip
                found.append(words % {"n": more})
        if self.result["unpriced"]:
            words = gettext("%(n)s activities have no exchange rate for their day; they are missing in what was won.")
            found.append(words % {"n": number(self.result["unpriced"])})
        if written.stop_when_spent:
            found.append(
                gettext("The program stops when its budget is spent; the cost here is what it were without the stop.")
            )
        return found

    @property
    def formula(self) -> str:
        if self.result["by_count"]:
            return gettext(
                "This program counts activities, so more wins are more of them: of all that count, put in an order that only "
                "their ids decide, the first 80 % stay, or the first 20 % count twice."
            )
        return gettext("More wins are larger ones here: every activity's measure times 0.8 or 1.2, rounded half up.")


def _days(count: int) -> str:
    return ngettext("%(n)s day", "%(n)s days", count) % {"n": number(count)}


def _ratio(part: int, whole: int) -> Decimal | None:
    return Decimal(part) / Decimal(whole) if whole else None


def change_words(change: int) -> str:
    """What a change of the wins is called."""
    if not change:
        return gettext("As it was")
    sign = "+" if change > 0 else MINUS
    return gettext("Wins %(sign)s%(n)s %%") % {"sign": sign, "n": abs(change)}


def available_in(simulation: Simulation) -> Money | None:
    """What the chosen budget has available now."""
    if simulation.budget is None:
        return None
    return budget_figures([simulation.budget])[simulation.budget_id].available


def figures_of(simulation: Simulation) -> list[Figures]:
    """The candidates' figures, the baseline first where there is one. Two queries."""
    available = available_in(simulation)
    candidates = simulation.candidates.select_related("program", "version").order_by("position")
    for candidate in (found := list(candidates)):
        candidate.simulation = simulation
    return [Figures(simulation, candidate, available) for candidate in found if candidate.result]
