"""A participant's leaderboards, for a phone first."""

from datetime import timedelta

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.pages import crumbs
from incentives.earnings.board_access import takes_part
from incentives.earnings.board_views import REFRESH_SECONDS, in_zone
from incentives.earnings.leaderboards import boards_of, leaderboard, ruling
from incentives.earnings.wording import prize_words, rule_words
from incentives.portal import boards
from incentives.portal.views import Mine
from incentives.programs.models import Program

BOARDS = (_("Leaderboards"), "portal:boards")


class BoardsPage(Mine, View):
    """Every board of the programs one is in, with one's own place."""

    def get(self, request) -> HttpResponse:
        found = boards.own_boards(self.participant)
        return render(request, "portal/boards.html", {"programs": found})


class BoardPage(Mine, View):
    """One board. Only for those in the program; for everybody else it does not exist. To htmx the part that refreshes."""

    def get(self, request, public_id) -> HttpResponse:
        program = get_object_or_404(Program, public_id=public_id, status__in=Program.SCORED)
        definition = ruling(program)
        if not takes_part(program, definition, self.participant):
            raise Http404
        every = boards_of(definition)
        chosen = boards.board_named(every, request.GET.get("board", ""))
        mine = boards.mine_of(leaderboard(program, chosen, definition), self.participant)
        part = request.headers.get("HX-Target") == "board-now"
        name = "portal/_board_now.html" if part else "portal/board.html"
        return render(request, name, self.context(program, mine, every))

    def context(self, program: Program, mine, every) -> dict:
        board = mine.board
        zone = board.definition.time_zone
        ended = program.status in (Program.Status.CLOSED, Program.Status.ARCHIVED)
        return {
            "program": program,
            "mine": mine,
            "board": board,
            "lines": boards.lines_of(mine, self.participant),
            "tabs": [{"url": f"?board={one.index}", "label": one.name, "current": one == board.board} for one in every],
            "rules": rule_words(board),
            "prizes": prize_words(board),
            "closes": in_zone(board.closes, zone),
            "sealed_at": in_zone(board.sealed.sealed_at, zone) if board.sealed else "",
            "ended": ended,
            "refresh": None if board.sealed or ended else REFRESH_SECONDS,
            "age": max(timezone.now() - board.as_of, timedelta(0)) if board.as_of else None,
            "crumbs": crumbs(BOARDS),
        }
