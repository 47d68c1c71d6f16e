"""Exchange rates: the list, adding, changing and removing one, and a file of them with a preview."""

from datetime import date

import django_filters
from django import forms
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import ActionPage, Column, Link, ListPage
from incentives.core.pages import crumbs
from incentives.core.row_files import NEW, REPLACED, UNCHANGED, RowsPage
from incentives.ledger import exchange
from incentives.ledger.models import ExchangeRate
from incentives.ledger.rate_forms import COLUMNS, RateForm, RatesFileForm

PARENT = (_("Exchange rates"), "ledger:rates")
"""Rows of a preview."""


class RateFilters(django_filters.FilterSet):
    currency = django_filters.AllValuesMultipleFilter(label=_("Currency"))
    to_currency = django_filters.AllValuesMultipleFilter(label=_("Into"))
    on = django_filters.DateFilter(
        label=_("In force on"), method="in_force", widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    )

    class Meta:
        model = ExchangeRate
        fields: list[str] = []

    def in_force(self, queryset, _name, value: date):
        return queryset.filter(starts_on__lte=value, ends_on__gte=value)


def address_of(rate: ExchangeRate) -> str:
    return reverse("ledger:rate", args=[rate.pk])


def plain(rate: ExchangeRate) -> str:
    return format(rate.rate, "f")


class RatesPage(ListPage):
    permission = "rates.view"
    title = _("Exchange rates")
    lead = _(
        "What one unit of a currency is worth. An activity in another currency than its program needs the rate of its day."
    )
    search = ("currency", "to_currency", "source", "set_by__name")
    search_hint = _("Currency, source or who")
    filterset_class = RateFilters
    default_sort = "-from"
    actions = (
        Link(_("Import a file"), "ledger:import-rates", "rates.edit", "upload"),
        Link(_("Add a rate"), "ledger:new-rate", "rates.edit", "plus", primary=True),
    )
    export_name = "exchange rates"
    empty_icon, empty_title = "refresh", _("No exchange rate yet")
    empty_text = _(
        "Activities in other currencies wait on the exceptions list of their program until their day has a rate."
    )
    empty_action = Link(_("Add a rate"), "ledger:new-rate", "rates.edit")

    @property
    def columns(self):
        may_edit = self.request.user.can("rates.edit")
        return (
            Column("pair", _("Pair"), lambda row: f"{row.currency} → {row.to_currency}", link=address_of if may_edit else False,
                   sort=("currency", "to_currency", "starts_on"), export=False),
            Column("currency", _("Currency"), screen=False),
            Column("to_currency", _("Into"), screen=False),
            Column("from", _("First day"), "starts_on", kind="date", sort=("starts_on", "currency", "to_currency")),
            Column("until", _("Last day"), "ends_on", kind="date", sort="ends_on"),
            Column("rate", _("Rate"), plain, phone="value"),
            Column("source", _("Source"), sort="source"),
            Column("set_at", _("Set"), kind="time", sort="set_at", note="set_by.name"),
        )  # fmt: skip

    def get_queryset(self):
        return ExchangeRate.objects.select_related("set_by")


class RateAction(ActionPage):
    permission = "rates.edit"
    parent = PARENT

    def get_queryset(self):
        return ExchangeRate.objects.all()

    def success_url(self, thing) -> str:
        return reverse("ledger:rates")


class NewRatePage(RateAction):
    form_class = RateForm
    title = _("Add a rate")
    text = _("Activities of its days that waited for it count by themselves.")
    submit = _("Add")

    def perform(self, thing, data: dict) -> str:
        done = exchange.set_rates(rows=[data["row"]], actor=self.request.user)
        return _told(done)


class EditRatePage(RateAction):
    form_class = RateForm
    template_name = "ledger/rate.html"
    title = _("Change a rate")
    text = _("What was earned with it is corrected by the difference.")
    submit = _("Save")

    def get_form_kwargs(self, thing) -> dict:
        return {"initial": {name: getattr(thing, name) for name in COLUMNS} | {"rate": plain(thing)}}

    def perform(self, thing, data: dict) -> str:
        exchange.change_rate(rate=thing, row=data["row"], actor=self.request.user)
        return gettext("The rate is saved.")


class RemovalForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), max_length=300, required=False)


class RemoveRatePage(RateAction):
    form_class = RemovalForm
    title = _("Remove this rate?")
    submit = _("Remove")
    danger = True

    def get_context(self, thing) -> dict:
        text = gettext("%(days)s. Activities of these days wait for another rate, and what they earned is taken back.")
        return {"text": text % {"days": exchange.row_of(thing).days}}

    def perform(self, thing, data: dict) -> str:
        exchange.remove_rate(rate=thing, actor=self.request.user, reason=data["reason"])
        return gettext("The rate is removed.")

    def cancel_url(self, thing) -> str:
        return address_of(thing)


class ImportRatesPage(RowsPage):
    permission = "rates.edit"
    form_class = RatesFileForm
    template_name = "ledger/rates_import.html"

    def frame(self) -> dict:
        return {"crumbs": crumbs(PARENT)}

    def apply(self, form: RatesFileForm) -> str:
        return _told(exchange.set_rates(rows=form.good_rows, actor=self.request.user))

    def done_url(self) -> str:
        return reverse("ledger:rates")

    def lines(self, form: RatesFileForm, rows: list) -> list[dict]:
        standing = {_key(rate): rate for rate in ExchangeRate.objects.all()}
        lines = []
        for item in rows:
            before = standing.get(_key(item.row)) if item.row else None
            same = before is not None and (before.rate, before.source) == (item.row.rate, item.row.source)
            result = UNCHANGED if same else REPLACED if before else NEW
            lines.append({"item": item, "before": plain(before) if before else "", "result": result})
        return lines


def _key(row) -> tuple:
    return row.currency, row.to_currency, row.starts_on, row.ends_on


def _told(done: dict) -> str:
    parts = []
    if n := done["added"]:
        parts.append(ngettext("%(n)s rate is added.", "%(n)s rates are added.", n) % {"n": n})
    if n := done["changed"]:
        parts.append(ngettext("%(n)s rate is changed.", "%(n)s rates are changed.", n) % {"n": n})
    if n := done["unchanged"]:
        parts.append(ngettext("%(n)s stood already.", "%(n)s stood already.", n) % {"n": n})
    return " ".join(parts)
