"""How participants are told things: through their account where they have one, else at their own address."""

from incentives.notifications import recipients
from incentives.notifications.recipients import Person
from incentives.participants.models import Participant


def find(ident: str) -> Person | None:
    """By public id. Somebody who left is still told of rewards that are on their way."""
    row = Participant.objects.filter(public_id=ident).first()
    return Person(row.email, row.name, row.language, row.time_zone) if row else None


def connect() -> None:
    recipients.register(
        Participant, prefix="participant", ident=lambda row: str(row.public_id), account=lambda row: row.user, find=find
    )
