"""Forms about a budget's place in the tree, transfers, thresholds, and how much one person funds alone."""

from decimal import Decimal

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.ledger.alerts import MOST_PERCENTS
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


class CurrencyAmountForm(forms.Form):
    """An amount in a currency one chooses; `money` stands in the cleaned data."""

    currency = forms.ChoiceField(
        label=_("Currency"), choices=lambda: [(code, code) for code in sorted(MINOR_DIGITS)], initial="USD"
    )
    amount = forms.DecimalField(
        label=_("Amount"),
        max_digits=20,
        decimal_places=3,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )

    def clean(self) -> dict:
        data = super().clean()
        if data.get("amount") is not None and "currency" in data:
            try:
                data["money"] = Money.exact(data["amount"], data["currency"])
            except ValueError:
                message = gettext("%(currency)s has %(n)s digits after the point.")
                self.add_error("amount", message % {"currency": data["currency"], "n": MINOR_DIGITS[data["currency"]]})
        return data


class FundingLimitForm(CurrencyAmountForm):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["amount"].label = _("One person funds up to")
        self.fields["amount"].min_value = 0


class ShownLimitForm(forms.Form):
    """What the page showed: confirming holds for that figure alone."""

    shown = forms.IntegerField(widget=forms.HiddenInput())


class ThresholdsForm(forms.Form):
    percents = forms.CharField(
        label=_("Per cent used"),
        required=False,
        max_length=60,
        help_text=_("Up to six whole numbers from 1 to 100, for example 75, 90, 100."),
    )
    left = forms.DecimalField(
        label=_("Amount left"),
        required=False,
        max_digits=20,
        decimal_places=3,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )

    def __init__(self, *args, budget: Budget, **kwargs):
        left = budget.alert_left_minor
        initial = {
            "percents": ", ".join(str(percent) for percent in budget.alert_percents),
            "left": None if left is None else Money(left, budget.currency).decimal,
        }
        super().__init__(*args, initial=initial, **kwargs)
        self.budget = budget
        self.fields["left"].help_text = _("In %(currency)s; empty: no such alert.") % {"currency": budget.currency}

    def clean_percents(self) -> list[int]:
        parts = self.cleaned_data["percents"].replace(",", " ").replace("%", " ").split()
        if len(parts) > MOST_PERCENTS or not all(part.isascii() and part.isdigit() and len(part) < 4 for part in parts):
            raise forms.ValidationError(
                gettext("Give whole numbers with commas between them, for example 75, 90, 100.")
            )
        return [int(part) for part in parts]

    def clean_left(self) -> Money | None:
        amount = self.cleaned_data["left"]
        if amount is None:
            return None
        try:
            return Money.exact(amount, self.budget.currency)
        except ValueError:
            digits = MINOR_DIGITS[self.budget.currency]
            message = gettext("%(currency)s has %(n)s digits after the point.")
            raise forms.ValidationError(message % {"currency": self.budget.currency, "n": digits}) from None
