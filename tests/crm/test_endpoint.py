"""The generic endpoint: what it takes, what it refuses, and that a refusal leaves nothing."""

import base64
import json
import time

import pytest
from django.db import connection as database
from django.test import Client

from incentives.crm import ingest, services
from incentives.crm.models import Activity, Connection, ConnectionSecret, Delivery, ObjectState
from tests.crm.conftest import event, in_parallel, nothing_stored, process

pytestmark = pytest.mark.django_db
SECRET = "whsec_se8n+y3k/S7tekJtpMkOvTyPARx/nX6B"
EXAMPLE = (
    '{"type":"metric.reported","timestamp":"2026-01-01T00:00:00Z","data":{"external_id":"pos-2026-W01-ana",'
    '"metric":"units_sold","value":"42","period_start":"2025-12-29","period_end":"2026-01-04",'
    '"participant":{"email":"ana.silva@example.com"}}}'
)
SIGNED = {
    "webhook-id": "msg_demo0000000000000000001",
    "webhook-timestamp": "1767225600",
    "webhook-signature": "v1,+3JErxJN5AIMdymNSE1PfRr/GZ7tAdDDChsgf8Q9SDI=",
}


def test_a_posted_win_becomes_one_delivery_one_object_and_one_activity(hook, connection, ana):
    answer = hook(event())
    assert (answer.status_code, answer.json()) == (202, {"external_id": "inv-1-won", "status": "accepted"})
    process()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.delivery_key) == ("processed", "ev:inv-1-won")
    assert json.loads(delivery.raw) == event()
    activity = Activity.objects.get()
    assert (activity.kind, activity.external_id) == ("deal.won", "order:20455:won:1")
    assert (activity.participant, activity.delivery) == (ana, delivery)
    thing = ObjectState.objects.get()
    assert (thing.kind, thing.state, thing.win_ordinal) == ("deal.won", "won", 1)
    assert (str(thing.amount), str(thing.quantity), thing.currency) == ("12500.0000", "5.0000", "EUR")
    assert thing.occurred_at.isoformat() == "2026-03-04T15:20:00+00:00"
    assert thing.changed_seq > thing.credited_seq
    connection.refresh_from_db()
    assert connection.last_received_at == delivery.received_at


def test_the_same_event_again_is_a_duplicate_and_changes_nothing(hook, ana):
    hook(event())
    process()
    seq = ObjectState.objects.get().changed_seq
    again = hook(event(amount="12500"))  # the same number, written otherwise
    assert (again.status_code, again.json()["status"]) == (200, "duplicate")
    process()
    assert (Delivery.objects.count(), Activity.objects.count()) == (1, 1)
    assert ObjectState.objects.get().changed_seq == seq


def test_a_known_external_id_with_other_content_is_a_conflict_and_changes_nothing(hook, ana):
    hook(event())
    process()
    answer = hook(event(amount="99999.00"), **{"webhook-id": "another-delivery"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "conflict")
    process()
    assert Delivery.objects.count() == 1
    assert str(ObjectState.objects.get().amount) == "12500.0000"


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"webhook-id": "msg_1", "Idempotency-Key": "abc"}, "wh:msg_1"),
        ({"Idempotency-Key": '"abc"'}, "ik:abc"),
        ({"Idempotency-Key": "abc"}, "ik:abc"),
        ({}, "ev:inv-1-won"),
    ],
)
def test_the_delivery_key_follows_its_order_of_precedence(hook, ana, headers, key):
    assert hook(event(), **headers).status_code == 202
    assert Delivery.objects.get().delivery_key == key


def test_an_idempotency_key_replays_conflicts_and_must_be_printable(hook, ana):
    assert hook(event(), **{"Idempotency-Key": '"k-1"'}).status_code == 202
    again = hook(event(), **{"Idempotency-Key": "k-1"})
    assert (again.status_code, again["Idempotent-Replayed"]) == (200, "true")
    other = hook(event("inv-2-won"), **{"Idempotency-Key": "k-1"})
    assert other.status_code == 422
    assert hook(event("inv-3-won"), **{"Idempotency-Key": ""}).status_code == 400
    assert hook(event("inv-3-won"), **{"Idempotency-Key": "x" * 256}).status_code == 400
    assert list(Delivery.objects.values_list("external_id", flat=True)) == ["inv-1-won"]


# --- credentials --------------------------------------------------------------------------------------------------------


def test_an_unknown_address_is_404_with_a_json_object(client):
    answer = client.post("/hooks/nonsense/events", "{}", content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic !!"}, {"X-Key": "no"}]
)
def test_a_wrong_or_missing_key_is_401_and_leaves_only_a_counter(hook, connection, header):
    answer = hook(event(), key=False, **header)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated")
    assert nothing_stored()
    connection.refresh_from_db()
    assert connection.refused_count == 1


def test_basic_and_a_configured_header_are_accepted(hook, connection, administrator, ana):
    basic = services.add_secret(connection, "basic", actor=administrator).secrets["basic"]
    services.update_connection(connection, actor=administrator, key_header="X-Api-Key")
    coded = base64.b64encode(basic.encode()).decode()
    assert hook(event("a"), key=False, Authorization=f"Basic {coded}").status_code == 202
    assert hook(event("b"), key=False, **{"X-Api-Key": hook.issued.secrets["bearer"]}).status_code == 202


def test_both_keys_work_while_rotating_and_a_retired_one_stops(hook, connection, administrator, ana):
    fresh = services.rotate_secret(connection, "bearer", actor=administrator).secrets["bearer"]
    assert hook(event("a")).status_code == 202
    assert hook(event("b"), key=False, Authorization=f"Bearer {fresh}").status_code == 202
    services.retire_secret(connection.secrets.order_by("pk").first(), actor=administrator)
    assert hook(event("c")).status_code == 401
    assert hook(event("d"), key=False, Authorization=f"Bearer {fresh}").status_code == 202


def test_secrets_are_not_stored_in_clear(issued, administrator):
    signing = services.add_secret(issued.connection, "signing", actor=administrator).secrets["signing"]
    stored = json.dumps(list(ConnectionSecret.objects.values("digest", "sealed"))) + issued.connection.token_hash
    for clear in (signing, signing.removeprefix("whsec_"), issued.secrets["bearer"], issued.token):
        assert clear not in stored


@pytest.fixture
def signed(connection, administrator, monkeypatch):
    services.set_signing_secret(connection, SECRET, actor=administrator)
    monkeypatch.setattr("incentives.crm.credentials.time.time", lambda: 1767225600.0)


def test_the_worked_example_of_the_contract_verifies(hook, signed, ana):
    answer = hook(EXAMPLE, key=False, **SIGNED)
    assert answer.status_code == 202
    process()
    thing = ObjectState.objects.get()
    assert (thing.kind, thing.metric, str(thing.value)) == ("metric.reported", "units_sold", "42.0000")
    assert thing.participant == ana
    assert Delivery.objects.get().delivery_key == "wh:msg_demo0000000000000000001"


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        (EXAMPLE.replace("42", "43"), {}),
        (EXAMPLE, {"webhook-timestamp": "1767225601"}),
        (EXAMPLE, {"webhook-timestamp": "1767225600.0"}),
        (EXAMPLE, {"webhook-timestamp": "1767225000"}),
        (EXAMPLE, {"webhook-timestamp": "1767226200"}),
        (EXAMPLE, {"webhook-id": "msg_demo0000000000000000002"}),
        (EXAMPLE, {"webhook-id": "msg.demo"}),
        (EXAMPLE, {"webhook-id": None}),
        (EXAMPLE, {"webhook-timestamp": None}),
        (EXAMPLE, {"webhook-signature": None}),
        (EXAMPLE, {"webhook-signature": "v2," + SIGNED["webhook-signature"][3:]}),
        (EXAMPLE, {"webhook-signature": " ".join(["v1,AAAA"] * 16 + [SIGNED["webhook-signature"]])}),
        (EXAMPLE, {"svix-id": "msg_demo0000000000000000001"}),
    ],
)
def test_every_negative_signature_case_is_401_and_stores_nothing_but_a_counter(hook, signed, connection, body, changes):
    headers = {k: v for k, v in {**SIGNED, **changes}.items() if v is not None}
    assert hook(body, key=False, **headers).status_code == 401
    assert nothing_stored()
    connection.refresh_from_db()
    assert connection.refused_count == 1


def test_a_bad_signature_is_not_rescued_by_a_good_key(hook, signed):
    assert hook(EXAMPLE, **{**SIGNED, "webhook-signature": "v1,AAAA"}).status_code == 401
    assert nothing_stored()


def test_any_known_signature_among_several_and_the_alias_headers_verify(hook, signed, ana):
    headers = dict(SIGNED)
    headers["webhook-signature"] = f"v9,zzz v1a,AAAA v1,AAAA {headers['webhook-signature']}"
    assert hook(EXAMPLE, key=False, **headers).status_code == 202
    aliases = {name.replace("webhook", "svix"): value for name, value in SIGNED.items()}
    assert hook(EXAMPLE, key=False, **aliases).status_code == 200


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_???", "whsec_" + "A" * 200])
def test_an_unfit_signing_secret_is_a_configuration_error(connection, administrator, secret):
    with pytest.raises(services.DomainError):
        services.set_signing_secret(connection, secret, actor=administrator)
    assert not connection.secrets.filter(kind="signing").exists()


# --- shapes -------------------------------------------------------------------------------------------------------------


def test_a_batch_answers_for_each_item(hook, ana):
    hook(event("known"))
    bad = event("bad", amount="1.234,50")
    items = [event("a"), event("known"), event("known", amount="1"), bad, event("a"), event("a", amount="2"), 7]
    answer = hook(items)
    assert answer.status_code == 202
    found = [(r["external_id"], r["status"], r.get("error", {}).get("code")) for r in answer.json()["results"]]
    assert found == [
        ("a", "accepted", None),
        ("known", "duplicate", None),
        ("known", "rejected", "conflict"),
        ("bad", "rejected", "malformed"),
        ("a", "duplicate", None),
        ("a", "rejected", "conflict"),
        ("", "rejected", "malformed"),
    ]
    assert Delivery.objects.count() == 2


@pytest.mark.parametrize(("items", "status"), [([], 200), ([7], 400)])
def test_batches_with_nothing_to_store(hook, items, status):
    assert hook(items).status_code == status
    assert nothing_stored()


def test_more_than_a_hundred_events_are_too_many(hook):
    answer = hook([event(f"e{n}") for n in range(101)])
    assert answer.status_code == 413
    assert nothing_stored()


def test_a_flat_form_post_of_texts_is_understood(hook, ana):
    fields = (
        "external_id=zap-1&kind=deal.won&occurred_at=2026-03-04T15:20:00Z&participant_email=ANA.Silva@example.com"
        "&amount=100.50&quantity=2&product_sku=OVEN-2&account_id=C-77&account_name=Bakery&new_logo=true&currency="
    )
    assert hook(fields, content_type="application/x-www-form-urlencoded").status_code == 202
    process()
    thing = ObjectState.objects.get()
    assert (thing.participant, thing.currency, str(thing.amount)) == (ana, "EUR", "100.5000")
    assert thing.account == {"id": "C-77", "name": "Bakery"}
    assert thing.lines == [{"sku": "OVEN-2", "quantity": "2", "total": "100.5"}]
    assert thing.attributes == {"new_logo": True}
    assert (thing.object_type, thing.object_id) == ("event", "zap-1")


CLOUD = {
    "specversion": "1.0",
    "id": "b1f0-77",
    "source": "/erp/invoicing",
    "type": "com.example.deal.won",
    "subject": "20455",
    "time": "2026-03-04T15:20:00Z",
    "datacontenttype": "application/json",
    "campaign": "spring",
    "dataschema": None,
    "data": {"participant": {"email": "ana.silva@example.com"}, "amount": "12500.00", "currency": "EUR"},
}


def test_cloudevents_structured_batch_and_binary_are_one_fact(hook, connection, administrator, ana):
    services.update_connection(connection, actor=administrator, type_map={"com.example.deal.won": "deal.won"})
    assert hook(CLOUD, content_type="application/cloudevents+json").status_code == 202
    batch = hook([CLOUD], content_type="application/cloudevents-batch+json")
    assert batch.json()["results"][0]["status"] == "duplicate"
    names = ("specversion", "id", "source", "type", "subject", "time", "campaign")
    binary = hook(CLOUD["data"], **{f"ce-{name}": CLOUD[name] for name in names})
    assert (binary.status_code, binary.json()["status"]) == (200, "duplicate")
    process()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.delivery_key) == ("processed", "ce:/erp/invoicing|b1f0-77")
    thing = ObjectState.objects.get()
    assert (thing.kind, thing.object_id, thing.attributes) == ("deal.won", "20455", {"campaign": "spring"})


def test_an_empty_cloudevents_batch_is_fine(hook):
    assert hook([], content_type="application/cloudevents-batch+json").status_code == 200


@pytest.mark.parametrize(
    "changes", [{"specversion": "0.3"}, {"id": ""}, {"source": None}, {"type": 7}, {"data": '{"amount": 1}'}]
)
def test_a_broken_cloudevent_is_400(hook, changes):
    assert hook({**CLOUD, **changes}, content_type="application/cloudevents+json").status_code == 400
    assert nothing_stored()


def test_the_handshake_is_granted_to_configured_origins_only(hook, client, connection, administrator):
    services.update_connection(connection, actor=administrator, allowed_origins=["erp.example.com"])
    good = client.options(hook.path, headers={"WebHook-Request-Origin": "erp.example.com"})
    assert good["WebHook-Allowed-Origin"] == "erp.example.com"
    assert "WebHook-Allowed-Origin" not in client.options(hook.path, headers={"WebHook-Request-Origin": "evil.test"})


# --- refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("", "body"),
        ("{", "body"),
        ('"text"', "event"),
        ('{"external_id":"a","external_id":"b"}', "body"),
        ('{"external_id":"a","amount":NaN}', "body"),
        ('{"external_id":"a","amount":Infinity}', "body"),
        ("[" * 2000 + "]" * 2000, "body"),
        ("[" * 100_000, "body"),
        ('{"a":' * 13 + "1" + "}" * 13, "body"),
        ('{"external_id":"a","x":' + "9" * 5000 + "}", "body"),
        (b'{"external_id":"\xff"}', "body"),
        (json.dumps(event(attributes={"x": "a\x00b"})), "body"),
        ('{"external_id":"a\\ud800"}', "body"),
        (json.dumps(event(external_id="")), "external_id"),
        (json.dumps(event(external_id="x" * 256)), "external_id"),
        (json.dumps(event(kind="deal.closed")), "kind"),
        (json.dumps(event(kind=None)), "kind"),
        (json.dumps(event(occurred_at="2026-03-04T16:20:00")), "occurred_at"),
        (json.dumps(event(occurred_at="yesterday")), "occurred_at"),
        (json.dumps(event(occurred_at=None)), "occurred_at"),
        (json.dumps(event(amount="1.234,50")), "amount"),
        (json.dumps(event(amount="NaN")), "amount"),
        (json.dumps(event(amount=True)), "amount"),
        (json.dumps(event(amount="1e40")), "amount"),
        (json.dumps(event(amount="100000000000000")), "amount"),
        (json.dumps(event(lines={"sku": "x"})), "lines"),
        (json.dumps(event(lines=[{"sku": "x", "quantity": "two"}])), "lines[0].quantity"),
        (json.dumps(event(splits=[{"participant": {"email": "a@b.c"}, "percentage": "101"}])), "splits[0].percentage"),
        (json.dumps(event(participant=["x"])), "participant"),
        (json.dumps(event(close_date="31/12/2026")), "close_date"),
        (json.dumps(event(kind="metric.reported")), "metric"),
        (json.dumps(event(kind="metric.reported", metric="m", value="1", mode="set")), "period_start"),
    ],
)
def test_a_malformed_event_names_its_field_and_leaves_nothing(hook, body, field):
    answer = hook(body)
    assert (answer.status_code, answer.json()["error"].get("field")) == (400, field), answer.content
    assert nothing_stored()


def test_oversized_bodies_are_413_before_anything_is_read(hook):
    assert hook(event(attributes={"x": ["y" * 1000] * 300})).status_code == 413
    assert hook(b" " * (1024 * 1024 + 1)).status_code == 413
    assert nothing_stored()


@pytest.mark.parametrize(
    "media", ["text/xml", "text/plain", "application/json; charset=latin-1", "multipart/form-data"]
)
def test_other_media_types_are_415(hook, media):
    assert hook(event(), content_type=media).status_code == 415
    assert nothing_stored()


def test_get_is_405_and_no_cookie_is_set(hook, client):
    answer = client.get(hook.path)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert not hook(event()).cookies


def test_a_flood_is_answered_429_with_retry_after(hook, connection, administrator, ana):
    services.update_connection(connection, actor=administrator, rate_per_minute=3)
    codes = [hook(event(f"e{n}")).status_code for n in range(4)]
    assert codes == [202, 202, 202, 429]
    assert 1 <= int(hook(event("e9"))["Retry-After"]) <= 60
    assert Delivery.objects.count() == 3


def test_guessing_keys_is_slowed_down(hook, connection):
    codes = [hook(event(), key=False, Authorization="Bearer guess").status_code for _ in range(130)]
    assert codes[0] == 401 and codes[-1] == 429


def test_a_paused_connection_stores_and_waits(hook, connection, administrator, ana):
    services.pause(connection, actor=administrator)
    assert hook(event()).status_code == 202
    process()
    assert (Delivery.objects.get().status, Activity.objects.count()) == ("pending", 0)
    services.resume(connection, actor=administrator)
    process()
    assert Activity.objects.get().kind == "deal.won"


def test_an_event_that_cannot_be_stored_is_503(hook, monkeypatch):
    from django.db import OperationalError

    def fail(*args, **kwargs):
        raise OperationalError("database is locked")

    monkeypatch.setattr(Delivery, "save", fail)
    answer = hook(event())
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_stored")
    assert int(answer["Retry-After"]) >= 1


def test_the_usual_post_costs_one_query(hook, ana, django_assert_num_queries):
    hook(event("first"))
    with django_assert_num_queries(1 if not database.in_atomic_block else 3):  # 3: the test's savepoint around it
        assert hook(event("second")).status_code == 202


def test_headers_are_kept_without_credentials(hook, ana):
    hook(event(), **{"webhook-id": "m1", "Cookie": "sessionid=s3cret", "X-Other": "s3cret"})
    stored = json.dumps(Delivery.objects.values().get(), default=str)
    assert hook.issued.secrets["bearer"] not in stored and "s3cret" not in stored


# --- races --------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_same_delivery_ten_timesin_parallel_counts_once(issued, ana):
    body, path = json.dumps(event()), f"/hooks/{issued.token}/events"
    headers = {"Authorization": f"Bearer {issued.secrets['bearer']}", "Idempotency-Key": "k"}

    def post(_):
        return Client().post(path, body, content_type="application/json", headers=headers).status_code

    codes = in_parallel(10, post)
    assert sorted(codes) == [200] * 9 + [202]
    in_parallel(4, lambda _: ingest.process_deliveries())
    assert (Delivery.objects.count(), Activity.objects.count(), ObjectState.objects.count()) == (1, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_many_snapshots_of_few_objects_by_many_workers_end_as_in_order(issued, ana):
    """Five deals, twenty snapshots each, posted in parallel and processed by four workers at once."""
    path = f"/hooks/{issued.token}/events"
    headers = {"Authorization": f"Bearer {issued.secrets['bearer']}"}

    def post(n):
        items = [
            event(f"d{deal}-v{v}", object={"type": "deal", "id": str(deal), "version": str(v)}, amount=str(v * 10))
            for v in range(n, 21, 4)
            for deal in range(5)
        ]
        return Client().post(path, json.dumps(items), content_type="application/json", headers=headers).status_code

    assert set(in_parallel(4, lambda n: post(n + 1))) == {202}
    deadline = time.monotonic() + 30
    while Delivery.objects.filter(status="pending").exists() and time.monotonic() < deadline:
        in_parallel(4, lambda _: ingest.process_deliveries(limit=7))
        Delivery.objects.filter(status="pending").update(next_attempt_at="2026-01-01T00:00:00Z")
    assert not Delivery.objects.exclude(status__in=["processed", "ignored"]).exists()
    for thing in ObjectState.objects.all():
        assert (thing.version, str(thing.amount), thing.state) == (f"n:{20:030d}", "200.0000", "won")
        assert thing.activities.filter(kind="deal.won").count() == 1
    assert ObjectState.objects.count() == 5
    assert Connection.objects.get().last_received_at is not None
