"""What the resources share: base schemas, money, and how a moment is written."""

from datetime import datetime
from typing import Annotated

from django.http import Http404
from ninja import Schema
from pydantic import AfterValidator, ConfigDict, Field

from incentives.api import errors
from rewards.money import Money


class Body(Schema):
    """A request body: a key that is not known is refused, so that a typo never passes silently."""

    model_config = ConfigDict(extra="forbid")


def _clean(value: str) -> str:
    if "\x00" in value:
        raise ValueError("text without NUL characters")
    return value


Text = Annotated[str, AfterValidator(_clean)]


class Amount(Schema):
    """Money: `amount` in major units with the currency's digits, the same in whole `minor` units."""

    amount: Annotated[str, Field(examples=["1250.00"])]
    minor: Annotated[int, Field(examples=[125000])]
    currency: Annotated[str, Field(examples=["USD"])]


def amount(money: Money | None) -> dict | None:
    return None if money is None else {"amount": str(money.decimal), "minor": money.minor, "currency": money.currency}


def one(rows, public_id):
    """The row of that id among those the caller may see; everything else is 404."""
    row = rows.filter(public_id=public_id).first()
    if row is None:
        raise Http404
    return row


def aware(moment: datetime, field: str) -> datetime:
    """A moment must say its offset. Raises Invalid."""
    if moment.tzinfo is None:
        text = "expected a moment with its offset, such as 2026-03-01T00:00:00Z"
        raise errors.Invalid(errors=[{"field": field, "code": "offset_missing", "message": text}])
    return moment


def when(value: datetime | None) -> str | None:
    return value.isoformat() if value else None
