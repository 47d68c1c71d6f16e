"""Forms about participants."""

from django import forms
from django.utils.translation import gettext_lazy as _

from incentives.accounts.forms import time_zones
from incentives.participants.models import Participant, Partner, Team


class ParticipantForm(forms.ModelForm):
    """Shapes only; services check and record."""

    time_zone = forms.ChoiceField(label=_("Time zone"), choices=time_zones, initial="UTC")

    class Meta:
        model = Participant
        fields = (
            "name", "type", "email", "phone", "external_user_id", "employee_number", "team", "partner", "manager",
            "region", "country", "language", "time_zone", "started_on", "ended_on", "active",
        )  # fmt: skip
        widgets = {
            "started_on": forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
            "ended_on": forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        }
        help_texts = {
            "external_user_id": _("What CRM records, files and rules call this person."),
            "phone": _("With country code, for example +14155550123."),
            "partner": _("For partners' people only."),
        }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["phone"].validators, self.fields["phone"].max_length = [], 40
        self.fields["phone"].widget.attrs["maxlength"] = 40

    def validate_unique(self):
        """The service says it in words of its own."""

    def _post_clean(self):
        """Nothing is assigned to the instance here: the service does that, and records it."""


class ImportForm(forms.Form):
    file = forms.FileField(label=_("CSV or XLSX file"), help_text=_("The first row names the columns."))
    only_check = forms.BooleanField(
        label=_("Only check: show what would happen and store nothing"), required=False, initial=True
    )


class GroupFilterChoices:
    """Choices of filters, read when the page is shown."""

    @staticmethod
    def teams(request):
        return Team.objects.all()

    @staticmethod
    def partners(request):
        return Partner.objects.all()
