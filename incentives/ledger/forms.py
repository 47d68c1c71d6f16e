"""Forms about budgets."""

from decimal import Decimal

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.ledger.models import Budget
from incentives.ledger.services import REFERENCE_LENGTH
from rewards.money import MINOR_DIGITS, Money


def _currencies() -> list[tuple[str, str]]:
    return [(code, code) for code in sorted(MINOR_DIGITS)]


class BudgetForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=120, help_text=_("For example: Q3 Security SPIFF."))
    currency = forms.ChoiceField(
        label=_("Currency"), choices=_currencies, initial="USD", help_text=_("It cannot be changed later.")
    )
    note = forms.CharField(label=_("Note"), required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 3}))


class MovementForm(forms.Form):
    """An amount in the budget's currency and the document behind it. `money` stands after `is_valid`."""

    amount = forms.DecimalField(
        label=_("Amount"),
        max_digits=20,
        decimal_places=3,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    reference = forms.CharField(
        label=_("Reference"),
        max_length=REFERENCE_LENGTH,
        help_text=_(
            "The document that says so, for example a purchase order. The same reference is never booked twice."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    memo = forms.CharField(label=_("Note"), required=False, max_length=200)

    def __init__(self, *args, budget: Budget, **kwargs):
        super().__init__(*args, **kwargs)
        self.budget = budget
        self.fields["amount"].label = _("Amount in %(currency)s") % {"currency": budget.currency}

    def clean_amount(self) -> Money:
        amount: Decimal = self.cleaned_data["amount"]
        if amount <= 0:
            raise forms.ValidationError(gettext("Give an amount above zero."))
        try:
            return Money.exact(amount, self.budget.currency)
        except ValueError:
            digits = MINOR_DIGITS[self.budget.currency]
            message = gettext("%(currency)s has %(n)s digits after the point.")
            raise forms.ValidationError(message % {"currency": self.budget.currency, "n": digits}) from None
