"""A year of twelve monthly closes, computed from the CSV files alone, with nothing of Laurel's code. Amounts are cents.

The sales of March to December are moved to 2026. On the last day of each month the month's wins become known, and corrections to
wins of earlier months (until February 2027); on the first of the next month everything due is paid, in cards of 50.00 to
2,000.00 of one product; a rest below 50.00 is carried. A non-employee without a W-9 gets no card with which the calendar
year would reach 2,000.00 (awards made elsewhere and cards that wait count); once the form is on file, what waited is delivered
on that day. Wins of those who may wait for a form are not corrected while they wait.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta

from tests.acceptance import independent

MONTHS = [date(2026, month, 1) for month in range(3, 13)] + [date(2027, 1, 1), date(2027, 2, 1)]
PROGRAMS = ("bonus", "target")
SMALLEST, LARGEST, THRESHOLD = 50_00, 2_000_00, 2_000_00
FORMS = {"Anna Snelling": date(2026, 9, 15), "Cecily Lampkin": date(2026, 11, 15)}
"""Contractors whose W-9 comes on file on that day."""
CONTRACTORS = (*FORMS, "Kary Hendrixson", "Vicki Laflamme")
ELSEWHERE = {"Vicki Laflamme": (date(2026, 4, 20), 1_500_00)}

Sums = dict[tuple[str, str], int]
"""(program, agent) -> cents"""


def next_month(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)


def pipeline(folder) -> list[dict[str, str]]:
    """The file with its years moved: what closed in 2017 closed in 2026."""
    return [
        row | {name: _moved(row[name]) for name in ("engage_date", "close_date")} for row in independent.rows(folder)
    ]


def _moved(day: str) -> str:
    return f"{int(day[:4]) + 9}{day[4:]}" if day else ""


def told(rows: list[dict]) -> list[list[dict]]:
    """Per month the rows the CRM sends on its last day: what closed in it, and corrections to earlier wins."""
    dice, standing, sent = random.Random(2026), {}, []
    for month in MONTHS:
        end = next_month(month).isoformat()
        won = [
            row for row in standing.values() if row["deal_stage"] == "Won" and _may_change(row["sales_agent"], month)
        ]
        fixes = [_fixed(row, n, dice) for n, row in enumerate(dice.sample(won, min(24, len(won))))]
        new = [row for row in rows if month.isoformat() <= row["close_date"] < end]
        sent.append(fixes + new)
        standing |= {row["opportunity_id"]: row for row in fixes + new}
    return sent


def _may_change(agent: str, month: date) -> bool:
    return agent not in CONTRACTORS or month < date(2026, 5, 1) or FORMS.get(agent, date.max) < month


def _fixed(row: dict, n: int, dice: random.Random) -> dict:
    if n % 3 == 0:
        return row | {"deal_stage": "Engaging", "close_date": "", "close_value": ""}
    if n % 3 == 1:
        return row | {"deal_stage": "Lost", "close_value": "0"}
    return row | {"close_value": str(max(0, int(row["close_value"]) + dice.choice([-900, -40, 1, 350, 2_600])))}


def earned(rows, series_of) -> Sums:
    """What everything known so far is worth."""
    sums = {("bonus", agent): cents for agent, cents in independent.deal_bonus(rows, series_of).items()}
    return sums | {("target", agent): cents for agent, cents in independent.quarterly_target(rows).items()}


@dataclass
class Month:
    month: date
    earned: Sums
    """All that is earned at its end."""
    booked: Sums
    """What became known in it: the difference to the end of the month before."""
    paid: Sums = field(default_factory=dict)
    """Delivered within it."""
    held: Sums = field(default_factory=dict)
    """On cards that wait for a tax form on its first day."""


class Year:
    """`year.months`, one after the other, and `year.delivered(agent, year)`."""

    def __init__(self, folder):
        self.series = independent.series(folder)
        self.told = told(pipeline(folder))
        self.paid: Sums = defaultdict(int)
        self.waiting: dict[str, list[tuple[tuple[str, str], int]]] = defaultdict(list)
        self.by_year: dict[tuple[str, int], int] = defaultdict(int)
        self.months: list[Month] = []
        standing, before = {}, {}
        for month, rows in zip(MONTHS, self.told, strict=True):
            standing |= {row["opportunity_id"]: row for row in rows}
            now = earned(standing.values(), self.series)
            booked = {key: now.get(key, 0) - before.get(key, 0) for key in now | before}
            one = Month(month, now, {key: cents for key, cents in booked.items() if cents})
            self._pay(one, before)
            self.months.append(one)
            before = now
        self.last = Month(next_month(MONTHS[-1]), before, {})
        self._pay(self.last, before)

    def form_1099(self, year: int) -> dict[str, str]:
        """Agent -> box 3 in dollars, of the contractors whose year reached the threshold."""
        found = {}
        for agent in CONTRACTORS:
            given, cents = ELSEWHERE.get(agent, (date.max, 0))
            total = self.by_year[agent, year] + (cents if given.year == year else 0)
            if total >= THRESHOLD:
                found[agent] = f"{total // 100}.{total % 100:02}"
        return found

    def _pay(self, month: Month, due: Sums) -> None:
        """On its first day what was earned before it, on its 15th what waited for a form that came."""
        for program in PROGRAMS:
            for key in sorted(key for key in due if key[0] == program):
                waiting = sum(card for other, card in self.waiting[key[1]] if other == key)
                for card in cards(due[key] - self.paid[key] - waiting):
                    if self._must_wait(key[1], card, month.month):
                        self.waiting[key[1]].append((key, card))
                    else:
                        self._deliver(month, key, card)
        for agent, held in self.waiting.items():
            for key, card in held:
                month.held[key] = month.held.get(key, 0) + card
            if FORMS.get(agent, date.max).replace(day=1) == month.month:
                for key, card in held:
                    self._deliver(month, key, card)
                held.clear()

    def _must_wait(self, agent: str, card: int, today: date) -> bool:
        if agent not in CONTRACTORS or FORMS.get(agent, date.max) <= today:
            return False
        given, cents = ELSEWHERE.get(agent, (date.max, 0))
        elsewhere = cents if given <= today and given.year == today.year else 0
        waiting = sum(cents for _, cents in self.waiting[agent])
        return self.by_year[agent, today.year] + elsewhere + waiting + card >= THRESHOLD

    def _deliver(self, month: Month, key: tuple[str, str], card: int) -> None:
        month.paid[key] = month.paid.get(key, 0) + card
        self.paid[key] += card
        self.by_year[key[1], month.month.year] += card


def cards(due: int) -> list[int]:
    found = []
    while due >= SMALLEST:
        found.append(min(due, LARGEST))
        due -= found[-1]
    return found
