"""Forms about participants."""

from django import forms
from django.utils.html import format_html, format_html_join
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


class PartnerForm(forms.ModelForm):
    """Shapes only; services check and record."""

    reason = forms.CharField(
        label=_("Reason"), max_length=300, required=False, help_text=_("Why it changes; kept in the history.")
    )

    class Meta:
        model = Partner
        fields = ("code", "name", "tier", "region", "country", "active")
        help_texts = {
            "code": _("What rules, files and CRM records call this partner."),
            "tier": _("As programs name it, for example gold. Rewards may differ by tier."),
            "country": _("Two letters such as PT."),
        }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.instance.pk is None:
            self.fields["reason"].widget = forms.HiddenInput()
        tiers = Partner.objects.exclude(tier="").order_by("tier").values_list("tier", flat=True).distinct()
        self.fields["tier"].widget = Suggesting("partner-tiers", tiers)

    def validate_unique(self):
        """The service says it in words of its own."""

    def _post_clean(self):
        """Nothing is assigned to the instance here: the service does that, and records it."""


class Suggesting(forms.TextInput):
    """A text field that suggests values known already, without a script."""

    def __init__(self, list_id: str, values):
        super().__init__({"list": list_id, "autocomplete": "off"})
        self.values = values

    def render(self, name, value, attrs=None, renderer=None):
        options = format_html_join("", '<option value="{}"></option>', ((text,) for text in self.values))
        field = super().render(name, value, attrs, renderer)
        return format_html('{}<datalist id="{}">{}</datalist>', field, self.attrs["list"], options)


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
