"""Programs that pay by themselves: weekly, monthly, at close, and daily where an instant program holds its earnings."""

import logging
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from incentives.core import audit
from incentives.payouts.errors import CannotBuild
from incentives.payouts.models import ScheduledBuild
from incentives.payouts.schedule import Due, last_due, next_due
from incentives.payouts.services.batches import send_together
from incentives.payouts.services.build import BuildResult, build_one, plan_for
from incentives.payouts.services.risk import refresh_contact_keys
from incentives.programs.models import Program

log = logging.getLogger(__name__)
AT_ONCE = 300
"""Participations built in one sweep; the next sweep goes on behind them."""
RUNNING = (Program.Status.ACTIVE, Program.Status.PAUSED, Program.Status.CLOSING, Program.Status.CLOSED)


def build_scheduled(now: datetime | None = None, limit: int = AT_ONCE) -> int:
    """Build what is due by each program's schedule; returns how many payouts. A repeat builds nothing twice.

    A due day that was missed is made up for as soon as possible, for what was earned by then.
    """
    now, built = now or timezone.now(), 0
    for program in Program.objects.filter(status__in=RUNNING).select_related("budget").order_by("pk"):
        due = due_of(program, now)
        if due is None or limit <= 0:
            continue
        row = _row(program, due)
        if row is None:
            continue
        looked, made = _build(row, program, due, limit)
        limit -= looked
        built += made
    return built


def due_of(program: Program, now: datetime) -> Due | None:
    """The newest due day of this program, or nothing. One query, for its definition."""
    definition = program.current_definition
    payout, zone = definition.get("payout") or {}, definition.get("time_zone") or "UTC"
    return last_due(
        payout.get("when") or "at_close",
        now.astimezone(ZoneInfo(zone)).date(),
        starts_on=program.starts_on,
        closed_on=_closed_on(program, zone),
        hold_days=int(payout.get("hold_days") or 0),
        time_zone=zone,
    )


def next_day(program: Program, now: datetime | None = None) -> date | None:
    """When it pays by itself next, as a day in its time zone; None where nobody can say."""
    definition = program.current_definition
    payout, zone = definition.get("payout") or {}, definition.get("time_zone") or "UTC"
    return next_due(
        payout.get("when") or "at_close",
        (now or timezone.now()).astimezone(ZoneInfo(zone)).date(),
        starts_on=program.starts_on,
        closed_on=_closed_on(program, zone),
        hold_days=int(payout.get("hold_days") or 0),
    )


def _closed_on(program: Program, zone: str):
    closed = program.status == Program.Status.CLOSED and program.closed_at
    return program.closed_at.astimezone(ZoneInfo(zone)).date() if closed else None


def _row(program: Program, due: Due) -> ScheduledBuild | None:
    """The row of this due day; None when it is done already."""
    row = ScheduledBuild.objects.filter(program=program, due_on=due.on).first()
    if row is None:
        try:
            with transaction.atomic():
                row = ScheduledBuild.objects.create(program=program, due_on=due.on)
        except IntegrityError:  # another process was quicker; it builds
            return None
    return None if row.finished_at else row


def unready(program: Program, when: str) -> str:
    """Why its figures are not final yet, in words; empty when they are. A contest pays after it was sealed."""
    moving = Q(dirty_seq__gt=F("scored_seq")) | Q(scored_seq__gt=F("paid_seq"))
    if program.participations.filter(moving).exists():
        return "Scorecards are still being computed."
    ranked = any(reward.get("type") == "rank" for reward in program.current_definition.get("rewards") or [])
    if when == "at_close" and ranked and not program.standings.exists():
        return "The contest is not sealed yet."
    return ""


def _build(row: ScheduledBuild, program: Program, due: Due, limit: int) -> tuple[int, int]:
    """(participations looked at, payouts built)"""
    when = (program.current_definition.get("payout") or {}).get("when") or "at_close"
    problem = unready(program, when) if not row.position else ""
    plan = None
    if not problem:
        try:
            plan = plan_for(program, due.cutoff)
        except CannotBuild as exc:
            problem = exc.user_message[:300]
    if plan is None:
        if row.problem != problem:
            ScheduledBuild.objects.filter(pk=row.pk).update(problem=problem)
            log.info("program %s on %s waits: %s", program.public_id, due.on, problem)
        return 0, 0
    refresh_contact_keys()
    result = BuildResult()
    rows = program.participations.filter(earned_minor__gt=0, pk__gt=row.position).order_by("pk")
    ids = list(rows.values_list("pk", flat=True)[:limit])
    for pk in ids:
        build_one(plan, pk, None, result)
    send_together(result.payouts)
    _note(row, result, ids, done=len(ids) < limit)
    return len(ids), len(result.payouts)


def _note(row: ScheduledBuild, result: BuildResult, ids: list[int], *, done: bool) -> None:
    """Add to the row what was built. Only the process that still finds its position writes."""
    with transaction.atomic():
        changed = ScheduledBuild.objects.filter(pk=row.pk, position=row.position, finished_at__isnull=True).update(
            position=ids[-1] if ids else row.position,
            payouts=F("payouts") + len(result.payouts),
            total_minor=F("total_minor") + result.total_minor,
            skipped=F("skipped") + len(result.skipped),
            carried_minor=F("carried_minor") + result.carried_minor,
            problem="",
            finished_at=timezone.now() if done else None,
        )
        if changed and done:
            row.refresh_from_db()
            after = {"due_on": str(row.due_on), "payouts": row.payouts, "total": str(row.total)}
            audit.record("payouts.scheduled", row.program, after=after)
