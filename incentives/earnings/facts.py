"""From rows to what the rules read."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from django.db.models import Q

from incentives.crm.models import ObjectState
from incentives.participants.models import Participant
from incentives.programs.models import Target
from incentives.programs.rules.facts import Fact, Person, Split


def counts(state: ObjectState) -> bool:
    """Whether a fact may earn at all: not what was won before the connection went live, nor a claim nobody approved."""
    return bool(state.kind and state.occurred_at) and not state.baseline and state.state != ObjectState.State.PENDING


@dataclass(frozen=True, slots=True)
class People:
    """Everybody some facts can credit. Rules know people by `Participant.key`: what a definition's author writes."""

    roster: dict[str, Person]
    ids: dict[str, int]  # key -> participant id
    keys: dict[int, str]  # participant id -> key
    by_public_id: dict[str, str]  # public id, as stored splits name people -> key


def fact_of(state: ObjectState, people: People) -> Fact:
    """The object as it stands now; a row with the same attributes serves as well."""
    return Fact(
        id=str(state.pk),
        kind=state.kind,
        occurred_at=state.occurred_at,
        participant=people.keys.get(state.participant_id),
        close_date=state.close_date,
        amount=state.amount,
        currency=state.currency or None,
        quantity=state.quantity,
        lines=tuple(state.lines),
        splits=tuple(_split(row, people) for row in state.splits),
        account=state.account,
        partner=state.partner,
        region=state.region or None,
        attributes=state.attributes,
        metric=state.metric or None,
        value=state.value,
        received_at=state.received_at,
        external_id=state.external_id,
        object_type=state.object_type,
        object_id=state.object_id,
        version=state.version,
    )


def _split(row: dict, people: People) -> Split:
    def number(name):
        return None if row.get(name) in (None, "") else Decimal(str(row[name]))

    return Split(
        participant=people.by_public_id.get(row.get("participant")),
        percentage=number("percentage"),
        amount=number("amount"),
        type=row.get("type") or "revenue",
        name=row.get("name") or "",
    )


def people_of(states: Iterable[ObjectState], named: Iterable[str] = ()) -> People:
    """Owners, split partners and the managers above them; `named`: keys that definitions name for an overlay."""
    states, named = list(states), set(named)
    ids = {s.participant_id for s in states if s.participant_id}
    public = {row["participant"] for s in states for row in s.splits if row.get("participant")}
    where = Q(pk__in=ids) | Q(public_id__in=public)
    if named:
        where |= Q(external_user_id__in=named) | Q(public_id__in={name for name in named if _is_uuid(name)})
    rows = list(_rows(where))
    known = {row.pk for row in rows}
    while missing := {row.manager_id for row in rows if row.manager_id} - known:
        rows += (more := list(_rows(Q(pk__in=missing))))
        known |= {row.pk for row in more} | missing
    return people_in(rows)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def people_in(rows: Iterable[Participant]) -> People:
    """As people_of, for participants already loaded with team and partner."""
    rows = list(rows)
    keys = {row.pk: row.key for row in rows}
    return People(
        roster={row.key: person_of(row, keys) for row in rows},
        ids={key: pk for pk, key in keys.items()},
        keys=keys,
        by_public_id={str(row.public_id): row.key for row in rows},
    )


def person_of(row: Participant, keys: dict[int, str]) -> Person:
    team, partner = row.team, row.partner
    return Person(
        key=row.key,
        type=row.type,
        team=team.code if team else None,
        manager=keys.get(row.manager_id),
        partner=partner.code if partner else None,
        partner_tier=(partner.tier or None) if partner else None,
        region=row.region or (team.region if team else "") or (partner.region if partner else "") or None,
        name=row.name,
        started_on=row.started_on,
        ended_on=row.ended_on,
    )


def _rows(where: Q):
    return Participant.objects.filter(where).select_related("team", "partner")


def targets_of(program_id: int, participant_ids: Iterable[int]) -> dict[int, dict[date, Decimal]]:
    """participant id -> first day of the period -> target, in units of the program's measure."""
    found: dict[int, dict[date, Decimal]] = {pk: {} for pk in participant_ids}
    rows = Target.objects.filter(program_id=program_id, participant_id__in=found)
    for pk, start, value in rows.values_list("participant_id", "period_start", "value"):
        found[pk][start] = value
    return found
