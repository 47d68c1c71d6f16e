"""Decisions taken, by whom and how long they took; and what waits for one."""

from datetime import timedelta
from decimal import Decimal

import django_filters
from django.db.models import Q
from django.http import HttpResponse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.accounts.models import User
from incentives.core.listing import Column, Link, ListPage, Since, Tab, Until
from incentives.core.pages import crumbs
from incentives.core.templatetags.laurel import duration
from incentives.payouts.models import Approval, Payout
from incentives.payouts.month_views import table_file
from incentives.programs.models import Program
from incentives.reports import approvals
from rewards.money import Money

REPORTS = (_("Reports"), "reports:list")
HERE = (_("Approvals"), "reports:approvals")
WEEKS = 26
D = Approval.Decision


def hours(value: timedelta | None):
    """Hours with one digit after the point, for files and charts: spreadsheets know no durations."""
    return None if value is None else Decimal(round(value.total_seconds() / 360)).scaleb(-1)


def _programs():
    return Program.objects.order_by("name")


class DecisionFilters(django_filters.FilterSet):
    program = django_filters.ModelChoiceFilter(
        label=_("Program"), queryset=_programs(), field_name="payout__program", to_field_name="public_id"
    )
    approver = django_filters.ModelChoiceFilter(
        label=_("Approver"), field_name="actor", to_field_name="public_id",
        queryset=User.objects.filter(role_set__isnull=False).distinct().order_by("name", "pk"),
    )  # fmt: skip
    decision = django_filters.ChoiceFilter(label=_("Decision"), choices=D.choices)
    deputy = django_filters.BooleanFilter(label=_("As a deputy"), method="by_deputy")
    bulk = django_filters.BooleanFilter(label=_("Several with one request"), method="by_bulk")
    since = Since(field_name="at", label=_("From"))
    until = Until(field_name="at", label=_("To"))

    class Meta:
        model = Approval
        fields: list[str] = []

    def by_deputy(self, rows, name, value):
        return rows.filter(on_behalf_of__isnull=not value)

    def by_bulk(self, rows, name, value):
        return rows.filter(approvals.BULK) if value else rows.exclude(approvals.BULK)


class ApprovalsPage(ListPage):
    permission = "reports.view"
    title = _("Approvals")
    lead = _("Every decision about a payout: who took it, when, and how long it had waited.")
    search = ("payout__recipient_name", "payout__program__name", "actor_name", "reason")
    search_hint = _("Recipient, program, approver or reason")
    filterset_class = DecisionFilters
    default_sort = "-at"
    export_name, export_permission = "approvals", "reports.export"
    empty_icon, empty_title = "done", _("Nothing was decided yet")
    empty_text = _("Decisions stand here as soon as the first payout is approved or rejected.")
    template_name = "reports/approvals.html"
    results_template = "reports/_approvals_results.html"
    actions = (Link(_("What waits"), "reports:approvals-waiting", "reports.view", "clock"),)
    tabs = (
        Tab("all", _("All")),
        Tab("people", _("By people"), Q(actor__isnull=False)),
        Tab("policy", _("By a policy"), Q(actor__isnull=True)),
        Tab("rejected", _("Rejected"), Q(decision=D.REJECTED)),
    )

    @cached_property
    def steps(self) -> approvals.Steps:
        return approvals.Steps()

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        return (
            Column("recipient", _("Recipient"), "payout.recipient_name", sort="payout__recipient_name",
                   link=lambda row: row.payout.get_absolute_url(), note=lambda row: row.payout.program.name),
            Column("program", _("Program"), "payout.program.name", screen=False),
            Column("amount", _("Amount"), lambda row: row.payout.amount, kind="money", sort="payout__amount_minor"),
            Column("decision", _("Decision"), kind="status", sort="decision", words=dict(D.choices), note="reason"),
            Column("reason", _("Reason"), screen=False),
            Column("who", _("Who"), "actor_name", sort="actor_name", note=self.how),
            Column("behalf", _("Deputy for"), lambda row: row.on_behalf_of and str(row.on_behalf_of), screen=False),
            Column("step", _("Step"), lambda row: self.steps.words(row.payout.steps, row.step)),
            Column("together", _("Decided together"), lambda row: row.seen.get("together", 1), kind="number", screen=False),
            Column("at", _("When"), kind="time", sort="at"),
            Column("waited", _("Waited"), lambda row: duration(row.waited), sort="waited", export=False),
            Column("waited_hours", _("Waited, hours"), lambda row: hours(row.waited), kind="number", screen=False),
            Column("public_id", _("Payout"), "payout.public_id", screen=False),
        )  # fmt: skip

    def how(self, row) -> str:
        parts = []
        if row.on_behalf_of is not None:
            parts.append(gettext("deputy for %(name)s") % {"name": row.on_behalf_of})
        if (count := row.seen.get("together", 1)) > 1:
            parts.append(gettext("one of %(n)s with one request") % {"n": count})
        return ", ".join(parts)

    def get_queryset(self):
        visible = Payout.objects.visible_to(self.request.user)
        rows = approvals.decisions().filter(payout__in=visible)
        return rows.select_related("payout__program", "on_behalf_of")

    @cached_property
    def approvers(self) -> list[approvals.Group]:
        return approvals.by_approver(self.rows())

    @cached_property
    def weeks(self) -> list[approvals.Group]:
        return approvals.by_week(self.rows())

    def get_context(self) -> dict:
        bands = approvals.bands_of_decisions(self.rows())
        shown = self.weeks[:WEEKS]
        return {
            "bands": [{"label": words, "value": count} for words, count in bands],
            "approvers": self.approvers,
            "weeks": shown,
            "by_week": [{"label": f"{week.day:%d.%m.}", "value": hours(week.average) or 0} for week in reversed(shown)],
            "files": {
                name: [(kind.upper(), self.address(export=kind, table=name)) for kind in ("csv", "xlsx")]
                for name in ("approvers", "weeks")
            },
            "crumbs": crumbs(REPORTS),
        }

    def export(self, kind: str) -> HttpResponse:
        table = self.request.GET.get("table", "")
        if table not in {"approvers", "weeks"} or self.export_problem(kind, self.rows()):
            return super().export(kind)
        header = [gettext("Approver") if table == "approvers" else gettext("Week from"), *map(str, FIGURES)]
        groups = self.approvers if table == "approvers" else self.weeks
        return table_file(
            self.request, f"approvals {table}", kind, header, [line for g in groups for line in _lines(g)]
        )


FIGURES = (
    _("Approved"), _("Rejected"), _("As a deputy"), _("Several with one request"), _("Average wait, hours"),
    _("Longest wait, hours"), _("Amount"), _("Currency"),
)  # fmt: skip


def _lines(group: approvals.Group) -> list[list]:
    """One line per currency; the counts stand on the first, so that a column adds up."""
    first = [group.approved, group.rejected, group.deputy, group.bulk, hours(group.average), hours(group.longest)]
    lines = []
    for number, money in enumerate(_merged(group.sums)):
        figures = first if number == 0 else [None] * len(first)
        lines.append([group.day or group.label, *figures, money.decimal, money.currency])
    return lines


def _merged(sums: list[Money]) -> list[Money]:
    found: dict[str, Money] = {}
    for money in sums:
        found[money.currency] = found[money.currency] + money if money.currency in found else money
    return list(found.values())


# --- waiting ------------------------------------------------------------------------------------------------------------
class WaitingFilters(django_filters.FilterSet):
    program = django_filters.ModelChoiceFilter(label=_("Program"), queryset=_programs(), to_field_name="public_id")
    since = Since(field_name="since", label=_("Waiting from"))
    until = Until(field_name="since", label=_("Waiting until"))

    class Meta:
        model = Payout
        fields: list[str] = []


class WaitingPage(ListPage):
    permission = "reports.view"
    title = _("Approvals that wait")
    lead = _("Payouts without their last decision, the longest waiting first.")
    search = ("recipient_name", "program__name")
    search_hint = _("Recipient or program")
    filterset_class = WaitingFilters
    default_sort = "since"
    export_name, export_permission = "approvals that wait", "reports.export"
    empty_icon, empty_title = "done", _("Nothing waits for a decision")
    empty_text = _("Payouts stand here from their building to their last approval.")
    template_name = "reports/approvals_waiting.html"
    actions = (Link(_("What was decided"), "reports:approvals", "reports.view", "done"),)
    tabs = (
        Tab("all", _("All")),
        Tab("decision", _("For a decision"), Q(held=False, unfunded=False)),
        Tab("held", _("On hold"), Q(held=True) | Q(unfunded=True)),
    )

    @cached_property
    def steps(self) -> approvals.Steps:
        return approvals.Steps()

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        return (
            Column("recipient", _("Recipient"), "recipient_name", sort="recipient_name", link=True, note="program.name"),
            Column("program", _("Program"), "program.name", screen=False),
            Column("amount", _("Amount"), kind="money", sort="amount_minor"),
            Column("step", _("Waits for"), lambda row: self.steps.words(row.steps, row.given), note=_why),
            Column("since", _("Since"), kind="time", sort="since"),
            Column("age", _("Waits"), lambda row: duration(timezone.now() - row.since), sort="-since", export=False),
            Column("hours", _("Waits, hours"), lambda row: hours(timezone.now() - row.since), kind="number", screen=False),
            Column("held", _("On hold"), _why, screen=False),
            Column("public_id", _("Payout"), screen=False),
        )  # fmt: skip

    def get_queryset(self):
        return approvals.waiting(self.request.user).select_related("program")

    def get_context(self) -> dict:
        bands = approvals.bands_of_waiting(self.rows(), timezone.now())
        return {"bands": [{"label": words, "value": count} for words, count in bands], "crumbs": crumbs(REPORTS, HERE)}


def _why(row) -> str:
    if row.held:
        return gettext("on hold")
    if row.unfunded:
        return gettext("the budget has no room")
    return gettext("waited too long, opened to others") if row.escalated_step == row.given else ""
