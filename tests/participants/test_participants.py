"""Participants: services, who sees whom, the file import and the pages."""

from datetime import date

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.urls import reverse

from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.participants import imports, services
from incentives.participants.errors import InvalidPerson
from incentives.participants.models import Participant, Partner, Team
from incentives.participants.selectors import roster
from tests.factories import make_participant, make_partner, make_team, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def addresses(settings):
    settings.ALLOWED_HOSTS = ["testserver"]


@pytest.fixture
def manager(db):
    return make_user("manager")


def test_adding_somebody_normalises_and_records(manager):
    person = services.create_participant(
        actor=manager, name=" Ana Silva ", email="Ana.Silva@Example.com", phone="+351 912 345 678", country="pt"
    )
    assert (person.name, person.email, person.phone, person.country) == (
        "Ana Silva", "ana.silva@example.com", "+351912345678", "PT",
    )  # fmt: skip
    assert person.key == str(person.public_id)
    event = AuditEvent.objects.get(action="participant.created")
    assert (event.actor, event.target_id) == (manager, str(person.public_id))
    assert "ana.silva@example.com" not in str(event.after) and "912345678" not in str(event.after)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "A", "email": "not-an-address"}, "email"),
        ({"name": "A", "email": "TAKEN@example.com"}, "email"),
        ({"name": "A", "external_user_id": "U-taken"}, "external_user_id"),
        ({"name": "A", "phone": "12"}, "phone"),
        ({"name": "A", "country": "PRT"}, "country"),
        ({"name": "A", "time_zone": "Mars/Base"}, "time_zone"),
        ({"name": "A", "type": "robot"}, "type"),
        ({"name": "A", "type": "partner"}, "partner"),
        ({"name": "A", "started_on": date(2026, 2, 1), "ended_on": date(2026, 1, 1)}, "ended_on"),
        ({"name": "A", "salary": "1"}, "salary"),
    ],
)
def test_a_value_that_does_not_fit_is_named_and_nobody_is_added(manager, values, field):
    make_participant(email="taken@example.com", external_user_id="U-taken")
    with pytest.raises(InvalidPerson) as error:
        services.create_participant(actor=manager, **values)
    assert error.value.details["field"] == field
    assert Participant.objects.count() == 1
    assert not AuditEvent.objects.exists()


def test_ids_and_addresses_are_unique_in_the_database_too():
    make_participant(email="a@example.com", external_user_id="")
    make_participant(email="", external_user_id="")
    make_participant(email="", external_user_id="")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_participant(email="A@example.com")


def test_a_changed_address_is_noted_with_its_moment_and_the_same_one_changes_nothing(manager):
    person = make_participant(email="ana1@example.com")
    services.update_participant(person, actor=manager, email="Ana1@example.com", region="")
    person.refresh_from_db()
    assert person.contact_changed_at is None and not AuditEvent.objects.exists()
    services.update_participant(person, actor=manager, email="ana2@example.com", reason="typing error")
    person.refresh_from_db()
    assert person.email == "ana2@example.com" and person.contact_changed_at is not None
    assert AuditEvent.objects.get().reason == "typing error"


def test_nobody_manages_themselves_round_about(manager):
    top, below = make_participant(), make_participant()
    services.update_participant(below, actor=manager, manager=top)
    with pytest.raises(InvalidPerson):
        services.update_participant(top, actor=manager, manager=below)
    assert Participant.objects.get(pk=top.pk).manager is None


@pytest.mark.parametrize("role", ["finance", "auditor", "participant"])
def test_only_those_who_may_edit_do(role):
    with pytest.raises(NotAllowed):
        services.create_participant(actor=make_user(role), name="A")
    with pytest.raises(NotAllowed):
        services.create_team(actor=make_user(role), code="t", name="T")
    assert not Participant.objects.exists() and not Team.objects.exists()


def test_a_group_code_is_unique_and_fit(manager):
    services.create_team(actor=manager, code="west", name="West")
    for code in ("west", "we st", ""):
        with pytest.raises(InvalidPerson):
            services.create_team(actor=manager, code=code, name="Other")
    assert Team.objects.count() == 1


def test_people_see_those_they_may():
    north, south = make_partner(), make_partner()
    mine = make_participant(type="partner", partner=north, user=make_user("partner_admin"))
    colleague = make_participant(type="partner", partner=north, user=make_user("participant"))
    make_participant(type="partner", partner=south)
    make_participant()
    seen = Participant.objects.visible_to
    assert set(seen(mine.user)) == {mine, colleague}
    assert set(seen(colleague.user)) == {colleague}
    assert seen(make_user("finance")).count() == 4
    assert not seen(make_user("partner_admin")).exists()


def test_the_roster_is_what_the_rules_read():
    team = make_team("west", region="West")
    boss = make_participant("Boss", external_user_id="B", email="b@example.com")
    make_participant("Ana", external_user_id="A", email="a@example.com", team=team, manager=boss)
    assert roster()[0] == {
        "external_user_id": "A", "email": "a@example.com", "name": "Ana", "type": "employee", "team": "west",
        "manager": "B", "partner": None, "partner_tier": None, "region": "West",
    }  # fmt: skip


# --- files --------------------------------------------------------------------------------------------------------------

FILE = """External User ID,Name,E-mail,Team,Partner,Partner Tier,Manager,Phone,Started on
E-1,Ana Silva,ana@example.com,West,,,E-2,+351912345678,2026-01-02
E-2,Ben Ito,ben@example.com,West,,,,,
P-1,Cy Dee,cy@partner.example,,Example Distribution,gold,,,
E-3,,x@example.com,,,,,,
E-4,Dan,bad address,,,,,,
E-5,Eve,eve@example.com,,,,nobody,,
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text(FILE)
    return path


def test_a_file_adds_people_teams_and_partners_and_names_bad_rows(file, manager):
    report = imports.import_participants(file, actor=manager)
    assert report.counts == {"added": 4, "rejected": 2}
    ana = Participant.objects.get(external_user_id="E-1")
    assert (ana.team.code, ana.manager.name, ana.started_on) == ("west", "Ben Ito", date(2026, 1, 2))
    cy = Participant.objects.get(external_user_id="P-1")
    assert (cy.type, cy.partner.code, cy.partner.tier) == ("partner", "example-distribution", "gold")
    assert [(r.number, r.column) for r in report.problems] == [(5, "name"), (6, "email"), (7, "manager")]
    assert (Team.objects.count(), Partner.objects.count()) == (1, 1)


def test_the_same_file_again_changes_nothing_and_a_check_stores_nothing(file, manager):
    assert imports.import_participants(file, actor=manager, dry_run=True).counts == {"added": 4, "rejected": 2}
    assert not Participant.objects.exists() and not AuditEvent.objects.exists()
    imports.import_participants(file, actor=manager)
    recorded = AuditEvent.objects.count()
    assert imports.import_participants(file, actor=manager).counts == {"unchanged": 4, "rejected": 2}
    assert AuditEvent.objects.count() == recorded + 1  # the import itself


def test_columns_that_tell_nobody_apart_are_refused(tmp_path, manager):
    path = tmp_path / "x.csv"
    path.write_text("Name,Region\nAna,West\n")
    with pytest.raises(imports.BadColumns):
        imports.import_participants(path, actor=manager)
    with pytest.raises(imports.BadColumns, match="salary"):
        imports.import_participants(path, actor=manager, mapping={"salary": "Name"})


# --- pages ---------------------------------------------------------------------------------------------------------------


def test_pages_show_people_to_those_who_may_and_404_to_others(client, manager):
    person = make_participant("Ana Silva")
    pages = [reverse("participants:list"), reverse("participants:detail", args=[person.public_id])]
    for page in pages:
        assert client.get(page).status_code == 302
    client.force_login(make_user("participant"))
    assert [client.get(page).status_code for page in pages] == [404, 404]
    client.force_login(manager)
    for page in pages:
        assert "Ana Silva" in client.get(page).content.decode()


def test_somebody_is_added_changed_and_refused_in_the_browser(client, manager):
    client.force_login(manager)
    values = {"name": "Ana", "type": "employee", "email": "ana@example.com", "language": "en", "time_zone": "UTC",
              "active": "on", "phone": "+351 912 345 678"}  # fmt: skip
    assert client.post(reverse("participants:add"), values).status_code == 302
    person = Participant.objects.get()
    assert person.phone == "+351912345678"
    edit = reverse("participants:edit", args=[person.public_id])
    assert "ana@example.com" in client.get(edit).content.decode()
    assert client.post(edit, {**values, "name": "Ana Silva"}).status_code == 302
    answer = client.post(edit, {**values, "type": "partner"})
    assert answer.status_code == 400 and "partner organisation" in answer.content.decode()
    person.refresh_from_db()
    assert (person.name, person.type) == ("Ana Silva", "employee")


def test_a_file_is_checked_then_imported_in_the_browser(client, manager):
    client.force_login(manager)
    page = reverse("participants:import")

    def send(**more):
        return client.post(page, {"file": SimpleUploadedFile("p.csv", FILE.encode()), **more})

    assert "bad address" in send(only_check="on").content.decode()
    assert not Participant.objects.exists()
    assert send().status_code == 200
    assert Participant.objects.count() == 4
    assert client.post(page, {"file": SimpleUploadedFile("p.csv", b"a,b\n1,2\n")}).status_code == 400
