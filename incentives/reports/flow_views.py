"""The reconciliation: by program and day, one day with the rows behind each difference, and cards' cost against estimate."""

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import django_filters
from django import forms
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import Column, Link, ListPage, Rows
from incentives.core.pages import crumbs
from incentives.core.templatetags.laurel import money_text
from incentives.earnings.models import Earning
from incentives.payouts.links import program_url
from incentives.payouts.models import Payout
from incentives.programs.models import Program
from incentives.reports import costs, flow
from incentives.reports.flow import GAP_WORDS, GAPS, LABELS, STAGES, UNEXPLAINED
from incentives.reports.months import MonthFilter, month_from
from rewards.money import Money

REPORTS = (_("Reports"), "reports:list")
HERE = (_("Reconciliation"), "reports:reconciliation")
STAGE_WORDS = {
    "earned": _("Earned"),
    "approved": _("Approved"),
    "ordered": _("Ordered"),
    "issued": _("Issued"),
    "delivered": _("Delivered"),
}
STATES = {"agrees": _("Agrees"), "explained": _("Explained"), UNEXPLAINED: _("Unexplained")}


class Day(django_filters.DateFilter):
    """A day of the computed rows: the page applies it."""

    def __init__(self, **kwargs):
        widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
        super().__init__(widget=widget, **kwargs)

    def filter(self, qs, value):
        return qs


class Computed(django_filters.ChoiceFilter):
    """A choice about the computed rows: the page applies it."""

    def filter(self, qs, value):
        return qs


class FlowFilters(django_filters.FilterSet):
    program = django_filters.ModelChoiceFilter(
        label=_("Program"), queryset=Program.objects.order_by("name"), to_field_name="public_id", method="by_program"
    )
    since = Day(label=_("From"))
    until = Day(label=_("To"))
    currency = django_filters.ChoiceFilter(label=_("Currency"), empty_label=_("All"))
    show = Computed(
        label=_("Show"),
        choices=[("differences", _("Only days with a difference")), (UNEXPLAINED, _("Only what is unexplained"))],
    )

    class Meta:
        model = Program
        fields: list[str] = []

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        codes = Program.objects.order_by("currency").values_list("currency", flat=True).distinct()
        self.filters["currency"].extra["choices"] = [(code, code) for code in codes]

    def by_program(self, rows, name, value):
        return rows.filter(pk=value.pk)


@dataclass(slots=True)
class Row:
    """One program's day as the page shows it."""

    program: Program
    line: flow.Line

    @property
    def day(self) -> date:
        return self.line.day

    @property
    def status(self) -> str:
        return self.line.status

    @property
    def reasons(self) -> list["Reason"]:
        return reasons_of(self.line)

    def get_absolute_url(self) -> str:
        return reverse("reports:reconciliation-day", args=[self.program.public_id, self.day.isoformat()])


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of a line: how many rows and how much, and where they are."""

    code: str
    label: Any
    rows: int
    money: Money

    @property
    def alarming(self) -> bool:
        return self.code == UNEXPLAINED

    def __str__(self) -> str:
        return f"{self.label}: {money_text(self.money)}"


def reasons_of(line: flow.Line, gap: str = "") -> list[Reason]:
    """What is unexplained first, then the reasons in the order of the flow; `gap`: of one step alone."""
    wanted = [gap] if gap else list(GAPS)
    left = [line.unexplained(gap) for gap in wanted]
    found = [Reason(UNEXPLAINED, LABELS[UNEXPLAINED], 1, Money(minor, line.currency)) for minor in left if minor]
    for code, label in LABELS.items():
        if code in line.reasons and flow.GAP_OF[code] in wanted:
            minor, rows = line.reasons[code]
            found.append(Reason(code, label, rows, Money(minor, line.currency)))
    return found


def stage(name: str, **more) -> Column:
    return Column(name, STAGE_WORDS[name], lambda row: row.line.money(name), kind="money", sort=name, **more)


def difference(gap: str) -> Column:
    return Column(gap, GAP_WORDS[gap], lambda row: Money(row.line.difference(gap), row.line.currency), kind="money", screen=False)  # fmt: skip


SORTS = {
    "day": lambda row: row.day,
    "program": lambda row: row.program.name.lower(),
    "status": lambda row: (len(row.line.open_gaps), row.line.differs),
    **{name: (lambda row, name=name: row.line.minors[name]) for name in STAGES},
}


class KeptPage(ListPage):
    """A list whose rows cost much: made once per request, in `sort`, for the table and the figures above it."""

    @cached_property
    def found(self) -> Rows:
        return super().rows()

    def rows(self) -> Rows:
        return self.found


class ProgramsPage(KeptPage):
    """Rows are computed for the programs that match."""

    def get_queryset(self):
        return Program.objects.all()

    @cached_property
    def wishes(self) -> dict:
        return self.filters.form.cleaned_data if self.filters.is_valid() else {}


class ReconciliationPage(ProgramsPage):
    permission = "reconciliation.view"
    title = _("Reconciliation")
    lead = _("What was earned on each day, and how far it has come: approved, ordered, issued, delivered. Each difference has its reasons.")  # fmt: skip
    search, search_hint = ("name",), _("Program")
    filterset_class = FlowFilters
    default_sort = "-day"
    export_name, export_permission = "reconciliation", "reports.export"
    empty_icon, empty_title = "reports", _("Nothing was earned yet")
    empty_text = _("Each day on which a program books earnings stands here.")
    template_name = "reports/reconciliation.html"
    results_template = "reports/_flow_results.html"
    actions = (
        Link(_("Cost against estimate"), "reports:reconciliation-costs", "reconciliation.view", "reports"),
        Link(_("Provider comparisons"), "reports:comparisons", "reconciliation.view", "refresh"),
    )
    columns = (
        Column("day", _("Day"), kind="date", sort="day", link=True, note="program.name", phone="title"),
        Column("program", _("Program"), "program.name", sort="program", screen=False),
        stage("earned", phone="value"),
        *(stage(name) for name in GAPS),
        *(difference(gap) for gap in GAPS),
        Column("unexplained", _("Unexplained"), lambda row: Money(sum(row.line.unexplained(g) for g in GAPS), row.line.currency),
               kind="money", screen=False),
        Column("status", _("State"), kind="status", sort="status", words=STATES, screen=False),
        Column("why", _("Differences"), lambda row: "; ".join(map(str, row.reasons)), template="reports/_why.html",
               sort="status"),
    )  # fmt: skip

    def sort(self, qs) -> Rows:
        """The lines are computed for the programs that match, then chosen and sorted here."""
        if self.wishes.get("currency"):
            qs = qs.filter(currency=self.wishes["currency"])
        programs = {program.pk: program for program in qs.order_by()}
        every = not self.query and not self.wishes.get("program") and not self.wishes.get("currency")
        scope = flow.Scope(None if every else qs.order_by(), self.wishes.get("since"), self.wishes.get("until"))
        found = flow.lines(scope) if programs else []
        rows = [Row(programs[line.program_id], line) for line in found if line.program_id in programs]
        if show := self.wishes.get("show"):
            rows = [row for row in rows if (row.line.open_gaps if show == UNEXPLAINED else row.line.differs)]
        column, descending = self.sorting
        rows.sort(key=lambda row: (row.day, row.program.name.lower()), reverse=True)
        if column is not None:
            rows.sort(key=SORTS[column.sort], reverse=descending)
        return Rows(rows)

    def get_context(self) -> dict:
        sums = flow.totals(row.line for row in self.rows())
        unexplained = sum(len(row.line.open_gaps) for row in self.rows())
        return {"sums": [_sum(line) for line in sums], "unexplained": unexplained, "crumbs": crumbs(REPORTS)}


def _sum(line: flow.Line) -> dict:
    """One currency's figures and what stands between them."""
    return {
        "currency": line.currency,
        "stages": [(STAGE_WORDS[name], line.money(name)) for name in STAGES],
        "gaps": [
            (GAP_WORDS[gap], Money(line.difference(gap), line.currency), reasons_of(line, gap))
            for gap in GAPS
            if line.difference(gap) or reasons_of(line, gap)
        ],
    }


# --- one day ----------------------------------------------------------------------------------------------------------------
class ItemFilters(django_filters.FilterSet):
    reason = Computed(label=_("Reason"), choices=list(LABELS.items()))

    class Meta:
        model = Program
        fields: list[str] = []


@dataclass(slots=True)
class ItemRow:
    """One earning or payout behind a difference."""

    item: flow.Item
    thing: Earning | Payout | None
    currency: str

    @property
    def label(self) -> str:
        if isinstance(self.thing, Payout):
            return gettext("Payout %(n)s of %(amount)s") % {"n": self.thing.n, "amount": money_text(self.thing.amount)}
        return gettext("Earning of %(amount)s") % {"amount": money_text(self.thing.amount)}

    @property
    def person(self):
        return self.thing.participant if isinstance(self.thing, Payout) else self.thing.participation.participant

    @property
    def about(self) -> str:
        """What is known of it: a payout's outcome or state, an earning's explanation."""
        if isinstance(self.thing, Payout):
            return self.thing.outcome or self.thing.get_status_display()
        return self.thing.explanation.splitlines()[0] if self.thing.explanation else ""

    def get_absolute_url(self) -> str:
        return self.thing.get_absolute_url()


class DayPage(KeptPage):
    """One program's day: the five figures, each difference with its reasons, and the rows behind them."""

    permission = "reconciliation.view"
    filterset_class = ItemFilters
    export_permission = "reports.export"
    empty_icon, empty_title = "done", _("No difference")
    empty_text = _("All that was earned on this day is delivered.")
    template_name = "reports/reconciliation_day.html"
    columns = (
        Column("label", _("Row"), link=True, note="about"),
        Column("person", _("Participant"), lambda row: row.person.name),
        Column("reason", _("Reason"), lambda row: LABELS[row.item.code], template="reports/_reason.html"),
        Column("step", _("Step"), lambda row: GAP_WORDS[row.item.gap]),
        Column("amount", _("Amount"), lambda row: Money(row.item.minor, row.currency), kind="money", phone="value"),
        Column("public_id", _("Id"), lambda row: row.thing.public_id, screen=False),
    )

    @cached_property
    def program(self) -> Program:
        return get_object_or_404(Program, public_id=self.kwargs["public_id"])

    @cached_property
    def day(self) -> date:
        try:
            return date.fromisoformat(self.kwargs["day"])
        except ValueError as exc:
            raise Http404 from exc

    @property
    def title(self) -> str:
        return f"{self.program}, {date_format(self.day, 'j F Y')}"

    @property
    def export_name(self) -> str:
        return f"reconciliation {self.program} {self.day:%Y-%m-%d}"

    def get_queryset(self):
        return Program.objects.filter(pk=self.program.pk)

    def sort(self, qs) -> Rows:
        found = flow.items(self.program, self.day)
        wanted = self.filters.form.cleaned_data.get("reason") if self.filters.is_valid() else ""
        found = [item for item in found if not wanted or item.code == wanted]
        earnings = Earning.objects.filter(participation__program=self.program).select_related(
            "participation__participant"
        )
        earnings = earnings.in_bulk([item.earning_id for item in found if item.earning_id])
        payouts = Payout.objects.filter(program=self.program).select_related("participant")
        payouts = payouts.in_bulk([item.payout_id for item in found if item.payout_id])
        things = [earnings.get(item.earning_id) or payouts.get(item.payout_id) for item in found]
        return Rows(
            ItemRow(item, thing, self.program.currency) for item, thing in zip(found, things, strict=True) if thing
        )

    def get_context(self) -> dict:
        scope = flow.Scope(Program.objects.filter(pk=self.program.pk), self.day, self.day)
        sums = [_sum(line) for line in flow.totals(flow.lines(scope))]
        return {
            "sums": sums,
            "program_url": program_url(self.program) if self.request.user.can("programs.view") else "",
            "program": self.program,
            "crumbs": crumbs(REPORTS, HERE),
            "unexplained": sum(
                reason.alarming for part in sums for _l, _m, reasons in part["gaps"] for reason in reasons
            ),
        }


# --- cost against estimate --------------------------------------------------------------------------------------------------
class CostFilters(FlowFilters):
    month = MonthFilter()
    show = Computed(label=_("Show"), choices=[("differences", _("Only months with a difference"))])
    since = until = None

    class Meta:
        model = Program
        fields: list[str] = []


@dataclass(slots=True)
class CostRow:
    """One program's month of cards."""

    program: Program
    line: costs.CostLine

    @property
    def reasons(self) -> list[Reason]:
        return cost_reasons(self.line)


def cost_reasons(line: costs.CostLine) -> list[Reason]:
    order = (UNEXPLAINED, *costs.REASONS)
    return [
        Reason(code, costs.LABELS[code], line.reasons[code][1], Money(line.reasons[code][0], line.currency))
        for code in order
        if code in line.reasons
    ]


def cost(name: str, label, **more) -> Column:
    return Column(name, label, lambda row: row.line.money(name), kind="money", sort=name, **more)


class CostsPage(ProgramsPage):
    permission = "reconciliation.view"
    title = _("Cost against estimate")
    lead = _(
        "What the cards issued in each month should have cost when they were ordered, and what was posted for them."
    )
    search, search_hint = ("name",), _("Program")
    filterset_class = CostFilters
    default_sort = "-month"
    export_name, export_permission = "cost against estimate", "reports.export"
    empty_icon, empty_title = "orders", _("No card was issued yet")
    empty_text = _("Each month in which a program's cards are issued stands here.")
    template_name = "reports/reconciliation_costs.html"
    columns = (
        Column("month", _("Month"), lambda row: date_format(row.line.month, "F Y"), sort="month", note="program.name",
               phone="title"),
        Column("program", _("Program"), "program.name", sort="program", screen=False),
        Column("cards", _("Cards"), "line.cards", kind="number", sort="cards"),
        cost("expected", _("Expected")),
        cost("posted", _("Posted"), phone="value"),
        cost("face", _("Face value"), screen=False),
        cost("discount", _("Discount"), screen=False),
        cost("fee", _("Fee"), screen=False),
        cost("shipping", _("Shipping"), screen=False),
        cost("difference", _("Difference")),
        Column("why", _("Reasons"), lambda row: "; ".join(map(str, row.reasons)), template="reports/_why.html"),
    )  # fmt: skip

    def sort(self, qs) -> Rows:
        if self.wishes.get("currency"):
            qs = qs.filter(currency=self.wishes["currency"])
        programs = {program.pk: program for program in qs.order_by()}
        found = costs.cost_lines(qs.order_by(), month_from(self.wishes.get("month") or None)) if programs else []
        rows = [CostRow(programs[line.program_id], line) for line in found]
        if self.wishes.get("show"):
            rows = [row for row in rows if row.line.difference or row.line.reasons]
        column, descending = self.sorting
        rows.sort(key=lambda row: (row.line.month, row.program.name.lower()), reverse=True)
        if column is not None and column.sort == "program":
            rows.sort(key=lambda row: row.program.name.lower(), reverse=descending)
        elif column is not None:
            rows.sort(key=lambda row: getattr(row.line, column.sort), reverse=descending)
        return Rows(rows)

    def get_context(self) -> dict:
        figures = (("expected", _("Expected")), ("posted", _("Posted")), ("difference", _("Difference")))
        totals = costs.cost_totals(row.line for row in self.rows())
        return {
            "totals": [([(label, line.money(name)) for name, label in figures], cost_reasons(line)) for line in totals],
            "crumbs": crumbs(REPORTS, HERE),
        }
