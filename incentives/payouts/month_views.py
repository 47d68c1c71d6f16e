"""Closed months: the list, one month by program with its export, closing and opening again."""

import functools
from datetime import date
from functools import cached_property

import django_filters
from django.contrib import messages
from django.db import transaction
from django.http import FileResponse, Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core import audit, exports
from incentives.core.listing import ActionPage, Column, Guarded, ListPage, Rows
from incentives.core.pages import crumbs
from incentives.ledger.models import PeriodClose
from incentives.payouts import month_selectors, services
from incentives.payouts.forms import NoteForm, ReasonForm
from incentives.payouts.links import page
from incentives.payouts.services import months
from rewards.money import Money

HERE = (_("Months"), "payouts:months")
FIGURES = (
    ("earned", _("Earned")),
    ("corrected", _("of it taken back")),
    ("approved", _("Approved")),
    ("ordered", _("Ordered")),
    ("paid", _("Paid")),
)
SHOWN = ("earned", "approved", "ordered", "paid")
STATES = {"open": _("Open"), "closed": _("Closed"), "reopened": _("Opened again")}
ITEMS = {
    "facts": _("Facts received and not yet worked on"),
    "exceptions": _("Facts in quarantine or failed"),
    "scorecards": _("Scorecards not yet computed or followed up"),
    "approvals": _("Payouts awaiting approval"),
    "orders": _("Payouts approved whose card is not issued yet"),
    "write_offs": _("Write-offs waiting for finance"),
}


def month_name(month: date) -> str:
    return date_format(month, "YEAR_MONTH_FORMAT")


def sums_of(name: str, row) -> list[Money]:
    """A figure of one month, a sum per currency."""
    return [Money(figures[name], currency) for currency, figures in sorted(row.sums.items()) if name in figures]


def closing_words(row) -> str:
    return f"{row.closed.closed_by}, {date_format(row.closed.closed_at, gettext('j M Y'))}" if row.closed else ""


def month_url(month: date) -> str:
    return reverse("payouts:month", args=[f"{month:%Y-%m}"])


def checklist() -> list[dict]:
    return [
        {"label": ITEMS[item.code], "count": item.count, "url": page(item.url)} for item in month_selectors.unfinished()
    ]


def year_choices() -> list[tuple[str, str]]:
    """Every year since the first thing earned, newest first."""
    years = {month.year for month in month_selectors.months_until(months.month_of(timezone.now().date()))}
    return [(str(year), str(year)) for year in sorted(years, reverse=True)]


class MonthFilters(django_filters.FilterSet):
    """What the page does with them, in Python: months are computed and not stored."""

    year = django_filters.ChoiceFilter(label=_("Year"), choices=year_choices, method="as_they_are")
    state = django_filters.ChoiceFilter(label=_("State"), choices=[*STATES.items()], method="as_they_are")

    class Meta:
        model = PeriodClose
        fields: list[str] = []

    def as_they_are(self, qs, name, value):
        return qs


class MonthsPage(ListPage):
    """Each month with its sums per currency; few rows, computed by a constant number of queries."""

    permission = "periods.view"
    title = _("Months")
    lead = _(
        "What each month holds. Nothing is booked into a closed month any more; only the latest closed one can be opened "
        "again, with a reason."
    )
    template_name = "payouts/months.html"
    search, search_hint = ("month",), _("Month, for example June or 2026-06")
    filterset_class = MonthFilters
    default_sort = "-month"
    export_name, export_permission = "months", "reports.export"
    empty_icon, empty_title = "clock", _("No month yet")
    empty_text = _("Months appear with the first thing that is earned.")
    columns = (
        Column("month", _("Month"), lambda row: month_name(row.month), sort="month", link=lambda row: month_url(row.month)),
        Column("status", _("State"), lambda row: row.status, kind="status", words=STATES, note=lambda row: closing_words(row)),
        *(
            Column(name, label, functools.partial(sums_of, name), kind="money", template="payouts/_month_sums.html", phone="value" if name == "earned" else "")
            for name, label in FIGURES
            if name in SHOWN
        ),
    )  # fmt: skip

    def get_queryset(self):
        return PeriodClose.objects.none()

    @cached_property
    def found(self) -> Rows:
        if not self.filters.is_valid():
            return Rows()
        wanted = self.filters.form.cleaned_data
        rows = [
            row
            for row in month_selectors.all_months(timezone.now().date())
            if wanted["year"] in ("", str(row.month.year)) and wanted["state"] in ("", row.status) and self.says(row)
        ]
        _column, descending = self.sorting
        rows.sort(key=lambda row: row.month, reverse=descending)
        return Rows(rows)

    def says(self, row) -> bool:
        text = f"{month_name(row.month)} {row.month:%Y-%m} {STATES[row.status]}".lower()
        return all(word in text for word in self.query.lower().split())

    def rows(self) -> Rows:
        return self.found

    def get_context(self) -> dict:
        due = months.next_to_close()
        return {
            "due": due if due and months.has_ended(due) else None,
            "due_name": due and month_name(due),
            "due_close": due and reverse("payouts:month-close", args=[f"{due:%Y-%m}"]),
        }

    def export(self, kind: str) -> HttpResponse:
        """One line per month and currency, so that sums stay numbers."""
        if problem := self.export_problem(kind, self.found):
            messages.error(self.request, problem)
            return redirect(self.address(export=None))
        return self.table(self.found, kind)

    def table(self, rows, kind: str) -> HttpResponse:
        header = [
            gettext("Month"),
            gettext("State"),
            gettext("Currency"),
            *[str(label) for n, label in FIGURES if n in SHOWN],
        ]
        lines = [
            [f"{row.month:%Y-%m}", row.status, currency, *[Money(sums.get(n, 0), currency).decimal for n in SHOWN]]
            for row in rows
            for currency, sums in sorted(row.sums.items())
        ]
        return table_file(self.request, "months", kind, header, lines)


class MonthMixin:
    @property
    def month(self) -> date:
        year, _dash, number = self.kwargs["month"].partition("-")
        try:
            return date(int(year), int(number), 1)
        except ValueError as exc:
            raise Http404 from exc


class MonthPage(MonthMixin, Guarded, View):
    permission = "periods.view"

    def get(self, request, month: str) -> HttpResponse:
        if self.month not in month_selectors.months_until(months.month_of(timezone.now().date())):
            raise Http404
        figures = month_selectors.by_program(self.month)
        if kind := wanted_export(request):
            return self.export(figures, kind)
        closes = list(months.PeriodClose.objects.filter(month=self.month).select_related("closed_by", "reopened_by"))
        closed = next((row for row in closes if row.reopened_at is None), None)
        last = months.latest_closed()
        context = {
            "month": self.month,
            "name": month_name(self.month),
            "key": f"{self.month:%Y-%m}",
            "closed": closed,
            "closes": closes,
            "labels": FIGURES,
            "rows": [(row, [row.money(name) for name, _label in FIGURES]) for row in figures],
            "totals": totals(figures),
            "may_close": not closed and months.next_to_close() == self.month and months.has_ended(self.month),
            "may_reopen": closed is not None and last is not None and last.pk == closed.pk,
            "checklist": [] if closed else checklist(),
            "crumbs": crumbs(HERE),
        }
        return render(request, "payouts/month.html", context)

    def export(self, figures, kind: str) -> HttpResponse:
        header = [gettext("Program"), gettext("Currency"), *[str(label) for _name, label in FIGURES]]
        rows = [
            [row.program.name, row.program.currency, *[row.money(name).decimal for name, _label in FIGURES]]
            for row in figures
        ]
        return table_file(self.request, f"month {self.month:%Y-%m}", kind, header, rows)


def wanted_export(request) -> str:
    """`csv` or `xlsx` when this request asks for a file and may have one; else nothing."""
    kind = request.GET.get("export", "")
    return kind if kind in {"csv", "xlsx"} and request.user.can("reports.export") else ""


def table_file(request, title: str, kind: str, header: list[str], rows: list[list]) -> HttpResponse:
    """A small table as a file, recorded in the audit trail."""
    with transaction.atomic():
        audit.record("list.exported", request.user, actor=request.user, after={"list": title, "format": kind})
    name = f"{title.replace(' ', '-')}.{kind}"
    if kind == "xlsx":
        return FileResponse(exports.xlsx_file(title, header, [rows]), as_attachment=True, filename=name)
    response = StreamingHttpResponse(exports.csv_chunks(header, [rows]), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def totals(figures) -> list[list[Money]]:
    """One line of sums per currency, in the order of FIGURES."""
    found: dict[str, list[int]] = {}
    for row in figures:
        sums = found.setdefault(row.program.currency, [0] * len(FIGURES))
        for number, (name, _label) in enumerate(FIGURES):
            sums[number] += getattr(row, name)
    return [[Money(minor, currency) for minor in sums] for currency, sums in sorted(found.items())]


class MonthAction(MonthMixin, ActionPage):
    permission = "periods.close"

    def get_object(self):
        return self.month

    def success_url(self, thing) -> str:
        return month_url(thing)


class CloseMonthPage(MonthAction):
    form_class = NoteForm
    template_name = "payouts/month_close.html"

    def get_context(self, thing) -> dict:
        return {
            "title": gettext("Close %(month)s?") % {"month": month_name(thing)},
            "text": gettext(
                "Nothing is booked into it any more. What becomes known later is booked on the day it becomes known, with "
                "the reason beside it."
            ),
            "submit": gettext("Close the month"),
            "checklist": checklist(),
            "crumbs": crumbs(HERE, (month_name(thing), month_url(thing))),
        }

    def perform(self, thing, data: dict) -> str:
        services.close_month(month=thing, actor=self.request.user, note=data["note"])
        return gettext("%(month)s is closed.") % {"month": month_name(thing)}


class ReopenMonthPage(MonthAction):
    form_class = ReasonForm
    danger = True

    def get_context(self, thing) -> dict:
        return {
            "title": gettext("Open %(month)s again?") % {"month": month_name(thing)},
            "text": gettext("Facts of this month are booked into it again until it is closed anew."),
            "submit": gettext("Open the month"),
            "crumbs": crumbs(HERE, (month_name(thing), month_url(thing))),
        }

    def perform(self, thing, data: dict) -> str:
        services.reopen_month(month=thing, actor=self.request.user, reason=data["reason"])
        return gettext("%(month)s is open again.") % {"month": month_name(thing)}
