"""Lists: `{"data": [...], "next_cursor": ...}`, newest first. A cursor is opaque, signed, and of one list with its filters.

It names the last row that was given, so rows that come meanwhile neither repeat nor hide another.
"""

import hashlib
import json
from typing import Annotated

from django.core.signing import BadSignature, Signer
from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Schema
from pydantic import Field

from incentives.api import errors

LARGEST, USUAL = 200, 50


class Paged(Schema):
    """What every list takes. Filters of a list derive from it."""

    limit: Annotated[int, Field(ge=1, le=LARGEST, description="How many rows at most.")] = USUAL
    cursor: Annotated[str, Field(max_length=400, description="`next_cursor` of the page before.")] = ""


def _signer(request: HttpRequest) -> Signer:
    return Signer(salt="incentives.api.cursor")


def _of(request: HttpRequest, filters: Paged) -> str:
    wishes = filters.model_dump(mode="json", exclude={"limit", "cursor"})
    text = json.dumps([request.path, wishes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def page(request: HttpRequest, rows: QuerySet, filters: Paged, make) -> dict:
    """One page of `rows`, each as `make(row)`. Raises UnknownParameter, BadCursor."""
    unknown = sorted(set(request.GET) - set(type(filters).model_fields))
    if unknown:
        fields = [
            {"field": name[:80], "code": "unknown_parameter", "message": "not a parameter of this list"}
            for name in unknown
        ]
        raise errors.UnknownParameter(f"Expected only {', '.join(sorted(type(filters).model_fields))}.", errors=fields)
    mark, signer = _of(request, filters), _signer(request)
    if filters.cursor:
        try:
            last, of = signer.unsign(filters.cursor).split(".")
        except (BadSignature, ValueError):
            raise errors.BadCursor from None
        if of != mark:
            raise errors.BadCursor
        rows = rows.filter(pk__lt=int(last, 36))
    found = list(rows.order_by("-pk")[: filters.limit + 1])
    more, found = len(found) > filters.limit, found[: filters.limit]
    cursor = signer.sign(f"{_base36(found[-1].pk)}.{mark}") if more else None
    return {"data": [make(row) for row in found], "next_cursor": cursor}


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return digits or "0"
