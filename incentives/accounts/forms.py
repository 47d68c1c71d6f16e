"""Forms about people."""

import zoneinfo

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from incentives.accounts.models import Role


def time_zones() -> list[tuple[str, str]]:
    """Named places and UTC, without the aliases of old systems."""
    areas = ("Africa/", "America/", "Antarctica/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/")
    names = sorted(name for name in zoneinfo.available_timezones() if name.startswith(areas))
    return [("UTC", "UTC"), *((name, name.replace("_", " ")) for name in names)]


def roles_field(**kwargs):
    return forms.MultipleChoiceField(
        label=_("Roles"),
        choices=Role.choices,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"invalid_choice": _("There is no role “%(value)s”.")},
        **kwargs,
    )


class InviteForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    email = forms.EmailField(
        label=_("E-mail address"),
        help_text=_("They sign in with it and get the link to choose a password there."),
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    roles = roles_field()


class RolesForm(forms.Form):
    roles = roles_field(required=False, help_text=_("Without any role a person can sign in but sees nothing."))


class ReasonForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), max_length=500, help_text=_("Kept in the audit trail."))


class ProfileForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    time_zone = forms.ChoiceField(
        label=_("Time zone"), choices=time_zones, help_text=_("Times on every page are shown in it.")
    )
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES)
