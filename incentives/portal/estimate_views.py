"""`/me/estimate/`: what a deal that is not won yet would earn."""

from decimal import Decimal

from django import forms
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.pages import crumbs
from incentives.earnings.estimate import Deal, Question, ahead_of, estimate, questions
from incentives.earnings.running import Running
from incentives.portal.views import ME, Mine

MOST = Decimal("1000000000")
PARTS = {
    "lines": _("Product: %(name)s"), "account": _("Customer: %(name)s"), "partner": _("Partner: %(name)s"),
    "attributes": "%(name)s",
}  # fmt: skip
NO_YES = [("no", _("No")), ("yes", _("Yes"))]


class EstimateForm(forms.Form):
    """The deal, and one field for each thing the rules of one's programs ask of it."""

    amount = forms.DecimalField(label=_("Amount"), min_value=Decimal("0.01"), max_value=MOST, decimal_places=2)
    currency = forms.ChoiceField(label=_("Currency"))
    quantity = forms.DecimalField(
        label=_("Quantity"), min_value=0, max_value=MOST, decimal_places=4, initial=1, required=False
    )
    closes_on = forms.DateField(label=_("Closes on"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))

    def __init__(self, *args, runs: list[Running], **kwargs):
        super().__init__(*args, **kwargs)
        self.asked = questions(runs)
        currencies = sorted({run.definition.currency for run in runs})
        self.fields["currency"].choices = [(code, code) for code in currencies]
        self.fields["closes_on"].initial = timezone.localdate
        for n, question in enumerate(self.asked):
            self.fields[f"q{n}"] = field_for(question)

    @property
    def deal(self) -> Deal:
        data, answers = self.cleaned_data, {}
        for n, question in enumerate(self.asked):
            value = data.get(f"q{n}")
            if question.truth and (value == "yes" or not question.presence):
                answers[question.field] = value == "yes"
            elif value and not question.truth:
                answers[question.field] = value
        quantity = data["quantity"] if data["quantity"] is not None else Decimal(1)
        return Deal(data["amount"], data["currency"], data["closes_on"], quantity, answers)


def field_for(question: Question) -> forms.Field:
    label = label_of(question.field)
    if question.truth:
        return forms.ChoiceField(label=label, choices=NO_YES, required=False)
    if question.choices:
        named = [(value, value) for value in question.choices]
        return forms.ChoiceField(label=label, choices=[("", _("Something else")), *named], required=False)
    return forms.CharField(label=label, max_length=100, required=False)


def label_of(field: str) -> str:
    """`lines.family` -> `Product: family`"""
    first, _dot, rest = field.partition(".")
    name = (rest or first).replace("_", " ").replace(".", " ")
    words = str(PARTS.get(first, "%(name)s") if rest else "%(name)s") % {"name": name}
    return words[:1].upper() + words[1:]


class EstimatePage(Mine, View):
    """Nothing is stored: the deal stands in the address. To htmx only the answer."""

    def get(self, request):
        runs = ahead_of(self.participant)
        form = EstimateForm(request.GET if "amount" in request.GET else None, runs=runs) if runs else None
        found = estimate(self.participant, runs, form.deal) if form is not None and form.is_valid() else None
        context = {
            "form": form,
            "found": found,
            "gaining": [one for one in found or [] if one.gained.minor or one.place],
            "others": [one for one in found or [] if not (one.gained.minor or one.place)],
            "totals": totals(found or []),
            "crumbs": crumbs(ME),
        }
        part = request.headers.get("HX-Target") == "answer"
        status = 400 if form is not None and form.is_bound and found is None and not part else 200
        return render(request, "portal/_estimate.html" if part else "portal/estimate.html", context, status=status)


def totals(found) -> list:
    """What it would earn in all, per currency."""
    sums: dict[str, object] = {}
    for one in found:
        if one.gained.minor:
            sums[one.gained.currency] = (
                sums[one.gained.currency] + one.gained if one.gained.currency in sums else one.gained
            )
    return [sums[currency] for currency in sorted(sums)]
