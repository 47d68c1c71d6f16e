"""The journal: every posting as a line of the books, the mapping of accounts, and the final journal of closed months."""

import django_filters
from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core import exports
from incentives.core.errors import DomainError
from incentives.core.listing import ActionPage, Column, DetailPage, Guarded, Link, ListPage, Tab
from incentives.core.pages import crumbs
from incentives.ledger.models import Budget, Posting
from incentives.payouts.month_views import month_name, month_url
from incentives.payouts.services.months import closed_months, month_after
from incentives.programs.models import Program
from incentives.reports import journal, journal_services
from incentives.reports.accrual_views import REPORTS
from incentives.reports.journal_models import JournalAccount, JournalExport
from incentives.reports.journal_rules import KINDS, ROLES, kind_name, role_name
from incentives.reports.months import MonthFilter, month_from
from rewards.money import Money

HERE = (_("Journal"), "reports:journal")
ACCOUNTS = (_("Accounts"), "reports:journal-accounts")
FINALS = (_("Final journals"), "reports:journal-exports")
SHOWN = 50


# --- every posting --------------------------------------------------------------------------------------------------------
def day_field(**kwargs):
    return django_filters.DateFilter(widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}), **kwargs)


class BookedIn(MonthFilter):
    def filter(self, qs, value):
        month = month_from(value)
        return qs if month is None else qs.filter(booked_on__gte=month, booked_on__lt=month_after(month))


class JournalFilters(django_filters.FilterSet):
    month = BookedIn()
    since = day_field(field_name="booked_on", lookup_expr="gte", label=_("Booked from"))
    until = day_field(field_name="booked_on", lookup_expr="lte", label=_("Booked to"))
    program = django_filters.ModelChoiceFilter(
        queryset=Program.objects.order_by("name"), to_field_name="public_id", label=_("Program"), method="of_program"
    )
    budget = django_filters.ModelChoiceFilter(
        queryset=Budget.objects.order_by("name"), to_field_name="public_id", label=_("Budget"), method="of_budget"
    )
    kind = django_filters.MultipleChoiceFilter(choices=[*KINDS.items()], label=_("Kind"))
    currency = django_filters.CharFilter(lookup_expr="iexact", label=_("Currency"))

    class Meta:
        model = Posting
        fields: list[str] = []

    def of_program(self, qs, name, value):
        return qs if value is None else qs.filter(journal.of_program(value))

    def of_budget(self, qs, name, value):
        return qs if value is None else qs.filter(journal.of_budget(value))


class JournalPage(ListPage):
    permission = "accounting.view"
    title = _("Journal")
    lead = _(
        "Every money step as a double entry for your books. What is memo only (available, reserved, committed, spent) is "
        "control of budgets and is not booked."
    )
    template_name = "reports/journal.html"
    search, search_hint = ("key", "cause", "memo", "actor__name"), _("Key, cause, note or who")
    filterset_class = JournalFilters
    default_sort = "-booked_on"
    export_name, export_permission = "journal", "reports.export"
    actions = (
        Link(_("Accounts"), "reports:journal-accounts", "accounting.view", "file"),
        Link(_("Final journals"), "reports:journal-exports", "accounting.view", "lock", primary=True),
    )
    tabs = (
        Tab("booked", _("Bookings"), journal.REAL),
        Tab("memo", _("Memo only"), ~journal.REAL),
        Tab("all", _("All"), Q()),
    )
    empty_icon, empty_title = "reports", _("No money step here")
    empty_text = _("Lines appear with the first thing that is earned or funded.")
    columns = (
        Column("kind", _("What happened"), lambda p: kind_name(p.kind), sort="kind", link=lambda p: p.line.url, note="line.program"),
        Column("booked_on", _("Booked on"), kind="date", sort="booked_on"),
        Column("booked_month", _("Month"), lambda p: f"{p.booked_on:%Y-%m}" if p.booked_on else "", screen=False),
        Column("debit", _("Debit"), lambda p: p.line.side("debit"), template="reports/_side.html"),
        Column("credit", _("Credit"), lambda p: p.line.side("credit"), template="reports/_side.html"),
        Column("debit_number", _("Debit account"), lambda p: p.line.debit and p.line.debit.number, screen=False),
        Column("debit_centre", _("Debit cost centre"), lambda p: p.line.debit and p.line.debit.cost_centre, screen=False),
        Column("credit_number", _("Credit account"), lambda p: p.line.credit and p.line.credit.number, screen=False),
        Column("credit_centre", _("Credit cost centre"), lambda p: p.line.credit and p.line.credit.cost_centre, screen=False),
        Column("amount", _("Amount"), kind="money", sort="amount_minor", phone="value"),
        Column("participant", _("Participant"), "line.participant.external_user_id", note="line.participant.name"),
        Column("program", _("Program"), "line.program.name", screen=False),
        Column("budget", _("Budget"), "line.budget.name"),
        Column("actor", _("By"), "actor.name"),
        Column("posted_at", _("Posted"), kind="time", sort="posted_at", screen=False),
        Column("key", _("Posting"), screen=False),
        Column("cause", _("Cause"), screen=False),
        Column("source", _("From (ledger)"), "source.code", screen=False),
        Column("destination", _("To (ledger)"), "destination.code", screen=False),
    )  # fmt: skip

    def get_queryset(self):
        return journal.lines()

    def get_context(self) -> dict:
        return {"missing": journal_services.roles_without_account(), "crumbs": crumbs(REPORTS)}


# --- the mapping ------------------------------------------------------------------------------------------------------------
class AccountFilters(django_filters.FilterSet):
    role = django_filters.MultipleChoiceFilter(choices=[*ROLES.items()], label=_("Used for"))
    budget = django_filters.ModelChoiceFilter(queryset=Budget.objects.order_by("name"), label=_("Budget"))
    program = django_filters.ModelChoiceFilter(queryset=Program.objects.order_by("name"), label=_("Program"))

    class Meta:
        model = JournalAccount
        fields: list[str] = []


class AccountsPage(ListPage):
    permission = "accounting.view"
    title = _("Accounts of the journal")
    lead = _(
        "Which account of your general ledger each use goes to. A program's goes before its budget's, both before the rest."
    )
    template_name = "reports/journal_accounts.html"
    search, search_hint = (
        ("number", "name", "cost_centre", "budget__name", "program__name"),
        _("Number, name, budget or program"),
    )
    filterset_class = AccountFilters
    default_sort = "role"
    export_name, export_permission = "journal accounts", "reports.export"
    actions = (
        Link(_("Use the proposal"), "reports:journal-proposal", "accounting.edit", "flag"),
        Link(_("Add an account"), "reports:journal-account-new", "accounting.edit", "plus", primary=True),
    )
    empty_icon, empty_title = "reports", _("No account yet")
    empty_text = _("Begin with the proposal and change the numbers to yours.")
    empty_action = Link(_("Use the proposal"), "reports:journal-proposal", "accounting.edit")
    columns = (
        Column("role", _("Used for"), lambda a: role_name(a.role), sort="role", link=lambda a: a.get_absolute_url()),
        Column("applies", _("Of"), "applies_to"),
        Column("number", _("Number"), sort="number", phone="value"),
        Column("name", _("Name"), sort="name"),
        Column("cost_centre", _("Cost centre"), sort="cost_centre"),
        Column("edited", _("Changed"), "edited_at", kind="time", sort="edited_at", note="edited_by.name"),
    )  # fmt: skip

    def get_queryset(self):
        return JournalAccount.objects.select_related("budget", "program", "edited_by")

    def get_context(self) -> dict:
        general = set(JournalAccount.objects.filter(budget=None, program=None).values_list("role", flat=True))
        used = sorted((role_name(role), n) for role, n in journal.roles_in_use().items() if role not in general)
        return {"used": used, "missing": journal_services.roles_without_account(), "crumbs": crumbs(REPORTS, HERE)}


class AccountForm(forms.Form):
    role = forms.ChoiceField(label=_("Used for"))
    budget = forms.ModelChoiceField(
        Budget.objects.order_by("name"), label=_("Only of the budget"), required=False, empty_label=_("Any")
    )
    program = forms.ModelChoiceField(
        Program.objects.order_by("name"), label=_("Only of the program"), required=False, empty_label=_("Any")
    )
    number = forms.CharField(label=_("Account number"), max_length=40)
    name = forms.CharField(label=_("Account name"), max_length=120, required=False)
    cost_centre = forms.CharField(label=_("Cost centre"), max_length=40, required=False)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        others = [role for role in journal.roles_in_use() if role not in ROLES]
        self.fields["role"].choices = [*ROLES.items(), *((role, role_name(role)) for role in sorted(others))]


class AccountAction(ActionPage):
    permission = "accounting.edit"
    form_class = AccountForm
    submit = _("Save")

    def get_object(self) -> JournalAccount | None:
        pk = self.kwargs.get("pk")
        return get_object_or_404(JournalAccount.objects.select_related("budget", "program"), pk=pk) if pk else None

    def get_context(self, thing) -> dict:
        return {"crumbs": crumbs(REPORTS, HERE, ACCOUNTS)}

    def success_url(self, thing) -> str:
        return reverse("reports:journal-accounts")


class AccountNewPage(AccountAction):
    title = _("Add an account")

    def perform(self, thing, data: dict) -> str:
        row = journal_services.set_account(actor=self.request.user, **data)
        return gettext("%(account)s is kept.") % {"account": row}


class AccountPage(AccountAction):
    permission = "accounting.view"
    template_name = "reports/journal_account.html"
    title = _("Account")

    def make_form(self, thing, *data):
        initial = {
            name: getattr(thing, name) for name in ("role", "budget", "program", "number", "name", "cost_centre")
        }
        return AccountForm(*data, initial=initial)

    def post(self, request, *args, **kwargs):
        if not request.user.can("accounting.edit"):
            raise Http404
        return super().post(request, *args, **kwargs)

    def perform(self, thing, data: dict) -> str:
        row = journal_services.set_account(actor=self.request.user, account=thing, **data)
        return gettext("%(account)s is kept.") % {"account": row}


class AccountRemovePage(AccountAction):
    form_class = None
    title = submit = _("Remove the account")
    text = _("What it was for goes to the general account, or has none. Journals made before stay as they are.")
    danger = True

    def perform(self, thing, data: dict) -> str:
        journal_services.remove_account(account=thing, actor=self.request.user)
        return gettext("The account is removed.")


class ProposalPage(AccountAction):
    form_class = None
    title = _("Use the proposal?")
    text = _(
        "Every use without an account gets the number of a usual chart of accounts. Change them to yours afterwards."
    )
    submit = _("Use the proposal")

    def perform(self, thing, data: dict) -> str:
        made = journal_services.use_proposal(actor=self.request.user)
        return gettext("%(n)s accounts were added.") % {"n": len(made)}


# --- final journals -----------------------------------------------------------------------------------------------------------
class FinalsPage(ListPage):
    permission = "accounting.view"
    title = _("Final journals")
    lead = _("The journal of each closed month, as it was made: fetched again it is the same to the byte.")
    search, search_hint = ("created_by__name", "sha256"), _("Who or checksum")
    default_sort = "-month"
    export_name, export_permission = "final journals", "reports.export"
    actions = (Link(_("Make one"), "reports:journal-make", "accounting.edit", "plus", primary=True),)
    empty_icon, empty_title = "lock", _("No final journal yet")
    empty_text = _("Close a month, give every use an account, then make its journal.")
    columns = (
        Column("month", _("Month"), lambda e: month_name(e.month), sort=("month", "number"), link=True),
        Column("number", _("Number"), kind="number", sort="number"),
        Column("line_count", _("Lines"), kind="number", sort="line_count", phone="value"),
        Column("state", _("State"), lambda e: "superseded" if e.close.reopened_at else "ok", kind="status", words={"superseded": _("Month opened again"), "ok": _("Valid")}),
        Column("created_at", _("Made"), kind="time", sort="created_at", note="created_by.name"),
        Column("sha", "SHA-256", lambda e: e.sha256[:12], export=False),
        Column("sha256", "SHA-256", screen=False),
    )  # fmt: skip

    def get_queryset(self):
        return JournalExport.objects.select_related("created_by", "close").defer("content")

    def get_context(self) -> dict:
        return {"crumbs": crumbs(REPORTS, HERE)}


class MakeForm(forms.Form):
    month = forms.ChoiceField(label=_("Closed month"))

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        months = closed_months().order_by("-month").values_list("month", flat=True)
        self.fields["month"].choices = [(f"{month:%Y-%m}", month_name(month)) for month in months]


class MakePage(AccountAction):
    form_class = MakeForm
    title = _("Make the final journal of a month")
    text = _(
        "It holds every booking of the month with your accounts and never changes. Opening the month again and closing it "
        "makes the next number, which shows what differs."
    )
    submit = _("Make the journal")
    made: JournalExport | None = None

    def get_context(self, thing) -> dict:
        return {"crumbs": crumbs(REPORTS, HERE, FINALS)}

    def success_url(self, thing) -> str:
        return self.made.get_absolute_url() if self.made else reverse("reports:journal-exports")

    def perform(self, thing, data: dict) -> str:
        self.made = journal_services.make_journal(month=month_from(data["month"]), actor=self.request.user)
        return gettext("The journal %(number)s is ready.") % {"number": self.made}


class FinalPage(DetailPage):
    permission = "accounting.view"
    template_name = "reports/journal_export.html"

    def get_queryset(self):
        return JournalExport.objects.select_related("created_by", "close__closed_by", "close__reopened_by")

    def get_context(self, thing) -> dict:
        found = journal_services.differences(thing)
        totals = [Money(minor, currency) for currency, minor in sorted(thing.totals.items())]
        return {
            "title": gettext("Journal %(number)s") % {"number": thing},
            "month_name": month_name(thing.month),
            "month_url": month_url(thing.month),
            "totals": totals,
            "accounts": [{**row, "role": role_name(row["role"])} for row in thing.accounts],
            "before": found and found["before"],
            "differences": _shown(found) if found else [],
            "cut": SHOWN,
            "crumbs": crumbs(REPORTS, HERE, FINALS),
        }


def _shown(found: dict) -> list[tuple]:
    """(what, line as texts) of the first differences."""
    rows = [(gettext("New"), row) for row in found["added"]] + [(gettext("Gone"), row) for row in found["gone"]]
    for old, new in found["changed"]:
        rows += [(gettext("Was"), old), (gettext("Now"), new)]
    return rows[:SHOWN]


class FetchPage(Guarded, View):
    """GET /reports/journal/final/<id>/<csv or xlsx>/: recorded each time."""

    permission = "accounting.view"

    def get(self, request, public_id, kind) -> HttpResponse:
        export = get_object_or_404(JournalExport, public_id=public_id)
        if kind not in {"csv", "xlsx"}:
            raise Http404
        try:
            return self.answer(export, kind)
        except DomainError as exc:
            messages.error(request, exc.user_message)
            return redirect(export)

    def answer(self, export: JournalExport, kind: str) -> HttpResponse:
        content = journal_services.csv_of(export)
        name = f"journal-{export.month:%Y-%m}-{export.number}.{kind}"
        if kind == "xlsx":
            rows = journal_services.typed_rows(export)
            file = exports.xlsx_file(f"Journal {export}", journal_services.HEADER, [rows])
            journal_services.record_fetch(export, kind=kind, actor=self.request.user)
            return FileResponse(file, as_attachment=True, filename=name)
        journal_services.record_fetch(export, kind=kind, actor=self.request.user)
        response = HttpResponse(content, content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response
