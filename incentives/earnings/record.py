"""The history of CRM records in words: what each activity changed, with the values before and after."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from uuid import UUID

from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.templatetags.laurel import EMPTY, number
from incentives.crm.models import Activity, ObjectState
from incentives.participants.models import Participant

SHOWN = 100
"""Activities of one record that are told; the oldest are left out beyond that."""
FIELDS = {
    "state": _("State"),
    "amount": _("Amount"),
    "quantity": _("Quantity"),
    "value": _("Reported value"),
    "currency": _("Currency"),
    "occurred_at": _("Counts at"),
    "close_date": _("Close date"),
    "region": _("Region"),
    "participant_id": _("Owner"),
    "splits": _("Shares"),
    "lines": _("Product lines"),
    "account": _("Account"),
    "partner": _("Partner"),
    "attributes": _("Other fields"),
    "baseline": _("Won before the connection went live"),
}
OWN = ("state", "amount", "quantity", "value", "currency", "occurred_at", "close_date", "region")
"""What the participant may read with its values; of the rest only that it changed."""


@dataclass(frozen=True, slots=True)
class Change:
    """One value that changed. `before` and `after` are empty where only the fact that it changed may be told."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Step:
    """One activity: `title` says what it was, `at` when it happened, `received` when we knew. `by` and `url` (the public
    id of the activity) are for staff."""

    record: str
    title: str
    at: datetime
    received: datetime
    changes: list[Change] = field(default_factory=list)
    by: str = ""
    activity: UUID | None = None


class Names:
    """Names of the people some activities mention, in two queries. `own`: only this participant is ever named."""

    def __init__(self, activities: Iterable[Activity], own: Participant | None):
        self.own, ids, public = own, set(), set()
        for activity in activities:
            for values in (activity.previous, activity.snapshot):
                ids.add(values.get("participant_id"))
                public |= {row.get("participant") for row in values.get("splits") or ()}
        self.ids = {} if own else dict(Participant.objects.filter(pk__in=ids - {None}).values_list("pk", "name"))
        known = (
            [] if own else Participant.objects.filter(public_id__in=public - {None}).values_list("public_id", "name")
        )
        self.public = {str(key): name for key, name in known}

    def owner(self, value) -> str:
        if self.own is not None:
            return gettext("you") if value == self.own.pk else gettext("somebody else")
        return self.ids.get(value) or EMPTY

    def splits(self, rows) -> str:
        if self.own is not None:
            rows = [row for row in rows or () if row.get("participant") == str(self.own.public_id)]
        told = [f"{self._name(row)} {_share(row)}".strip() for row in rows or ()]
        return ", ".join(told) or gettext("none")

    def _name(self, row) -> str:
        return gettext("you") if self.own is not None else self.public.get(row.get("participant"), EMPTY)


def _share(row) -> str:
    return f"{number(row['percentage'])} %" if row.get("percentage") not in (None, "") else str(row.get("amount") or "")


def history(state: ObjectState, own: Participant | None = None) -> list[Step]:
    """What happened to one record, oldest first. Three queries at most."""
    rows = state.activities.select_related("connection", "object").order_by("-pk")[:SHOWN]
    return steps(list(rows)[::-1], own)


def steps(activities: list[Activity], own: Participant | None = None) -> list[Step]:
    """Activities in words. `own`: as that participant may read them, without other people's data."""
    names = Names(activities, own)
    return [_step(activity, names) for activity in activities]


def _step(activity: Activity, names: Names) -> Step:
    changes = [
        _change(name, old, activity.snapshot.get(name), names)
        for name, old in activity.previous.items()
        if name in FIELDS
    ]
    staff = names.own is None
    return Step(
        record=_name(activity.object),
        title=str(activity.get_kind_display()),
        at=activity.occurred_at,
        received=activity.received_at,
        changes=changes or _at_first(activity),
        by=f"{activity.connection} ({activity.get_channel_display()})" if staff else "",
        activity=activity.public_id if staff else None,
    )


def _name(record: ObjectState) -> str:
    """An award by its reason alone: that it is one, the activity says."""
    reason = record.attributes.get("reason") if record.object_type == "award" else ""
    return str(reason or record)


def _at_first(activity: Activity) -> list[Change]:
    """What the first word about a record said: its amount or value."""
    if activity.previous:
        return []
    found = [(name, activity.snapshot.get(name)) for name in ("amount", "quantity", "value")]
    currency = activity.snapshot.get("currency") or ""
    return [
        Change(str(FIELDS[name]), "", f"{plain(value)} {currency if name == 'amount' else ''}".strip())
        for name, value in found
        if value not in (None, "")
    ]


def _change(name: str, old, new, names: Names) -> Change:
    label = str(FIELDS[name])
    if name == "participant_id":
        return Change(label, names.owner(old), names.owner(new))
    if name == "splits":
        return Change(label, names.splits(old), names.splits(new))
    if names.own is not None and name not in OWN:
        return Change(label, "", "")
    if name == "lines":
        return Change(label, str(len(old or ())), str(len(new or ())))
    if isinstance(old, dict) or isinstance(new, dict):
        return Change(label, *_differing(old or {}, new or {}))
    return Change(label, plain(old), plain(new))


def _differing(old: dict, new: dict) -> tuple[str, str]:
    keys = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))[:8]
    sides = (", ".join(f"{key} {plain(side.get(key))}" for key in keys) for side in (old, new))
    return tuple(sides)


def plain(value) -> str:
    """A stored value as a person reads it."""
    if value is None or value in ("", [], {}):
        return EMPTY
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    text = str(value)
    if "T" in text and (at := _moment(text)):
        return date_format(localtime(at), gettext("j M Y, H:i"))
    try:
        return number(Decimal(text))
    except (InvalidOperation, ValueError):
        return text[:120]


def _moment(text: str) -> datetime | None:
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found and found.tzinfo else None
