"""The review queue: what waits and why, with the evidence beside it, and lifting many with one reason."""

import django_filters
from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.errors import DomainError
from incentives.core.listing import Bulk, Column, DetailPage, Guarded, Link, ListPage, Since, Tab, Until
from incentives.core.pages import crumbs
from incentives.participants.models import Participant
from incentives.payouts import services, wording
from incentives.payouts.forms import ReasonForm
from incentives.payouts.models import Hold, Payout, RiskRule
from incentives.payouts.views import PARENT, hold_row
from incentives.programs.models import Program
from rewards.money import Money

HERE = (_("Holds"), "payouts:holds")
MOST = 500
LAST = 8


def hold_url(hold) -> str:
    return reverse("payouts:hold-evidence", args=[hold.pk])


class HoldFilters(django_filters.FilterSet):
    kind = django_filters.MultipleChoiceFilter(choices=Hold.Kind.choices, label=_("Held because"))
    program = django_filters.ModelChoiceFilter(
        field_name="payout__program", queryset=Program.objects.order_by("name"), to_field_name="public_id",
        label=_("Program"),
    )  # fmt: skip
    since = Since(field_name="placed_at", label=_("From"))
    until = Until(field_name="placed_at", label=_("To"))

    class Meta:
        model = Hold
        fields: list[str] = []


class HoldsPage(ListPage):
    permission = "payouts.view"
    title = _("Holds")
    lead = _("Why payouts wait. Open one to see the evidence; finance lifts it with a reason.")
    search = ("payout__recipient_name", "payout__program__name", "reason")
    search_hint = _("Recipient, program or reason")
    filterset_class = HoldFilters
    export_name = "holds"
    export_permission = "reports.export"
    default_sort = "-placed_at"
    empty_icon, empty_title = "done", _("Nothing is held")
    empty_text = _("Payouts that need a look stand here.")
    actions = (Link(_("Limits and domains"), "payouts:rules", "payouts.view", "flag"),)
    open_ones = Q(lifted_at__isnull=True, payout__status=Payout.Status.SUBMITTED)
    tabs = (
        Tab("review", _("To review"), open_ones & ~Q(kind__in=Hold.BY_ITSELF)),
        Tab("waiting", _("Ends by itself"), open_ones & Q(kind__in=Hold.BY_ITSELF)),
        Tab("lifted", _("Lifted"), Q(lifted_at__isnull=False)),
        Tab("all", _("All")),
    )
    bulk = Bulk(
        "payouts:holds-lift", (("lift", _("Lift"), "primary"),), "holds.lift",
        amount=lambda hold: hold.payout.amount,
        can=lambda hold: hold.lifted_at is None and hold.kind not in Hold.BY_ITSELF
        and hold.payout.status == Payout.Status.SUBMITTED,
        label=lambda hold: f"{hold}: {hold.payout.recipient_name}",
    )  # fmt: skip
    columns = (
        Column("recipient", _("Recipient"), "payout.recipient_name", sort="payout__recipient_name", link=hold_url),
        Column("kind", _("Why"), "get_kind_display", sort="kind", note="reason"),
        Column("program", _("Program"), "payout.program.name", sort="payout__program__name"),
        Column("amount", _("Amount"), "payout.amount", kind="money", sort="payout__amount_minor"),
        Column("placed_at", _("Since"), kind="time", sort="placed_at",
               note=lambda hold: str(hold.placed_by or "Laurel")),
        Column("lifted_at", _("Lifted"), kind="time", sort="lifted_at", note="lifted_by"),
        Column("lifted_reason", _("Reason for lifting"), screen=False),
        Column("public_id", _("Payout"), "payout.public_id", screen=False),
    )  # fmt: skip

    def get_queryset(self):
        related = ("payout__program", "placed_by", "lifted_by")
        rows = Hold.objects.filter(payout__in=Payout.objects.visible_to(self.request.user))
        return rows.select_related(*related)


class EvidencePage(DetailPage):
    """One hold: what speaks for it and what happened before."""

    permission = "payouts.view"
    template_name = "payouts/hold.html"

    def get_object(self) -> Hold:
        rows = Hold.objects.filter(payout__in=Payout.objects.visible_to(self.request.user))
        related = ("payout__program", "payout__participant", "placed_by", "lifted_by")
        return get_object_or_404(rows.select_related(*related), pk=self.kwargs["pk"])

    def get_context(self, thing: Hold) -> dict:
        payout = thing.payout
        evidence = thing.evidence
        others = Participant.objects.filter(public_id__in=evidence.get("participants", ()))
        near = Payout.objects.filter(public_id__in=evidence.get("payouts", ())).select_related("program")
        last = payout.participant.payouts.exclude(pk=payout.pk).select_related("program").order_by("-pk")
        before = Hold.objects.filter(payout__participant=payout.participant, kind=thing.kind).exclude(pk=thing.pk)
        may_lift = thing.lifted_at is None and payout.status == Payout.Status.SUBMITTED
        return {
            "crumbs": crumbs(PARENT, HERE),
            "hold": thing,
            "payout": payout,
            "others": list(others),
            "near": list(near.order_by("-pk")),
            "last": list(last[:LAST]),
            "before": list(before.select_related("lifted_by", "payout").order_by("-pk")[:LAST]),
            "rule": RiskRule.objects.filter(pk=evidence["rule"]).first() if "rule" in evidence else None,
            "median": Money(evidence["median_minor"], payout.currency) if "median_minor" in evidence else None,
            "limit": Money(evidence["limit_minor"], payout.currency) if "limit_minor" in evidence else None,
            "until": parse_datetime(evidence["until"]) if "until" in evidence else None,
            "ends": wording.HOLD_ENDS.get(thing.kind, ""),
            "changed_at": payout.participant.contact_changed_at,
            "may_lift": may_lift and thing.kind not in Hold.BY_ITSELF,
            "row": hold_row(thing),
        }


class LiftManyPage(Guarded, View):
    """From the ticked rows: asks for one reason, then lifts each on its own; a refusal of one does not stop the others."""

    permission = "holds.lift"

    def get(self, request) -> HttpResponse:
        return redirect("payouts:holds")

    def post(self, request) -> HttpResponse:
        ids = [int(text) for text in request.POST.getlist("ids")[:MOST] if text.isdecimal() and len(text) < 19]
        rows = Hold.objects.filter(pk__in=ids, lifted_at__isnull=True).select_related("payout__program")
        holds = list(rows.order_by("pk"))
        if not holds:
            messages.error(request, gettext("Tick at least one hold that is open."))
            return redirect("payouts:holds")
        form = ReasonForm(request.POST if "reason" in request.POST else None)
        if not form.is_valid():
            context = {"holds": holds, "form": form, "crumbs": crumbs(PARENT, HERE)}
            return render(request, "payouts/holds_lift.html", context, status=400 if form.is_bound else 200)
        self.lift(holds, form.cleaned_data["reason"])
        return redirect("payouts:holds")

    def lift(self, holds: list[Hold], reason: str) -> None:
        done = 0
        for hold in holds:
            try:
                services.lift_hold(hold_id=hold.pk, actor=self.request.user, reason=reason)
                done += 1
            except DomainError as exc:
                messages.error(self.request, f"{hold.payout.recipient_name}: {exc.user_message}")
        if done:
            messages.success(self.request, ngettext("%(n)s hold lifted.", "%(n)s holds lifted.", done) % {"n": done})
