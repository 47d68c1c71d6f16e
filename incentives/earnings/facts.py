"""From rows to what the rules read."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from functools import lru_cache

from django.db.models import Q

from incentives.crm.models import ObjectState
from incentives.participants.models import Participant
from incentives.programs.models import ProgramVersion, Target
from incentives.programs.rules.facts import Fact, Person, Split
from incentives.programs.rules.parsing import parse_definition
from incentives.programs.rules.schema import Definition


@lru_cache(maxsize=512)
def _parsed(digest: str, version_id: int) -> Definition:
    return parse_definition(ProgramVersion.objects.get(pk=version_id).definition)


def definition_of(version: ProgramVersion) -> Definition:
    """The parsed definition, kept per version: a published one never changes, and its digest is part of the key."""
    return _parsed(version.digest, version.pk)


def counts(state: ObjectState) -> bool:
    """Whether a fact may earn at all: not what was won before the connection went live, nor a claim nobody approved."""
    return bool(state.kind and state.occurred_at) and not state.baseline and state.state != ObjectState.State.PENDING


def fact_of(state: ObjectState, keys: dict[int, str]) -> Fact:
    """The object as it stands now. `keys`: participant id -> participant key."""
    return Fact(
        id=str(state.pk),
        kind=state.kind,
        occurred_at=state.occurred_at,
        participant=keys.get(state.participant_id),
        close_date=state.close_date,
        amount=state.amount,
        currency=state.currency or None,
        quantity=state.quantity,
        lines=tuple(state.lines),
        splits=tuple(_split(row) for row in state.splits),
        account=state.account,
        partner=state.partner,
        region=state.region or None,
        attributes=state.attributes,
        metric=state.metric or None,
        value=state.value,
        external_id=state.external_id,
        object_type=state.object_type,
        object_id=state.object_id,
        version=state.version,
    )


def _split(row: dict) -> Split:
    def number(name):
        return None if row.get(name) in (None, "") else Decimal(str(row[name]))

    return Split(
        participant=row.get("participant"),
        percentage=number("percentage"),
        amount=number("amount"),
        type=row.get("type") or "revenue",
    )


def people_of(states: Iterable[ObjectState]) -> tuple[dict[str, Person], dict[str, int], dict[int, str]]:
    """(roster, key -> participant id, participant id -> key) of everybody these facts can credit: owners, split
    partners and the managers above them. The key is the participant's public id."""
    states = list(states)
    ids = {s.participant_id for s in states if s.participant_id}
    public = {row["participant"] for s in states for row in s.splits if row.get("participant")}
    rows = list(_rows(Q(pk__in=ids) | Q(public_id__in=public)))
    known = {row.pk for row in rows}
    while missing := {row.manager_id for row in rows if row.manager_id} - known:
        rows += (more := list(_rows(Q(pk__in=missing))))
        known |= {row.pk for row in more} | missing
    return roster_of(rows)


def roster_of(rows: Iterable[Participant]) -> tuple[dict[str, Person], dict[str, int], dict[int, str]]:
    """As people_of, for participants already loaded (with team and partner)."""
    rows = list(rows)
    keys = {row.pk: str(row.public_id) for row in rows}
    roster = {keys[row.pk]: person_of(row, keys) for row in rows}
    return roster, {key: pk for pk, key in keys.items()}, keys


def person_of(row: Participant, keys: dict[int, str]) -> Person:
    team, partner = row.team, row.partner
    return Person(
        key=keys.get(row.pk, str(row.public_id)),
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
