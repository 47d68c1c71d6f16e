"""The deposit account at the provider: entries, estimate, and comparing with what the provider shows.

Entering a deposit stands in `payouts`, which may also resume the orders that wait for it.
"""

import django_filters
from django import forms
from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import ActionPage, Column, Link, ListPage
from incentives.ledger import deposits
from incentives.ledger.models import DepositEntry
from incentives.ledger.transfer_forms import CurrencyAmountForm, NoteForm

PARENT = (_("Provider deposit"), "ledger:deposits")


class DepositFilters(django_filters.FilterSet):
    kind = django_filters.MultipleChoiceFilter(label=_("Kind"), choices=DepositEntry.Kind.choices)
    currency = django_filters.AllValuesMultipleFilter(label=_("Currency"))
    since = django_filters.DateFilter(
        field_name="on", lookup_expr="gte", label=_("From"), widget=forms.DateInput(attrs={"type": "date"})
    )
    until = django_filters.DateFilter(
        field_name="on", lookup_expr="lte", label=_("To"), widget=forms.DateInput(attrs={"type": "date"})
    )

    class Meta:
        model = DepositEntry
        fields: list[str] = []


class DepositsPage(ListPage):
    permission = "deposits.view"
    title = _("Provider deposit")
    lead = _(
        "Money paid in at the provider, and what should be left of it. It is an estimate: whether the provider takes an order "
        "is the only certain answer."
    )
    template_name = "ledger/deposits.html"
    search = ("reference", "note", "entered_by__name")
    search_hint = _("Reference, note or who")
    filterset_class = DepositFilters
    default_sort = "-on"
    export_name = "provider deposits"
    empty_icon, empty_title = "budgets", _("No deposit entered yet")
    empty_text = _("Enter what was paid in at the provider; the estimated balance follows from it.")
    actions = (
        Link(_("Warn me"), "ledger:deposit-low", "deposits.edit", "alert"),
        Link(_("Compare"), "ledger:deposit-compare", "deposits.edit", "eye"),
        Link(_("Enter a deposit"), "payouts:deposit-new", "deposits.edit", "plus", primary=True),
    )
    columns = (
        Column("reference", _("Reference"), sort="reference", note="note"),
        Column("kind", _("Kind"), "get_kind_display", sort="kind"),
        Column("on", _("Day"), kind="date", sort=("on", "pk")),
        Column("amount", _("Amount"), kind="money", sort="amount_minor"),
        Column("entered", _("Entered"), "entered_at", kind="time", sort="entered_at", note="entered_by.name"),
        Column("entered_by", _("Entered by"), screen=False),
        Column("note", _("Note"), screen=False),
        Column("undo", _("Mistake?"), template="ledger/_reverse.html", export=False),
    )

    def get_queryset(self):
        return deposits.visible_entries(self.request.user).select_related("entered_by", "reversed_by")

    def get_context(self) -> dict:
        user = self.request.user
        return {
            "estimates": deposits.estimates(),
            "checks": [(check, deposits.explain(check)) for check in deposits.latest_checks()],
            "may_edit": user.can("deposits.edit"),
            "may_resume": user.can("orders.resolve"),
        }


class DepositAction(ActionPage):
    permission = "deposits.edit"
    parent = PARENT

    def get_queryset(self):
        return deposits.visible_entries(self.request.user)

    def success_url(self, thing) -> str:
        return reverse("ledger:deposits")


class ReversePage(DepositAction):
    form_class = NoteForm
    title, submit, danger = _("Reverse this entry?"), _("Reverse"), True

    def get_context(self, thing) -> dict:
        text = gettext("%(entry)s, %(amount)s. It stays in the list; a row of the opposite amount undoes it.")
        return {"text": text % {"entry": thing, "amount": thing.amount}}

    def perform(self, thing, data: dict) -> str:
        deposits.reverse_entry(entry=thing, reason=data["note"], actor=self.request.user)
        return gettext("Reversed.")


class LowForm(CurrencyAmountForm):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["currency"].initial = settings.E2R_CURRENCY
        self.fields["amount"].label = _("Warn below")
        self.fields["amount"].required = False
        self.fields["amount"].help_text = _("Of the estimated balance. Empty: no warning.")


class LowPage(DepositAction):
    form_class = LowForm
    title, submit = _("Warn when the deposit runs low"), _("Save")
    text = _("Finance gets one e-mail when the estimated balance falls below this, and the next only after a deposit.")

    def perform(self, thing, data: dict) -> str:
        deposits.set_low(currency=data["currency"], low=data.get("money"), actor=self.request.user)
        return gettext("Saved.")


class CompareForm(CurrencyAmountForm):
    note = forms.CharField(label=_("Note"), required=False, max_length=200)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["currency"].initial = settings.E2R_CURRENCY
        self.fields["amount"].label = _("Balance the provider shows")
        self.fields["amount"].help_text = _("The available part, from the provider's portal.")


class ComparePage(DepositAction):
    form_class = CompareForm
    title, submit = _("Compare with the provider"), _("Compare")
    text = _("It is kept beside our estimate of this moment. Nothing is changed; enter a correction if one is due.")

    def perform(self, thing, data: dict) -> str:
        check = deposits.compare(shown=data["money"], note=data["note"], actor=self.request.user)
        if not check.difference:
            return gettext("The provider shows what we estimate.")
        return gettext("Kept. The difference is %(amount)s; the page says what may explain it.") % {
            "amount": check.difference
        }
