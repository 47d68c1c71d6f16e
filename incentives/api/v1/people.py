"""Participants, and the teams and partners they belong to."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from incentives.api import errors
from incentives.api.auth import Needs
from incentives.api.idempotency import once, rendered
from incentives.api.kit import Body, Text, one
from incentives.api.paging import Paged, page
from incentives.participants import services
from incentives.participants.models import Participant, Partner, Team
from incentives.programs.selectors import find_participants

router = Router()
Short = Annotated[Text, Field(max_length=150)]
Code = Annotated[Text, Field(max_length=64)]
Kind = Literal["employee", "contractor", "partner"]


class ParticipantOut(Schema):
    id: str
    external_user_id: str
    employee_number: str
    federation_id: str
    email: str
    name: str
    type: str
    team: Annotated[str | None, Field(description="The team's code.")]
    partner: Annotated[str | None, Field(description="The partner's code.")]
    manager: Annotated[str | None, Field(description="The manager's external user id, else id.")]
    region: str
    country: str
    phone: str
    language: str
    time_zone: str
    active: bool
    started_on: date | None
    ended_on: date | None


class Participants(Schema):
    data: list[ParticipantOut]
    next_cursor: str | None


class ParticipantFilters(Paged):
    external_user_id: Annotated[Text, Field(max_length=128)] = ""
    email: Annotated[Text, Field(max_length=254)] = ""
    team: Code = ""
    partner: Code = ""
    type: Kind | None = None
    active: bool | None = None


class ParticipantChange(Body):
    """What is left out stays as it is."""

    external_user_id: Annotated[Text, Field(max_length=128)] = ""
    employee_number: Code = ""
    federation_id: Annotated[Text, Field(max_length=128)] = ""
    email: Annotated[Text, Field(max_length=254)] = ""
    name: Short = ""
    type: Kind = "employee"
    team: Annotated[Code | None, Field(description="A team's code; null for none.")] = None
    partner: Annotated[Code | None, Field(description="A partner's code; for partners' people alone.")] = None
    manager: Annotated[
        Annotated[Text, Field(max_length=254)] | None, Field(description="External user id, e-mail address or id.")
    ] = None
    region: Annotated[Text, Field(max_length=100)] = ""
    country: Annotated[Text, Field(max_length=2)] = ""
    phone: Annotated[Text, Field(max_length=32)] = ""
    language: Literal["en", "es", "fr"] = "en"
    time_zone: Code = "UTC"
    active: bool = True
    started_on: date | None = None
    ended_on: date | None = None
    reason: Annotated[Text, Field(max_length=500, description="Kept in the audit trail of a change.")] = ""


class ParticipantIn(ParticipantChange):
    """Somebody new."""

    name: Annotated[Text, Field(min_length=1, max_length=150)]


def _one_of(model, code: str | None, field: str):
    if code is None:
        return None
    found = model.objects.filter(code=code).first()
    if found is None:
        raise errors.Invalid(errors=[{"field": field, "code": "unknown", "message": f"there is no {field} {code!r}"}])
    return found


def _values(given: ParticipantChange) -> dict:
    """What was sent, with codes and keys looked up. Raises Invalid naming the field."""
    values = given.model_dump(exclude_unset=True, exclude={"reason"})
    for field, model in (("team", Team), ("partner", Partner)):
        if field in values:
            values[field] = _one_of(model, values[field], field)
    if values.get("manager") is not None:
        found = find_participants([values["manager"]])
        if not found:
            text = "names no participant by external user id, e-mail address or id"
            raise errors.Invalid(errors=[{"field": "manager", "code": "unknown", "message": text}])
        (values["manager"],) = found.values()
    return values


def shown(person: Participant) -> dict:
    plain = ("external_user_id", "employee_number", "federation_id", "email", "name", "type", "region", "country", "phone",
             "language", "time_zone", "active", "started_on", "ended_on")  # fmt: skip
    return {name: getattr(person, name) for name in plain} | {
        "id": str(person.public_id),
        "team": person.team and person.team.code,
        "partner": person.partner and person.partner.code,
        "manager": person.manager and person.manager.key,
    }


def _visible(request: HttpRequest):
    return Participant.objects.visible_to(request.caller.user).select_related("team", "partner", "manager")


@router.get("/participants", auth=Needs("participants:read"), response=Participants)
def list_participants(request: HttpRequest, filters: Query[ParticipantFilters]):
    """Participants the token may see, newest first: all for staff, one's own organisation or oneself for others."""
    rows = _visible(request)
    if filters.external_user_id:
        rows = rows.filter(external_user_id=filters.external_user_id)
    if filters.email:
        rows = rows.filter(email=filters.email.lower())
    if filters.team:
        rows = rows.filter(team__code=filters.team)
    if filters.partner:
        rows = rows.filter(partner__code=filters.partner)
    if filters.type is not None:
        rows = rows.filter(type=filters.type)
    if filters.active is not None:
        rows = rows.filter(active=filters.active)
    return page(request, rows, filters, shown)


@router.get("/participants/{uuid:participant_id}", auth=Needs("participants:read"), response=ParticipantOut)
def get_participant(request: HttpRequest, participant_id: UUID):
    """One participant."""
    return shown(one(_visible(request), participant_id))


@router.post("/participants", auth=Needs("participants:write"), response={201: ParticipantOut})
@once()
def create_participant(request: HttpRequest, payload: ParticipantIn):
    """Add somebody. Ids and e-mail address are each of one participant alone."""
    person = services.create_participant(actor=request.caller.user, **_values(payload))
    return 201, ParticipantOut(**shown(person))


@router.patch("/participants/{uuid:participant_id}", auth=Needs("participants:write"), response=ParticipantOut)
def change_participant(request: HttpRequest, participant_id: UUID, payload: ParticipantChange):
    """Change what is sent and nothing else. A repeat changes nothing. A new e-mail address or number holds the next payouts."""
    person = one(_visible(request), participant_id)
    values = _values(payload)
    if values:
        person = services.update_participant(person, actor=request.caller.user, reason=payload.reason, **values)
    return rendered(200, ParticipantOut(**shown(person)))


# --- teams and partners -------------------------------------------------------------------------------------------------
class TeamOut(Schema):
    id: str
    code: str
    name: str
    region: str
    manager: str | None
    active: bool


class Teams(Schema):
    data: list[TeamOut]
    next_cursor: str | None


class PartnerOut(Schema):
    id: str
    code: str
    name: str
    tier: str
    region: str
    country: str
    active: bool


class Partners(Schema):
    data: list[PartnerOut]
    next_cursor: str | None


class GroupFilters(Paged):
    code: Code = ""
    active: bool | None = None


def _groups(rows, filters: GroupFilters):
    if filters.code:
        rows = rows.filter(code=filters.code)
    return rows if filters.active is None else rows.filter(active=filters.active)


def shown_team(team: Team) -> dict:
    plain = {name: getattr(team, name) for name in ("code", "name", "region", "active")}
    return plain | {"id": str(team.public_id), "manager": team.manager and team.manager.key}


def shown_partner(partner: Partner) -> dict:
    plain = {name: getattr(partner, name) for name in ("code", "name", "tier", "region", "country", "active")}
    return plain | {"id": str(partner.public_id)}


@router.get("/teams", auth=Needs("groups:read"), response=Teams)
def list_teams(request: HttpRequest, filters: Query[GroupFilters]):
    """Teams, newest first."""
    return page(request, _groups(Team.objects.select_related("manager"), filters), filters, shown_team)


@router.get("/teams/{uuid:team_id}", auth=Needs("groups:read"), response=TeamOut)
def get_team(request: HttpRequest, team_id: UUID):
    """One team."""
    return shown_team(one(Team.objects.select_related("manager"), team_id))


@router.get("/partners", auth=Needs("groups:read"), response=Partners)
def list_partners(request: HttpRequest, filters: Query[GroupFilters]):
    """Partner organisations, newest first."""
    return page(request, _groups(Partner.objects.all(), filters), filters, shown_partner)


@router.get("/partners/{uuid:partner_id}", auth=Needs("groups:read"), response=PartnerOut)
def get_partner(request: HttpRequest, partner_id: UUID):
    """One partner organisation."""
    return shown_partner(one(Partner.objects.all(), partner_id))
