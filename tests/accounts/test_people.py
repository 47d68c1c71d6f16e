"""Administrators invite people and give roles; nobody touches their own."""

import threading

import pytest
from django.core import mail
from django.core.mail.backends import locmem
from django.db import connection

from incentives.accounts import services
from incentives.accounts.errors import AlreadyInvited, LastAdministrator, NoLongerInvited, OwnAccount, UnknownRole
from incentives.accounts.models import Role, User, UserRole
from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from tests.accounts.test_sign_in import PASSWORD, reset_link, set_password, signed_in
from tests.accounts.test_sign_in import sign_in as enter
from tests.factories import make_user
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
PAGES = [
    "/people/",
    "/people/invite/",
    "/people/{}/",
    "/people/{}/roles/",
    "/people/{}/deactivate/",
    "/people/{}/reactivate/",
    "/people/{}/invite-again/",
]


@pytest.fixture
def admin(client):
    user = make_user("administrator", name="Zoe Admin")
    client.force_login(user)
    return user


def roles(user) -> set[str]:
    return set(UserRole.objects.filter(user=user).values_list("role", flat=True))


def trail() -> list[tuple]:
    return [(e.action, e.actor_name, e.target_label) for e in AuditEvent.objects.order_by("pk")]


# --- doors --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("role", [role for role in Role.values if role != "administrator"])
def test_only_administrators_find_people(client, page, role):
    somebody = make_user("finance")
    client.force_login(make_user(role))
    address = page.format(somebody.public_id)
    data = {"email": "x@example.com", "name": "X", "roles": ["finance"], "reason": "because"}
    assert (client.get(address).status_code, client.post(address, data).status_code) == (404, 404)
    assert (roles(somebody), User.objects.count(), mail.outbox) == ({"finance"}, 2, [])
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("page", PAGES)
def test_visitors_are_sent_to_sign_in(client, page):
    address = page.format(make_user("finance").public_id)
    assert client.get(address).headers["Location"].startswith("/accounts/login/?next=")


def test_a_superuser_without_the_role_is_nobody_here(client):
    client.force_login(make_user("finance", is_superuser=True, is_staff=True))
    assert client.get("/people/").status_code == 404


def test_the_services_ask_the_role_themselves():
    finance, other = make_user("finance"), make_user("participant")
    with pytest.raises(NotAllowed):
        services.invite(email="x@example.com", name="X", roles={"finance"}, actor=finance)
    with pytest.raises(NotAllowed):
        services.change_roles(user=other, roles={"finance"}, actor=finance)
    with pytest.raises(NotAllowed):
        services.set_active(user=other, active=False, actor=finance)
    with pytest.raises(NotAllowed):
        services.send_invitation(user=other, actor=finance)
    assert (roles(other), User.objects.count(), AuditEvent.objects.count(), mail.outbox) == ({"participant"}, 2, 0, [])


# --- invitations ----------------------------------------------------------------------------------------------------------
def test_an_invited_person_chooses_a_password_and_signs_in(client, admin, settings):
    settings.BASE_URL = "https://rewards.example.com"
    data = {"email": " Ann@Example.com ", "name": "Ann Bee", "roles": ["finance", "auditor"]}
    page = assert_page_clean(client.post("/people/invite/", data, follow=True))
    assert "The invitation is on its way to ann@example.com." in page.text
    ann = User.objects.get(email="ann@example.com")
    assert (roles(ann), ann.has_usable_password()) == ({"finance", "auditor"}, False)
    assert trail() == [("user.invited", "Zoe Admin", "Ann Bee"), ("user.invitation_sent", "Zoe Admin", "Ann Bee")]
    (message,) = mail.outbox
    assert message.to == ["ann@example.com"] and "Zoe Admin invited you" in message.body
    assert "https://rewards.example.com/accounts/password/reset/key/" in message.body
    client.logout()
    set_password(client, reset_link(message.body), PASSWORD)
    enter(client, "ann@example.com")
    assert signed_in(client)
    assert AuditEvent.objects.filter(action="user.password_set", actor=ann).count() == 1


@pytest.mark.parametrize("email", ["ann@example.com", "ANN@example.com "])
def test_an_address_is_invited_once(client, admin, email):
    make_user("finance", email="ann@example.com")
    response = client.post("/people/invite/", {"email": email, "name": "Other", "roles": ["auditor"]})
    assert response.status_code == 409
    assert "Somebody with this e-mail address is here already." in assert_page_clean(response).text
    with pytest.raises(AlreadyInvited):
        services.invite(email=email, name="Other", roles=set(), actor=admin)
    assert (User.objects.count(), AuditEvent.objects.count(), mail.outbox) == (2, 0, [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"email": "nope"}, "Enter a valid email address."),
        ({"name": ""}, "This field is required."),
        ({"roles": ["king"]}, "There is no role “king”."),
        ({"roles": []}, "This field is required."),
    ],
)
def test_a_wrong_invitation_says_what_was_expected_and_leaves_nothing(client, admin, change, message):
    data = {"email": "ann@example.com", "name": "Ann", "roles": ["finance"]} | change
    response = client.post("/people/invite/", data)
    assert response.status_code == 400
    assert message in assert_page_clean(response).text
    assert (User.objects.count(), AuditEvent.objects.count(), mail.outbox) == (1, 0, [])


def test_a_refusing_mail_server_is_told_and_the_invitation_can_be_sent_again(client, admin, monkeypatch):
    def refuse(self, messages):
        raise ConnectionRefusedError

    with monkeypatch.context() as patch:
        patch.setattr(locmem.EmailBackend, "send_messages", refuse)
        page = assert_page_clean(
            client.post(
                "/people/invite/", {"email": "ann@example.com", "name": "Ann", "roles": ["finance"]}, follow=True
            )
        )
    assert "the mail server took no message" in page.text
    ann = User.objects.get(email="ann@example.com")
    assert [action for action, *_ in trail()] == ["user.invited"]
    client.post(f"/people/{ann.public_id}/invite-again/")
    assert [message.to for message in mail.outbox] == [["ann@example.com"]]
    assert [action for action, *_ in trail()] == ["user.invited", "user.invitation_sent"]


def test_who_has_a_password_is_not_invited_again(client, admin):
    ann = make_user("finance", password=PASSWORD)
    with pytest.raises(NoLongerInvited):
        services.send_invitation(user=ann, actor=admin)
    page = assert_page_clean(client.post(f"/people/{ann.public_id}/invite-again/", follow=True))
    assert "has chosen a password already" in page.text
    assert (mail.outbox, trail()) == ([], [])


# --- roles and access -------------------------------------------------------------------------------------------------------
def test_roles_change_exactly_and_are_recorded(client, admin):
    ann = make_user("finance", "auditor", name="Ann")
    page = assert_page_clean(
        client.post(f"/people/{ann.public_id}/roles/", {"roles": ["manager", "auditor"]}, follow=True)
    )
    assert "The roles of Ann are saved." in page.text
    assert roles(ann) == {"manager", "auditor"}
    assert UserRole.objects.get(user=ann, role="manager").granted_by == admin
    event = AuditEvent.objects.get()
    assert (event.action, event.before, event.after) == (
        "user.roles_changed",
        {"roles": ["auditor", "finance"]},
        {"roles": ["auditor", "manager"]},
    )
    services.change_roles(user=ann, roles={"manager", "auditor"}, actor=admin)
    assert AuditEvent.objects.count() == 1


def test_nobody_changes_their_own_roles_or_access(client, admin):
    make_user("administrator")
    response = client.post(f"/people/{admin.public_id}/roles/", {"roles": ["administrator", "finance"]})
    assert response.status_code == 403
    assert "Nobody changes their own roles or access." in assert_page_clean(response).text
    assert client.post(f"/people/{admin.public_id}/deactivate/", {"reason": "bye"}).status_code == 403
    with pytest.raises(OwnAccount):
        services.set_active(user=admin, active=False, actor=admin)
    admin.refresh_from_db()
    assert (roles(admin), admin.is_active, trail()) == ({"administrator"}, True, [])
    assert "Change roles" not in assert_page_clean(client.get(f"/people/{admin.public_id}/")).text


def test_an_unknown_role_is_refused(admin):
    ann = make_user("finance")
    with pytest.raises(UnknownRole):
        services.change_roles(user=ann, roles={"finance", "king"}, actor=admin)
    assert (roles(ann), trail()) == ({"finance"}, [])


def test_the_last_administrator_stays(admin):
    """Another administrator who has just lost the role cannot take the last one's away."""
    other = make_user("administrator")
    assert other.can("users.edit")  # read once per request: a request begun before the change
    services.change_roles(user=other, roles={"finance"}, actor=admin)
    for attempt in (
        lambda: services.change_roles(user=admin, roles=set(), actor=other),
        lambda: services.set_active(user=admin, active=False, actor=other),
    ):
        with pytest.raises(LastAdministrator):
            attempt()
    admin.refresh_from_db()
    assert (roles(admin), admin.is_active) == ({"administrator"}, True)
    assert [action for action, *_ in trail()] == ["user.roles_changed"]


def test_ending_and_restoring_access_wants_a_reason(client, admin):
    ann = make_user("finance", name="Ann", password=PASSWORD)
    address = f"/people/{ann.public_id}/deactivate/"
    assert client.post(address, {"reason": " "}).status_code == 400
    assert User.objects.get(pk=ann.pk).is_active
    client.post(address, {"reason": "Left"})
    client.post(address, {"reason": "Left again"})
    assert not User.objects.get(pk=ann.pk).is_active
    client.post(f"/people/{ann.public_id}/reactivate/", {"reason": "Back"})
    assert User.objects.get(pk=ann.pk).is_active
    assert [(e.action, e.reason, e.after) for e in AuditEvent.objects.order_by("pk")] == [
        ("user.deactivated", "Left", {"active": False}),
        ("user.reactivated", "Back", {"active": True}),
    ]


def test_the_list_tells_who_is_active_invited_or_deactivated(client, admin):
    make_user("finance", name="Active", password=PASSWORD)
    make_user("finance", name="Invited")
    make_user("finance", name="Gone", is_active=False)
    for state, names in {"active": ["Active"], "invited": ["Invited", "Zoe Admin"], "inactive": ["Gone"]}.items():
        rows = client.get(f"/people/?state={state}").context["rows"]
        assert [row["object"].name for row in rows] == names
    assert [row["object"].name for row in client.get("/people/?role=administrator").context["rows"]] == ["Zoe Admin"]


# --- profile ----------------------------------------------------------------------------------------------------------------
def test_times_follow_the_zone_of_the_profile(client, admin):
    event_time = AuditEvent.objects.exists()
    assert not event_time
    page = client.post("/profile/", {"name": "Zoe", "time_zone": "Asia/Tokyo", "language": "en"}, follow=True)
    assert "Your profile is saved." in assert_page_clean(page).text
    event = AuditEvent.objects.get(action="user.profile_changed")
    assert event.after == {"name": "Zoe", "time_zone": "Asia/Tokyo", "language": "en"}
    assert "JST" in client.get(f"/audit/{event.pk}/").content.decode()
    client.post("/profile/", {"name": "Zoe", "time_zone": "Asia/Tokyo", "language": "en"})
    assert AuditEvent.objects.count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../../etc/passwd"},
        {"language": "xx"},
        {"name": ""},
        {"name": "\x00"},
    ],
)
def test_a_wrong_profile_changes_nothing(client, admin, change):
    response = client.post("/profile/", {"name": "Zoe", "time_zone": "UTC", "language": "en"} | change)
    assert response.status_code == 400
    assert_page_clean(response)
    admin.refresh_from_db()
    assert (admin.name, admin.time_zone, admin.language) == ("Zoe Admin", "UTC", "en")
    assert not AuditEvent.objects.exists()


def test_the_profile_is_ones_own_whatever_the_form_says(client, admin):
    other = make_user("finance", name="Other")
    client.post(
        "/profile/",
        {
            "name": "Zoe",
            "time_zone": "UTC",
            "language": "en",
            "user": other.pk,
            "roles": ["finance"],
            "email": "x@example.com",
        },
    )
    other.refresh_from_db()
    assert (other.name, roles(admin)) == ("Other", {"administrator"})
    assert User.objects.get(pk=admin.pk).email == admin.email


def test_the_django_admin_shows_people_and_changes_none(client):
    boss = make_user("administrator", is_staff=True, is_superuser=True)
    client.force_login(boss)
    assert client.get("/admin/accounts/user/").status_code == 200
    assert client.get(f"/admin/accounts/user/{boss.pk}/change/").status_code == 200
    assert client.post(f"/admin/accounts/user/{boss.pk}/change/", {"name": "x"}).status_code == 403
    assert client.get("/admin/accounts/user/add/").status_code == 403
    assert client.post(f"/admin/accounts/user/{boss.pk}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_two_administrators_cannot_take_the_role_from_each_other_at_once():
    one, two = make_user("administrator"), make_user("administrator")
    start, outcomes = threading.Barrier(2), []

    def demote(actor, user):
        try:
            actor = User.objects.get(pk=actor.pk)
            assert actor.can("users.edit")
            start.wait(timeout=10)
            services.change_roles(user=user, roles=set(), actor=actor)
            outcomes.append("done")
        except LastAdministrator:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=demote, args=pair) for pair in ((one, two), (two, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(outcomes) == ["done", "refused"]
    assert UserRole.objects.filter(role="administrator").count() == 1
    assert [action for action, *_ in trail()] == ["user.roles_changed"]
