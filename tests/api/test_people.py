"""Participants, teams and partners over the API."""

import pytest

from incentives.core.models import AuditEvent
from incentives.participants.models import Participant
from tests.api.conftest import problem
from tests.factories import make_participant, make_partner, make_team, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    north, acme = make_team("north", name="North"), make_partner("acme", name="Acme", tier="gold")
    ana = make_participant("Ana Ruiz", external_user_id="U-ana", email="ana@example.com", team=north)
    pat = make_participant(
        "Pat Acme", external_user_id="U-pat", type="partner", partner=acme, user=make_user("partner_admin")
    )
    pia = make_participant("Pia Acme", external_user_id="U-pia", type="partner", partner=acme)
    return {"ana": ana, "pat": pat, "pia": pia, "north": north, "acme": acme}


def keys(answer) -> list[str]:
    return [row["external_user_id"] for row in answer.json()["data"]]


def test_a_participant_is_added_read_and_changed(api, people):
    caller = api(make_user("manager"), "participants:read", "participants:write")
    answer = caller.post("/participants", {
        "name": "Ben Ito", "external_user_id": "U-ben", "email": "Ben@Example.com", "team": "north", "manager": "U-ana",
        "country": "pt", "phone": "+351 210 000 000", "started_on": "2026-01-05",
    })  # fmt: skip
    assert answer.status_code == 201, answer.content
    body = answer.json()
    ben = Participant.objects.get(external_user_id="U-ben")
    assert body == {
        "id": str(ben.public_id), "external_user_id": "U-ben", "employee_number": "", "federation_id": "",
        "email": "ben@example.com", "name": "Ben Ito", "type": "employee", "team": "north", "partner": None,
        "manager": "U-ana", "region": "", "country": "PT", "phone": "+351210000000", "language": "en", "time_zone": "UTC",
        "active": True, "started_on": "2026-01-05", "ended_on": None,
    }  # fmt: skip
    assert caller.get(f"/participants/{ben.public_id}").json() == body
    changed = caller.patch(f"/participants/{ben.public_id}", {"team": None, "region": "South", "reason": "moved"})
    assert changed.json() == body | {"team": None, "region": "South"}
    event = AuditEvent.objects.get(action="participant.changed")
    assert (event.after, event.reason) == ({"team": "", "region": "South"}, "moved")
    assert caller.patch(f"/participants/{ben.public_id}", {"region": "South"}).json() == changed.json()
    assert AuditEvent.objects.filter(action="participant.changed").count() == 1


@pytest.mark.parametrize(
    ("body", "expected", "field"),
    [
        ({}, (422, "invalid"), "name"),
        ({"name": "A", "shoe_size": 42}, (422, "invalid"), "shoe_size"),
        ({"name": "A", "type": "robot"}, (422, "invalid"), "type"),
        ({"name": "A", "team": "south"}, (422, "invalid"), "team"),
        ({"name": "A", "manager": "U-nobody"}, (422, "invalid"), "manager"),
        ({"name": "A", "email": "nowhere"}, (400, "invalid_participant"), "email"),
        ({"name": "A", "external_user_id": "U-ana"}, (400, "invalid_participant"), "external_user_id"),
        ({"name": "A", "partner": "acme"}, (400, "invalid_participant"), "partner"),
        ({"name": "A", "phone": "12"}, (400, "invalid_participant"), "phone"),
        ({"name": "A", "time_zone": "Mars/Base"}, (400, "invalid_participant"), "time_zone"),
        ({"name": "A", "started_on": "yesterday"}, (422, "invalid"), "started_on"),
        ({"name": "A", "user": 1}, (422, "invalid"), "user"),
    ],
)
def test_what_does_not_fit_is_named_by_field_and_adds_nobody(api, people, body, expected, field):
    before, events = Participant.objects.count(), AuditEvent.objects.count()
    caller = api(make_user("manager"), "participants:write")
    answer = caller.post("/participants", body)
    assert problem(answer) == expected
    assert answer.json()["errors"][0]["field"] == field
    assert Participant.objects.count() == before
    assert AuditEvent.objects.exclude(action="token.created").count() == events


def test_lists_filter_and_show_each_what_they_may_see(api, people):
    staff = api(make_user("auditor"), "participants:read")
    assert keys(staff.get("/participants")) == ["U-pia", "U-pat", "U-ana"]
    assert [row["external_user_id"] for row in staff.all("/participants", limit=1)] == ["U-pia", "U-pat", "U-ana"]
    for query, found in (
        ({"team": "north"}, ["U-ana"]), ({"partner": "acme", "type": "partner"}, ["U-pia", "U-pat"]),
        ({"email": "ANA@example.com"}, ["U-ana"]), ({"external_user_id": "U-pat"}, ["U-pat"]), ({"active": "false"}, []),
    ):  # fmt: skip
        assert keys(staff.get("/participants", **query)) == found, query
    partner = api(people["pat"].user, "participants:read")
    assert keys(partner.get("/participants")) == ["U-pia", "U-pat"]
    assert problem(partner.get(f"/participants/{people['ana'].public_id}")) == (404, "not_found")


def test_teams_and_partners(api, people):
    caller = api(make_user("finance"), "groups:read")
    team = {
        "id": str(people["north"].public_id),
        "code": "north",
        "name": "North",
        "region": "",
        "manager": None,
        "active": True,
    }
    assert caller.get("/teams").json() == {"data": [team], "next_cursor": None}
    assert caller.get(f"/teams/{people['north'].public_id}").json() == team
    partner = {
        "id": str(people["acme"].public_id), "code": "acme", "name": "Acme", "tier": "gold", "region": "", "country": "",
        "active": True,
    }  # fmt: skip
    assert caller.get("/partners", code="acme").json()["data"] == [partner]
    assert caller.get(f"/partners/{people['acme'].public_id}").json() == partner
    assert caller.get("/partners", code="none").json()["data"] == []
