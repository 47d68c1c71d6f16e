"""Forms about disputes."""

import django_filters
from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from incentives.accounts.models import User
from incentives.accounts.permissions import roles_with
from incentives.core.listing import Since, Until
from incentives.disputes.models import Dispute
from incentives.disputes.services import TEXT, Correction
from incentives.programs.models import Program


def managers():
    """Who may answer."""
    return (
        User.objects.filter(is_active=True, role_set__role__in=roles_with("disputes.answer"))
        .distinct()
        .order_by("name")
    )


def _words(rows: int = 4):
    return forms.Textarea(attrs={"rows": rows})


class TextForm(forms.Form):
    text = forms.CharField(label=_("Your message"), max_length=TEXT, widget=_words())


class OptionalTextForm(forms.Form):
    text = forms.CharField(label=_("Anything to add"), max_length=TEXT, required=False, widget=_words(2))


class RaiseForm(forms.Form):
    text = forms.CharField(
        label=_("What do you think is wrong?"), max_length=TEXT, widget=_words(5),
        help_text=_("A program manager reads it and answers here."),
    )  # fmt: skip


class MissingForm(RaiseForm):
    missing = forms.CharField(
        label=_("What is missing?"), max_length=200, help_text=_("For example the name or number of the deal.")
    )
    program = forms.ModelChoiceField(
        label=_("In which program?"), queryset=Program.objects.none(), to_field_name="public_id", required=False,
        empty_label=_("I do not know"),
    )  # fmt: skip
    field_order = ["missing", "program", "text"]

    def __init__(self, *args, participant, **kwargs):
        super().__init__(*args, **kwargs)
        running = Q(status__in=(Program.Status.ACTIVE, Program.Status.CLOSING, Program.Status.CLOSED))
        mine = Q(participations__participant=participant)
        self.fields["program"].queryset = Program.objects.filter(running & mine).distinct().order_by("name")


class SeenForm(forms.Form):
    """Binds an answer to what the page showed."""

    seen = forms.IntegerField(widget=forms.HiddenInput)


class AnswerForm(SeenForm):
    text = forms.CharField(
        label=_("Answer"), max_length=TEXT, widget=_words(5), help_text=_("The participant reads it.")
    )


class CorrectForm(AnswerForm):
    correction = forms.ChoiceField(label=_("What was corrected"), choices=[])
    field_order = ["correction", "text", "seen"]

    def __init__(self, *args, candidates: list[Correction], **kwargs):
        super().__init__(*args, **kwargs)
        self.candidates = {f"{item.kind}:{item.ref}": item for item in candidates}
        self.candidates["other:"] = Correction("other", "", str(_("Something else, as the answer says")))
        self.fields["correction"].choices = [(key, item.label) for key, item in self.candidates.items()]

    def clean_correction(self) -> Correction:
        return self.candidates[self.cleaned_data["correction"]]


class AssignForm(SeenForm):
    to = forms.ModelChoiceField(
        label=_("Who looks after it"), queryset=User.objects.none(), to_field_name="public_id", required=False,
        empty_label=_("Nobody"),
    )  # fmt: skip

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["to"].queryset = managers()


class DisputeFilters(django_filters.FilterSet):
    about = django_filters.MultipleChoiceFilter(label=_("About"), choices=Dispute.About.choices)
    status = django_filters.MultipleChoiceFilter(label=_("State"), choices=Dispute.Status.choices)
    program = django_filters.ModelMultipleChoiceFilter(
        label=_("Program"), queryset=lambda request: Program.objects.filter(disputes__isnull=False).distinct(),
        to_field_name="public_id",
    )  # fmt: skip
    assigned_to = django_filters.ModelMultipleChoiceFilter(
        label=_("Looked after by"), queryset=lambda request: managers(), to_field_name="public_id"
    )
    since = Since(field_name="opened_at", label=_("From"))
    until = Until(field_name="opened_at", label=_("To"))

    class Meta:
        model = Dispute
        fields: list[str] = []
