"""Reading participants: the roster as the rules know it."""

from collections.abc import Iterable

from incentives.participants.models import Participant


def roster(participants: Iterable[Participant] | None = None) -> list[dict]:
    """Plain rows in the form of `simulate --participants` (design, section 9), sorted by key.

    `manager` is the manager's key; `team` and `partner` are codes; empty values are None. One query.
    """
    people = Participant.objects.all() if participants is None else participants
    if hasattr(people, "select_related"):
        people = people.select_related("team", "partner", "manager")
    return sorted((roster_row(person) for person in people), key=lambda row: row["external_user_id"])


def roster_row(person: Participant) -> dict:
    team, partner = person.team, person.partner
    region = person.region or (team.region if team else "") or (partner.region if partner else "")
    return {
        "external_user_id": person.key,
        "email": person.email or None,
        "name": person.name,
        "type": person.type,
        "team": team.code if team else None,
        "manager": person.manager.key if person.manager else None,
        "partner": partner.code if partner else None,
        "partner_tier": (partner.tier or None) if partner else None,
        "region": region or None,
    }
