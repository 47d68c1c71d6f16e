"""Forms about a budget's place in the tree and about transfers."""

from decimal import Decimal

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.ledger.models import Budget
from rewards.money import MINOR_DIGITS, Money


class PlaceForm(forms.Form):
    parent = forms.ModelChoiceField(
        label=_("Under"), queryset=Budget.objects.none(), required=False, empty_label=_("Nothing: at the top")
    )

    def __init__(self, *args, budget: Budget, **kwargs):
        super().__init__(*args, initial={"parent": budget.parent_id}, **kwargs)
        self.fields["parent"].queryset = Budget.objects.filter(currency=budget.currency).exclude(pk=budget.pk)


class TransferForm(forms.Form):
    """From one budget, which the address names, to another of its currency."""

    destination = forms.ModelChoiceField(label=_("To"), queryset=Budget.objects.none())
    amount = forms.DecimalField(
        max_digits=20,
        decimal_places=3,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    reason = forms.CharField(label=_("Reason"), max_length=200, help_text=_("The person who decides reads it."))

    def __init__(self, *args, budget: Budget, **kwargs):
        super().__init__(*args, **kwargs)
        self.budget = budget
        others = Budget.objects.filter(currency=budget.currency, is_active=True).exclude(pk=budget.pk)
        self.fields["destination"].queryset = others
        self.fields["amount"].label = _("Amount in %(currency)s") % {"currency": budget.currency}

    def clean_amount(self) -> Money:
        amount: Decimal = self.cleaned_data["amount"]
        if amount <= 0:
            raise forms.ValidationError(gettext("Give an amount above zero."))
        try:
            return Money.exact(amount, self.budget.currency)
        except ValueError:
            message = gettext("%(currency)s has %(n)s digits after the point.")
            digits = MINOR_DIGITS[self.budget.currency]
            raise forms.ValidationError(message % {"currency": self.budget.currency, "n": digits}) from None


class NoteForm(forms.Form):
    note = forms.CharField(label=_("Reason"), max_length=200)
