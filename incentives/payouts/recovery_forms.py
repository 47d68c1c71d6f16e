"""Forms of the recovery pages."""

from decimal import Decimal

from django import forms
from django.utils.translation import gettext_lazy as _

from incentives.payouts.forms import ReasonForm
from incentives.payouts.models import Recovery
from rewards.money import MINOR_DIGITS, Money

MOST = Decimal(10**9)


class AskedForm(forms.Form):
    """Nothing to fill in: the page asks, the button answers."""


def amount_field(currency: str, **more) -> forms.DecimalField:
    digits = MINOR_DIGITS[currency]
    smallest = Decimal(1).scaleb(-digits)
    return forms.DecimalField(min_value=smallest, max_value=MOST, decimal_places=digits, max_digits=14, **more)


class WriteOffForm(ReasonForm):
    def __init__(self, *args, currency: str, **kwargs):
        super().__init__(*args, **kwargs)
        self.currency = currency
        self.fields["amount"] = amount_field(currency, label=_("Amount in %(currency)s") % {"currency": currency})
        self.order_fields(["amount", "reason"])

    def clean_amount(self) -> Money:
        return Money.from_decimal(self.cleaned_data["amount"], self.currency)


class InstalmentForm(ReasonForm):
    """One of the two, or neither: then a payout is withheld in full until all is recovered."""

    percent = forms.DecimalField(
        label=_("At most this per cent of each payout"), min_value=Decimal("0.01"), max_value=100, decimal_places=2,
        required=False, help_text=_("Leave both empty to withhold a payout in full."),
    )  # fmt: skip

    def __init__(self, *args, currency: str, **kwargs):
        super().__init__(*args, **kwargs)
        self.currency = currency
        label = _("Or at most this amount of each payout, in %(currency)s") % {"currency": currency}
        self.fields["most"] = amount_field(currency, label=label, required=False)
        self.order_fields(["percent", "most", "reason"])

    def clean(self):
        data = super().clean()
        if data.get("percent") and data.get("most"):
            raise forms.ValidationError(_("Give a percentage or an amount, not both."))
        if data.get("most") is not None:
            data["most"] = Money.from_decimal(data["most"], self.currency)
        return data

    @staticmethod
    def initial_of(recovery: Recovery) -> dict:
        most = recovery.most_minor
        return {
            "percent": recovery.percent,
            "most": None if most is None else Money(most, recovery.participation.program.currency).decimal,
        }
