"""Earned and not paid: by program, and by participant of one program, as of the end of any month."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import django_filters
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import Column, ListPage, Rows
from incentives.core.pages import crumbs
from incentives.earnings.models import Participation
from incentives.payouts.month_views import month_name
from incentives.programs.models import Program
from incentives.reports import accrual
from incentives.reports.accrual import Accrual
from incentives.reports.months import MonthFilter, month_from, this_month

REPORTS = (_("Reports"), "reports:list")
HERE = (_("Accrual"), "reports:accrual")


@dataclass(slots=True)
class Row:
    """One line: a program or a participation with its month."""

    thing: Any
    label: str
    figures: Accrual


def figure(name: str, label, **more) -> Column:
    return Column(name, label, lambda row: row.figures.money(name), kind="money", sort=name, **more)


FIGURES = (
    figure("opening", _("Opening")),
    figure("earned", _("Earned")),
    figure("corrected", _("Corrected")),
    figure("paid", _("Paid")),
    figure("aside", _("Set aside")),
    figure("closing", _("Closing"), phone="value"),
    figure("owed_before", _("Recoverable before"), screen=False),
    figure("written_off", _("Written off"), screen=False),
    figure("owed", _("Recoverable")),
)
SUMS = (
    ("closing", _("Earned, not paid")),
    ("opening", _("At the beginning")),
    ("paid", _("Paid in the month")),
    ("owed", _("Recoverable from participants")),
    ("written_off", _("Written off in the month")),
)


class ProgramFilters(django_filters.FilterSet):
    month = MonthFilter()
    currency = django_filters.CharFilter(lookup_expr="iexact", label=_("Currency"))

    class Meta:
        model = Program
        fields: list[str] = []


class PeopleFilters(django_filters.FilterSet):
    month = MonthFilter()

    class Meta:
        model = Participation
        fields: list[str] = []


class MonthEnd(ListPage):
    """Computed rows of one month: this one unless another is chosen."""

    permission = "accounting.view"
    template_name = "reports/accrual.html"
    export_permission = "reports.export"
    default_sort = "-closing"
    empty_icon, empty_title = "reports", _("Nothing was earned or paid up to this month")
    empty_text = _("Choose a later month, or clear the search.")

    @cached_property
    def month(self):
        valid = self.filters.is_valid() and self.filters.form.cleaned_data.get("month")
        return month_from(valid or None) or this_month()

    @property
    def export_name(self) -> str:
        return f"accrual {self.month:%Y-%m}"

    def computed(self, things) -> list[Row]:
        raise NotImplementedError

    def sort(self, qs):
        """By figures, which are computed: the list is short (programs, or the people of one)."""
        rows = self.computed(qs)
        column, descending = self.sorting
        rows.sort(key=lambda row: row.label.lower())
        if column is not None and column.sort != "label":
            rows.sort(key=lambda row: getattr(row.figures, column.sort), reverse=descending)
        elif descending:
            rows.reverse()
        return Rows(rows)

    @cached_property
    def found(self) -> Rows:
        return super().rows()

    def rows(self) -> Rows:
        return self.found

    def get_context(self) -> dict:
        return {
            "totals": [
                [(label, sums.money(name)) for name, label in SUMS]
                for sums in accrual.totals(row.figures for row in self.found)
            ],
            "until": month_name(self.month),
            "crumbs": crumbs(REPORTS),
        }


class AccrualPage(MonthEnd):
    title = _("Accrual")
    search, search_hint = ("name",), _("Program")
    filterset_class = ProgramFilters
    columns = (
        Column(
            "label", _("Program"), sort="label", link=lambda row: row.figures_url, note=lambda row: row.people_words
        ),
        *FIGURES,
    )

    def get_queryset(self):
        return Program.objects.all()

    def computed(self, things) -> list[Row]:
        found = accrual.by_program(self.month)
        rows = [ProgramRow(program, program.name, found[program.pk]) for program in things if program.pk in found]
        for row in rows:
            row.month = self.month
        return rows


@dataclass
class ProgramRow(Row):
    month: Any = None

    @property
    def figures_url(self) -> str:
        return f"{reverse('reports:accrual-people', args=[self.thing.public_id])}?month={self.month:%Y-%m}"

    @property
    def people_words(self) -> str:
        n = self.figures.people
        return ngettext("%(n)s person", "%(n)s people", n) % {"n": n} if n else ""


class AccrualPeoplePage(MonthEnd):
    search = ("participant__name", "participant__external_user_id", "participant__email")
    search_hint = _("Name, external user id or e-mail")
    filterset_class = PeopleFilters
    columns = (
        Column("label", _("Participant"), sort="label", note="thing.participant.external_user_id"),
        Column("external", _("External user id"), "thing.participant.external_user_id", screen=False),
        *FIGURES,
    )

    @cached_property
    def program(self) -> Program:
        return get_object_or_404(Program, public_id=self.kwargs["public_id"])

    @property
    def title(self):
        return gettext("Accrual: %(program)s") % {"program": self.program}

    def get_queryset(self):
        return Participation.objects.filter(program=self.program).select_related("participant", "program")

    def computed(self, things) -> list[Row]:
        parts = list(things.order_by("pk"))
        found = accrual.by_participation(self.month)
        return [Row(part, part.participant.name, found[part.public_id]) for part in parts if part.public_id in found]

    def get_context(self) -> dict:
        return {**super().get_context(), "crumbs": crumbs(REPORTS, HERE)}
