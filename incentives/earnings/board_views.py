"""The leaderboard of a program for managers, and the history of its sealed standings."""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from zoneinfo import ZoneInfo

from django import forms
from django.db import transaction
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core import audit
from incentives.core.listing import ActionPage, Column, Guarded, ListPage, Tab
from incentives.core.pages import crumbs
from incentives.earnings import contests
from incentives.earnings.leaderboards import Board, Leaderboard, Shown, boards_of, leaderboard, ruling
from incentives.earnings.models import ContestSeal, SealedStanding
from incentives.earnings.wording import prize_words, rule_words
from incentives.programs import services as programs
from incentives.programs.models import Program
from incentives.programs.pages import LIST, ProgramPart
from incentives.programs.rules.periods import closes_at
from incentives.programs.rules.schema import Definition
from incentives.programs.selectors import measure_text
from rewards.money import Money

REFRESH_SECONDS = 15
PODIUM = 3
REVISIONS = 20


def in_zone(moment: datetime, zone: str) -> str:
    """`6 Aug 2026, 00:00 EDT`: a moment that belongs to a program, in its own time zone."""
    local = moment.astimezone(ZoneInfo(zone))
    return formats.date_format(local, gettext("j M Y, H:i")) + f" {local.tzname()}"


ORDERS = {
    "rank": lambda row: row.rank,
    "name": lambda row: row.name.lower(),
    "measure": lambda row: row.row.measure,
    "prize": lambda row: row.prize_minor,
    "moved": lambda row: row.moved or 0,
}


class Rows(list):
    """Rows in memory where a list page expects those of the database."""

    def count(self) -> int:
        return len(self)

    def iterator(self, chunk_size: int = 0):
        return iter(self)


class BoardPart(ProgramPart):
    """A page about the contests of a program: its definition is that of the version that governs at the end."""

    part = "leaderboard"

    @cached_property
    def definition(self) -> Definition:
        return ruling(self.program)


class LeaderboardPage(BoardPart, ListPage):
    """Who stands where. To htmx the part that refreshes."""

    template_name = "earnings/leaderboard.html"
    results_template = "earnings/_board_results.html"
    title = _("Leaderboard")
    search = ("name", "note")
    search_hint = _("Name, team or partner")
    default_sort = "rank"
    empty_icon, empty_title = "programs", _("Nobody is on the board yet")
    empty_text = _("People appear with the first activity that counts for them.")

    @property
    def export_name(self) -> str:
        return f"leaderboard {self.program.name}"

    @cached_property
    def boards(self) -> list[Board]:
        return boards_of(self.definition)

    @cached_property
    def tabs(self) -> tuple[Tab, ...]:
        if len(self.boards) < 2:
            return ()
        return tuple(Tab(str(board.index), board.name) for board in self.boards)

    @cached_property
    def board(self) -> Leaderboard:
        wanted = self.tab.key if self.tab else None
        chosen = next((board for board in self.boards if str(board.index) == wanted), self.boards[0])
        return leaderboard(self.program, chosen, self.definition)

    def tab_links(self) -> list[dict]:
        return [
            {"url": self.address(tab=tab.key if n else None), "label": tab.label, "current": tab is self.tab}
            for n, tab in enumerate(self.tabs)
        ]

    # --- rows
    def rows(self) -> Rows:
        words = self.query.lower().split()
        board = self.board
        found = [
            Shown(board, at)
            for at, row in enumerate(board.rows)
            if all(word in f"{row.name} {row.note}".lower() for word in words)
        ]
        column, descending = self.sorting
        found.sort(key=ORDERS[column.key if column else "rank"], reverse=descending)
        return Rows(found)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        board = self.board
        prize = _("Prize") if board.sealed else _("Prize now")
        who = {"team": _("Team"), "partner": _("Partner")}.get(board.board.reward.by, _("Participant"))
        columns = [
            Column("rank", _("Rank"), kind="number", sort="rank", template="earnings/_rank.html", phone="hide"),
            Column("name", who, sort="name", link=self.address_of, phone="title", template="earnings/_competitor.html"),
            Column("note", _("Team or partner"), screen=False),
            Column("measure", _("Measure"), "measured", sort="measure", phone="value",
                   kind="money" if board.in_money else "number"),
            Column("gap", _("Gap"), template="earnings/_gap.html"),
        ]  # fmt: skip
        if not board.sealed:
            moved = _("Since yesterday")
            columns.insert(1, Column("moved", moved, kind="number", sort="moved", template="earnings/_moved.html",
                                     phone="hide"))  # fmt: skip
        if board.board.is_contest:
            columns += [
                Column("prize", prize, kind="money", sort="prize"),
                Column("to_prize", _("To a better prize"), screen=False),
            ]
        return tuple(columns)

    def address_of(self, row: Shown) -> str:
        if row.person is None:
            return ""
        return reverse("earnings:participation", args=[self.program.public_id, row.person[1]])

    # --- context
    def context(self) -> dict:
        context = super().context()
        if self.request.headers.get("HX-Trigger") == "live":  # nobody wants to hear the count every few seconds
            context["announce"] = ""
        return context

    def get_context(self) -> dict:
        board = self.board
        plain = not self.query and not self.request.GET.get("page") and self.sorting[0].key == "rank"
        return {
            **self.frame(),
            "board": board,
            "refresh": None if board.sealed else REFRESH_SECONDS,
            "age": max(timezone.now() - board.as_of, timedelta(0)) if board.as_of else None,
            "podium": podium(board) if plain and not self.sorting[1] and len(board.rows) > PODIUM else [],
            "rules": rule_words(board),
            "prizes": prize_words(board),
            "closes": in_zone(board.closes, self.definition.time_zone),
            **seal_context(self.program, self.definition, board),
        }


def podium(board: Leaderboard) -> list[Shown]:
    """The first three, as the page shows them above the table; none where a tie makes them more than three."""
    first = sum(1 for row in board.rows[: PODIUM + 1] if row.rank <= PODIUM)
    return [Shown(board, at) for at in range(PODIUM)] if first == PODIUM else []


def seal_context(program: Program, definition: Definition, board: Leaderboard) -> dict:
    """What the banner says about a program that ended: sealed with its evidence, or what the seal waits for."""
    if program.status not in contests.ENDED or not board.board.is_contest:
        return {}
    if board.sealed:
        moment = in_zone(board.sealed.sealed_at, definition.time_zone)
        return {"sealed": board.sealed, "sealed_at": moment, "ended": True}
    seal = ContestSeal.objects.filter(program=program).select_related("program").first()
    return {"ended": True, "waits": contests.waits(seal) if seal else ""}


# --- history ------------------------------------------------------------------------------------------------------------
class DisplayForm(forms.Form):
    names = forms.ChoiceField(
        label=_("Names of others"), choices=Program.Names.choices, widget=forms.RadioSelect,
        help_text=_("People of another partner organisation are shown by that organisation alone, unless names are in full."),
    )  # fmt: skip
    amounts = forms.BooleanField(
        label=_("Show what others sold"), required=False, help_text=_("Everybody always sees their own figures.")
    )


class DisplayPage(BoardPart, ActionPage):
    """How much the program's boards show of others."""

    permission = "programs.edit"
    form_class = DisplayForm
    title, submit = _("What boards show"), _("Save")
    text = _("For participants' phones and for screens on the wall. You and finance always see everything.")

    def get_object(self):
        return self.program

    def get_form_kwargs(self, thing) -> dict:
        return {"initial": {"names": thing.board_names, "amounts": thing.board_amounts}}

    def get_context(self, thing) -> dict:
        return {"crumbs": crumbs(LIST, (thing.name, self.success_url(thing)))}

    def success_url(self, thing) -> str:
        return reverse("earnings:leaderboard", args=[thing.public_id])

    def perform(self, thing, data: dict) -> str:
        programs.set_board_display(program=thing, actor=self.request.user, **data)
        return gettext("Saved. Boards show it at once.")


class StandingPage(BoardPart, Guarded, View):
    """Every sealed standing of a program: evidence, revisions, and what each one changed."""

    def get(self, request, *args, **kwargs) -> HttpResponse:
        rows = self.program.standings.select_related("version").defer("places").order_by("reward_index", "-revision")
        frame = self.frame()
        address = reverse("earnings:leaderboard", args=[self.program.public_id])
        context = {
            **frame,
            "crumbs": [*frame["crumbs"], *crumbs((gettext("Leaderboard"), address))],
            "boards": self.boards(list(rows)),
            "closes": in_zone(closes_at(self.definition), self.definition.time_zone),
            "ended": self.program.status in contests.ENDED,
        }
        return render(request, "earnings/standing.html", context)

    def boards(self, rows: list[SealedStanding]) -> list[dict]:
        found = []
        for board in boards_of(self.definition):
            own = [row for row in rows if row.reward_index == board.index]
            if own:
                shown = [self.revision(row) for row in own[:REVISIONS]]
                zone = self.definition.time_zone
                found.append({"board": board, "newest": own[0], "sealed_at": in_zone(own[0].sealed_at, zone),
                              "revisions": shown, "more": len(own) - len(shown)})  # fmt: skip
        return found

    def revision(self, row: SealedStanding) -> dict:
        evidence = row.evidence
        changes = [self.change(change) for change in evidence.get("changes", [])]
        return {
            "row": row,
            "prizes": self.money(evidence.get("prizes_minor", 0)),
            "changes": changes,
            "unseen": evidence.get("changed", 0) - len(changes),
            "causes": evidence.get("causes", []),
        }

    def change(self, change: dict) -> dict:
        was, now = change["prize_minor"]
        return {
            "name": change["name"],
            "rank": change["rank"],
            "measure": [self.measure(value) for value in change["measure"]],
            "prize": [self.money(value) if value else None for value in (was, now)],
        }

    def measure(self, value: str | None) -> str | None:
        return None if value is None else measure_text(self.definition, Decimal(value))

    def money(self, minor: int) -> Money:
        return Money(minor, self.program.currency)


class EvidencePage(BoardPart, Guarded, View):
    """One sealed standing with all that decided it, as a JSON file. The download is on record."""

    def get(self, request, public_id, standing) -> JsonResponse:
        row = get_object_or_404(self.program.standings.select_related("version"), public_id=standing)
        with transaction.atomic():
            audit.record("standing.exported", row, actor=request.user, after={"revision": row.revision})
        response = JsonResponse(document(row), json_dumps_params={"indent": 2, "ensure_ascii": False})
        name = f"standing-{row.reward_index + 1}-revision-{row.revision}.json"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response


def document(row: SealedStanding) -> dict:
    """Amounts are whole minor units of the currency, measures text, moments UTC."""
    program = row.program
    return {
        "program": {"id": str(program.public_id), "name": program.name, "currency": program.currency},
        "standing": str(row.public_id),
        "contest": row.reward_index,
        "revision": row.revision,
        "sealed_at": row.sealed_at.isoformat(),
        "recorded_at": row.recorded_at.isoformat(),
        "by": row.by,
        "ties": row.ties,
        "inputs_digest": row.inputs_digest,
        "reason": row.reason,
        "evidence": row.evidence,
        "definition": row.version.definition,
        "places": row.places,
    }
