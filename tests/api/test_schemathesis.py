"""The whole document with every role's token: no failure of ours, no answer that is not documented, nothing of others.

LAUREL_API_EXAMPLES is how many requests each operation gets from each role (2 without it).
"""

import os

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from incentives.accounts.models import Role
from incentives.api.models import ApiToken
from incentives.api.scopes import SCOPES, offered
from incentives.wsgi import application
from tests.api.conftest import machine_for, token_for
from tests.factories import make_connection
from tests.payouts.scene import ANSWER, LINK, LINKS, Scene

pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("LAUREL_API_EXAMPLES", "2"))
MACHINE = "machine"
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    response_headers_conformance,
]  # fmt: skip


class World(Scene):
    """A company with something behind every operation."""

    def __init__(self):
        super().__init__()
        self.waiting, self.issued = (
            self.payout(),
            self.payout("700.00", program=self.program(delivery=LINKS), approve=True),
        )
        self.foreign = self.payout("300.00", rep=self.boss)
        self.issue(self.issued)
        self.ids = {
            "activity_id": self.crm.activities.first(), "participant_id": self.boss, "team_id": self.boss,
            "partner_id": self.partner, "program_id": self.waiting.program, "earning_id": self.foreign.allocations.get().earning,
            "payout_id": self.waiting, "budget_id": self.waiting.budget, "order_id": self.issued.order,
        }  # fmt: skip

    def token(self, label: str) -> str:
        """As many scopes as the role or the machine can have."""
        user = self.users.get(label)
        connection = make_connection()
        if label == MACHINE:
            scopes = [name for name, scope in SCOPES.items() if scope.machine]
            return machine_for(self.users["administrator"], *scopes, connection=connection).secret
        scopes = [name for name, _scope in offered(user)]
        return token_for(user, *scopes, connection=connection if "activities:write" in scopes else None).secret


def others(world: World, label: str) -> list[str]:
    """What this token's answers must not hold."""
    secret = [LINK, ANSWER]
    if label == Role.PARTICIPANT:
        return [*secret, "Pat Acme", world.boss.email, str(world.boss.public_id)]
    if label == Role.PARTNER_ADMIN:
        return [*secret, "Ana Ruiz", world.rep.email, str(world.rep.public_id)]
    return secret


@pytest.fixture
def one_connection():
    """The application answers in this process and on the test's own connection, which a request's end would close."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.parametrize("label", [*Role.values, MACHINE])
def test_every_operation_keeps_to_the_document(label, one_connection):
    load_all_checks()
    world = World()
    secret = world.token(label)
    ApiToken.objects.update(rate_per_minute=10**6)
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application)
    headers = {"Authorization": f"Bearer {secret}"}
    reached = set()
    for found in schema.get_all_operations():
        examine(found.ok(), world, headers, others(world, label), reached)
    if label in {Role.MANAGER, MACHINE}:
        assert {"GET /api/v1/payouts/{payout_id}", "GET /api/v1/programs", "GET /api/v1/orders/{order_id}"} <= reached


def examine(operation, world: World, headers: dict, hidden: list[str], reached: set) -> None:
    """Ask EXAMPLES times, with ids of nobody and with those of rows that exist."""

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def ask(case):
        for real in (False, True) if case.path_parameters else (False,):
            if real:
                case.path_parameters = {
                    name: str(world.ids[name].public_id) if name in world.ids else 1 for name in case.path_parameters
                }
            response = case.call(headers=headers)
            case.validate_response(response, checks=CHECKS, headers=headers)
            if response.status_code < 300:
                reached.add(operation.label)
            sent = f"{case.body} {case.query} {case.path_parameters}"
            assert [text for text in hidden if text in response.text and text not in sent] == [], operation.label

    ask()
