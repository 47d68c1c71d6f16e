"""Forms about connections, quarantine and file imports."""

import json

from django import forms
from django.utils.translation import gettext_lazy as _

from incentives.accounts.forms import time_zones
from incentives.crm.models import Connection, ConnectionSecret
from incentives.participants.models import Participant
from rewards.money import MINOR_DIGITS


def currencies() -> list[tuple[str, str]]:
    return [(code, code) for code in sorted(MINOR_DIGITS)]


def kinds() -> list[tuple[str, object]]:
    """What a person may make."""
    return [(value, label) for value, label in Connection.Kind.choices if value not in Connection.OWN]


class PrettyJSON(forms.JSONField):
    """JSON shown over several lines."""

    widget = forms.Textarea

    def __init__(self, *args, rows=6, **kwargs):
        kwargs.setdefault("required", False)
        kwargs["widget"] = forms.Textarea(attrs={"rows": rows, "spellcheck": "false", "class": "mono"})
        super().__init__(*args, **kwargs)

    def prepare_value(self, value):
        return value if isinstance(value, str) else json.dumps(value or {}, indent=2, ensure_ascii=False)

    def clean(self, value):
        return super().clean(value) or {}


class ConnectionForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=100)
    kind = forms.ChoiceField(label=_("Kind"), choices=kinds)
    currency = forms.ChoiceField(
        label=_("Currency"), choices=currencies, initial="USD", help_text=_("Of facts that name none.")
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"), choices=time_zones, help_text=_("Of dates that come without a time.")
    )
    go_live_at = forms.DateTimeField(
        label=_("Goes live"), required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text=_("Deals won before this moment are known but never rewarded."),
    )  # fmt: skip
    silent_after_hours = forms.IntegerField(
        label=_("Silent after hours"), required=False, min_value=1, max_value=8760,
        help_text=_("Administrators are told when nothing came for so long. Empty: never."),
    )  # fmt: skip


class ConnectionSettingsForm(ConnectionForm):
    kind = None
    stage_map = PrettyJSON(label=_("Stages"), help_text=_('For example {"Closed Won": "won", "Closed Lost": "lost"}.'))
    type_map = PrettyJSON(
        label=_("CloudEvents types"), help_text=_('For example {"com.example.deal.won": "deal.won"}.')
    )
    key_header = forms.CharField(
        label=_("Key header"), max_length=64, required=False, help_text=_("A header that may carry the key too.")
    )


class NewSecretForm(forms.Form):
    kind = forms.ChoiceField(
        label=_("Kind"), choices=ConnectionSecret.Kind.choices,
        help_text=_("The one in use stays valid for a day, so that you can change the sender meanwhile."),
    )  # fmt: skip


class ReasonForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), max_length=500, help_text=_("Kept in the audit trail."))


class RepairForm(forms.Form):
    """Mended values lie over what was received; what is left empty stays as it is."""

    participant = forms.ModelChoiceField(label=_("Participant"), queryset=Participant.objects.none(), required=False)
    remember = forms.BooleanField(
        label=_("From now on this id always means that participant"), required=False, initial=True
    )
    amount = forms.CharField(label=_("Amount"), max_length=40, required=False)
    currency = forms.ChoiceField(
        label=_("Currency"), choices=lambda: [("", _("as received")), *currencies()], required=False
    )
    quantity = forms.CharField(label=_("Quantity"), max_length=40, required=False)
    occurred_at = forms.CharField(
        label=_("When it happened"), max_length=40, required=False, help_text="2026-03-04T16:20:00+01:00"
    )
    state = forms.ChoiceField(
        label=_("State"), required=False,
        choices=[("", _("as received")), ("open", _("Open")), ("won", _("Won")), ("lost", _("Lost"))],
    )  # fmt: skip
    reason = forms.CharField(label=_("Reason"), max_length=500, help_text=_("Kept in the audit trail."))

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["participant"].queryset = Participant.objects.order_by("name")


class UploadForm(forms.Form):
    connection = forms.ModelChoiceField(label=_("Connection"), queryset=Connection.objects.none())
    file = forms.FileField(label=_("CSV or XLSX file"), help_text=_("The first row names the columns."))

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["connection"].queryset = Connection.objects.exclude(kind__in=Connection.OWN).order_by("name")


def column_choices(columns: list[str]) -> list[tuple[str, str]]:
    return [("", _("not in the file")), *((name, name) for name in columns if name)]


class MappingForm(forms.Form):
    """The usual columns by choice; anything more as JSON, which wins."""

    SIMPLE = ("object_id", "stage", "occurred_at", "close_date", "amount", "currency", "quantity", "region", "version")
    LABELS = {
        "object_id": _("Id of the record"), "stage": _("Stage"), "occurred_at": _("Day it was won or lost"),
        "close_date": _("Close date"), "amount": _("Amount"), "currency": _("Currency"), "quantity": _("Quantity"),
        "region": _("Region"), "version": _("Version"),
    }  # fmt: skip
    IDENTITY = (
        ("external_user_id", _("External user id")), ("email", _("E-mail address")),
        ("employee_number", _("Employee number")),
    )  # fmt: skip
    participant = forms.ChoiceField(label=_("Column of the participant"), required=False)
    participant_by = forms.ChoiceField(label=_("which is their"), choices=IDENTITY, required=False)
    won = forms.CharField(label=_("Stages that mean won"), required=False, initial="Won, Closed Won")
    lost = forms.CharField(label=_("Stages that mean lost"), required=False, initial="Lost, Closed Lost")
    product = forms.ChoiceField(label=_("Product"), required=False)
    family = forms.ChoiceField(label=_("Product family"), required=False)
    mapping = PrettyJSON(
        label=_("Whole mapping as JSON"), rows=12, help_text=_("If filled in, it is used instead of the choices above.")
    )
    full = forms.BooleanField(
        label=_("This is the whole list: records missing from the file count as deleted"), required=False
    )
    confirm_missing = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args, columns: list[str], **kwargs):
        super().__init__(*args, **kwargs)
        choices = column_choices(columns)
        for name in self.SIMPLE:
            self.fields[name] = forms.ChoiceField(label=self.LABELS[name], choices=choices, required=False)
        for name in ("participant", "product", "family"):
            self.fields[name].choices = choices
        first = (*self.SIMPLE[:2], "won", "lost", "participant", "participant_by", *self.SIMPLE[2:])
        self.order_fields([*first, "product", "family", "mapping", "full"])

    def made_mapping(self) -> dict:
        """The mapping the choices mean."""
        data = self.cleaned_data
        if data["mapping"]:
            return data["mapping"]
        mapping = {name: data[name] for name in self.SIMPLE if data.get(name)}
        if data["participant"]:
            mapping["participant"] = {data["participant_by"] or "external_user_id": data["participant"]}
        stages = {"won": data["won"], "lost": data["lost"]}
        mapping["stages"] = {
            label.strip(): state for state, labels in stages.items() for label in labels.split(",") if label.strip()
        } | {"*": "open"}
        line = {"name": data["product"], "family": data["family"], "total": data.get("amount")}
        line = {name: column for name, column in line.items() if column}
        if data["product"]:
            mapping["lines"] = [line]
        return mapping
