"""Forms about claims. They check shapes; services check what is right."""

from datetime import timedelta

import django_filters
from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from incentives.claims.fingerprints import split_serials
from incentives.claims.models import Claim
from incentives.claims.services import LineValues, Values
from incentives.claims.services.drafts import MAX_LINES
from incentives.participants.models import Partner
from incentives.programs.models import Program
from rewards.money import MINOR_DIGITS

PROOFS = ".pdf,.jpg,.jpeg,.png,application/pdf,image/jpeg,image/png"
PHOTOS = "image/jpeg,image/png"


def _number(label, **more):
    widget = forms.NumberInput(attrs={"step": "any", "min": "0", "inputmode": "decimal"})
    return forms.DecimalField(
        label=label, required=False, min_value=0, max_digits=18, decimal_places=4, widget=widget, **more
    )


class ClaimForm(forms.Form):
    """Everything but the products and files; nothing is required, because a draft may be unfinished."""

    invoice_number = forms.CharField(
        label=_("Invoice number"), max_length=100, required=False, widget=forms.TextInput({"autocomplete": "off"})
    )
    invoice_date = forms.DateField(
        label=_("Sale date"), required=False, help_text=_("The day on the invoice."),
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
    )  # fmt: skip
    customer = forms.CharField(
        label=_("End customer"), max_length=200, required=False, widget=forms.TextInput({"autocomplete": "off"})
    )
    amount = _number(_("Total of the invoice"))
    currency = forms.ChoiceField(label=_("Currency"), required=False)
    note = forms.CharField(
        label=_("Remark"), max_length=2000, required=False, help_text=_("Anything the reviewer should know."),
        widget=forms.Textarea({"rows": 3}),
    )  # fmt: skip
    seen = forms.IntegerField(widget=forms.HiddenInput())

    def __init__(self, *args, claim: Claim, **kwargs):
        super().__init__(*args, **kwargs)
        own = claim.program.currency
        codes = [own, *(code for code in sorted(MINOR_DIGITS) if code != own)]
        self.fields["currency"].choices = [(code, code) for code in codes]

    @staticmethod
    def initial_of(claim: Claim) -> dict:
        return {
            "invoice_number": claim.invoice_number,
            "invoice_date": claim.invoice_date,
            "customer": claim.customer,
            "amount": claim.amount.decimal if claim.amount else None,
            "currency": claim.currency,
            "note": claim.note,
            "seen": claim.version,
        }


class LineForm(forms.Form):
    sku = forms.CharField(label=_("Product number (SKU)"), max_length=100, required=False)
    name = forms.CharField(label=_("Product"), max_length=200, required=False)
    quantity = _number(_("Quantity"))
    unit_price = _number(_("Price per piece"))
    serials = forms.CharField(
        label=_("Serial numbers"), max_length=20_000, required=False, widget=forms.Textarea({"rows": 2}),
        help_text=_("One per line, or with commas between them."),
    )  # fmt: skip

    @property
    def filled(self) -> bool:
        """A line with nothing but a quantity is left out."""
        return any(self.cleaned_data.get(name) not in (None, "") for name in ("sku", "name", "unit_price", "serials"))

    @property
    def values(self) -> LineValues:
        data = self.cleaned_data
        serials = tuple(split_serials(data["serials"]))
        quantity = data["quantity"] if data["quantity"] is not None else max(len(serials), 1)
        return LineValues(data["sku"], data["name"], quantity, data["unit_price"], serials)


LineForms = forms.formset_factory(LineForm, extra=0, max_num=MAX_LINES, absolute_max=MAX_LINES + 10)


def initial_lines(claim: Claim, more: int = 0) -> list[dict]:
    rows = [
        {
            "sku": line.sku,
            "name": line.name,
            "quantity": line.quantity.normalize(),
            "unit_price": None if line.unit_price is None else line.unit_price.normalize(),
            "serials": "\n".join(row.serial for row in line.serials.all()),
        }
        for line in claim.lines.prefetch_related("serials")
    ]
    for row in rows:
        row.update({key: format(row[key], "f") for key in ("quantity", "unit_price") if row[key] is not None})
    return rows + [{"quantity": "1"}] * max(more, 0 if rows else 1)


def values_of(form: ClaimForm, lines) -> Values:
    data = {key: value for key, value in form.cleaned_data.items() if key != "seen"}
    return Values(**data, lines=tuple(line.values for line in lines if line.filled))


class Files(forms.ClearableFileInput):
    allow_multiple_selected = True
    template_name = "django/forms/widgets/file.html"


class ProofForm(forms.Form):
    """Read by hand, file by file: one that cannot be kept does not cost the others."""

    photo = forms.FileField(
        label=_("Take a photo"), required=False,
        widget=forms.FileInput({"accept": PHOTOS, "capture": "environment"}),
    )  # fmt: skip
    files = forms.FileField(
        label=_("Choose files"), required=False, widget=Files({"accept": PROOFS, "multiple": True}),
        help_text=_("The invoice as PDF, JPEG or PNG, 10 MB each at most. Up to five files."),
    )  # fmt: skip


# --- review -----------------------------------------------------------------------------------------------------------------
class SeenForm(forms.Form):
    """Carries the version of the claim that the reviewer saw."""

    seen = forms.IntegerField(widget=forms.HiddenInput())


def _text(label, help_text, **more):
    return forms.CharField(
        label=label, max_length=1000, help_text=help_text, widget=forms.Textarea({"rows": 3}), **more
    )


def _reason():
    return _text(_("Reason"), _("The partner reads it."))


def _note():
    return _text(_("Remark for colleagues"), _("The partner never sees it."), required=False)


class ApproveForm(SeenForm):
    note = _note()

    def __init__(self, *args, doubtful: bool = False, **kwargs):
        super().__init__(*args, **kwargs)
        if doubtful:
            self.fields["note"].label = _("Why it is approved anyway")
            self.fields["note"].required = True


class RefuseForm(SeenForm):
    reason = _reason()
    note = _note()


class ReverseForm(SeenForm):
    reason = _reason()


AGES = [(1, _("1 day")), (3, _("3 days")), (7, _("7 days")), (14, _("14 days"))]


def _tiers():
    tiers = Partner.objects.exclude(tier="").order_by("tier").values_list("tier", flat=True).distinct()
    return [(tier, tier) for tier in tiers]


class ClaimFilters(django_filters.FilterSet):
    program = django_filters.ModelMultipleChoiceFilter(
        label=_("Program"), queryset=lambda request: Program.objects.filter(claims__isnull=False).distinct()
    )
    partner = django_filters.ModelMultipleChoiceFilter(
        label=_("Partner"), queryset=lambda request: Partner.objects.order_by("name")
    )
    tier = django_filters.MultipleChoiceFilter(label=_("Tier"), field_name="partner__tier", choices=_tiers)
    status = django_filters.MultipleChoiceFilter(
        label=_("State"), choices=[pair for pair in Claim.Status.choices if pair[0] != Claim.Status.DRAFT]
    )
    flagged = django_filters.BooleanFilter(label=_("Flagged"))
    older = django_filters.TypedChoiceFilter(
        label=_("Waiting for at least"), choices=AGES, coerce=int, method="filter_older"
    )

    class Meta:
        model = Claim
        fields: list[str] = []

    def filter_older(self, rows, name, days):
        return rows.filter(waiting_since__lte=timezone.now() - timedelta(days=days)) if days else rows
