"""Program results: the list, one program, and each of its tables as a file."""

from decimal import Decimal

import django_filters
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.listing import Column, Guarded, ListPage, Tab
from incentives.core.pages import crumbs
from incentives.core.templatetags.laurel import amount_text, percent
from incentives.earnings.selectors import exceptions
from incentives.payouts.month_views import table_file
from incentives.programs.models import Program
from incentives.programs.selectors import visible_programs
from incentives.programs.summary import KINDS
from incentives.programs.views import ProgramFilters
from incentives.reports import results, results_compare, results_detail

S = Program.Status
REPORTS = (_("Reports"), "reports:list")
LIST = (_("Program results"), "reports:results")
LAUNCHED = (S.ACTIVE, S.PAUSED, S.CLOSING, S.CLOSED, S.ARCHIVED, S.SCHEDULED)


def launched(user):
    return visible_programs(user).filter(status__in=LAUNCHED)


class ResultFilters(ProgramFilters):
    currency = django_filters.ChoiceFilter(label=_("Currency"), empty_label=_("All"))

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        codes = Program.objects.order_by("currency").values_list("currency", flat=True).distinct()
        self.filters["currency"].extra["choices"] = [(code, code) for code in codes]
        self.filters["status"].extra["choices"] = [(value, S(value).label) for value in LAUNCHED]


class Rows(list):
    """Rows computed and sorted here, with what a list page asks of a query."""

    def count(self) -> int:
        return len(self)

    def iterator(self, chunk_size: int):
        return iter(self)


def _result(name: str):
    def of(row):
        return getattr(row.result, name)

    return of


def _computed(name: str, label, kind: str, **more) -> Column:
    return Column(name, label, _result(name), kind=kind, sort=name, **more)


class ResultsPage(ListPage):
    """Costs and medians are not columns of a table, so all matching programs are computed (in a fixed number of queries)
    and sorted here: a company has hundreds of programs, not millions."""

    permission = "reports.view"
    title = _("Program results")
    lead = _("What each program cost against what was won with it, and who took part.")
    search = ("name", "owner__name")
    search_hint = _("Name or owner")
    filterset_class = ResultFilters
    default_sort = "-starts"
    export_name, export_permission = "program results", "reports.export"
    empty_icon, empty_title = "reports", _("No program has run yet")
    empty_text = _("Programs stand here from their launch on.")
    template_name = "reports/results.html"
    tabs = (
        Tab("all", _("All")),
        Tab("running", _("Running"), Q(status__in=[S.ACTIVE, S.PAUSED, S.CLOSING])),
        Tab("ended", _("Ended"), Q(status__in=[S.CLOSED, S.ARCHIVED])),
        Tab("scheduled", _("Scheduled"), Q(status=S.SCHEDULED)),
    )
    columns = (
        Column("name", _("Program"), sort="name", link=lambda row: reverse("reports:result", args=[row.public_id]),
               note=lambda row: KINDS.get(row.template, row.template)),
        Column("kind", _("Kind"), lambda row: KINDS.get(row.template, row.template), screen=False),
        Column("status", _("Status"), kind="status", sort="status"),
        Column("starts", _("First day"), "starts_on", kind="date", sort="starts_on", note=lambda row: gettext("to %(day)s") % {
            "day": date_format(row.ends_on, gettext("j M Y"))}),
        Column("ends", _("Last day"), "ends_on", kind="date", screen=False),
        _computed("won", _("Won"), "money"),
        _computed("cost", _("Cost earned"), "money", phone="value"),
        _computed("delivered", _("Delivered"), "money"),
        _computed("per_won", _("Cost of won"), "percent"),
        _computed("participation", _("Took part"), "percent",
                  note=lambda row: gettext("%(n)s of %(all)s") % {"n": row.result.earning, "all": row.result.eligible}),
        _computed("eligible", _("Could earn"), "number", screen=False),
        _computed("credited", _("Credited"), "number"),
        _computed("earning", _("Earned"), "number", screen=False),
        _computed("paid", _("Paid"), "number"),
        _computed("average", _("Average"), "money"),
        _computed("median", _("Median"), "money"),
        _computed("activities", _("Activities"), "number", screen=False),
        _computed("unpriced", _("Without exchange rate"), "number", screen=False),
    )  # fmt: skip

    def get_queryset(self):
        return launched(self.request.user).select_related("owner")

    def sort(self, qs):
        return super().sort(qs) if self.by_database else qs.order_by("-starts_on", "-pk")

    @property
    def by_database(self) -> bool:
        column, _descending = self.sorting
        return column is None or isinstance(column.value, str | None) or column.key == "kind"

    @cached_property
    def all_rows(self) -> Rows:
        rows = list(super().rows())
        found = results.results_of(rows)
        for row in rows:
            row.result = found[row.pk]
        column, descending = self.sorting
        if not self.by_database:
            known = [row for row in rows if column.of(row) is not None]  # empty values stand last, as on every list
            empty = [row for row in rows if column.of(row) is None]
            rows = sorted(known, key=lambda row: _number(column.of(row)), reverse=descending) + empty
        return Rows(rows)

    def rows(self) -> Rows:
        return self.all_rows

    def get_context(self) -> dict:
        rated = [row for row in self.all_rows if row.result.per_won is not None]
        dearest = sorted(rated, key=lambda row: -row.result.per_won)[:10]
        bars = [
            {"label": row.name, "value": row.result.per_won, "text": percent(row.result.per_won, 2),
             "url": reverse("reports:result", args=[row.public_id])}
            for row in dearest
        ]  # fmt: skip
        return {"bars": bars, "crumbs": crumbs(REPORTS)}


def _number(value):
    return value.decimal if hasattr(value, "decimal") else value


# --- one program --------------------------------------------------------------------------------------------------------
class ResultPage(Guarded, View):
    permission = "reports.view"

    def get(self, request, public_id) -> HttpResponse:
        self.program = get_object_or_404(launched(request.user).select_related("owner"), public_id=public_id)
        kind, table = request.GET.get("export", ""), request.GET.get("table", "")
        if kind in {"csv", "xlsx"} and table in TABLES and request.user.can("reports.export"):
            header, rows = TABLES[table](self)
            return table_file(request, f"results {self.program.name} {table}"[:80], kind, header, rows)
        return render(request, "reports/result.html", self.context())

    # --- the parts, each read when it is asked for
    @cached_property
    def today(self):
        return timezone.localdate()

    @cached_property
    def result(self) -> results.Result:
        return results.results_of([self.program])[self.program.pk]

    @cached_property
    def definition(self):
        return results.governing([self.program])[self.program.pk]

    @cached_property
    def bars(self) -> list[results_detail.Bar]:
        return results_detail.distribution(self.result.earned, self.program.currency)

    @cached_property
    def steps(self) -> list[results_detail.Step]:
        return results_detail.over_time(self.program, self.definition, self.today)

    @cached_property
    def comparison(self):
        return results_compare.compare(self.program, self.definition, self.today)

    @cached_property
    def deals(self) -> list[results_detail.Deal]:
        return results_detail.dearest(self.program)

    def context(self) -> dict:
        compared = self.comparison
        return {
            "program": self.program,
            "kind": KINDS.get(self.program.template, self.program.template),
            "result": self.result,
            "steps": self.steps,
            "won_chart": [{"label": _day(step.first), "value": step.won} for step in self.steps],
            "cost_chart": [{"label": _day(step.first), "value": step.cost} for step in self.steps],
            "histogram": [{"label": amount_text(bar.low), "value": bar.count} for bar in self.bars],
            "people": [{"label": label, "value": count} for label, count in self.participation()],
            "comparison": compared,
            "windows": [(WINDOWS[w.name], w, compared.change(w)) for w in compared.windows] if compared else [],
            "compared_bars": [{"label": WINDOWS[w.name], "value": w.won} for w in compared.windows] if compared else [],
            "deals": self.deals,
            "exceptions": exceptions(self.program, self.definition),
            "exceptions_url": _exceptions_url(self.program),
            "may_export": self.request.user.can("reports.export"),
            "crumbs": crumbs(REPORTS, LIST),
        }

    def participation(self) -> list[tuple]:
        r = self.result
        return [(gettext("Could earn"), r.eligible), (gettext("Credited"), r.credited), (gettext("Earned"), r.earning),
                (gettext("Paid"), r.paid)]  # fmt: skip

    # --- the same as files
    def table_people(self) -> tuple:
        return [gettext("People"), gettext("Count")], [list(row) for row in self.participation()]

    def table_distribution(self) -> tuple:
        rows = [[bar.low.decimal, bar.high.decimal, bar.count] for bar in self.bars]
        return [gettext("From"), gettext("Until before"), gettext("People")], rows

    def table_time(self) -> tuple:
        rows = [[s.first, s.won.decimal, s.cost.decimal, _share(s.per_won), self.program.currency] for s in self.steps]
        return [gettext("From"), gettext("Won"), gettext("Cost"), gettext("Cost of won, %"), gettext("Currency")], rows

    def table_comparison(self) -> tuple:
        header = [gettext("Time"), gettext("From"), gettext("To"), gettext("Won"), gettext("Currency"), gettext("Activities"),
                  gettext("People who won"), gettext("Change, %")]  # fmt: skip
        found = self.comparison
        rows = [
            [str(WINDOWS[w.name]), w.first, w.last, w.won.decimal, w.won.currency, w.activities, w.people,
             _share(found.change(w))]
            for w in (found.windows if found else ())
        ]  # fmt: skip
        return header, rows

    def table_deals(self) -> tuple:
        header = [gettext("Record"), gettext("Owner"), gettext("Amount"), gettext("Currency"), gettext("Cost"),
                  gettext("Currency of the cost"), gettext("People")]  # fmt: skip
        rows = [
            [str(d.object), str(d.object.participant or ""), d.amount and d.amount.decimal, d.amount and d.amount.currency,
             d.cost.decimal, d.cost.currency, d.people]
            for d in self.deals
        ]  # fmt: skip
        return header, rows


TABLES = {
    "people": ResultPage.table_people,
    "distribution": ResultPage.table_distribution,
    "time": ResultPage.table_time,
    "comparison": ResultPage.table_comparison,
    "deals": ResultPage.table_deals,
}
WINDOWS = {
    results_compare.BEFORE: _("Before"),
    results_compare.DURING: _("During"),
    results_compare.AFTER: _("After"),
}


def _day(day) -> str:
    return date_format(day, gettext("j M"))


def _share(ratio: Decimal | None) -> Decimal | None:
    """Per cent with two digits after the point, for files."""
    return None if ratio is None else (ratio * 100).quantize(Decimal("0.01"))


def _exceptions_url(program) -> str:
    try:
        return reverse("earnings:exceptions", args=[program.public_id])
    except NoReverseMatch:
        return ""
