"""`Idempotency-Key`: one change per key, whoever sends it at the same moment, and nothing kept of what did not begin."""

import json
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from incentives.api import idempotency
from incentives.api.errors import KeyInvalid
from incentives.api.models import IdempotencyKey
from incentives.core.errors import DomainError
from incentives.crm.models import Connection
from tests.api.conftest import Api, problem, token_for
from tests.crm.conftest import event, in_parallel
from tests.factories import make_connection, make_participant, make_user

pytestmark = pytest.mark.django_db


class Request:
    """As much of a request as the decorator reads."""

    def __init__(self, caller, key="k", body=b"{}", path="/api/v1/things"):
        self.caller, self.body, self.path, self.method = caller, body, path, "POST"
        self.headers = {} if key is None else {"Idempotency-Key": key}

    def get_full_path(self):
        return self.path


class Caller:
    def __init__(self, token):
        self.token = token


@pytest.fixture
def caller():
    return Caller(token_for(make_user("manager"), "programs:read").token)


def names() -> list[str]:
    return sorted(Connection.objects.values_list("name", flat=True))


def make(outcome=None, **options):
    """An operation that writes one row, then does `outcome`; and how often it ran."""
    runs = []

    @idempotency.once(**options)
    def operation(request):
        runs.append(1)
        make_connection(f"made-{len(runs)}")
        if outcome:
            outcome()
        return 201, {"made": len(runs)}

    return operation, runs


def refuse():
    raise DomainError("No.")


def test_the_answer_is_kept_with_the_change_and_repeated(caller):
    operation, runs = make()
    first, again = operation(Request(caller)), operation(Request(caller, key='"k"'))
    assert (first.status_code, json.loads(first.content)) == (201, {"made": 1})
    assert (again.status_code, again.content, again["Idempotent-Replayed"]) == (201, first.content, "true")
    assert (len(runs), names()) == (1, ["made-1"])


def test_keys_of_other_tokens_and_addresses_are_other_keys(caller):
    operation, runs = make()
    other = Caller(token_for(make_user("manager"), "programs:read").token)
    for request in (Request(caller), Request(other), Request(caller, path="/api/v1/others")):
        assert operation(request).status_code == 201
    assert len(runs) == 3


def test_another_body_under_the_key_is_422_and_does_nothing(caller):
    operation, runs = make()
    operation(Request(caller))
    with pytest.raises(DomainError) as refused:
        operation(Request(caller, body=b'{"a": 1}'))
    assert (refused.value.status, refused.value.code, len(runs)) == (422, "idempotency_key_reused", 1)


def test_a_refusal_is_repeated_too_and_leaves_nothing(caller):
    operation, runs = make(refuse)
    first, again = operation(Request(caller)), operation(Request(caller))
    assert (first.status_code, again.content, len(runs), names()) == (400, first.content, 1, [])
    assert first["Content-Type"] == "application/problem+json"


def test_a_failure_of_ours_leaves_nothing_and_frees_the_key(caller):
    operation, _runs = make(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        operation(Request(caller))
    assert (names(), IdempotencyKey.objects.count()) == ([], 0)
    working, _runs = make()
    assert working(Request(caller)).status_code == 201


def test_while_the_first_runs_the_second_is_409(caller):
    def meanwhile():
        with pytest.raises(DomainError) as refused:
            operation(Request(caller))
        assert (refused.value.status, refused.value.code) == (409, "idempotency_key_in_use")

    operation, runs = make(meanwhile)
    assert operation(Request(caller)).status_code == 201
    assert len(runs) == 1


def test_a_key_left_running_by_a_crash_is_free_after_its_lease(caller, clock):
    operation, runs = make()
    IdempotencyKey.objects.create(
        token=caller.token,
        endpoint="POST /api/v1/things",
        key="k",
        fingerprint=idempotency.fingerprint_of(Request(caller)),
        lease_until=timezone.now() + idempotency.LEASE,
    )
    with pytest.raises(DomainError):
        operation(Request(caller))
    clock.shift(121)
    assert operation(Request(caller)).status_code == 201
    assert len(runs) == 1


def test_who_lost_the_lease_commits_nothing(caller):
    def taken_over():
        IdempotencyKey.objects.update(lease_gen=2)

    operation, _runs = make(taken_over)
    with pytest.raises(DomainError) as refused:
        operation(Request(caller))
    assert (refused.value.status, names()) == (409, [])


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "a\nb", "schlüssel"])
def test_a_key_is_1_to_255_printable_characters(caller, key):
    operation, runs = make()
    with pytest.raises(KeyInvalid):
        operation(Request(caller, key=key))
    assert (runs, IdempotencyKey.objects.count()) == ([], 0)


def test_a_missing_key_is_400_where_one_is_needed(caller):
    operation, runs = make()
    with pytest.raises(DomainError) as refused:
        operation(Request(caller, key=None))
    assert (refused.value.status, refused.value.code, runs) == (400, "idempotency_key_missing", [])


def test_answers_are_forgotten_after_seven_days(caller, clock):
    operation, runs = make()
    operation(Request(caller))
    clock.shift(timedelta(days=7).total_seconds() - 1)
    assert (idempotency.sweep_once(), operation(Request(caller)).status_code, len(runs)) == (0, 201, 1)
    clock.shift(2)
    assert (idempotency.sweep_once(), IdempotencyKey.objects.count()) == (1, 0)


@pytest.mark.django_db(transaction=True)
def test_ten_at_once_do_it_once(client, settings):
    """On PostgreSQL with real concurrency; each is the answer, its repetition, or told that it runs."""
    from django.test import Client

    make_participant("Ana Silva", email="ana.silva@example.com", external_user_id="E-1009")
    made = token_for(make_user("manager"), "activities:write", connection=make_connection("ERP"))

    def post(n):
        return Api(Client(), made.secret).post("/activities", event(), key='"race"')

    answers = in_parallel(10, post)
    assert {answer.status_code for answer in answers} <= {202, 409}
    done = [answer for answer in answers if answer.status_code == 202]
    assert len(done) >= 1 and len({answer.content for answer in done}) == 1
    assert len([answer for answer in done if "Idempotent-Replayed" not in answer]) == 1
    assert IdempotencyKey.objects.get().answer_status == 202
    assert {problem(answer)[1] for answer in answers if answer.status_code == 409} <= {"idempotency_key_in_use"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_the_first_is_still_running_in_another_connection(caller):
    """The row is committed before the change: a second request does not wait for the first, it is told."""
    import threading

    entered, leave, outcome = threading.Event(), threading.Event(), []

    def wait():
        entered.set()
        assert leave.wait(20)

    operation, runs = make(wait)

    def first():
        from django.db import connection

        try:
            outcome.append(operation(Request(caller)).status_code)
        finally:
            connection.close()

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(20)
    with pytest.raises(DomainError) as refused:
        operation(Request(caller))
    leave.set()
    thread.join()
    assert (refused.value.code, outcome, len(runs)) == ("idempotency_key_in_use", [201], 1)
    assert operation(Request(caller))["Idempotent-Replayed"] == "true"
    with transaction.atomic():
        assert names() == ["made-1"]
