"""Forms about awards."""

import uuid
from datetime import timedelta

import django_filters
from django import forms
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.accounts.models import User
from incentives.awards import selectors
from incentives.awards.files import BYTES, exact_money
from incentives.awards.models import Award
from incentives.awards.selectors import Pot
from incentives.awards.services import NOTE, REASON
from incentives.core.listing import Since, Until
from incentives.core.templatetags.laurel import money_text
from incentives.ledger.models import Budget
from incentives.participants.models import Participant
from incentives.programs.forms import BudgetChoice
from incentives.programs.models import Program
from incentives.programs.selectors import find_participants
from rewards.money import MINOR_DIGITS


def _decimal():
    return forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})


def pot_label(pot: Pot) -> str:
    """`Spot awards (500.00 USD available; 250.00 USD per award)`"""
    room = gettext("no budget")
    if pot.room is not None:
        room = gettext("%(amount)s available") % {"amount": money_text(pot.room)}
    limits = selectors.limits_in_words(pot)
    return f"{pot.program.name} ({'; '.join(filter(None, (room, limits)))})"


class PotField(forms.ChoiceField):
    """A running award program. Cleans to a Pot."""

    def __init__(self, **kwargs):
        super().__init__(label=_("Program"), choices=[], **kwargs)
        self.pots: dict[str, Pot] = {}

    def load(self) -> None:
        self.pots = {str(pot.program.public_id): pot for pot in selectors.pots()}
        self.choices = [(key, pot_label(pot)) for key, pot in self.pots.items()]

    def clean(self, value):
        return self.pots[super().clean(value)]


class GiveForm(forms.Form):
    program = PotField(help_text=_("What its budget has available, and what it allows."))
    amount = forms.CharField(label=_("Amount"), max_length=30, widget=_decimal())
    reason = forms.CharField(
        label=_("Reason"), max_length=REASON, widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("The recipient reads it."),
    )  # fmt: skip
    note = forms.CharField(
        label=_("Internal note"), max_length=NOTE, required=False, widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Only staff read it."),
    )  # fmt: skip
    q = forms.CharField(
        label=_("Who"), max_length=200, required=False, help_text=_("Part of the name, the e-mail address or the id."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "type": "search"}),
    )  # fmt: skip
    participant = forms.CharField(required=False, max_length=36, widget=forms.HiddenInput)
    field_order = ["q", "program", "amount", "reason", "note"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["program"].load()
        self.person: Participant | None = None

    @property
    def others(self) -> list:
        return [self[name] for name in ("program", "amount", "reason", "note")]

    def text(self, name: str) -> str:
        return str((self.data if self.is_bound else self.initial).get(name) or "")

    @property
    def people(self) -> list[Participant]:
        """Whom the search finds, and who was chosen before."""
        found = selectors.search_people(self.text("q")[:200])
        chosen = self.chosen()
        return found if chosen is None or chosen in found else [chosen, *found]

    def chosen(self) -> Participant | None:
        try:
            key = uuid.UUID(self.text("participant"))
        except ValueError:
            return None
        return Participant.objects.filter(public_id=key).select_related("team", "partner").first()

    def clean(self) -> dict:
        data = super().clean()
        text = (data.get("q") or "").strip()
        self.person = self.chosen() or find_participants([text]).get(text)
        if self.person is None:
            self.add_error("q", gettext("Choose who gets it: search, then pick one of the people found."))
        if "program" in data and "amount" in data:
            try:
                data["money"] = exact_money(data["amount"], data["program"].program.currency)
            except forms.ValidationError as exc:
                self.add_error("amount", exc)
        return data


class FileForm(forms.Form):
    program = PotField()
    file = forms.FileField(label=_("CSV or XLSX file"), help_text=_("The first row names the columns."))

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["program"].load()

    def clean_file(self):
        file = self.cleaned_data["file"]
        if file.size > BYTES:
            raise forms.ValidationError(
                gettext("The file is larger than %(n)s MiB.") % {"n": BYTES // 1024 // 1024}
            )  # fmt: skip
        return file


class PotForm(forms.Form):
    """A new award program: everything a definition needs."""

    name = forms.CharField(
        label=_("Name"), max_length=120, initial=_("Spot awards"), help_text=_("Recipients read it.")
    )
    currency = forms.ChoiceField(
        label=_("Currency"), choices=lambda: [(c, c) for c in sorted(MINOR_DIGITS)], initial="USD"
    )
    budget = BudgetChoice(help_text=_("What the cards are paid from; a launch needs it."))
    starts_on = forms.DateField(label=_("First day"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    ends_on = forms.DateField(label=_("Last day"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    deal_cap = forms.DecimalField(
        label=_("At most per award"),
        required=False,
        min_value=0,
        max_digits=14,
        decimal_places=3,
        initial="250",
        widget=_decimal(),
    )
    period_cap = forms.DecimalField(
        label=_("At most per person and month"),
        required=False,
        min_value=0,
        max_digits=14,
        decimal_places=3,
        widget=_decimal(),
    )
    participant_cap = forms.DecimalField(
        label=_("At most per person in all"),
        required=False,
        min_value=0,
        max_digits=14,
        decimal_places=3,
        widget=_decimal(),
    )
    delivery = forms.ChoiceField(
        label=_("Delivery"),
        choices=[
            ("DigitalDelivery", _("A digital card by e-mail")),
            ("Links", _("A claim link on the page My rewards")),
        ],
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        today = timezone.localdate()
        self.initial = {"starts_on": today, "ends_on": today + timedelta(days=364), **self.initial}
        self.fields["budget"].queryset = Budget.objects.filter(is_active=True)


class AwardFilters(django_filters.FilterSet):
    program = django_filters.ModelMultipleChoiceFilter(
        label=_("Program"), queryset=lambda request: Program.objects.filter(awards__isnull=False).distinct(),
        to_field_name="public_id",
    )  # fmt: skip
    given_by = django_filters.ModelMultipleChoiceFilter(
        label=_("Given by"), queryset=lambda request: User.objects.filter(pk__in=Award.objects.values("given_by")),
        to_field_name="public_id",
    )  # fmt: skip
    since = Since(field_name="created_at", label=_("From"))
    until = Until(field_name="created_at", label=_("To"))

    class Meta:
        model = Award
        fields: list[str] = []
