"""A participant's boards: which ones, what of them, and how much of other people's names."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from incentives.earnings.board_access import own_group, programs_with
from incentives.earnings.board_names import shown_name
from incentives.earnings.leaderboards import (
    Board,
    Leaderboard,
    Shown,
    boards_of,
    leaderboard,
)
from incentives.participants.models import Participant
from incentives.programs.models import Program

TOP = 10
AROUND = 1
"""How many rows before and after one's own are shown where it is not among the first."""
ENDED_DAYS = 90
MOST = 30
S = Program.Status


@dataclass(frozen=True, slots=True)
class Line:
    """One row as this reader sees it. `skipped`: rows between it and the one before are left out."""

    shown: Shown
    name: str
    note: str
    me: bool
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Mine:
    """One board for one participant; `own` is None while nothing of theirs counts there."""

    board: Leaderboard
    own: Shown | None
    group: str | None

    @property
    def total(self) -> int:
        return len(self.board.rows)


def own_boards(participant: Participant) -> list[tuple[Program, list[Mine]]]:
    """Every board of the programs somebody is in: those that run, by their end, then those ended lately."""
    lately = timezone.now().date() - timedelta(days=ENDED_DAYS)
    running = Q(status__in=(S.ACTIVE, S.PAUSED, S.CLOSING))
    programs = Program.objects.filter(running | Q(status=S.CLOSED, ends_on__gte=lately)).order_by("ends_on", "name")
    ordered = sorted(programs, key=lambda program: program.status == S.CLOSED)
    found = programs_with(participant, ordered)[:MOST]
    return [
        (program, [mine_of(leaderboard(program, board, definition), participant) for board in boards_of(definition)])
        for program, definition in found
    ]


def mine_of(board: Leaderboard, participant: Participant) -> Mine:
    group = own_group(board.program, board.board, participant)
    at = board.position.get(group) if group else None
    return Mine(board, None if at is None else Shown(board, at), group)


def lines_of(mine: Mine, participant: Participant, top: int = TOP) -> list[Line]:
    """The first `top` rows, and one's own with its neighbours."""
    at = mine.own.at if mine.own else -1
    wanted = set(range(min(top, mine.total)))
    if mine.own:
        wanted |= set(range(max(at - AROUND, 0), min(at + AROUND + 1, mine.total)))
    lines, before = [], -1
    for index in sorted(wanted):
        shown = Shown(mine.board, index)
        me = index == at
        name, note = (shown.name, shown.note) if me else shown_name(shown, mine.board.program, participant.partner_id)
        lines.append(Line(shown, name, note, me, skipped=index != before + 1))
        before = index
    return lines


def board_named(boards: Iterable[Board], key: str) -> Board:
    """The board a query names, else the first."""
    boards = list(boards)
    return next((board for board in boards if str(board.index) == key), boards[0])
