"""An approved claim becomes an ordinary activity: a Delivery in the decision's own transaction, which a worker derives.

The events are those of crm-connectors.md 3.1, under Laurel's own connection: `claim.submitted` with the values approved,
`deal.deleted` when an approval is taken back. `object.version` is the claim's version, so the order of arrival is no matter.
"""

from decimal import Decimal

from incentives.claims import channel
from incentives.claims.models import Claim
from incentives.core.errors import DomainError
from incentives.crm import events, intake
from incentives.crm.jsonio import dumps
from incentives.crm.models import Delivery
from incentives.crm.services import claims_connection


def post_approval(claim: Claim) -> None:
    """Store the sale as a fact. Received is when the claim first came in: a slow review costs nobody their reward.

    Raises DomainError for an amount above the connection's limit, where the fact would wait for a person unseen.
    """
    connection = claims_connection()
    if claim.amount.decimal > connection.max_amount:
        raise DomainError(f"The amount is above {connection.max_amount:f}, the limit of the connection {connection}.")
    definition = channel.definition_of(claim.program)
    event = {
        "external_id": str(claim.public_id),
        "kind": channel.KIND,
        "occurred_at": channel.occurred_at(claim, definition).isoformat(),
        "close_date": claim.invoice_date.isoformat(),
        "participant": {"public_id": str(claim.participant.public_id)},
        "amount": format(claim.amount.decimal, "f"),
        "currency": claim.currency,
        "quantity": format(sum((line.quantity for line in claim.lines.all()), Decimal(0)), "f"),
        "lines": channel.event_lines(claim),
        "account": {"name": claim.customer},
        "partner": {"id": claim.partner.code, "name": claim.partner.name},
        "attributes": channel.attributes(claim),
        "object": _object(claim),
    }
    _store(connection, claim, event, "approved", received_at=claim.submitted_at)


def post_reversal(claim: Claim) -> None:
    """Store that the fact is none: what it earned is corrected."""
    event = {
        "external_id": f"{claim.public_id}:reversed",
        "kind": "deal.deleted",
        "occurred_at": claim.decided_at.isoformat(),
        "object": _object(claim),
    }
    _store(claims_connection(), claim, event, "reversed")


def _object(claim: Claim) -> dict:
    return {"type": "claim", "id": str(claim.public_id), "version": str(claim.version)}


def _store(connection, claim: Claim, event: dict, what: str, **more) -> None:
    incoming = intake.Incoming(
        event=events.normalise(event),
        key=delivery_key(claim, what),
        raw=dumps(event),
        channel=Delivery.Channel.MANUAL,
        **more,
    )
    intake.receive_one(connection, incoming)


def delivery_key(claim: Claim, what: str = "approved") -> str:
    return f"claim:{claim.public_id}:{what}"
