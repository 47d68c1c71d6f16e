"""Comparisons with the provider's list: every run, one run with its differences, one difference with what people say of it."""

from functools import cached_property

import django_filters
from django import forms
from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import ActionPage, Column, DetailPage, Link, ListPage, Since, Tab, Until
from incentives.core.pages import crumbs
from incentives.payouts.links import order_url
from incentives.reports import comparisons
from incentives.reports.comparison_models import ComparisonDifference, ProviderComparison, ProviderDifference
from rewards.models import RewardOrder

REPORTS = (_("Reports"), "reports:list")
HERE = (_("Provider comparisons"), "reports:comparisons")
CODES = {
    "ledger": _("The ledger contradicts itself"),
    "twice": _("Several orders under one number"),
    "not_listed": _("Issued here, not listed there"),
    "issued_there": _("Ended here, issued there"),
    "amount": _("Another amount"),
    "review": _("Waits for a person"),
    "unknown_here": _("Listed there, unknown here"),
}
"""What the codes of payouts.reconcile mean."""
WEIGHT = {"mismatch": _("Difference"), "review": _("Remark")}


class ComparisonFilters(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(label=_("State"), choices=ProviderComparison.Status.choices)
    trigger = django_filters.ChoiceFilter(label=_("Begun by"), choices=ProviderComparison.Trigger.choices)
    since = Since(field_name="created_at", label=_("From"))
    until = Until(field_name="created_at", label=_("To"))

    class Meta:
        model = ProviderComparison
        fields: list[str] = []


def _how(run) -> str:
    return f"{run.get_trigger_display()}, {run.asked_by}" if run.asked_by else run.get_trigger_display()


def _if_done(name: str):
    return lambda run: getattr(run, name) if run.status in run.DONE else None


class ComparisonsPage(ListPage):
    permission = "reconciliation.view"
    title = _("Provider comparisons")
    lead = _("Our orders against the provider's own list: every day by itself, and whenever finance asks.")
    filterset_class = ComparisonFilters
    default_sort = "-created_at"
    export_name, export_permission = "provider comparisons", "reports.export"
    empty_icon, empty_title = "refresh", _("Nothing was compared yet")
    empty_text = _("The first comparison is made by the sweep once the provider is configured.")
    actions = (
        Link(_("Reconciliation"), "reports:reconciliation", "reconciliation.view", "reports"),
        Link(_("Compare now"), "reports:compare-now", "reconciliation.edit", "refresh", primary=True),
    )
    columns = (
        Column("created_at", _("When"), kind="time", sort="created_at", link=True, note=_how),
        Column("trigger", _("Begun by"), _how, screen=False),
        Column("status", _("State"), kind="status", sort="status", note="problem"),
        Column("orders", _("Issued here"), _if_done("orders"), kind="number", sort="orders"),
        Column("ours", _("Ours"), kind="money", sort="ours_minor"),
        Column("theirs", _("Theirs"), kind="money", sort="theirs_minor"),
        Column("serious", _("Differences"), _if_done("serious"), kind="number", sort="serious"),
        Column("remarks", _("Remarks"), _if_done("remarks"), kind="number", sort="remarks"),
        Column("listed", _("Listed there"), _if_done("listed"), kind="number", screen=False),
        Column("started_at", _("Started"), kind="time", screen=False),
        Column("finished_at", _("Finished"), kind="time", screen=False),
        Column("problem", _("Problem"), screen=False),
    )  # fmt: skip

    def get_queryset(self):
        return ProviderComparison.objects.select_related("asked_by")

    def get_context(self) -> dict:
        last = ProviderComparison.objects.filter(status__in=ProviderComparison.DONE).first()
        return {"last": last, "crumbs": crumbs(REPORTS)}


def weight(row) -> str:
    return "mismatch" if row.serious else "review"


def _reference(row):
    return row.difference.reference if row.difference.reference != "-" else gettext("Books")


def _how_many(row) -> str:
    return ngettext("%(n)s in all", "%(n)s in all", row.notes) % {"n": row.notes} if row.notes > 1 else ""


class ComparisonPage(ListPage):
    """One run: its figures and each difference it found, with since when it is known."""

    permission = "reconciliation.view"
    search = ("difference__reference", "difference__message")
    search_hint = _("PONumber or words")
    default_sort = "weight"
    export_permission = "reports.export"
    empty_icon, empty_title = "done", _("Nothing differs")
    template_name = "reports/comparison.html"
    tabs = (
        Tab("all", _("All")),
        Tab("serious", _("Differences"), Q(serious=True)),
        Tab("new", _("New"), Q(is_new=True)),
        Tab("open", _("Not explained"), Q(serious=True, notes=0)),
    )
    columns = (
        Column("reference", _("About"), _reference, sort="difference__reference", link=lambda row: row.difference.get_absolute_url()),
        Column("message", _("What differs"), "difference.message", note=lambda row: CODES.get(row.difference.code, "")),
        Column("weight", _("Weight"), weight, kind="status", words=WEIGHT, sort="-serious"),
        Column("since", _("Known since"), "difference.first_seen_at", kind="time", sort="difference__first_seen_at",
               note=lambda row: gettext("new") if row.is_new else ""),
        Column("said", _("Explanation"), sort="notes", note=_how_many),
    )  # fmt: skip

    @cached_property
    def run(self) -> ProviderComparison:
        runs = ProviderComparison.objects.select_related("asked_by")
        return get_object_or_404(runs, public_id=self.kwargs["public_id"])

    @property
    def title(self):
        return gettext("Comparison of %(when)s UTC") % {"when": f"{self.run.created_at:%Y-%m-%d %H:%M}"}

    @property
    def export_name(self) -> str:
        return f"comparison {self.run.created_at:%Y-%m-%d}"

    @property
    def empty_text(self):
        return gettext("The books and the provider's list say the same.") if self.run.status in self.run.DONE else ""

    def get_queryset(self):
        found = ComparisonDifference.objects.filter(comparison=self.run).select_related("difference")
        last = comparisons.DifferenceNote.objects.filter(difference=OuterRef("difference")).order_by("-pk")
        earlier = ComparisonDifference.objects.filter(difference=OuterRef("difference"), pk__lt=OuterRef("pk"))
        return found.annotate(
            notes=Count("difference__notes"),
            said=Subquery(last.values("text")[:1]),
            is_new=~Exists(earlier),
        )

    def get_context(self) -> dict:
        return {"run": self.run, "crumbs": crumbs(REPORTS, HERE)}


class DifferencePage(DetailPage):
    """One difference: since when, in which comparisons, and what was found out."""

    permission = "reconciliation.view"
    model = ProviderDifference
    template_name = "reports/difference.html"

    def get_queryset(self):
        return ProviderDifference.objects.all()

    def get_context(self, thing) -> dict:
        findings = thing.findings.select_related("comparison")
        order = RewardOrder.objects.filter(po_number__iexact=thing.reference).first()
        newest = ProviderComparison.objects.filter(status__in=ProviderComparison.DONE).first()
        return {
            "title": gettext("Difference: %(what)s") % {"what": CODES.get(thing.code, thing.code)},
            "findings": findings.order_by("-pk")[:20],
            "times": findings.count(),
            "stands": newest is not None and findings.filter(comparison=newest).exists(),
            "order": order,
            "order_url": order_url(order) if order and self.request.user.can("orders.view") else "",
            "notes": thing.notes.select_related("by"),
            "may_explain": self.request.user.can("reconciliation.edit"),
            "crumbs": crumbs(REPORTS, HERE),
        }


class ExplainForm(forms.Form):
    text = forms.CharField(label=_("What was found out"), max_length=2000, widget=forms.Textarea(attrs={"rows": 5}))


class ExplainPage(ActionPage):
    permission = "reconciliation.edit"
    model = ProviderDifference
    form_class = ExplainForm
    title, submit = _("Explain the difference"), _("Add the explanation")
    text = _("The explanation is added to the record and cannot be changed. The difference stays listed.")
    parent = HERE

    def get_queryset(self):
        return ProviderDifference.objects.all()

    def perform(self, thing, data: dict) -> str:
        comparisons.explain_difference(difference=thing, text=data["text"], actor=self.request.user)
        return gettext("The explanation is on record.")


class CompareNowPage(ActionPage):
    permission = "reconciliation.edit"
    title = submit = _("Compare now")
    text = _("The provider is asked for all its orders, and each is compared with ours. That may take some minutes.")
    parent = HERE

    def perform(self, thing, data: dict) -> str:
        self.run = comparisons.ask_comparison(actor=self.request.user)
        return gettext("The comparison begins. This page shows when it is done.")

    def success_url(self, thing) -> str:
        run = getattr(self, "run", None)
        return run.get_absolute_url() if run else reverse("reports:comparisons")
