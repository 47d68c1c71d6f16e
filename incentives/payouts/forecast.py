"""Whether a budget lasts until its programs end. A forecast for people; nothing is decided by it.

Per program (docs/finance.md has a worked example):

    waiting  = earned and on no live payout, plus payouts that wait for room in the budget
    pace     = what was earned (net) in the last 56 days before today's end, or since the first day if that is later
    expected = pace * days left until the last day / days looked at, rounded half up, not above the room below the caps
    prizes   = of contests that are not sealed yet, all of them
    need     = waiting + expected + prizes

Days are UTC; at least seven are looked at, so that one good day is no trend. The day the budget runs out is the first day on
which what is available does not cover the waiting amounts, what is expected by then, and the prizes due by then.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import Count, Sum
from django.utils import timezone

from incentives.earnings.models import ContestSeal, Earning, Participation
from incentives.ledger.models import Budget
from incentives.ledger.selectors import budget_figures
from incentives.payouts.models import Payout
from incentives.payouts.selectors import due_by_program
from incentives.programs.models import Program, ProgramStop, ProgramVersion
from incentives.programs.rules.parsing import parse_definition
from rewards.money import MINOR_DIGITS, Money

LOOKED_AT, AT_LEAST = 56, 7
S = Program.Status
RUNNING = (S.SCHEDULED, S.ACTIVE, S.PAUSED, S.CLOSING, S.CLOSED)


@dataclass(frozen=True, slots=True)
class Line:
    """One program's part, in the budget's currency. `cap_room` is None without a cap per participant."""

    program: Program
    waiting: Money
    pace: Money
    days_looked_at: int
    days_left: int
    prizes: Money
    cap_room: Money | None
    is_stopped: bool = False

    def expected_after(self, days: int) -> int:
        """Minor units that will have been earned `days` days from today."""
        days = max(0, min(days, self.days_left))
        if self.is_stopped or self.pace.minor <= 0:
            return 0
        minor = (2 * self.pace.minor * days + self.days_looked_at) // (2 * self.days_looked_at)
        return minor if self.cap_room is None else min(minor, self.cap_room.minor)

    @property
    def expected(self) -> Money:
        return Money(self.expected_after(self.days_left), self.waiting.currency)

    @property
    def weekly(self) -> Money:
        """The mean of a week, rounded half up."""
        minor = Decimal(self.pace.minor * 7).scaleb(-MINOR_DIGITS[self.pace.currency]) / self.days_looked_at
        return Money.from_decimal(minor, self.pace.currency)

    @property
    def need(self) -> Money:
        return self.waiting + self.expected + self.prizes

    def need_after(self, days: int) -> int:
        prizes = self.prizes.minor if days >= self.days_left else 0
        return self.waiting.minor + self.expected_after(days) + prizes


@dataclass(frozen=True, slots=True)
class Forecast:
    budget: Budget
    today: date
    available: Money
    lines: tuple[Line, ...]

    @property
    def need(self) -> Money:
        return sum((line.need for line in self.lines), Money(0, self.available.currency))

    @property
    def left(self) -> Money:
        """What is left when all programs have ended; below zero: what is missing."""
        return self.available - self.need

    @property
    def missing(self) -> Money:
        return Money(max(0, -self.left.minor), self.left.currency)

    @property
    def last_day(self) -> date:
        return self.today + timedelta(days=max((line.days_left for line in self.lines), default=0))

    def left_after(self, days: int) -> int:
        return self.available.minor - sum(line.need_after(days) for line in self.lines)

    @property
    def runs_out_on(self) -> date | None:
        """The first day on which it does not suffice; None when it does. What is left only falls, so the day is bisected."""
        low, high = 0, (self.last_day - self.today).days
        if self.left_after(high) >= 0:
            return None
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.left_after(middle) < 0 else (middle + 1, high)
        return self.today + timedelta(days=low)

    def series(self, most: int = 26) -> list[tuple[date, int]]:
        """(day, left at its end), today, then by week to the end, at most so many weeks on; not below zero."""
        end = min((self.last_day - self.today).days, most * 7)
        days = [*range(0, end, 7), end] if end else [0]
        return [(self.today + timedelta(days=n), max(0, self.left_after(n))) for n in days]


def forecast(budget: Budget, today: date | None = None) -> Forecast:
    """About ten queries for any number of programs. One that is scheduled has no pace yet: only its prizes are known."""
    today = today or timezone.now().date()
    programs = list(Program.objects.filter(budget=budget, status__in=RUNNING).order_by("ends_on", "name", "pk"))
    facts = _Facts(programs, today)
    lines = tuple(facts.line(program) for program in programs)
    lines = tuple(line for line in lines if line.need or line.program.status != S.CLOSED)
    return Forecast(budget, today, budget_figures([budget])[budget.pk].available, lines)


class _Facts:
    """What the lines are made of, read for all programs at once."""

    def __init__(self, programs: list[Program], today: date):
        self.today = today
        due = due_by_program(Program.objects.filter(pk__in=[program.pk for program in programs]))
        self.waiting = {pk: money.minor for pk, (_people, money) in due.items()}
        unreserved = Payout.objects.filter(program__in=programs, status=Payout.Status.SUBMITTED, reserved=False)
        for pk, minor in unreserved.order_by().values_list("program").annotate(n=Sum("amount_minor")):
            self.waiting[pk] = self.waiting.get(pk, 0) + minor
        self.paces = self._paces(programs)
        self.documents = self._documents(programs)
        self.stopped = set(
            ProgramStop.objects.filter(program__in=programs, resumed_at=None).values_list("program", flat=True)
        )
        self.sealed = set(ContestSeal.objects.filter(program__in=programs).values_list("program", flat=True))
        self.rooms = self._rooms(programs)

    def _looked_at(self, program: Program) -> int:
        return max(AT_LEAST, min(LOOKED_AT, (self.today - program.starts_on).days + 1))

    def _paces(self, programs: list[Program]) -> dict[int, int]:
        first = self.today - timedelta(days=LOOKED_AT - 1)
        rows = Earning.objects.filter(
            participation__program__in=programs, booked_on__gte=first, booked_on__lte=self.today
        )
        rows = rows.exclude(line_key__endswith=":rank")  # a prize is no pace
        totals = rows.order_by().values_list("participation__program").annotate(n=Sum("amount_minor"))
        return dict(totals)

    def _documents(self, programs: list[Program]) -> dict:
        rows = ProgramVersion.objects.filter(program__in=programs, published_at__isnull=False).order_by("number")
        return {version.program_id: parse_definition(version.definition) for version in rows}

    def _rooms(self, programs: list[Program]) -> dict[int, int]:
        """What those who take part may still earn below their cap. Who joins later stands in the pace, not here."""
        caps = {pk: d.caps.participant for pk, d in self.documents.items() if d.caps.participant is not None}
        minors = {p.pk: Money.from_decimal(caps[p.pk], p.currency).minor for p in programs if p.pk in caps}
        found: dict[int, int] = defaultdict(int)
        rows = Participation.objects.filter(program__in=minors).values_list("program", "earned_minor")
        for pk, earned, people in rows.order_by().annotate(n=Count("pk")) if minors else ():
            found[pk] += people * max(0, minors[pk] - earned)
        return found

    def _prizes(self, program: Program) -> int:
        definition = self.documents.get(program.pk)
        if definition is None or program.pk in self.sealed:
            return 0
        prizes = [prize for reward in definition.rewards if reward.type == "rank" for prize in reward.prizes]
        total = sum(prize.amount * (prize.bounds[1] - prize.bounds[0] + 1) for prize in prizes)
        return Money.from_decimal(Decimal(total), program.currency).minor

    def line(self, program: Program) -> Line:
        def money(minor) -> Money:
            return Money(minor or 0, program.currency)

        left = (program.ends_on - self.today).days
        return Line(
            program,
            waiting=money(self.waiting.get(program.pk)),
            pace=money(self.paces.get(program.pk)),
            days_looked_at=self._looked_at(program),
            days_left=0 if program.status == S.CLOSED else max(0, left),
            prizes=money(self._prizes(program)),
            cap_room=money(self.rooms[program.pk]) if program.pk in self.rooms else None,
            is_stopped=program.pk in self.stopped,
        )
