"""What a snapshot changes about an object: the table of crm-connectors 1.4 as pure functions on an ObjectState.

An object keeps two registers. The state register holds open, won, lost or deleted and the moment it became so; the
values register holds everything else. Each is set by the newest version that states it, so the order of arrival does not
matter; equal versions go by the order of receipt. An event is a hint: the activity follows from what differs.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from incentives.crm import receipt
from incentives.crm.models import ObjectState

VALUES = (
    "participant_id", "amount", "quantity", "currency", "lines", "splits", "account", "partner", "attributes", "region",
    "close_date",
)  # fmt: skip
STANDING = ("state", "occurred_at", "baseline", *VALUES)


@dataclass
class Snapshot:
    """One statement about an object. `state` is empty when it states none; `values` is None when it carries none."""

    state: str
    version: str
    order: int  # the delivery's number: decides between equal versions
    occurred_at: datetime
    received_at: datetime
    values: dict | None
    key: str = ""  # tells this statement's activity from others of the same transition

    @property
    def mark(self) -> tuple[str, int]:
        return self.version, self.order


@dataclass
class Change:
    """What came of a snapshot: `kind` is empty when no activity follows."""

    code: str  # changed, unchanged, stale, baseline
    kind: str = ""
    external_id: str = ""
    previous: dict = field(default_factory=dict)


def _standing(thing: ObjectState) -> dict:
    return {name: getattr(thing, name) for name in STANDING}


def plain_value(value):
    """As JSON: decimals and moments as text."""
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, (datetime, date)) else value


def apply_deal(thing: ObjectState, snapshot: Snapshot, go_live_at: datetime | None) -> Change:
    """Merge a snapshot of a deal into `thing` (in memory) and say which activity follows, if any."""
    receipt.remember(thing)
    first = not thing.version and not thing.state_version
    before, kind_before = _standing(thing), thing.kind
    thing.ever_won = thing.ever_won or snapshot.state == "won"
    newer = _merge(thing, snapshot)
    moved = receipt.note(thing, snapshot.state, snapshot.mark, snapshot.received_at)
    thing.baseline = thing.state == "won" and bool(go_live_at) and thing.occurred_at < go_live_at
    thing.kind = _standing_kind(thing)
    previous = {name: plain_value(old) for name, old in before.items() if getattr(thing, name) != old}
    kind = _transition(first, before, thing, bool(previous)) if newer else ""
    change = Change("changed", kind, previous={} if first else previous)
    if not newer:
        change.code = "stale"
    elif not kind:
        change.code = "baseline" if thing.baseline or first else "unchanged"
    _name(thing, snapshot, change)
    if previous or moved or thing.kind != kind_before:
        thing.changed_seq += 1
    return change


def _merge(thing: ObjectState, snapshot: Snapshot) -> bool:
    """Set the registers this snapshot is newest for. False when it is stale for both."""
    mark, newer = snapshot.mark, False
    if snapshot.state and mark >= (thing.state_version, thing.state_delivery):
        thing.state, thing.occurred_at = snapshot.state, snapshot.occurred_at
        thing.state_version, thing.state_delivery = mark
        newer = True
    if snapshot.values is not None and mark >= (thing.version, thing.version_delivery):
        for name, value in snapshot.values.items():
            setattr(thing, name, value)
        thing.version, thing.version_delivery = mark
        if not thing.state_version:
            thing.occurred_at = snapshot.occurred_at
        newer = True
    return newer


def _standing_kind(thing: ObjectState) -> str:
    if thing.state in {"won", "lost", "deleted"}:
        return f"deal.{thing.state}"
    return "deal.reopened" if thing.ever_won and thing.state == "open" else "deal.updated"


def _transition(first: bool, before: dict, thing: ObjectState, differs: bool) -> str:
    """The activity's kind by the table, or empty."""
    old, new = before["state"] or "open", thing.state or "open"
    if new == "won":
        if thing.baseline and (old != "won" or before["baseline"]):
            return ""
        if old == "won" and not (before["baseline"] and not thing.baseline):
            return "deal.updated" if differs else ""
        return "deal.won"
    if new in {"lost", "deleted"}:
        return "" if first or old == new else f"deal.{new}"
    if old == "won":
        return "deal.reopened"
    return "deal.updated" if first or differs else ""


def _name(thing: ObjectState, snapshot: Snapshot, change: Change) -> None:
    """The activity's key: object and transition; a win is numbered, the rest told apart by the statement's own key."""
    record = f"{thing.object_type}:{thing.object_id}"
    if change.kind == "deal.won":
        thing.win_ordinal += 1
        change.external_id = thing.external_id = f"{record}:won:{thing.win_ordinal}"
    elif change.kind:
        change.external_id = f"{record}:{change.kind.removeprefix('deal.')}:{snapshot.key}"
        if thing.state != "won":  # while won, the win is what stands
            thing.external_id = change.external_id


def apply_claim(thing: ObjectState, snapshot: Snapshot, external_id: str) -> Change:
    """A claim waits for approval (or has it); a later statement of it before that replaces its values. One that was
    taken back stays so, whichever statement arrives first."""
    before = _standing(thing)
    newer = _merge(thing, snapshot)
    moved = receipt.note(thing, "", snapshot.mark, snapshot.received_at)
    thing.kind = "deal.deleted" if thing.state == "deleted" else "claim.submitted"
    if not newer or _standing(thing) == before:
        thing.changed_seq += moved
        return Change("unchanged" if newer else "stale")
    thing.external_id = external_id
    thing.changed_seq += 1
    previous = {k: plain_value(v) for k, v in before.items() if thing.changed_seq > 1 and getattr(thing, k) != v}
    return Change("changed", "claim.submitted", external_id, previous)


def apply_award(thing: ObjectState, snapshot: Snapshot, external_id: str) -> Change:
    """An award stands as given until it is cancelled; the newest version decides whatever the order of arrival."""
    before, first = _standing(thing), not thing.state_version
    newer = _merge(thing, snapshot)
    moved = receipt.note(thing, "", snapshot.mark, snapshot.received_at)
    thing.kind = "award.given" if thing.state == "given" else "award.cancelled"
    if not newer or _standing(thing) == before:
        thing.changed_seq += moved
        return Change("unchanged" if newer else "stale")
    thing.external_id = external_id
    thing.changed_seq += 1
    previous = {} if first else {k: plain_value(v) for k, v in before.items() if getattr(thing, k) != v}
    return Change("changed", thing.kind, external_id, previous)


def apply_metric(
    thing: ObjectState, snapshot: Snapshot, *, external_id: str, mode: str, value: Decimal, later_adds
) -> Change:
    """A reported figure: `set` replaces the value, `add` increments it; additions older than a `set` are covered by it.

    `later_adds(mark)` gives (value, occurred_at) of the additions to this object that are newer than `mark`.
    """
    mark, before = snapshot.mark, plain_value(thing.value)
    moved = receipt.note(thing, "", mark, snapshot.received_at)
    if mark < (thing.state_version, thing.state_delivery):
        thing.changed_seq += moved
        return Change("stale", "metric.reported" if mode == "add" else "", external_id if mode == "add" else "")
    if mode == "set":
        adds = later_adds(mark)
        thing.value = value + sum((added for added, _ in adds), Decimal(0))
        thing.occurred_at = max([snapshot.occurred_at, *(at for _, at in adds)])
        thing.state_version, thing.state_delivery = mark
    else:
        thing.value = (thing.value or Decimal(0)) + value
        thing.occurred_at = max(thing.occurred_at or snapshot.occurred_at, snapshot.occurred_at)
    thing.state, thing.kind = "reported", "metric.reported"
    _merge_values(thing, snapshot)
    thing.external_id = external_id
    thing.changed_seq += 1
    return Change("changed", "metric.reported", external_id, {} if before is None else {"value": before})


def _merge_values(thing: ObjectState, snapshot: Snapshot) -> None:
    if snapshot.mark >= (thing.version, thing.version_delivery):
        for name, found in (snapshot.values or {}).items():
            setattr(thing, name, found)
        thing.version, thing.version_delivery = snapshot.version, snapshot.order
