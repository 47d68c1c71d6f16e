"""Tokens: made once, narrowed by scopes, ended; and that a machine is nobody's second person."""

import re
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from incentives.accounts.models import User
from incentives.accounts.permissions import GRANTS, SERVICE_MAY
from incentives.accounts.services import change_roles
from incentives.api import auth, tokens
from incentives.api.errors import TokenInvalid
from incentives.api.models import ApiToken
from incentives.api.scopes import SCOPES
from incentives.core.errors import DomainError, NotAllowed
from incentives.core.logs import redact
from incentives.core.models import AuditEvent
from tests.api.conftest import Api, machine_for, problem, token_for
from tests.factories import make_connection, make_user
from tests.support.environment import ROOT
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager():
    return make_user("manager")


@pytest.fixture
def administrator():
    return make_user("administrator")


def test_a_token_is_stored_hashed_and_recorded_without_itself(manager):
    made = token_for(manager, "activities:read", "programs:read", days=30)
    assert re.fullmatch(r"lrl_[A-Za-z0-9_-]{43}", made.secret)
    row = ApiToken.objects.get()
    assert made.secret not in str(vars(row)) and made.secret not in repr(made)
    assert (row.scopes, row.user, row.status) == (["activities:read", "programs:read"], manager, "active")
    assert row.expires_at - row.created_at < timedelta(days=30, seconds=5)
    event = AuditEvent.objects.get(action="token.created")
    assert (event.actor, event.after["scopes"], made.secret in str(vars(event))) == (manager, row.scopes, False)
    assert redact(f"token {made.secret} came") == "token [secret] came"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"scopes": ["payouts:approve"]}, "scopes"),  # an administrator's role has no such permission
        ({"days": 0}, "days"),
        ({"days": 366}, "days"),
        ({"scopes": ["activities:write"]}, "connection"),
    ],
)
def test_what_does_not_fit_makes_no_token(administrator, change, field):
    values = {"name": "A", "scopes": ["participants:read"], "days": 30} | change
    with pytest.raises(TokenInvalid) as refused:
        tokens.create_token(actor=administrator, user=administrator, **values)
    assert refused.value.details["field"] == field
    with pytest.raises(TokenInvalid):
        tokens.create_machine_token(actor=administrator, **values)
    assert not ApiToken.objects.exists() and not User.objects.filter(is_service=True).exists()


def test_nobody_makes_or_revokes_a_token_of_somebody_else(manager, administrator):
    for actor, user in ((manager, administrator), (administrator, manager)):
        with pytest.raises(NotAllowed):
            tokens.create_token(actor=actor, user=user, name="A", scopes=["participants:read"], days=1)
    with pytest.raises(NotAllowed):
        tokens.create_machine_token(actor=manager, name="A", scopes=["participants:read"], days=1)
    made = token_for(manager, "participants:read")
    with pytest.raises(NotAllowed):
        tokens.revoke_token(token=made.token, actor=make_user("finance"))
    assert (ApiToken.objects.count(), User.objects.filter(is_service=True).count()) == (1, 0)


def test_what_ends_a_token_ends_it_with_the_next_request(api, manager, administrator, clock):
    path = "/activities"
    revoked = api(manager, "activities:read")
    assert revoked.get(path).status_code == 200
    tokens.revoke_token(token=revoked.token, actor=administrator)
    tokens.revoke_token(token=revoked.token, actor=administrator)
    assert problem(revoked.get(path)) == (401, "unauthenticated")
    assert AuditEvent.objects.filter(action="token.revoked").count() == 1
    short = api(manager, "activities:read", days=1)
    clock.shift(24 * 3600 + 1)
    assert problem(short.get(path)) == (401, "unauthenticated")
    gone = api(manager, "activities:read")
    User.objects.filter(pk=manager.pk).update(is_active=False)
    assert problem(gone.get(path)) == (401, "unauthenticated")


def test_without_a_valid_token_nothing_is_answered_and_nothing_left(client, manager):
    client.force_login(manager)  # a session opens no door here
    for header in (
        {},
        {"Authorization": "Bearer lrl_nonsense"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer"},
    ):
        answer = client.get("/api/v1/activities", headers=header)
        assert problem(answer) == (401, "unauthenticated")
        assert answer["WWW-Authenticate"] == 'Bearer realm="Laurel"'


def test_guessing_is_slowed_down_by_address(client, monkeypatch):
    seen = []

    class Full:
        def take(self, key, per_minute, count=1):
            seen.append((key, per_minute))
            return 0.0 if len(seen) < 3 else 7.2

    monkeypatch.setattr(auth, "strangers", Full())
    answers = [client.get("/api/v1/activities", headers={"Authorization": "Bearer lrl_guess"}) for _ in range(3)]
    assert [problem(answer)[0] for answer in answers] == [401, 401, 429]
    assert (answers[2]["Retry-After"], seen[0]) == ("8", ("127.0.0.1", 120))


def test_a_scope_narrows_the_person_and_the_person_narrows_the_scope(api, manager):
    narrow = api(manager, "programs:read")
    answer = narrow.get("/activities")
    assert problem(answer) == (403, "insufficient_scope")
    assert answer["WWW-Authenticate"] == 'Bearer realm="Laurel", error="insufficient_scope", scope="activities:read"'
    wide = api(manager, "activities:read")
    assert wide.get("/activities").status_code == 200
    change_roles(user=manager, roles={"participant"}, actor=make_user("administrator"))
    assert problem(wide.get("/activities")) == (403, "not_allowed")


def test_a_user_of_a_token_has_no_permission_beyond_its_scopes(api, manager):
    """Seen from below: what a service would be told."""
    from incentives.api.scopes import permissions_of

    manager.limited_to = permissions_of(["payouts:build"])
    allowed = {permission for permission in GRANTS if manager.can(permission)}
    assert allowed == {"payouts.build", "payouts.view", "programs.view"}


def test_a_machine_may_what_the_table_says_and_holds_no_role(administrator):
    machine = machine_for(administrator, "participants:read").token.user
    assert {permission for permission in GRANTS if machine.can(permission)} == SERVICE_MAY
    assert (machine.roles, machine.has_usable_password(), machine.responsible) == (frozenset(), False, administrator)
    with pytest.raises(DomainError):
        change_roles(user=machine, roles={"finance"}, actor=administrator)
    assert not machine.role_set.exists()
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=machine.pk).update(responsible=None)
    deciding = {name for name in GRANTS if name.split(".")[1] in {"approve", "approve_as_manager", "publish", "review", "lift",
                "fund", "close", "resolve", "cancel", "give"}}  # fmt: skip
    assert SERVICE_MAY & deciding == set()


def test_machines_stand_nowhere_among_people(client, administrator):
    machine_for(administrator, "participants:read", name="Robot arm")
    client.force_login(administrator)
    assert "Robot arm" not in client.get("/people/").content.decode()


def test_every_scope_is_documented_and_of_the_table():
    text = (ROOT / "docs" / "api.md").read_text()
    for name, scope in SCOPES.items():
        who = "people, machines" if scope.machine else "people"
        line = f"| `{name}` | {scope.label} | {' or '.join(f'`{p}`' for p in scope.opens)} | {who} |"
        assert line in text, line
        assert scope.permissions <= set(GRANTS)
        assert not scope.machine or not SERVICE_MAY.isdisjoint(scope.opens), name


# --- the rate -----------------------------------------------------------------------------------------------------------
def test_the_rate_counts_down_refuses_and_begins_anew(api, manager, clock):
    caller = api(manager, "activities:read")
    ApiToken.objects.update(rate_per_minute=2)
    first, second, third = (caller.get("/activities") for _ in range(3))
    assert [first["RateLimit"], second["RateLimit"]] == ['"token";r=1;t=60', '"token";r=0;t=60']
    assert first["RateLimit-Policy"] == '"token";q=2;w=60'
    assert problem(third) == (429, "rate_limited")
    assert (third["Retry-After"], third["RateLimit"]) == ("60", '"token";r=0;t=60')
    clock.shift(60)
    assert caller.get("/activities")["RateLimit"] == '"token";r=1;t=60'
    caller.token.refresh_from_db()
    assert caller.token.last_used_at == timezone.now()


# --- pages --------------------------------------------------------------------------------------------------------------
def text_of(response) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", response.content.decode()))


def test_a_person_makes_sees_and_revokes_their_own(client, manager):
    client.force_login(manager)
    page = client.get("/profile/tokens/new/")
    assert_page_clean(page)
    assert "payouts:approve" in text_of(page)  # the manager's step
    made = client.post("/profile/tokens/new/", {"name": "Nightly", "scopes": ["programs:read"], "days": "30"})
    assert (made.status_code, made["Cache-Control"]) == (200, "no-store")
    assert_page_clean(made)
    secret = re.search(r"lrl_[A-Za-z0-9_-]{43}", made.content.decode())[0]
    token = ApiToken.objects.get()
    assert (token.user, token.scopes, token.connection) == (manager, ["programs:read"], None)
    listed = client.get("/profile/tokens/")
    assert_page_clean(listed)
    assert "Nightly" in text_of(listed) and secret not in listed.content.decode()
    assert client.get(f"/profile/tokens/{token.public_id}/revoke/").status_code == 200
    assert client.post(f"/profile/tokens/{token.public_id}/revoke/").status_code == 302
    token.refresh_from_db()
    assert token.status == "revoked"


def test_a_form_with_a_mistake_makes_nothing(client, manager):
    client.force_login(manager)
    for wrong in ({"scopes": ["activities:write"]}, {"scopes": []}, {"scopes": ["budgets:write"]}, {"days": "4000"}):
        values = {"name": "Nightly", "scopes": ["programs:read"], "days": "30"} | wrong
        assert client.post("/profile/tokens/new/", values).status_code == 400
    assert not ApiToken.objects.exists()


def test_somebody_elses_token_is_404(client, manager):
    made = token_for(manager, "programs:read")
    client.force_login(make_user("finance"))
    for page in (f"/profile/tokens/{made.token.public_id}/revoke/", f"/tokens/{made.token.public_id}/", "/tokens/"):
        assert client.get(page).status_code == 404, page
        assert client.post(page).status_code == 404, page
    assert ApiToken.objects.get().revoked_at is None


def test_administrators_make_a_machine_renew_and_revoke_its_token(client, administrator):
    client.force_login(administrator)
    erp = make_connection("ERP")
    values = {"name": "ERP sync", "scopes": ["activities:write"], "days": "90", "connection": str(erp.public_id)}
    page = client.get("/tokens/new/")
    assert_page_clean(page)
    assert "payouts:approve" not in text_of(page)
    made = client.post("/tokens/new/", values)
    assert made.status_code == 200
    first = ApiToken.objects.get()
    assert (first.user.is_service, first.user.responsible, first.connection) == (True, administrator, erp)
    detail = client.get(f"/tokens/{first.public_id}/")
    assert_page_clean(detail)
    assert "ERP sync" in text_of(detail)
    assert client.post(f"/tokens/{first.public_id}/renew/", values | {"name": "Second"}).status_code == 200
    second = ApiToken.objects.get(name="Second")
    assert second.user == first.user
    assert client.post(f"/tokens/{first.public_id}/revoke/").status_code == 302
    listed = client.get("/tokens/")
    assert_page_clean(listed)
    assert "Second" in text_of(listed) and "Robot" not in text_of(listed)
    assert "ERP sync" in text_of(client.get("/tokens/?tab=ended"))
    for query in ("?kind=machine&scope=activities:write&q=second", f"?user={first.user.public_id}"):
        assert "Second" in text_of(client.get(f"/tokens/{query}"))
    assert "Second" not in text_of(client.get("/tokens/?kind=person"))
    export = client.get("/tokens/?export=csv")
    assert b"Second" in b"".join(export.streaming_content) and export.status_code == 200


def test_the_token_that_was_shown_opens_the_api(client, manager):
    client.force_login(manager)
    made = client.post("/profile/tokens/new/", {"name": "N", "scopes": ["activities:read"], "days": "30"})
    secret = re.search(r"lrl_[A-Za-z0-9_-]{43}", made.content.decode())[0]
    assert Api(client, secret).get("/activities").json() == {"data": [], "next_cursor": None}


def test_the_profile_and_the_administrators_menu_lead_there(client, manager, administrator):
    client.force_login(manager)
    assert reverse("api:own-tokens") in client.get("/profile/").content.decode()
    client.force_login(administrator)
    assert 'href="/tokens/"' in client.get("/people/").content.decode()
