"""Signing in and out, passwords, and the doors that stay closed."""

import re

import pytest
from django.core import mail

from incentives.accounts.models import User
from incentives.core.models import AuditEvent
from tests.factories import make_user
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


def sign_in(client, email: str, password: str = PASSWORD, **more):
    return client.post("/accounts/login/", {"login": email, "password": password, **more})


def signed_in(client) -> bool:
    return client.get("/profile/").status_code == 200


def test_the_right_password_signs_in_and_leads_to_the_page_asked_for(client):
    make_user("finance", email="fin@example.com", password=PASSWORD)
    response = sign_in(client, "FIN@example.com", next="/audit/?q=x")
    assert (response.status_code, response.headers["Location"]) == (302, "/audit/?q=x")
    assert signed_in(client)


def test_another_sites_address_is_not_followed_after_sign_in(client):
    make_user("finance", email="fin@example.com", password=PASSWORD)
    assert sign_in(client, "fin@example.com", next="https://evil.example/").headers["Location"] == "/"


@pytest.mark.parametrize(("email", "password"), [("fin@example.com", "wrong"), ("nobody@example.com", PASSWORD)])
def test_a_wrong_sign_in_says_the_same_for_known_and_unknown_people(client, email, password):
    make_user("finance", email="fin@example.com", password=PASSWORD)
    page = assert_page_clean(sign_in(client, email, password))
    assert "The email address and/or password you specified are not correct." in page.text
    assert not signed_in(client)


def test_who_was_deactivated_cannot_sign_in_and_is_out_at_the_next_request(client):
    user = make_user("finance", email="fin@example.com", password=PASSWORD)
    sign_in(client, "fin@example.com")
    assert signed_in(client)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert not signed_in(client)
    sign_in(client, "fin@example.com")
    assert not signed_in(client)


def test_sign_out_is_a_post_in_the_user_menu(client):
    client.force_login(make_user("finance"))
    assert '<form method="post" action="/accounts/logout/">' in client.get("/profile/").content.decode()
    client.post("/accounts/logout/")
    assert not signed_in(client)


def test_demo_sign_ins_stand_on_the_page_only_when_set(client, settings):
    assert "Look around the demo" not in assert_page_clean(client.get("/accounts/login/")).text
    make_user("finance", email="fin@example.com", password=PASSWORD)
    settings.DEMO_SIGN_INS = [("Finance lead", "fin@example.com", PASSWORD)]
    html = client.get("/accounts/login/").content.decode()
    assert "Finance lead" in assert_page_clean(html).text
    fields = dict(re.findall(r'type="hidden" name="(login|password)" value="([^"]+)"', html))
    assert sign_in(client, fields["login"], fields["password"]).status_code == 302
    assert signed_in(client)


def test_nobody_signs_up(client):
    data = {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD}
    assert "By invitation" in assert_page_clean(client.post("/accounts/signup/", data)).text
    assert not User.objects.exists()


def test_the_sign_in_address_is_not_changed_by_oneself(client):
    user = make_user("finance", email="fin@example.com", password=PASSWORD)
    client.force_login(user)
    response = client.post("/accounts/email/", {"action_add": "", "email": "other@example.com"})
    assert (response.status_code, response.headers["Location"]) == (302, "/profile/")
    assert user.emailaddress_set.filter(email="other@example.com").count() == 0
    assert mail.outbox == []


def reset_link(text: str) -> str:
    return re.search(r"https?://[^/\s]+(/accounts/password/reset/key/\S+)", text).group(1)


def set_password(client, link: str, password: str):
    form = client.get(link, follow=True)
    return client.post(form.request["PATH_INFO"], {"password1": password, "password2": password}, follow=True)


def test_a_forgotten_password_is_set_anew_by_a_link_that_works_once(client):
    user = make_user("finance", email="fin@example.com", password="old password 12")
    client.post("/accounts/password/reset/", {"email": "fin@example.com"})
    link = reset_link(mail.outbox[0].body)
    assert "Your password is set" in assert_page_clean(set_password(client, link, PASSWORD)).text
    assert User.objects.get(pk=user.pk).check_password(PASSWORD)
    event = AuditEvent.objects.get(action="user.password_set")
    assert (event.actor_id, event.before, event.after) == (user.pk, {}, {})
    client.session.flush()
    assert "This link no longer works" in assert_page_clean(client.get(link, follow=True)).text


def test_an_unknown_address_is_answered_like_a_known_one(client):
    make_user("finance", email="fin@example.com", password=PASSWORD)
    known = client.post("/accounts/password/reset/", {"email": "fin@example.com"})
    unknown = client.post("/accounts/password/reset/", {"email": "nobody@example.com"})
    assert (known.status_code, known.headers["Location"]) == (unknown.status_code, unknown.headers["Location"])


def test_a_short_password_is_refused_with_the_reason(client):
    user = make_user("finance", password=PASSWORD)
    client.force_login(user)
    response = client.post(
        "/accounts/password/change/", {"oldpassword": PASSWORD, "password1": "short", "password2": "short"}
    )
    assert "It must contain at least 12 characters." in assert_page_clean(response).text
    assert User.objects.get(pk=user.pk).check_password(PASSWORD)
    assert not AuditEvent.objects.exists()
