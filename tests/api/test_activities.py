"""POST and GET /api/v1/activities: the intake of the generic endpoint, behind a token."""

import pytest

from incentives.api.models import IdempotencyKey
from incentives.crm.models import Activity, Connection, Delivery
from tests.api.conftest import problem
from tests.crm.conftest import event, nothing_stored, process
from tests.factories import make_connection, make_participant, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana():
    return make_participant("Ana Silva", email="ana.silva@example.com", external_user_id="E-1009")


@pytest.fixture
def erp():
    return make_connection("ERP", kind=Connection.Kind.API, currency="EUR")


@pytest.fixture
def writer(api, erp):
    return api(make_user("manager"), "activities:write", "activities:read", connection=erp)


def test_one_event_becomes_one_activity_of_the_tokens_connection(writer, erp, ana):
    answer = writer.post("/activities", event(), key=None)
    assert (answer.status_code, answer.json()) == (
        202,
        {
            "accepted": 1,
            "duplicates": 0,
            "rejected": 0,
            "results": [{"row": 0, "external_id": "inv-1-won", "status": "accepted", "error": None}],
        },
    )
    process()
    delivery = Delivery.objects.get()
    assert (delivery.connection, delivery.channel, delivery.delivery_key) == (erp, "api", "ev:inv-1-won")
    activity = Activity.objects.get()
    found = writer.get(f"/activities/{activity.public_id}").json()
    assert found == {
        "id": str(activity.public_id),
        "external_id": "order:20455:won:1",
        "kind": "deal.won",
        "occurred_at": "2026-03-04T15:20:00+00:00",
        "received_at": activity.received_at.isoformat(),
        "participant": {"id": str(ana.public_id), "external_user_id": "E-1009", "name": "Ana Silva"},
        "connection": "ERP",
        "channel": "api",
        "object": {"type": "order", "id": "20455"},
        "snapshot": activity.snapshot,
        "previous": {},
    }
    assert (found["snapshot"]["amount"], found["snapshot"]["currency"]) == ("12500", "EUR")


def test_the_same_event_again_is_a_duplicate_and_other_content_a_conflict(writer, ana):
    writer.post("/activities", event(), key=None)
    again = writer.post("/activities", event(amount="12500"), key=None)
    assert (again.status_code, again.json()["results"][0]["status"]) == (200, "duplicate")
    answer = writer.post("/activities", event(amount="1"), key=None)
    assert problem(answer) == (422, "conflict")
    assert answer.json()["errors"] == [
        {"row": 0, "field": "external_id", "code": "conflict", "message": answer.json()["detail"]}
    ]
    assert Delivery.objects.count() == 1


def test_a_batch_of_a_thousand_is_stored_and_of_one_more_is_not(writer, ana):
    events = [event(f"e-{n}", object={"type": "order", "id": str(n)}) for n in range(1001)]
    answer = writer.post("/activities", events, key=None)
    assert problem(answer) == (422, "invalid")
    assert nothing_stored()
    answer = writer.post("/activities", events[:1000], key=None)
    assert answer.status_code == 202, answer.content
    assert answer.json()["accepted"] == 1000
    assert Delivery.objects.count() == 1000


def test_each_event_of_a_batch_is_judged_by_itself_and_named_by_row_and_field(writer, ana):
    bad = event("bad", amount="1.234,50")
    answer = writer.post("/activities", [event("good"), bad, event("good"), 7], key=None)
    assert answer.status_code == 202
    body = answer.json()
    assert (body["accepted"], body["duplicates"], body["rejected"]) == (1, 1, 2)
    assert [(r["row"], r["status"]) for r in body["results"]] == [
        (0, "accepted"), (1, "rejected"), (2, "duplicate"), (3, "rejected"),
    ]  # fmt: skip
    assert (body["results"][1]["error"]["code"], body["results"][1]["error"]["field"]) == ("malformed", "amount")
    answer = writer.post("/activities", [bad, 7], key=None)
    assert problem(answer) == (400, "malformed")
    assert [(e["row"], e["field"]) for e in answer.json()["errors"]] == [(0, "amount"), (1, "event")]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("{", (400, "malformed")),
        ('{"a":1,"a":2}', (400, "malformed")),
        ('{"amount": NaN}', (400, "malformed")),
        ('"\\u0000"', (400, "malformed")),
        ("[]", (422, "invalid")),
        ("[" * 60 + "]" * 60, (400, "malformed")),
        ("", (400, "malformed")),
        ("null", (400, "malformed")),
    ],
)
def test_what_cannot_be_understood_is_refused_and_leaves_nothing(writer, raw, expected):
    assert problem(writer.post("/activities", raw=raw, key=None)) == expected
    assert nothing_stored() and not IdempotencyKey.objects.exists()


def test_only_json_and_only_so_much(writer, client):
    headers = {"Authorization": f"Bearer {writer.secret}"}
    answer = client.post("/api/v1/activities", "a=1", content_type="application/x-www-form-urlencoded", headers=headers)
    assert problem(answer) == (415, "unsupported_media_type")
    big = '["' + "x" * (2 * 1024 * 1024) + '"]'
    assert problem(writer.post("/activities", raw=big, key=None)) == (413, "too_large")
    assert nothing_stored()


def test_a_key_repeats_the_answer_and_is_refused_for_another_body(writer, ana):
    first = writer.post("/activities", event(), key='"k-1"')
    again = writer.post("/activities", event(), key="k-1")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content
    assert (first.get("Idempotent-Replayed"), again["Idempotent-Replayed"]) == (None, "true")
    assert problem(writer.post("/activities", event("inv-2"), key="k-1")) == (422, "idempotency_key_reused")
    assert Delivery.objects.count() == 1


def test_facts_of_laurel_itself_are_refused(writer, ana):
    answer = writer.post("/activities", event(kind="award.given"), key=None)
    assert problem(answer) == (400, "malformed")
    assert nothing_stored()


def test_the_connections_own_rate_holds_here_too(writer, erp, ana):
    erp.rate_per_minute = 2
    erp.save()
    assert writer.post("/activities", [event("a"), event("b")], key=None).status_code == 202
    answer = writer.post("/activities", event("c"), key='"late"')
    assert problem(answer) == (429, "rate_limited")
    assert int(answer["Retry-After"]) > 0
    assert Delivery.objects.count() == 2 and not IdempotencyKey.objects.exists()


# --- reading ------------------------------------------------------------------------------------------------------------
@pytest.fixture
def five(writer, ana):
    writer.post("/activities", [
        event(f"e-{n}", object={"type": "order", "id": str(n)}, occurred_at=f"2026-03-0{n}T10:00:00Z") for n in range(1, 6)
    ], key=None)  # fmt: skip
    process()
    return list(Activity.objects.order_by("pk"))


def ids(rows) -> list[str]:
    return [row["object"]["id"] for row in rows]


def test_pages_neither_repeat_nor_hide_what_comes_meanwhile(writer, five):
    first = writer.get("/activities", limit=2).json()
    assert ids(first["data"]) == ["5", "4"]
    writer.post("/activities", event("e-6", object={"type": "order", "id": "6"}), key=None)
    process()
    second = writer.get("/activities", limit=2, cursor=first["next_cursor"]).json()
    third = writer.get("/activities", limit=2, cursor=second["next_cursor"]).json()
    assert (ids(second["data"]), ids(third["data"]), third["next_cursor"]) == (["3", "2"], ["1"], None)


def test_filters_and_what_they_refuse(writer, five, ana):
    assert ids(writer.get("/activities", object_id="3").json()["data"]) == ["3"]
    window = {"occurred_from": "2026-03-02T10:00:00Z", "occurred_before": "2026-03-04T10:00:00Z"}
    assert ids(writer.get("/activities", **window).json()["data"]) == ["3", "2"]
    assert len(writer.get("/activities", participant=str(ana.public_id)).json()["data"]) == 5
    assert writer.get("/activities", kind="deal.lost").json() == {"data": [], "next_cursor": None}
    for query, expected in (
        ({"limit": 201}, (422, "invalid")),
        ({"limit": "x"}, (422, "invalid")),
        ({"participant": "nobody"}, (422, "invalid")),
        ({"occurred_from": "2026-03-02T10:00:00"}, (422, "invalid")),
        ({"object": "3"}, (400, "unknown_parameter")),
        ({"cursor": "x"}, (400, "bad_cursor")),
        ({"kind": "a\x00"}, (400, "malformed")),
    ):
        assert problem(writer.get("/activities", **query)) == expected, query
    cursor = writer.get("/activities", limit=1).json()["next_cursor"]
    assert problem(writer.get("/activities", limit=1, kind="deal.won", cursor=cursor)) == (400, "bad_cursor")


def test_an_unknown_activity_is_404(writer):
    assert problem(writer.get("/activities/0e3a5f6e-4a5b-4a35-a1b2-6a4b5f0f9d11")) == (404, "not_found")
    assert problem(writer.get("/activities/not-an-id")) == (404, "not_found")
