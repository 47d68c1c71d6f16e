"""Facts: sent through the same intake as the generic hook, read as they were understood."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from incentives.api import errors
from incentives.api.auth import Needs
from incentives.api.idempotency import once
from incentives.api.kit import Text, aware, one, when
from incentives.api.paging import Paged, page
from incentives.core.errors import DomainError
from incentives.crm import intake, selectors
from incentives.crm.errors import Conflict, MalformedEvent
from incentives.crm.hooks import connections_bucket
from incentives.crm.models import Activity

router = Router()
MAX_BATCH = 1000


class Person(Schema):
    id: str
    external_user_id: str
    name: str


class ActivityOut(Schema):
    id: str
    external_id: Annotated[str, Field(description="Record and transition, for example `order:20455:won:1`.")]
    kind: str
    occurred_at: str
    received_at: str
    participant: Person | None
    connection: str
    channel: str
    object: dict[str, str]
    snapshot: Annotated[dict[str, Any], Field(description="The record as it stood after this fact.")]
    previous: Annotated[dict[str, Any], Field(description="The values it changed.")]


class Activities(Schema):
    data: list[ActivityOut]
    next_cursor: str | None


class ActivityFilters(Paged):
    kind: Annotated[str, Field(max_length=20)] = ""
    participant: UUID | None = None
    object_id: Annotated[Text, Field(max_length=255)] = ""
    occurred_from: datetime | None = None
    occurred_before: datetime | None = None


class ItemError(Schema):
    code: str
    message: str
    field: str | None = None


class Received(Schema):
    """What became of one event. `row` is its place in what was sent."""

    row: int
    external_id: str
    status: Annotated[str, Field(description="`accepted`, `duplicate` (the same content is known) or `rejected`.")]
    error: ItemError | None = None


class ReceivedAll(Schema):
    accepted: int
    duplicates: int
    rejected: int
    results: list[Received]


EVENT = {
    "type": "object",
    "title": "Event",
    "description": (
        "One fact in the generic form, the same as `POST /hooks/<token>/events` takes. Numbers may be texts; unknown keys "
        "become attributes."
    ),
    "required": ["external_id", "kind", "occurred_at", "participant"],
    "properties": {
        "external_id": {"type": "string", "minLength": 1, "maxLength": 255},
        "kind": {
            "type": "string",
            "enum": ["deal.won", "deal.updated", "deal.reopened", "deal.lost", "deal.deleted", "metric.reported", "claim.submitted"],
        },
        "occurred_at": {"type": "string", "format": "date-time"},
        "participant": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("external_user_id", "email", "employee_number")},
        },
        "amount": {"type": "string", "examples": ["12500.00"]},
        "currency": {"type": "string", "examples": ["EUR"]},
        "quantity": {"type": "string"},
        "object": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("type", "id", "version")},
        },
        "attributes": {"type": "object"},
    },
}  # fmt: skip
EVENTS = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"oneOf": [EVENT, {"type": "array", "items": EVENT, "minItems": 1, "maxItems": MAX_BATCH}]}
            }
        },
    }
}


@router.post(
    "/activities", auth=Needs("activities:write"), response={200: ReceivedAll, 202: ReceivedAll}, openapi_extra=EVENTS
)
@once(required=False)
def send_activities(request: HttpRequest):
    """Send one event (an object) or up to 1,000 at once (an array).

    Each is stored by itself before anything is computed: 202 where at least one is new, 200 where all were known, 422 or 400
    where none was stored. An `external_id` that is known with the same content is a duplicate; with other content it is
    rejected and nothing is changed. So an `Idempotency-Key` is welcome and not needed. The events belong to the
    connection of the token.
    """
    token = request.caller.token
    if token.connection is None:
        raise errors.NoConnection
    given = request.document
    many = isinstance(given, list)
    events = given if many else [given]
    if not events or len(events) > MAX_BATCH:
        raise errors.Invalid(f"Expected 1 to {MAX_BATCH} events, found {len(events)}.")
    after = connections_bucket.take(token.connection.pk, token.connection.rate_per_minute, len(events))
    if after:
        raise errors.RateLimited(after=after)
    results = intake.receive_many(token.connection, [_prepared(event) for event in events])
    return _answer(results)


def _prepared(event) -> intake.Incoming | intake.Result:
    try:
        return intake.prepare(event, channel="api")
    except MalformedEvent as exc:
        name = event.get("external_id", "") if isinstance(event, dict) else ""
        return intake.Result(str(name)[:255], intake.REJECTED, exc)


def _answer(results: list[intake.Result]) -> tuple[int, ReceivedAll]:
    count = {status: sum(r.status == status for r in results) for status in ("accepted", "duplicate", "rejected")}
    if count["rejected"] == len(results):
        raise _all_refused(results)
    rows = [
        Received(row=row, external_id=result.external_id, status=result.status, error=_error(result.error))
        for row, result in enumerate(results)
    ]
    body = ReceivedAll(
        accepted=count["accepted"], duplicates=count["duplicate"], rejected=count["rejected"], results=rows
    )
    return (202 if count["accepted"] else 200), body


def _error(exc: DomainError | None) -> ItemError | None:
    return exc and ItemError(code=exc.code, message=str(exc.user_message), field=exc.details.get("field"))


def _all_refused(results: list[intake.Result]) -> errors.ApiError:
    """Nothing was stored: an error like that of a single event, with every row."""
    found = [
        {
            "row": row,
            "field": result.error.details.get("field", "external_id"),
            "code": result.error.code,
            "message": str(result.error.user_message),
        }
        for row, result in enumerate(results)
    ]
    conflict = all(isinstance(result.error, Conflict) for result in results)
    kind = errors.Conflicting if conflict else errors.Malformed
    return kind(
        str(results[0].error.user_message) if len(results) == 1 else "No event was stored; errors says why.",
        errors=found,
    )


@router.get("/activities", auth=Needs("activities:read"), response=Activities)
def list_activities(request: HttpRequest, filters: Query[ActivityFilters]):
    """Activities, newest first."""
    rows = selectors.activities(request.caller.user)
    if filters.kind:
        rows = rows.filter(kind=filters.kind)
    if filters.participant:
        rows = rows.filter(participant__public_id=filters.participant)
    if filters.object_id:
        rows = rows.filter(object__object_id=filters.object_id)
    if filters.occurred_from:
        rows = rows.filter(occurred_at__gte=aware(filters.occurred_from, "occurred_from"))
    if filters.occurred_before:
        rows = rows.filter(occurred_at__lt=aware(filters.occurred_before, "occurred_before"))
    return page(request, rows, filters, shown)


@router.get("/activities/{uuid:activity_id}", auth=Needs("activities:read"), response=ActivityOut)
def get_activity(request: HttpRequest, activity_id: UUID):
    """One activity."""
    return shown(one(selectors.activities(request.caller.user), activity_id))


def shown(row: Activity) -> dict:
    person = row.participant
    return {
        "id": str(row.public_id),
        "external_id": row.external_id,
        "kind": row.kind,
        "occurred_at": when(row.occurred_at),
        "received_at": when(row.received_at),
        "participant": person
        and {"id": str(person.public_id), "external_user_id": person.external_user_id, "name": person.name},
        "connection": row.connection.name,
        "channel": row.channel,
        "object": {"type": row.object.object_type, "id": row.object.object_id},
        "snapshot": row.snapshot,
        "previous": row.previous,
    }
