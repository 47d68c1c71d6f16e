"""Partner organisations: pages, tier history and what a new tier pays, administrators, the file import."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from incentives.accounts.errors import OwnAccount
from incentives.accounts.models import Role, User
from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.earnings.evaluate import evaluate
from incentives.participants import administrators, partner_imports, services
from incentives.participants.errors import CannotAdminister, InvalidPerson
from incentives.participants.models import Partner
from tests.factories import deal, make_connection, make_participant, make_partner, make_program, make_user, send
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
ROLES = ("manager", "finance", "participant", "partner_admin", "administrator", "auditor", "superuser", "norole")
#                          M    F    P    PA   A    AU   SU   none
VIEW = "                   200  200  404  404  200  200  200  404"
EDIT = "                   200  404  404  404  200  404  200  404"
APPOINT = "                404  404  404  404  200  404  200  404"
GETS = {"partners": VIEW, "partner": VIEW, "partner-add": EDIT, "partner-edit": EDIT, "partner-import": EDIT,
        "partner-appoint": APPOINT, "partner-dismiss": APPOINT}  # fmt: skip


@pytest.fixture
def manager():
    return make_user("manager")


@pytest.fixture
def administrator():
    return make_user("administrator")


@pytest.fixture
def acme():
    return make_partner("acme", name="Acme Resale", tier="silver", region="EMEA", country="PT")


def person_of(partner, name="Pat", **fields):
    return make_participant(name, type="partner", partner=partner, **fields)


def test_every_page_for_every_role(client, acme):
    person = person_of(acme)
    users = {role: make_user(role) for role in ROLES[:6]}
    users |= {"superuser": make_user("administrator", is_superuser=True, is_staff=True), "norole": make_user()}
    one = {"partner": [acme.public_id], "partner-edit": [acme.public_id]}
    one |= {name: [acme.public_id, person.public_id] for name in ("partner-appoint", "partner-dismiss")}
    found = {}
    for number, role in enumerate(ROLES):
        client.force_login(users[role])
        for name, row in GETS.items():
            answer = client.get(reverse(f"participants:{name}", args=one.get(name, [])))
            if answer.status_code != int(row.split()[number]):
                found[name, role] = answer.status_code
            elif answer.status_code == 200:
                assert_page_clean(answer)
    assert found == {}


def test_the_list_filters_sorts_and_exports_with_few_queries(client, manager, acme, django_assert_max_num_queries):
    for number in range(30):
        make_partner(f"p{number:02}", tier="gold" if number % 2 else "silver", region="LATAM")
    person_of(acme, user=make_user("partner_admin"))
    client.force_login(manager)
    url = reverse("participants:partners")
    with django_assert_max_num_queries(14):
        page = assert_page_clean(client.get(url, {"region": "EMEA"}))
    assert "Acme Resale" in page.text and "P01" not in page.text
    assert "Acme" not in assert_page_clean(client.get(url, {"tier": "gold"})).text
    lines = b"".join(client.get(url, {"export": "csv", "q": "acme"}).streaming_content).decode().splitlines()
    assert lines[1] == "Acme Resale,acme,silver,EMEA,PT,1,1,Active"


def test_a_new_tier_is_in_the_history_and_changes_what_its_people_earn(client, manager, acme):
    person = person_of(acme)
    program = make_program(
        manager=manager,
        rewards=[{"type": "per_deal", "amount": "10.00", "partner_multipliers": {"gold": "1.5"}}],
    )
    send(make_connection(), deal("D1", person, "100.00"))
    assert program.participations.get().earned_minor == 1000
    client.force_login(manager)
    values = {"code": "acme", "name": "Acme Resale", "tier": "gold", "region": "EMEA", "country": "pt", "active": "on"}
    answer = client.post(reverse("participants:partner-edit", args=[acme.public_id]), {**values, "reason": "Sales up"})
    assert answer.status_code == 302
    evaluate()
    assert program.participations.get().earned_minor == 1500
    page = assert_page_clean(client.get(acme.get_absolute_url()))
    assert "silver → gold" in page.text and str(manager) in page.text and "Sales up" in page.text
    assert "15.00" in page.text
    services.update_partner(acme, actor=manager, tier="gold")
    assert AuditEvent.objects.filter(action="partner.changed").count() == 1


@pytest.mark.parametrize(
    ("values", "field"),
    [({"code": "a b"}, "code"), ({"code": "taken"}, "code"), ({"name": ""}, "name"), ({"country": "PRT"}, "country"),
     ({"tier": "x" * 41}, "tier")],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_named_and_nothing_changes(manager, acme, values, field):
    make_partner("taken")
    with pytest.raises(InvalidPerson) as error:
        services.update_partner(acme, actor=manager, **values)
    assert error.value.details["field"] == field
    acme.refresh_from_db()
    assert (acme.code, acme.name, acme.tier, acme.country) == ("acme", "Acme Resale", "silver", "PT")
    assert not AuditEvent.objects.exists()


def test_a_participant_cannot_change_a_partner(acme):
    with pytest.raises(NotAllowed):
        services.update_partner(acme, actor=make_user("partner_admin"), tier="gold")


# --- administrators -----------------------------------------------------------------------------------------------------
def test_appointing_somebody_without_an_account_invites_them(client, administrator, acme, mailoutbox):
    person = person_of(acme, "Pat Acme", email="pat@acme.example")
    client.force_login(administrator)
    for _ in range(2):  # a repeat changes nothing
        client.post(reverse("participants:partner-appoint", args=[acme.public_id, person.public_id]))
    user = User.objects.get(email="pat@acme.example")
    person.refresh_from_db()
    assert person.user == user and user.roles == {Role.PARTNER_ADMIN}
    assert [mail.to for mail in mailoutbox] == [["pat@acme.example"]]
    assert administrators.administrators_of(acme) == [person]
    client.post(reverse("participants:partner-dismiss", args=[acme.public_id, person.public_id]))
    assert administrators.administrators_of(acme) == []
    assert User.objects.get(pk=user.pk).roles == {Role.PARTICIPANT}


def test_an_existing_account_keeps_its_roles_and_gets_one_more(administrator, acme):
    user = make_user("participant", email="pat@acme.example")
    person = person_of(acme, email="Pat@acme.example".lower(), user=user)
    assert administrators.appoint(person, actor=administrator) == (user, False)
    assert User.objects.get(pk=user.pk).roles == {Role.PARTICIPANT, Role.PARTNER_ADMIN}


def refused_people(acme):
    yield make_participant("Employee")
    yield person_of(acme, "Gone", active=False)
    yield person_of(acme, "Mute", email="")
    yield person_of(acme, "Staff", email="staff@example.com", user=make_user("finance", email="staff@example.com"))
    other = make_user("participant", email="shared@example.com")
    make_participant("Other", user=other, email="")
    yield person_of(acme, "Shared", email="shared@example.com")


def test_who_cannot_administer_is_told_why_and_nothing_changes(administrator, acme):
    for person in refused_people(acme):
        with pytest.raises(CannotAdminister):
            administrators.appoint(person, actor=administrator)
    assert administrators.administrators_of(acme) == []
    assert not AuditEvent.objects.filter(action__startswith="user.").exists()


def test_only_an_administrator_appoints_and_never_themselves(administrator, acme):
    person = person_of(acme)
    with pytest.raises(NotAllowed):
        administrators.appoint(person, actor=make_user("manager"))
    own = person_of(acme, "Own", user=make_user("administrator"))
    with pytest.raises((OwnAccount, CannotAdminister)):
        administrators.appoint(own, actor=own.user)


def test_a_person_of_another_partner_is_not_found(client, administrator, acme):
    stranger = person_of(make_partner("other"))
    client.force_login(administrator)
    url = reverse("participants:partner-appoint", args=[acme.public_id, stranger.public_id])
    assert client.post(url).status_code == 404


# --- import -------------------------------------------------------------------------------------------------------------
FILE = b"Code,Name,Tier,Country,Active\nacme,,gold,,\nnova,Nova Systems,silver,ES,yes\n,No code,,,\nbad,Bad,,SPAIN,\n"


def test_an_import_shows_first_and_stores_then(client, manager, acme):
    client.force_login(manager)
    url = reverse("participants:partner-import")
    page = assert_page_clean(client.post(url, {"file": SimpleUploadedFile("p.csv", FILE), "only_check": "on"}))
    assert "tier: silver → gold" in page.text and "Nova Systems" in page.text and "two letters" in page.text
    assert Partner.objects.count() == 1 and not AuditEvent.objects.exists()
    client.post(url, {"file": SimpleUploadedFile("p.csv", FILE)})
    assert sorted(Partner.objects.values_list("code", "name", "tier", "country")) == [
        ("acme", "Acme Resale", "gold", "PT"), ("nova", "Nova Systems", "silver", "ES"),
    ]  # fmt: skip
    assert AuditEvent.objects.get(action="partners.imported").after["added"] == 1


def test_the_same_file_again_changes_nothing(tmp_path, manager, acme):
    path = tmp_path / "p.csv"
    path.write_bytes(FILE)
    partner_imports.import_partners(path, actor=manager)
    assert partner_imports.import_partners(path, actor=manager).counts == {"unchanged": 2, "rejected": 2}
