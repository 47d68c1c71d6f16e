"""Forms about one's own notices and about chat channels."""

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from incentives.notifications import registry, scopes
from incentives.notifications.models import ChannelEndpoint
from incentives.notifications.registry import Kind


class OwnForm(forms.Form):
    """One choice per kind, named `mode-<kind>`, and quiet hours."""

    quiet_from = forms.TimeField(
        label=_("Quiet from"), required=False, widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
        help_text=_("In your time zone. What comes meanwhile is sent afterwards."),
    )  # fmt: skip
    quiet_until = forms.TimeField(
        label=_("Quiet until"), required=False, widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"})
    )

    def __init__(self, *args, kinds: list[Kind], **kwargs):
        super().__init__(*args, **kwargs)
        self.kinds = kinds
        quiet = [self.fields.pop(name) for name in ("quiet_from", "quiet_until")]
        for one in kinds:
            self.fields[f"mode-{one.name}"] = forms.ChoiceField(label=one.label, choices=one.modes, help_text=one.about)
        self.fields["quiet_from"], self.fields["quiet_until"] = quiet

    def modes(self) -> dict[str, str]:
        return {one.name: self.cleaned_data[f"mode-{one.name}"] for one in self.kinds}

    def quiet(self):
        return self.cleaned_data["quiet_from"], self.cleaned_data["quiet_until"]


def chat_kinds() -> list[tuple[str, object]]:
    return [(one.name, one.label) for one in registry.every() if one.chat]


class ChannelForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=100, help_text=_("For example the name of the channel."))
    channel = forms.ChoiceField(label=_("Chat"), choices=ChannelEndpoint.Channel.choices)
    url = forms.CharField(
        label=_("Webhook address"), max_length=2000, strip=True,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "off"}),
        help_text=_("Whoever knows it can write to the channel: it is stored encrypted and not shown again."),
    )  # fmt: skip
    kinds = forms.MultipleChoiceField(
        label=_("What is told there"), choices=chat_kinds, widget=forms.CheckboxSelectMultiple
    )
    programs = forms.MultipleChoiceField(
        label=_("Only of these programs"), choices=scopes.programs, required=False,
        widget=forms.SelectMultiple(attrs={"size": 6}), help_text=_("Nothing chosen: all of them."),
    )  # fmt: skip
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES)

    def __init__(self, *args, known: bool = False, **kwargs):
        super().__init__(*args, **kwargs)
        if known:
            self.fields["url"].required = False
            self.fields["url"].help_text = _("Leave it empty to keep the address that is stored.")
