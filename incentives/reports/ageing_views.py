"""Delivered cards by age and what is known of their opening; the button that reminds."""

from datetime import UTC
from uuid import UUID

import django_filters
from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.listing import Bulk, Column, Guarded, ListPage, Since, Tab, Until
from incentives.core.pages import crumbs
from incentives.participants.models import Team
from incentives.payouts.models import Payout
from incentives.programs.models import Program
from incentives.reports import ageing
from rewards.models import DeliveryType

REPORTS = (_("Reports"), "reports:list")
MOST = 500


def utc_today():
    return timezone.now().astimezone(UTC).date()


class AgeingFilters(django_filters.FilterSet):
    band = django_filters.ChoiceFilter(label=_("Age"), choices=list(ageing.BAND_WORDS.items()), method="by_band")
    program = django_filters.ModelChoiceFilter(
        label=_("Program"), queryset=Program.objects.order_by("name"), to_field_name="public_id"
    )
    team = django_filters.ModelChoiceFilter(
        label=_("Team"), queryset=Team.objects.all(), to_field_name="public_id", field_name="participant__team"
    )
    delivery_type = django_filters.ChoiceFilter(label=_("Delivery"), choices=DeliveryType.choices)
    since = Since(field_name="order__finished_at", label=_("Delivered from"))
    until = Until(field_name="order__finished_at", label=_("Delivered to"))

    class Meta:
        model = Payout
        fields: list[str] = []

    def by_band(self, rows, name, value):
        return rows.filter(ageing.in_band(value, utc_today()))


def days_old(row) -> int:
    return (utc_today() - row.delivered_at.astimezone(UTC).date()).days


def _reminder(row):
    return getattr(row, "reminder", None)


def _reminded(row) -> str:
    reminder = _reminder(row)
    if reminder is None:
        return ""
    return ngettext("%(n)s time", "%(n)s times", reminder.count) % {"n": reminder.count}


def may_be_reminded(row) -> bool:
    reminder = _reminder(row)
    recent = reminder is not None and reminder.asked_at > timezone.now() - ageing.APART
    return not recent and not ageing.obstacle(row)


class AgeingPage(ListPage):
    permission = "reports.view"
    title = _("Unclaimed rewards")
    lead = _("Cards delivered and not opened, by age. Of cards the provider mails itself nobody here knows whether they were opened.")  # fmt: skip
    search = ("participant__name", "program__name", "product_name")
    search_hint = _("Recipient, program or card")
    filterset_class = AgeingFilters
    default_sort = "delivered_at"
    export_name, export_permission = "unclaimed rewards", "reports.export"
    empty_icon, empty_title = "gift", _("No card is delivered yet")
    empty_text = _("Cards stand here from the moment the provider has issued them.")
    template_name = "reports/ageing.html"
    results_template = "reports/_ageing_results.html"
    tabs = (
        Tab("unopened", _("Not opened"), Q(opening=ageing.UNOPENED)),
        Tab("unknown", _("Not known"), Q(opening=ageing.UNKNOWN)),
        Tab("opened", _("Opened"), Q(opening=ageing.OPENED)),
        Tab("all", _("All")),
    )
    bulk = Bulk(
        "reports:remind", (("remind", _("Remind"), "primary"),), "reports.remind",
        amount=lambda row: row.amount, can=may_be_reminded, label=lambda row: f"{row.participant}: {row.amount}",
    )  # fmt: skip
    columns = (
        Column("recipient", _("Recipient"), "participant.name", sort="participant__name", link=True,
               note=lambda row: row.participant.team or row.participant.partner),
        Column("program", _("Program"), "program.name", sort="program__name"),
        Column("card", _("Card"), "product_name", sort="product_name"),
        Column("amount", _("Amount"), kind="money", sort="amount_minor"),
        Column("delivered_at", _("Delivered"), kind="time", sort="delivered_at"),
        Column("age", _("Days"), days_old, kind="number", sort="-delivered_at"),
        Column("band", _("Age"), lambda row: ageing.BAND_WORDS[ageing.band_of(days_old(row))], screen=False),
        Column("opening", _("Opened"), kind="status", sort="opening", words=ageing.STATES, note="opened_at.date"),
        Column("delivery", _("Delivery"), "delivery_type", screen=False),
        Column("reminded", _("Reminded"), lambda row: getattr(_reminder(row), "asked_at", None), kind="time",
               sort="reminder__asked_at", note=_reminded),
        Column("public_id", _("Payout"), screen=False),
    )  # fmt: skip

    def get_queryset(self):
        related = ("program", "order", "reminder", "participant__user", "participant__team", "participant__partner")
        visible = Payout.objects.visible_to(self.request.user)
        return ageing.delivered_cards().filter(pk__in=visible).select_related(*related)

    @cached_property
    def by(self) -> str:
        return "participant" if self.request.GET.get("by") == "person" else "program"

    def get_context(self) -> dict:
        rows, today = self.rows(), utc_today()
        groups = ageing.ages(rows, today, self.by)
        sums = ageing.ages(rows, today, "")
        return {
            "bands": list(ageing.BAND_WORDS.values()),
            "groups": groups[:50],
            "more_groups": max(0, len(groups) - 50),
            "charts": [(line, _chart(line)) for line in sums],
            "by": self.by,
            "by_links": [
                {"url": self.address(by=None), "label": _("By program"), "current": self.by == "program"},
                {"url": self.address(by="person"), "label": _("By person"), "current": self.by == "participant"},
            ],
            "crumbs": crumbs(REPORTS),
        }


def _chart(line: ageing.Ages) -> list[dict]:
    return [
        {"label": words, "value": money, "text": f"{count} · {money}"}
        for words, (count, money) in zip(ageing.BAND_WORDS.values(), line.cells, strict=True)
    ]


class RemindPage(Guarded, View):
    """POST of the ticked rows. Says what became of each."""

    permission = "reports.remind"

    def get(self, request) -> HttpResponse:
        return redirect("reports:ageing")

    def post(self, request) -> HttpResponse:
        ids = []
        for text in request.POST.getlist("ids")[:MOST]:
            try:
                ids.append(UUID(text))
            except ValueError:
                continue
        payouts = Payout.objects.visible_to(request.user).filter(public_id__in=ids).order_by("pk")
        outcomes = ageing.remind_many(payouts=list(payouts.select_related("participant")), actor=request.user)
        if not outcomes:
            messages.error(request, gettext("Tick at least one card."))
        done = sum(outcome.error is None for outcome in outcomes)
        if done:
            text = ngettext(
                "The recipient of %(n)s card is reminded.", "The recipients of %(n)s cards are reminded.", done
            )
            messages.success(request, text % {"n": done})
        for outcome in [outcome for outcome in outcomes if outcome.error][:10]:
            messages.error(request, f"{outcome.payout.participant}: {outcome.error.user_message}")
        return redirect("reports:ageing")
