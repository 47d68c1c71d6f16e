"""Who stood where when a day began: what the movement on a board is measured against."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.db.models import Max
from django.utils import timezone

from incentives.earnings.leaderboards import boards_of, leaderboard, ruling
from incentives.earnings.models import LeaderboardSnapshot
from incentives.programs.models import Program, ProgramVersion

S = Program.Status
RUNNING = (S.ACTIVE, S.PAUSED, S.CLOSING)
KEPT = 35
"""Days of a program that are kept."""
PROGRAMS_AT_ONCE = 20


def snapshot_due(now: datetime | None = None) -> int:
    """Keep who stands where at the first sweep of every day in each running program's time zone. Returns how many boards.

    A repeat on the same day keeps nothing more, and neither does a second sweeper (unique key). Old ones go.
    """
    now = now or timezone.now()
    due = _due(now)
    made = 0
    for program in Program.objects.filter(pk__in=list(due)[:PROGRAMS_AT_ONCE]):
        made += _keep(program, due[program.pk])
    return made


def _due(now: datetime) -> dict[int, date]:
    """Program id -> its present day, for running programs without a snapshot of that day. Two queries."""
    versions = ProgramVersion.objects.filter(
        program__status__in=RUNNING, program__contest_seal__isnull=True, published_at__isnull=False
    ).order_by("number")
    zones = dict(versions.values_list("program_id", "definition__time_zone"))
    shots = LeaderboardSnapshot.objects.filter(program__in=zones).order_by()
    newest = dict(shots.values_list("program_id").annotate(day=Max("day")))
    days = {pk: now.astimezone(ZoneInfo(zone or "UTC")).date() for pk, zone in zones.items()}
    return {pk: day for pk, day in days.items() if pk not in newest or newest[pk] < day}


def _keep(program: Program, day: date) -> int:
    definition = ruling(program)
    rows = []
    for board in boards_of(definition):
        ranks = {row.group: row.rank for row in leaderboard(program, board, definition).rows}
        rows.append(LeaderboardSnapshot(program=program, board=board.index, day=day, ranks=ranks))
    LeaderboardSnapshot.objects.bulk_create(rows, ignore_conflicts=True)
    days = program.board_snapshots.order_by("-day").values_list("day", flat=True).distinct()
    program.board_snapshots.filter(day__in=list(days[KEPT:])).delete()
    return len(rows)
