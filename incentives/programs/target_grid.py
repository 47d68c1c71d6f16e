"""Targets of many people and periods in one grid. What was typed stays on the page while any of it is wrong."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.views import View

from incentives.core.errors import DomainError
from incentives.core.listing import SEARCH_LENGTH, Guarded
from incentives.participants.models import Participant
from incentives.programs import services
from incentives.programs.eligibility import people
from incentives.programs.forms import read_number
from incentives.programs.pages import ProgramPart
from incentives.programs.selectors import current_period, period_label, periods
from incentives.programs.services import TargetRow, target_problem

ROWS, COLUMNS = 25, 4


@dataclass(slots=True)
class Cell:
    """One target to type: `was` is what the page showed, `typed` what stands in the box now."""

    name: str
    label: str
    period: str
    was: str
    typed: str
    problem: str = ""

    @property
    def changed(self) -> bool:
        return self.typed.strip() != self.was


def plain(value: Decimal | None) -> str:
    """A target as one types it: no separators, no needless zeros."""
    if value is None:
        return ""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


class TargetGridPage(ProgramPart, Guarded, View):
    """People by page and periods by a few; `q` narrows the people. POST sets what was changed, all of it or nothing."""

    permission = "programs.edit"
    part = "targets"

    def get(self, request, *args, **kwargs) -> HttpResponse:
        return self.show(self.cells())

    def post(self, request, *args, **kwargs) -> HttpResponse:
        cells = self.cells(request.POST)
        rows = self.checked(cells)
        if any(cell.problem for row in cells.values() for cell in row):
            return self.show(cells, status=400)
        if not rows:
            messages.info(request, gettext("Nothing was changed."))
            return redirect(request.get_full_path())
        try:
            done = services.set_targets(program=self.program, rows=rows, actor=request.user)
        except DomainError as exc:
            return self.show(cells, problem=exc.user_message, status=exc.status)
        text = ngettext("%(n)s target is set.", "%(n)s targets are set.", done["changed"])
        messages.success(request, text % {"n": done["changed"]})
        return redirect(request.get_full_path())

    # --- what is shown
    @cached_property
    def query(self) -> str:
        return self.request.GET.get("q", "").replace("\x00", "").strip()[:SEARCH_LENGTH]

    @cached_property
    def starts(self) -> list[date]:
        return [start for start, _end in periods(self.definition)]

    @cached_property
    def window(self) -> int:
        """Index of the first period shown."""
        known = {str(start): n for n, start in enumerate(self.starts)}
        if (found := known.get(self.request.GET.get("from", ""))) is None:
            found = known[str(current_period(self.definition, timezone.localdate()))]
        return max(0, min(found, len(self.starts) - COLUMNS))

    @cached_property
    def shown(self) -> list[date]:
        return self.starts[self.window : self.window + COLUMNS]

    @cached_property
    def page(self):
        """People who can earn, and those who have a target."""
        own = self.program.targets.filter(participant=OuterRef("pk"))
        found = people(self.program, self.definition).filter(Q(can_earn=True, active=True) | Exists(own))
        for word in self.query.split():
            found = found.filter(
                Q(name__icontains=word) | Q(email__icontains=word) | Q(external_user_id__icontains=word)
            )
        return Paginator(found.order_by("name", "pk"), ROWS).get_page(self.request.GET.get("page"))

    @cached_property
    def standing(self) -> dict[tuple[int, date], Decimal]:
        rows = self.program.targets.filter(participant__in=[p.pk for p in self.page], period_start__in=self.shown)
        return {(pk, start): value for pk, start, value in rows.values_list("participant", "period_start", "value")}

    def cells(self, typed=None) -> dict[int, list[Cell]]:
        """participant id -> a cell per shown period."""
        found = {}
        for person in self.page:
            found[person.pk] = [self.cell(person, start, typed) for start in self.shown]
        return found

    def cell(self, person: Participant, start: date, typed) -> Cell:
        name = f"t-{person.pk}-{start}"
        now = plain(self.standing.get((person.pk, start)))
        period = period_label(self.definition, start)
        label = f"{person.name}, {period}"
        if typed is None or name not in typed:
            return Cell(name, label, period, now, now)
        return Cell(name, label, period, typed.get(f"was-{name}", "")[:40], typed[name][:40])

    # --- what was typed
    def checked(self, cells: dict[int, list[Cell]]) -> list[TargetRow]:
        rows = []
        for person in self.page:
            for start, cell in zip(self.shown, cells[person.pk], strict=True):
                if cell.changed and (row := self.read(person, start, cell)):
                    rows.append(row)
        return rows

    def read(self, person: Participant, start: date, cell: Cell) -> TargetRow | None:
        now = plain(self.standing.get((person.pk, start)))
        if not cell.typed.strip():
            cell.problem = gettext("A target that stands can be changed, not removed.")
        elif now != cell.was:
            cell.problem = gettext("Somebody set %(value)s in the meantime.") % {"value": now}
            cell.was = now
        else:
            try:
                row = TargetRow(person, start, read_number(cell.typed))
            except forms.ValidationError as exc:
                cell.problem = " ".join(exc.messages)
            else:
                problem = target_problem(self.definition, row)
                cell.problem = problem[:1].upper() + problem[1:]
                return row
        return None

    def show(self, cells, problem: str = "", status: int = 200) -> HttpResponse:
        context = {
            **self.frame(),
            "columns": [period_label(self.definition, start) for start in self.shown],
            "rows": [(person, cells[person.pk]) for person in self.page],
            "page": self.page,
            "query": self.query,
            "problem": problem,
            "bad": sum(bool(cell.problem) for row in cells.values() for cell in row),
            "first": str(self.shown[0]),
            "earlier": str(self.starts[max(0, self.window - COLUMNS)]) if self.window else "",
            "later": str(self.starts[self.window + COLUMNS]) if self.window + COLUMNS < len(self.starts) else "",
            "unit": self.definition.currency if self.definition.measure.metric == "amount" else "",
        }
        return render(self.request, "programs/targets_grid.html", context, status=status)
