"""Entering a deposit at the provider and, in the same step, resuming the orders that wait for it."""

from django import forms
from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import ActionPage
from incentives.core.templatetags.laurel import money_text
from incentives.ledger import deposits
from incentives.ledger.deposit_views import PARENT
from incentives.ledger.models import DepositEntry
from incentives.ledger.transfer_forms import CurrencyAmountForm
from incentives.payouts import services
from incentives.payouts.services.orders import RESOLVE
from rewards.models import RewardOrder

KINDS = (DepositEntry.Kind.DEPOSIT, DepositEntry.Kind.CORRECTION)


class DepositForm(CurrencyAmountForm):
    kind = forms.ChoiceField(label=_("What"), choices=[(kind.value, kind.label) for kind in KINDS])
    on = forms.DateField(label=_("Day"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    reference = forms.CharField(
        label=_("Reference"),
        max_length=70,
        help_text=_("Of the payment, for example a bank transfer. The same reference is never entered twice."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    note = forms.CharField(label=_("Note"), required=False, max_length=200, help_text=_("A correction needs one."))
    resume = forms.BooleanField(required=False)
    field_order = ("kind", "currency", "amount", "on", "reference", "note", "resume")

    def __init__(self, *args, waiting: int, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["currency"].initial = settings.E2R_CURRENCY
        self.fields["on"].initial = timezone.localdate
        self.fields["amount"].help_text = _("Only a correction may be negative.")
        label = ngettext("Resume %(n)s order that waits for funds", "Resume %(n)s orders that wait for funds", waiting)
        self.fields["resume"].label = label % {"n": waiting}
        if not waiting:
            del self.fields["resume"]


class EnterPage(ActionPage):
    """One click after a payment: the deposit is noted, and what waits for it goes out again under its own numbers."""

    permission = "deposits.edit"
    form_class = DepositForm
    parent = PARENT
    title, submit = _("Enter a deposit"), _("Enter")
    text = _("Enter what was paid in at the provider and is available there.")

    def success_url(self, thing) -> str:
        return reverse("ledger:deposits")

    def get_form_kwargs(self, thing) -> dict:
        may = self.request.user.can(RESOLVE)
        waiting = RewardOrder.objects.filter(state=RewardOrder.State.UNFUNDED).count() if may else 0
        return {"waiting": waiting, "initial": {"resume": self.request.GET.get("resume") == "1"}}

    def perform(self, thing, data: dict) -> str:
        values = {name: data[name] for name in ("kind", "on", "reference", "note")}
        actor, amount = self.request.user, data["money"]
        with transaction.atomic():  # the entry and the resumption together, or neither
            entry = deposits.enter(amount=amount, actor=actor, **values)
            if not data.get("resume"):
                return gettext("Entered: %(amount)s.") % {"amount": money_text(amount)}
            reason = gettext("%(amount)s were deposited: %(reference)s.")
            count = services.resume(
                actor=actor, reason=reason % {"amount": money_text(amount), "reference": entry.reference}
            )
        message = ngettext(
            "Entered: %(amount)s. %(n)s order is sent again.",
            "Entered: %(amount)s. %(n)s orders are sent again.",
            count,
        )
        return message % {"amount": money_text(amount), "n": count}
