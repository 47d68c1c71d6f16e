"""Receiving: one Delivery row per event, stored before anything else happens (crm-connectors 1.2, step 1).

No rule is evaluated and nobody is called here. The same delivery again changes nothing; the same id with other content
is a conflict and changes nothing either.
"""

from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db import connection as database
from django.db.models import Q
from django.utils import timezone

from incentives.core.logs import request_id
from incentives.crm import events
from incentives.crm.errors import Conflict, DomainError, MalformedEvent
from incentives.crm.jsonio import content_hash, dumps
from incentives.crm.models import Connection, Delivery
from incentives.crm.nudge import nudge

ACCEPTED, DUPLICATE, REJECTED = "accepted", "duplicate", "rejected"


@dataclass
class Result:
    """What became of one event."""

    external_id: str
    status: str
    error: DomainError | None = None

    def as_json(self) -> dict:
        answer = {"external_id": self.external_id, "status": self.status}
        if self.error is not None:
            answer["error"] = {"code": self.error.code, "message": self.error.user_message}
        return answer


@dataclass
class Incoming:
    """A normalised event on its way into a delivery. `key` is the delivery key; `raw` what was received."""

    event: dict
    key: str
    raw: str
    external_id: str = ""
    headers: dict = field(default_factory=dict)
    channel: str = Delivery.Channel.PUSH
    received_at: datetime | None = None
    import_job_id: int | None = None
    digest: str = ""  # of the content, where the caller computed it already

    def row(self, connection: Connection) -> Delivery:
        thing = self.event.get("object", {})
        return Delivery(
            connection=connection,
            delivery_key=self.key,
            external_id=self.external_id,
            object_type=thing.get("type", ""),
            object_id=thing.get("id", ""),
            channel=self.channel,
            raw=self.raw,
            event=self.event,
            content_hash=self.digest or content_hash(self.event),
            headers=self.headers,
            received_at=self.received_at or timezone.now(),
            request_id=request_id.get(),
            import_job_id=self.import_job_id,
        )


def prepare(
    given: dict, *, key: str = "", raw: str | None = None, headers: dict | None = None, internal: bool = False, **more
) -> Incoming:
    """Normalise one generic event. Raises MalformedEvent. `key` takes precedence over the event's external_id;
    `internal`: Laurel itself states it."""
    if not isinstance(given, dict):
        raise MalformedEvent("event", "a JSON object", type(given).__name__)
    given = dict(given)
    cloud_key = given.pop("_key", "")
    event = events.normalise(given, internal=internal)
    external_id = event["external_id"]
    chosen = (key if key.startswith("wh:") else "") or cloud_key or key or f"ev:{external_id}"
    if len(chosen) > 400:
        raise MalformedEvent("id", "a delivery key of at most 390 characters", f"{len(chosen)} characters")
    return Incoming(
        event=event,
        key=chosen,
        raw=dumps(given) if raw is None else raw,
        external_id=external_id,
        headers=headers or {},
        **more,
    )


def receive_one(connection: Connection, incoming: Incoming) -> Result:
    """Store one event: accepted, or duplicate when the same content is known. One insert in the usual case.

    Raises Conflict for known ids with other content; nothing is changed then.
    """
    row = incoming.row(connection)
    try:
        with transaction.atomic() if database.in_atomic_block else _no_transaction():
            row.save(force_insert=True)
    except IntegrityError:
        known = _known(connection, [row])
        clash = next((other for other in known if not _same(row, other)), None)
        if clash is not None or not known:
            raise Conflict from None
        return Result(incoming.external_id, DUPLICATE)
    nudge()
    return Result(incoming.external_id, ACCEPTED)


class _no_transaction:  # noqa: N801 (reads as the function it replaces)
    """One insert commits itself: BEGIN and COMMIT around it would only cost round trips."""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False


def _same(row: Delivery, other: Delivery) -> bool:
    return row.content_hash == other.content_hash


def _known(connection: Connection, rows: list[Delivery]) -> list[Delivery]:
    external_ids = [row.external_id for row in rows if row.external_id]
    matches = Q(delivery_key__in=[row.delivery_key for row in rows])
    if external_ids:
        matches |= Q(external_id__in=external_ids)
    columns = ("public_id", "delivery_key", "external_id", "content_hash")
    return list(Delivery.objects.filter(matches, connection=connection).only(*columns))


def receive_many(connection: Connection, items: list[Incoming | Result]) -> list[Result]:
    """Store a batch in one transaction; an item that was refused before (a Result) keeps its place in the answer.

    Each item is accepted, duplicate or rejected (conflict) by itself, whoever else sends it at the same moment: the
    unique keys decide, and what was stored is read back.
    """
    rows, results = {}, list(items)
    seen: dict[tuple[str, str], Delivery] = {}
    for place, item in enumerate(items):
        if isinstance(item, Result):
            continue
        row = item.row(connection)
        earlier = seen.get(("key", row.delivery_key)) or (
            seen.get(("id", row.external_id)) if row.external_id else None
        )
        if earlier is not None:
            results[place] = _repeated(row, same=_same(row, earlier))
            continue
        seen["key", row.delivery_key] = seen["id", row.external_id] = rows[place] = row
    if rows:
        if _all_new(rows):
            results = [_accepted(rows[place]) if place in rows else found for place, found in enumerate(results)]
        else:
            with transaction.atomic():
                Delivery.objects.bulk_create(rows.values(), ignore_conflicts=True, batch_size=500)
                stored = _known(connection, list(rows.values()))
            _judge(rows, stored, results)
        nudge()
    return results


def _all_new(rows: dict[int, Delivery]) -> bool:
    """Insert them all, or none when the database knows one of them. In the usual case nothing has to be read back."""
    try:
        with transaction.atomic():
            Delivery.objects.bulk_create(rows.values(), batch_size=500)
    except IntegrityError:
        for row in rows.values():  # what a rolled back statement may have left on them
            row.pk, row._state.adding = None, True
        return False
    return True


def _accepted(row: Delivery) -> Result:
    return Result(row.external_id or row.delivery_key, ACCEPTED)


def _repeated(row: Delivery, *, same: bool) -> Result:
    name = row.external_id or row.delivery_key
    return Result(name, DUPLICATE) if same else Result(name, REJECTED, Conflict())


def _judge(rows: dict[int, Delivery], stored: list[Delivery], results: list) -> None:
    """Compare what we tried to insert with what the database holds now."""
    by_key = {other.delivery_key: other for other in stored}
    by_external = {other.external_id: other for other in stored if other.external_id}
    for place, row in rows.items():
        others = [o for o in (by_key.get(row.delivery_key), by_external.get(row.external_id)) if o is not None]
        if any(other.public_id == row.public_id for other in others):
            results[place] = _accepted(row)
        else:
            results[place] = _repeated(row, same=all(_same(row, other) for other in others))
