"""Every operation of the API, found in its routes, by every role with every scope, by machines, and without the scope.

A new operation has a line in OPERATIONS; what may be reached follows from accounts.permissions.GRANTS, api.scopes and SERVICE_MAY.
"""

import json
from datetime import timedelta

import pytest
from django.test import RequestFactory
from django.urls import get_resolver
from django.utils import timezone

from incentives.accounts.permissions import GRANTS, SERVICE_MAY
from incentives.api import auth
from incentives.api.app import api
from incentives.api.models import ApiToken
from incentives.api.scopes import SCOPES
from incentives.api.tokens import digest_of
from tests.api.conftest import machine_for
from tests.doors.test_pages import API, FOUND, OPEN, SIGNED_IN, filled
from tests.factories import make_connection

pytestmark = pytest.mark.django_db

OPERATIONS = {
    "GET activities": ("activities:read", "activities.view"),
    "POST activities": ("activities:write", "activities.import"),
    "GET activities/<uuid:activity_id>": ("activities:read", "activities.view"),
    "GET participants": ("participants:read", ("participants.view", "me.view")),
    "POST participants": ("participants:write", "participants.edit"),
    "GET participants/<uuid:participant_id>": ("participants:read", ("participants.view", "me.view")),
    "PATCH participants/<uuid:participant_id>": ("participants:write", "participants.edit"),
    "GET teams": ("groups:read", "participants.view"),
    "GET teams/<uuid:team_id>": ("groups:read", "participants.view"),
    "GET partners": ("groups:read", "participants.view"),
    "GET partners/<uuid:partner_id>": ("groups:read", "participants.view"),
    "GET programs": ("programs:read", "programs.view"),
    "POST programs": ("programs:write", "programs.edit"),
    "GET programs/<uuid:program_id>": ("programs:read", "programs.view"),
    "GET programs/<uuid:program_id>/versions": ("programs:read", "programs.view"),
    "GET programs/<uuid:program_id>/versions/<int:number>": ("programs:read", "programs.view"),
    "POST programs/<uuid:program_id>/draft": ("programs:write", "programs.edit"),
    "POST programs/validate": ("programs:simulate", "programs.simulate"),
    "POST programs/simulate": ("programs:simulate", "programs.simulate"),
    "GET earnings": ("earnings:read", ("programs.view", "me.view")),
    "GET earnings/<uuid:earning_id>": ("earnings:read", ("programs.view", "me.view")),
    "GET payouts": ("payouts:read", "payouts.view"),
    "GET payouts/<uuid:payout_id>": ("payouts:read", "payouts.view"),
    "POST payouts/build": ("payouts:build", "payouts.build"),
    "POST payouts/<uuid:payout_id>/approve": ("payouts:approve", ("payouts.approve", "payouts.approve_as_manager")),
    "POST payouts/<uuid:payout_id>/reject": ("payouts:approve", ("payouts.approve", "payouts.approve_as_manager")),
    "GET budgets": ("budgets:read", "budgets.view"),
    "GET budgets/<uuid:budget_id>": ("budgets:read", "budgets.view"),
    "GET orders": ("orders:read", "orders.view"),
    "GET orders/<uuid:order_id>": ("orders:read", "orders.view"),
}
"""Method and address -> (scope, permissions of which one is needed)."""

PEOPLE_ONLY = {"payouts:approve"}
"""Scopes that no machine has."""


def plain(address: str) -> str:
    """ninja has a converter of its own for the same thing"""
    return address.replace("<uuidstr:", "<uuid:")


def operations() -> dict:
    """'GET address' -> the operation."""
    return {
        f"{method} {plain(path.strip('/').replace('{', '<').replace('}', '>'))}": operation
        for router in api._get_bound_routers()
        for path, view in router.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    }


def wanted(name: str) -> tuple[str, tuple[str, ...]]:
    scope, permissions = OPERATIONS[name]
    return scope, (permissions,) if isinstance(permissions, str) else permissions


def test_every_operation_has_a_line_and_says_the_same():
    found = operations()
    missing = [f"{name} is new: add it to OPERATIONS in {__name__}." for name in found if name not in OPERATIONS]
    assert not missing, "\n".join(missing)
    assert OPERATIONS.keys() == found.keys()
    for name, operation in found.items():
        (guard,) = operation.auth_callbacks
        assert (guard.scope, SCOPES[guard.scope].opens) == wanted(name), name
        assert set(wanted(name)[1]) <= set(GRANTS)
    assert {name for name, scope in SCOPES.items() if not scope.machine} == PEOPLE_ONLY


def test_every_address_below_the_api_is_an_operation():
    """Nothing is mounted there beside the routers."""
    addresses = {plain(address) for address in FOUND if address.startswith(API)} - set(OPEN) - set(SIGNED_IN)
    assert addresses == {API + name.split(" ", 1)[1] for name in OPERATIONS}


def test_every_operation_writes_only_once_per_key():
    for name, operation in operations().items():
        if name.startswith("POST "):
            assert getattr(operation.view_func, "idempotent", None), f"{name}: decorate it with idempotency.once()"


def token_with(user, scopes, connection) -> str:
    """A token with scopes that nobody would have given this user: only the guard of the operation is left."""
    secret = f"lrl_{user.pk}-{hash(frozenset(scopes))}"
    values = {"user": user, "scopes": list(scopes), "connection": connection, "created_by": user, "name": "T"}
    ApiToken.objects.get_or_create(
        digest=digest_of(secret), defaults=values | {"expires_at": timezone.now() + timedelta(days=1)}
    )
    return secret


def ask(client, name: str, secret: str):
    method, address = name.split(" ", 1)
    path = filled(API + address)
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": "k"}
    return getattr(client, method.lower())(
        path, data="" if method == "GET" else "{}", content_type="application/json", headers=headers
    )


@pytest.fixture
def probe(monkeypatch):
    """The guard of every operation runs; what comes behind it does not."""

    class Reached(Exception):
        pass

    original = auth.Needs.__call__

    def guarded(self, request):
        original(self, request)
        raise Reached

    monkeypatch.setattr(auth.Needs, "__call__", guarded)
    monkeypatch.setattr("incentives.api.problems.log.exception", lambda *args, **kwargs: None)
    return 500


def test_every_operation_lets_in_exactly_its_roles(client, people, probe):
    connection, wrong = make_connection(), []
    for name in OPERATIONS:
        scope, permissions = wanted(name)
        for label, user in people.items():
            status = ask(client, name, token_with(user, SCOPES, connection)).status_code
            due = probe if any(user.can(permission) for permission in permissions) else 403
            if status != due:
                wrong.append((name, label, status, due))
        for label in ("manager", "finance"):
            if ask(client, name, token_with(people[label], set(SCOPES) - {scope}, connection)).status_code != 403:
                wrong.append((name, label, "without its scope"))
    assert not wrong, "\n".join(map(str, wrong))


def test_machines_get_in_where_the_table_says(client, people, probe):
    machine = machine_for(people["administrator"], "participants:read").token.user
    wrong = []
    for name in OPERATIONS:
        scope, permissions = wanted(name)
        status = ask(client, name, token_with(machine, SCOPES, make_connection())).status_code
        due = probe if not SERVICE_MAY.isdisjoint(permissions) and scope not in PEOPLE_ONLY else 403
        if status != due:
            wrong.append((name, status, due))
    assert not wrong, "\n".join(map(str, wrong))


def test_without_a_token_every_operation_is_401_whoever_is_signed_in(client, people, monkeypatch):
    monkeypatch.setattr(auth.strangers, "take", lambda *args: 0.0)
    client.force_login(people["manager"])
    for name in OPERATIONS:
        assert ask(client, name, "lrl_nobody").status_code == 401, name


def test_the_guard_stands_before_anything_is_looked_up(people):
    """Of an address whose row does not exist, the refusal does not depend on one."""
    request = RequestFactory().get("/api/v1/activities/0e3a5f6e-4a5b-4a35-a1b2-6a4b5f0f9d11")
    match = get_resolver().resolve(request.path)
    answer = match.func(request, *match.args, **match.kwargs)
    assert (answer.status_code, json.loads(answer.content)["code"]) == (401, "unauthenticated")
