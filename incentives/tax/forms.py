"""Forms of the tax pages."""

from datetime import date, timedelta
from decimal import Decimal

import django_filters
from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from incentives.participants.models import Participant
from incentives.tax import selectors
from incentives.tax.identifiers import looks_like_identifier
from incentives.tax.models import Classification, OutsideAward, TaxExport, TaxRule
from incentives.tax.services import AwardRow
from incentives.tax.services.exports import FEDERAL, FICA, GrossUp
from incentives.tax.services.holds import utc_today
from rewards.money import MINOR_DIGITS, Money

MOST = Decimal(10**9)
NO_NUMBERS = _("Never a tax identification number.")
DECIMAL = {"inputmode": "decimal", "autocomplete": "off"}


def currencies() -> list[tuple[str, str]]:
    return [(code, code) for code in sorted(MINOR_DIGITS)]


def year_choices() -> list[tuple[str, str]]:
    return [(str(year), str(year)) for year in selectors.years()]


def day_field(**more) -> forms.DateField:
    return forms.DateField(widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}), **more)


class NoNumberField(forms.CharField):
    """Free text without a tax identification number."""

    def clean(self, value):
        text = super().clean(value)
        if looks_like_identifier(text):
            raise forms.ValidationError(
                _("This looks like a tax identification number. Laurel stores none: take it out.")
            )
        return text


class ReasonForm(forms.Form):
    reason = NoNumberField(
        label=_("Reason"), max_length=300, widget=forms.Textarea(attrs={"rows": 2}), help_text=NO_NUMBERS
    )


class ProfileForm(forms.Form):
    """The whole profile. Empty means: the default applies."""

    classification = forms.ChoiceField(label=_("Classification"), required=False)
    country = forms.CharField(
        label=_("Country"),
        max_length=2,
        required=False,
        widget=forms.TextInput(attrs={"size": 3, "autocomplete": "off"}),
    )
    form_kind = NoNumberField(
        label=_("Form on file"),
        max_length=20,
        required=False,
        help_text=_(
            "For example W-9 or W-8BEN. You confirm that you saw it; the form itself stays where you keep such."
        ),
    )
    form_on_file_since = day_field(label=_("On file since"), required=False)
    form_expires_on = day_field(
        label=_("Valid until"),
        required=False,
        help_text=_("Empty: without an end. A W-8BEN usually ends with the third year after it was signed."),
    )
    note = NoNumberField(label=_("Note"), max_length=300, required=False, help_text=NO_NUMBERS)

    def __init__(self, *args, default_classification: str = "", default_country: str = "", **kwargs):
        super().__init__(*args, **kwargs)
        label = selectors.classification_label(default_classification) if default_classification else ""
        by_type = _("By the participant's type: %(kind)s") % {"kind": label}
        self.fields["classification"].choices = [("", by_type), *Classification.choices]
        words = _("Two letters. Empty: %(country)s, from the participant.") % {"country": default_country}
        self.fields["country"].help_text = words


class RuleForm(forms.Form):
    """One rule; `values()` stands after `is_valid`."""

    country = forms.CharField(
        label=_("Country"),
        max_length=2,
        required=False,
        help_text=_("Two letters; empty for every country without a row of its own."),
    )
    classification = forms.ChoiceField(label=_("Classification"), choices=Classification.choices)
    year_from = forms.IntegerField(label=_("First year"), min_value=2000, max_value=2100)
    year_to = forms.IntegerField(
        label=_("Last year"),
        min_value=2000,
        max_value=2100,
        required=False,
        help_text=_("Empty: until a later row begins."),
    )
    form_needed = NoNumberField(label=_("Form needed"), max_length=20, required=False, help_text=_("For example W-9."))
    threshold = forms.DecimalField(
        label=_("Threshold of a year"),
        min_value=0,
        max_value=MOST,
        max_digits=14,
        decimal_places=3,
        required=False,
        widget=forms.TextInput(attrs=DECIMAL),
        help_text=_("Reports from this amount on, and where wanted a hold. 0 holds from the first cent."),
    )
    currency = forms.ChoiceField(label=_("Currency"), choices=currencies, initial="USD")
    report_kind = forms.ChoiceField(label=_("Report"), choices=TaxRule.Report.choices, required=False)
    hold_action = forms.ChoiceField(label=_("Hold"), choices=TaxRule.Action.choices)
    source = NoNumberField(
        label=_("Source"), max_length=300, required=False, help_text=_("The law or instruction behind it.")
    )

    def clean(self) -> dict:
        data = super().clean()
        threshold, currency = data.get("threshold"), data.get("currency")
        if threshold is not None and currency:
            try:
                data["threshold_minor"] = Money.exact(threshold, currency).minor
            except ValueError:
                self.add_error("threshold", _("More digits after the point than the currency has."))
        return data

    def values(self) -> dict:
        return {"threshold_minor": None, **{k: v for k, v in self.cleaned_data.items() if k != "threshold"}}

    @classmethod
    def initial_of(cls, rule: TaxRule | None) -> dict:
        if rule is None:
            return {"year_from": utc_today().year, "country": "US"}
        values = {name: getattr(rule, name) for name in cls.base_fields if name != "threshold"}
        return values | {"threshold": None if rule.threshold is None else rule.threshold.decimal}


class AwardForm(forms.Form):
    """One award made elsewhere; `row` stands after `is_valid`."""

    participant = forms.ModelChoiceField(label=_("Participant"), queryset=Participant.objects.order_by("name"))
    on = day_field(label=_("Date"), help_text=_("The day it was received: its year counts."))
    amount = forms.DecimalField(
        label=_("Amount"),
        min_value=Decimal("0.001"),
        max_value=MOST,
        max_digits=14,
        decimal_places=3,
        widget=forms.TextInput(attrs=DECIMAL),
    )
    currency = forms.ChoiceField(label=_("Currency"), choices=currencies, initial="USD")
    source = NoNumberField(
        label=_("Source"),
        max_length=120,
        help_text=_("Where it was made, for example a trade show. Never a tax number."),
    )
    reference = NoNumberField(
        label=_("Reference"),
        max_length=80,
        required=False,
        help_text=_("The other system's own key; it is then never entered twice."),
    )

    def clean(self) -> dict:
        data = super().clean()
        if self.errors:
            return data
        try:
            money = Money.exact(data["amount"], data["currency"])
        except ValueError:
            self.add_error("amount", _("More digits after the point than the currency has."))
        else:
            data["row"] = AwardRow(data["participant"], data["on"], money, data["source"], data["reference"])
        return data


class MiscForm(forms.Form):
    year = forms.TypedChoiceField(label=_("Year"), coerce=int, choices=year_choices)
    everybody = forms.BooleanField(
        label=_("Also totals below the threshold"),
        required=False,
        help_text=_("Everybody the 1099-MISC rule covers with an amount above zero."),
    )


def rate(label, initial, **more) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        initial=initial,
        min_value=0,
        max_value=Decimal("99.99"),
        max_digits=6,
        decimal_places=4,
        required=False,
        widget=forms.TextInput(attrs=DECIMAL),
        **more,
    )


class W2Form(forms.Form):
    """A pay period, and whether to gross up."""

    first = day_field(label=_("First day"))
    last = day_field(label=_("Last day"), help_text=_("UTC days, both included. The last one must be over."))
    gross_up = forms.BooleanField(
        label=_("Gross up"), required=False, help_text=_("Adds the wages that leave the reward's value after tax.")
    )
    federal = rate(_("Federal, per cent"), FEDERAL, help_text=_("Flat rate on supplemental wages."))
    fica = rate(_("FICA, per cent"), FICA, help_text=_("Social security 6.2 and Medicare 1.45."))
    state = rate(_("State, per cent"), Decimal(0))

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if not self.is_bound:
            end = utc_today().replace(day=1) - timedelta(days=1)
            self.initial = {"first": date(end.year, end.month, 1), "last": end, **self.initial}

    def clean(self) -> dict:
        data = super().clean()
        if not self.errors:
            rates = {name: data.get(name) or Decimal(0) for name in ("federal", "fica", "state")}
            data["rates"] = GrossUp(**rates) if data["gross_up"] else None
        return data


# --- filters ------------------------------------------------------------------------------------------------------------
class YearFilters(django_filters.FilterSet):
    """Checked as a form; the rows are figures and not a query, so the page applies them (views.OverviewPage)."""

    year = django_filters.ChoiceFilter(
        label=_("Year"), choices=year_choices, empty_label=_("This year"), method="ignore"
    )
    classification = django_filters.MultipleChoiceFilter(
        label=_("Classification"), choices=Classification.choices, method="ignore"
    )
    form = django_filters.MultipleChoiceFilter(
        label=_("Form"), choices=list(selectors.FORM_WORDS.items()), method="ignore"
    )
    country = django_filters.CharFilter(label=_("Country"), method="ignore", max_length=2)

    class Meta:
        model = Participant
        fields: list[str] = []

    def ignore(self, queryset, _name, _value):
        return queryset


class RuleFilters(django_filters.FilterSet):
    classification = django_filters.MultipleChoiceFilter(label=_("Classification"), choices=Classification.choices)
    year = django_filters.NumberFilter(label=_("In force in"), method="in_force", min_value=0, max_value=9999)

    class Meta:
        model = TaxRule
        fields: list[str] = []

    def in_force(self, queryset, _name, value):
        return queryset.filter(Q(year_to__isnull=True) | Q(year_to__gte=value), year_from__lte=value)


class AwardFilters(django_filters.FilterSet):
    year = django_filters.ChoiceFilter(label=_("Year"), field_name="on", lookup_expr="year", choices=year_choices)
    currency = django_filters.AllValuesMultipleFilter(label=_("Currency"))

    class Meta:
        model = OutsideAward
        fields: list[str] = []


class ExportFilters(django_filters.FilterSet):
    kind = django_filters.MultipleChoiceFilter(label=_("Kind"), choices=TaxExport.Kind.choices)

    class Meta:
        model = TaxExport
        fields: list[str] = []
