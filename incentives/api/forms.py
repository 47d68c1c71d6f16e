"""Forms that make tokens."""

from django import forms
from django.utils.translation import gettext_lazy as _

from incentives.accounts.models import User
from incentives.api.scopes import offered
from incentives.crm.models import Connection

DAYS = [(30, _("30 days")), (90, _("90 days")), (180, _("180 days")), (365, _("a year"))]


class TokenForm(forms.Form):
    """`user` says which scopes there are to choose from."""

    name = forms.CharField(
        label=_("Name"), max_length=100, help_text=_("What uses it, for example Nightly export to the warehouse."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"), widget=forms.CheckboxSelectMultiple,
        help_text=_("Take as few as it needs. A scope never gives more than the role has."),
    )  # fmt: skip
    days = forms.TypedChoiceField(label=_("Ends after"), choices=DAYS, coerce=int, initial=90)
    connection = forms.ModelChoiceField(
        label=_("Connection"), queryset=Connection.objects.none(), required=False, to_field_name="public_id",
        help_text=_("Only where it sends activities: the connection they belong to."),
    )  # fmt: skip

    def __init__(self, *args, user: User, **kwargs):
        super().__init__(*args, **kwargs)
        scopes = offered(user)
        self.fields["scopes"].choices = [(name, f"{scope.label} ({name})") for name, scope in scopes]
        if "activities:write" in dict(scopes):
            self.fields["connection"].queryset = Connection.objects.exclude(kind__in=Connection.OWN)
        else:
            del self.fields["connection"]

    def clean(self):
        data = super().clean()
        sends = "activities:write" in data.get("scopes", ())
        if sends and not data.get("connection"):
            self.add_error("connection", _("Choose the connection that the activities belong to."))
        if not sends:
            data["connection"] = None
        return data
