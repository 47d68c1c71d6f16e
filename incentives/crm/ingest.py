"""From stored deliveries to object states and activities (crm-connectors 1.2, steps 2 and 3).

Workers claim deliveries in batches (lease, fence, skip locked) and work through each batch in one transaction: find the
people, lock the objects, compare snapshots, add activities under their unique keys. A business problem puts the delivery
on the quarantine list; anything unexpected rolls the batch back and goes on one by one, so one bad row stops nothing.
"""

import hashlib
import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from incentives.crm import events, resolve
from incentives.crm.errors import MalformedEvent, Quarantine
from incentives.crm.identity import Resolver
from incentives.crm.jsonio import content_hash
from incentives.crm.models import Activity, Connection, Delivery, ObjectState
from rewards.money import MINOR_DIGITS

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=180)
MAX_ATTEMPTS = 5
FUTURE = timedelta(hours=24)
DEAL_STATES = events.DEAL_STATES
CARRIES = ("amount", "quantity", "lines", "splits")


@dataclass
class Work:
    """A delivery on its way to an activity."""

    delivery: Delivery
    event: dict
    kind: str
    state: str
    people: Resolver
    snapshot: resolve.Snapshot | None = None
    key: tuple[str, str] = ("", "")


@dataclass
class Outcome:
    delivery: Delivery
    status: str
    code: str = ""
    message: str = ""


def process_deliveries(limit: int = 500) -> int:
    """Claim and work through up to `limit` waiting deliveries, oldest first. Returns how many were claimed.

    Safe to run anywhere, at any time, by any number of workers; with nothing waiting it is one query.
    """
    claimed = _claim(limit)
    if not claimed:
        return 0
    try:
        _process(claimed)
    except Exception:
        log.warning("a batch of %s deliveries failed; going on one by one", len(claimed), exc_info=True)
        for pk, gen in claimed.items():
            _process_alone(pk, gen)
    return len(claimed)


def _claim(limit: int) -> dict[int, int]:
    """Lease deliveries that are due: {pk: fence}. The conditional update is the guard where row locks are ignored."""
    now = timezone.now()
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    due = Delivery.objects.filter(
        free, status=Delivery.Status.PENDING, next_attempt_at__lte=now, connection__status=Connection.Status.ACTIVE
    )
    if not due.exists():  # without taking SQLite's one write lock
        return {}
    with transaction.atomic():
        pks = list(
            due.select_for_update(skip_locked=True, of=("self",), no_key=True)
            .order_by("pk")
            .values_list("pk", flat=True)[:limit]
        )
        mine = Delivery.objects.filter(pk__in=pks)
        mine.filter(free, status=Delivery.Status.PENDING).update(
            lease_until=now + LEASE, lease_gen=F("lease_gen") + 1, attempts=F("attempts") + 1
        )
        return dict(mine.values_list("pk", "lease_gen"))


def _process_alone(pk: int, gen: int) -> None:
    try:
        _process({pk: gen})
    except Exception as exc:
        log.exception("delivery %s failed", pk)
        _note_failure(pk, gen, exc)


def _note_failure(pk: int, gen: int, exc: Exception) -> None:
    """Try again later, at growing distances; after MAX_ATTEMPTS a person has to look."""
    mine = Delivery.objects.filter(pk=pk, lease_gen=gen, status=Delivery.Status.PENDING)
    attempts = mine.values_list("attempts", flat=True).first()
    if attempts is None:
        return
    found = {"code": "internal", "message": f"Processing failed: {type(exc).__name__}.", "lease_until": None}
    if attempts >= MAX_ATTEMPTS:
        found["status"] = Delivery.Status.FAILED
    else:
        found["next_attempt_at"] = timezone.now() + timedelta(seconds=15 * 2**attempts)
    mine.update(**found)


def _process(claimed: dict[int, int]) -> None:
    with transaction.atomic():
        rows = Delivery.objects.select_for_update(of=("self",), no_key=True).filter(
            pk__in=claimed, status=Delivery.Status.PENDING
        )
        groups: dict[int, list[Delivery]] = {}
        for row in rows.select_related("connection").order_by("pk"):
            if row.lease_gen == claimed[row.pk]:
                groups.setdefault(row.connection_id, []).append(row)
        for _, deliveries in sorted(groups.items()):
            _process_connection(deliveries[0].connection, deliveries)


def _process_connection(connection: Connection, deliveries: list[Delivery]) -> None:
    outcomes, parsed = [], []
    for delivery in deliveries:
        try:
            parsed.append((delivery, *read(connection, delivery)))
        except (MalformedEvent, Quarantine) as exc:
            outcomes.append(Outcome(delivery, Delivery.Status.QUARANTINED, exc.code, exc.user_message))
    people = Resolver(connection, [who for _, event, _, _ in parsed for who in _identities(event)])
    works = []
    for delivery, event, kind, state in parsed:
        work = Work(delivery, event, kind, state, people)
        try:
            _examine(connection, work)
            works.append(work)
        except Quarantine as exc:
            outcomes.append(Outcome(delivery, Delivery.Status.QUARANTINED, exc.code, exc.user_message))
    Batch(connection, works).run(outcomes)
    people.save_links()
    _write_outcomes(connection, deliveries, outcomes)


def _identities(event: dict) -> list[dict]:
    return [event.get("participant", {}), *(split.get("participant", {}) for split in event.get("splits", []))]


def read(connection: Connection, delivery: Delivery) -> tuple[dict, str, str]:
    """The event with its repairs, its kind and the state it states.

    Raises MalformedEvent, Quarantine (a type or stage the connection does not map).
    """
    event = delivery.event
    if event.get("kind") in events.INTERNAL_KINDS and connection.kind != Connection.Kind.AWARDS:
        raise Quarantine("internal_kind", f"Only Laurel itself states {event['kind']}.")
    if delivery.overrides:
        event = events.normalise({**event, **delivery.overrides}, require_time=False)
    kind = event.get("kind", "")
    if not kind and event.get("type"):
        kind = connection.type_map.get(event["type"], "")
        if kind not in events.KINDS:
            raise Quarantine("unmapped_type", f"The type {event['type']!r} has no kind in the connection's type map.")
        event = events.normalise({**event, "kind": kind}, require_time=False)
    state = DEAL_STATES.get(kind) or event.get("state", "")
    if kind in ("", "deal.updated") and not state and event.get("stage") and (connection.stage_map or not kind):
        state = connection.stage_map.get(event["stage"], "")
        if state not in events.STATES:
            raise Quarantine("unmapped_stage", f"The stage {event['stage']!r} is not in the connection's stage map.")
    return event, kind or "deal.updated", state


def _examine(connection: Connection, work: Work) -> None:
    """Check the business side and build the snapshot. Raises Quarantine."""
    delivery, event = work.delivery, work.event
    occurred_at = _moment(event.get("occurred_at")) or delivery.received_at
    if occurred_at > timezone.now() + FUTURE:
        raise Quarantine(
            "occurred_in_future", f"occurred_at {occurred_at:%Y-%m-%d %H:%M} UTC is more than 24 hours ahead."
        )
    is_deal = work.kind.startswith("deal.")
    if not is_deal and connection.go_live_at and occurred_at < connection.go_live_at:
        raise Quarantine("before_go_live", f"occurred_at {occurred_at:%Y-%m-%d} is before the connection's go-live.")
    values = None
    if work.kind not in ("deal.reopened", "deal.lost", "deal.deleted") or any(event.get(name) for name in CARRIES):
        values = _values(connection, work)
    thing = event.get("object", {})
    work.snapshot = resolve.Snapshot(
        state=_stated(connection, work, is_deal),
        version=_version(delivery, thing.get("version", ""), occurred_at),
        order=delivery.pk,
        occurred_at=occurred_at,
        received_at=delivery.received_at,
        values=values,
        key=hashlib.sha256(f"{delivery.delivery_key}|{content_hash(event)}".encode()).hexdigest()[:16],
    )
    work.key = _metric_key(work) if work.kind == "metric.reported" else (thing["type"], thing["id"])


def _stated(connection: Connection, work: Work, is_deal: bool) -> str:
    """The state an event states. A claim from outside waits for an approval; one that was reviewed here comes through
    Laurel's own connection."""
    if work.kind == "claim.submitted":
        return "approved" if connection.kind == Connection.Kind.CLAIMS else "pending"
    return events.AWARD_STATES.get(work.kind, work.state if is_deal else "")


def _version(delivery: Delivery, stated: str, occurred_at: datetime) -> str:
    """What the source states; a file row without one is as new as its import; any other event as its moment."""
    if stated:
        return events.sortable_version(stated)
    at = delivery.received_at if delivery.channel == Delivery.Channel.FILE else occurred_at
    return "t:" + at.astimezone(UTC).isoformat(timespec="microseconds")


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _metric_key(work: Work) -> tuple[str, str]:
    event, owner = work.event, work.snapshot.values["participant_id"]
    if not event.get("period_start"):
        return "metric_entry", event["external_id"]
    return "metric", f"{owner}:{event['metric']}:{event['period_start']}:{event.get('period_end', '')}"


def _values(connection: Connection, work: Work) -> dict:
    event = work.event
    currency = event.get("currency") or connection.currency
    if currency not in MINOR_DIGITS:
        raise Quarantine("unknown_currency", f"currency: expected an ISO 4217 code such as USD, found {currency!r}.")
    for line in event.get("lines", []):
        if line.get("currency", currency) != currency:
            raise Quarantine(
                "mixed_currencies", f"lines: expected {currency} as in the record, found {line['currency']}."
            )
    amount = _positive(connection, event, "amount")
    found = {
        "participant_id": _owner(work),
        "amount": amount,
        "quantity": _positive(connection, event, "quantity"),
        "currency": currency,
        "lines": event.get("lines", []),
        "splits": _splits(work, amount),
        "account": event.get("account", {}),
        "partner": event.get("partner", {}),
        "attributes": _attributes(event),
        "region": event.get("region", ""),
        "close_date": date.fromisoformat(event["close_date"]) if event.get("close_date") else None,
    }
    if work.kind == "metric.reported":
        found.update(_metric_values(connection, event))
    return found


def _attributes(event: dict) -> dict:
    found = dict(event.get("attributes", {}))
    for name in ("stage", "evidence"):
        if event.get(name):
            found.setdefault(name, event[name])
    return found


def _metric_values(connection: Connection, event: dict) -> dict:
    if event["mode"] == "set":
        _positive(connection, event, "value")
    elif abs(Decimal(event["value"])) > connection.max_amount:
        raise Quarantine("absurd_value", f"value: expected at most {connection.max_amount:f}, found {event['value']}.")
    return {
        "metric": event["metric"],
        "period_start": date.fromisoformat(event["period_start"]) if event.get("period_start") else None,
        "period_end": date.fromisoformat(event["period_end"]) if event.get("period_end") else None,
    }


def _positive(connection: Connection, event: dict, field: str) -> Decimal | None:
    if event.get(field) is None:
        return None
    number = Decimal(event[field])
    if number < 0:
        raise Quarantine(f"negative_{field}", f"{field}: expected zero or more, found {event[field]}.")
    if number > connection.max_amount:
        raise Quarantine(
            f"absurd_{field}", f"{field}: expected at most {connection.max_amount:f}, found {event[field]}."
        )
    return number


def _owner(work: Work) -> int | None:
    """The participant's primary key. A record whose owner is a queue may still name people in its splits."""
    stated, has_splits = work.event.get("participant", {}), bool(work.event.get("splits"))
    if not stated:
        if not has_splits or work.kind == "metric.reported":
            raise Quarantine("participant_missing", "participant: expected an e-mail address or an id, found nothing.")
        return None
    try:
        return work.people.find(stated).pk
    except Quarantine:
        if has_splits and work.kind != "metric.reported":
            return None
        raise


def _splits(work: Work, amount: Decimal | None) -> list[dict]:
    splits, total = [], Decimal(0)
    for split in work.event.get("splits", []):
        person = work.people.find(split.get("participant", {}))
        share = {**split, "participant": str(person.public_id)}
        if "percentage" not in share:
            if not amount:
                raise Quarantine("split_without_share", "splits: a share given as an amount needs the deal's amount.")
            portion = Decimal(share["amount"]) * 100 / amount
            share["percentage"] = format(portion.quantize(Decimal("0.000001"), ROUND_HALF_UP), "f")
        if share["type"] == "revenue":
            total += Decimal(share["percentage"])
        splits.append(share)
    if total > Decimal("100.0001"):
        raise Quarantine(
            "splits_over_100", f"splits: revenue shares add up to {total:f} per cent; expected at most 100."
        )
    return splits


class Batch:
    """The deliveries of one connection in one transaction, in the order they were received."""

    def __init__(self, connection: Connection, works: list[Work]):
        self.connection, self.works = connection, works
        self.things = self._lock({work.key for work in works})
        self.known = self._known_facts()
        self.touched: dict[tuple[str, str], ObjectState] = {}
        self.activities: list[Activity] = []

    def _lock(self, keys: set[tuple[str, str]]) -> dict[tuple[str, str], ObjectState]:
        """Lock the objects that exist, in one order for everybody. New ones meet their unique key when written."""
        by_type: dict[str, list[str]] = {}
        for object_type, object_id in keys:
            by_type.setdefault(object_type, []).append(object_id)
        wanted = Q(pk__in=[])
        for object_type, ids in by_type.items():
            wanted |= Q(object_type=object_type, object_id__in=ids)
        rows = (
            ObjectState.objects.select_for_update(no_key=True).filter(wanted, connection=self.connection).order_by("pk")
        )
        return {(row.object_type, row.object_id): row for row in rows}

    def _known_facts(self) -> set[str]:
        """Reported figures and claims that were emitted before under their caller's id."""
        ids = [work.event["external_id"] for work in self.works if not work.kind.startswith("deal.")]
        known = (
            Activity.objects.filter(connection=self.connection, external_id__in=ids) if ids else Activity.objects.none()
        )
        return set(known.values_list("external_id", flat=True))

    def run(self, outcomes: list[Outcome]) -> None:
        for work in self.works:
            change = self._apply(work)
            status = Delivery.Status.PROCESSED if change.kind else Delivery.Status.IGNORED
            outcomes.append(Outcome(work.delivery, status, "" if change.kind else change.code))
        self._write()

    def _thing(self, key: tuple[str, str]) -> ObjectState:
        if key not in self.things:
            self.things[key] = ObjectState(connection=self.connection, object_type=key[0], object_id=key[1])
        return self.things[key]

    def _apply(self, work: Work) -> resolve.Change:
        thing, external_id = self._thing(work.key), work.event["external_id"]
        if work.kind.startswith("deal."):
            change = resolve.apply_deal(thing, work.snapshot, self.connection.go_live_at)
        elif external_id in self.known:
            return resolve.Change("unchanged")
        elif work.kind == "claim.submitted":
            change = resolve.apply_claim(thing, work.snapshot, external_id)
        elif work.kind in events.INTERNAL_KINDS:
            change = resolve.apply_award(thing, work.snapshot, external_id)
        else:
            change = self._apply_metric(thing, work)
        self.touched[work.key] = thing
        if change.kind:
            self.known.add(change.external_id)
            self.activities.append(self._activity(thing, work, change))
        return change

    def _apply_metric(self, thing: ObjectState, work: Work) -> resolve.Change:
        return resolve.apply_metric(
            thing,
            work.snapshot,
            external_id=work.event["external_id"],
            mode=work.event["mode"],
            value=Decimal(work.event["value"]),
            later_adds=lambda mark: self._later_adds(thing, mark),
        )

    def _later_adds(self, thing: ObjectState, mark: tuple[str, int]) -> list[tuple[Decimal, datetime]]:
        rows = [activity for activity in self.activities if activity.object is thing]
        rows += Activity.objects.filter(object=thing) if thing.pk else []
        adds = (row for row in rows if row.snapshot.get("mode") == "add")
        return [
            (Decimal(row.snapshot["reported"]), row.occurred_at)
            for row in adds
            if (row.version, row.snapshot["order"]) > mark
        ]

    def _activity(self, thing: ObjectState, work: Work, change: resolve.Change) -> Activity:
        delivery = work.delivery
        return Activity(
            connection=self.connection,
            external_id=change.external_id,
            object=thing,
            kind=change.kind,
            occurred_at=work.snapshot.occurred_at,
            received_at=delivery.received_at,
            participant_id=thing.participant_id,
            version=work.snapshot.version,
            snapshot=_frozen(thing, work),
            previous=change.previous,
            delivery=delivery,
            channel=delivery.channel,
        )

    def _write(self) -> None:
        things = list(self.touched.values())
        now = timezone.now()
        for thing in things:
            thing.updated_at = now
        # New ones in one order for everybody: two workers that have the same ones wait, and not in a circle.
        new = sorted((thing for thing in things if thing.pk is None), key=lambda new: (new.object_type, new.object_id))
        ObjectState.objects.bulk_create(new, batch_size=200)
        changed = [thing for thing in things if not thing._state.adding and thing.pk]
        for thing in changed:
            thing.save(force_update=True)
        Activity.objects.bulk_create(self.activities, batch_size=200)


def _frozen(thing: ObjectState, work: Work) -> dict:
    """The object as it stood after this fact. It is kept for ever, so people are named by key and never by address."""
    frozen = {name: resolve.plain_value(getattr(thing, name)) for name in resolve.STANDING}
    frozen = {name: value for name, value in frozen.items() if value not in (None, "", [], {}, False)}
    if work.event.get("attributes", {}).get("superseded_by"):
        frozen["superseded_by"] = work.event["attributes"]["superseded_by"]
    if work.kind == "metric.reported":
        frozen.update(
            metric=thing.metric,
            mode=work.event["mode"],
            reported=work.event["value"],
            value=resolve.plain_value(thing.value),
            order=work.snapshot.order,
        )
    return frozen


def _write_outcomes(connection: Connection, deliveries: list[Delivery], outcomes: list[Outcome]) -> None:
    now = timezone.now()
    groups: dict[tuple, list[int]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.status, outcome.code, outcome.message), []).append(outcome.delivery.pk)
    for (status, code, message), pks in groups.items():
        Delivery.objects.filter(pk__in=pks, status=Delivery.Status.PENDING).update(
            status=status, code=code, message=message, processed_at=now, lease_until=None
        )
    latest = max(delivery.received_at for delivery in deliveries)
    Connection.objects.filter(Q(last_received_at=None) | Q(last_received_at__lt=latest), pk=connection.pk).update(
        last_received_at=latest
    )
