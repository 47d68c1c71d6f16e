"""Stopping programs whose budget has no room left (`stop_when_spent`).

A stop is a recorded fact like any other input: the rules read when it began and ended and never the budget itself, so that
recomputing from nothing gives the same result for ever.

    owed       = sum over the participations of every program on the budget of what was earned and no card was issued for
    unreserved = owed - reserved - committed      what still has to find room in the budget
    spent      : something was earned, and unreserved >= available

Per participation `owed` is not below zero: what one person was paid too much is no room for another. Payouts that wait for
funding reserve nothing and so stay in what is unreserved. What awards have reserved or committed from the same budget counts as
if it were for programs until their cards are issued.
"""

from collections import defaultdict
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import CharField, F, OuterRef, Subquery, Sum, Value
from django.db.models.functions import Cast, Coalesce, Concat, Now, Substr
from django.utils import timezone

from incentives.core import audit
from incentives.earnings.models import Participation
from incentives.ledger.accounts import PAID
from incentives.ledger.models import Account, Budget
from incentives.ledger.selectors import budget_figures
from incentives.programs.models import Program, ProgramStop
from incentives.programs.nudge import nudge_earnings
from incentives.programs.versions import definition_of
from rewards.money import Money

S = Program.Status
MAY_STOP = (S.SCHEDULED, S.ACTIVE, S.PAUSED, S.CLOSING)


@dataclass(frozen=True, slots=True)
class Room:
    """What a budget has, and what its programs still need of it."""

    earned: Money
    unreserved: Money
    available: Money

    @property
    def is_spent(self) -> bool:
        return bool(self.earned.minor) and self.unreserved.minor >= self.available.minor


def room_in(budget: Budget) -> Room:
    """By the formula above, in three queries."""
    figures = budget_figures([budget])[budget.pk]
    own = Participation.objects.filter(program__budget=budget)
    earned = own.aggregate(total=Coalesce(Sum("earned_minor"), 0))["total"]
    paid = Account.objects.filter(code=_code_of_paid()).values("balance_minor")[:1]
    owing = own.annotate(owed=F("earned_minor") - Coalesce(Subquery(paid), 0)).filter(owed__gt=0)
    owed = owing.aggregate(total=Coalesce(Sum("owed"), 0))["total"]
    waiting = owed - figures.reserved.minor - figures.committed.minor
    return Room(Money(earned, budget.currency), Money(max(waiting, 0), budget.currency), figures.available)


def _code_of_paid() -> Concat:
    """The code of the participation's account (ledger.accounts), from within a subquery about accounts."""
    text = Cast(OuterRef("public_id"), CharField())
    if connection.vendor == "sqlite":  # keeps a UUID as 32 digits
        cuts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        digits = [Substr(text, start, length) for start, length in cuts]
        parts = [part for piece in digits for part in (Value("-"), piece)][1:]
    else:
        parts = [text]
    return Concat(Value("participant:"), *parts, Value(f":{PAID}"), output_field=CharField())


def stop_spent_programs() -> int:
    """Stop every `stop_when_spent` program whose budget has no room left, at the database's moment.

    Returns how many; a stopped one is left alone. Run it after the scores are committed, so that of two workers that
    score at the same time the later one sees what both earned.
    """
    candidates: dict[Budget, list[Program]] = defaultdict(list)
    for program in _candidates():
        candidates[program.budget].append(program)
    stopped = 0
    for budget, programs in candidates.items():
        room = room_in(budget)
        if room.is_spent:
            stopped += sum(_stop(program, room) for program in programs)
    return stopped


def _candidates() -> list[Program]:
    now = timezone.now()
    programs = Program.objects.filter(
        status__in=MAY_STOP, budget__isnull=False, versions__definition__stop_when_spent=True,
        versions__published_at__isnull=False,
    )  # fmt: skip
    programs = programs.exclude(stops__in=ProgramStop.objects.filter(resumed_at=None)).select_related("budget")
    return [p for p in programs.distinct().order_by("pk") if definition_of(p.version_at(now)).stop_when_spent]


def _stop(program: Program, room: Room) -> bool:
    with transaction.atomic():
        program = Program.objects.select_for_update(of=("self",), no_key=True).get(pk=program.pk)
        if program.status not in MAY_STOP or program.stops.filter(resumed_at=None).exists():
            return False
        stop = ProgramStop.objects.create(
            program=program,
            stopped_at=Now(),
            reason=f"{program.budget} has {room.available} available; {room.unreserved} is earned and not reserved."[
                :300
            ],
        )
        stop.refresh_from_db()
        after = {"stopped_at": stop.stopped_at, "available": str(room.available), "unreserved": str(room.unreserved)}
        audit.record("program.spent", program, after=after, reason=stop.reason)
        transaction.on_commit(nudge_earnings, robust=True)
    return True
