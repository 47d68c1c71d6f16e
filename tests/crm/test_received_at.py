"""When a win first reached us: the earliest receipt of a statement of this win, whatever the order of working through."""

from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import permutations

import pytest
from django.apps import apps
from hypothesis import given
from hypothesis import strategies as st

from incentives.crm import receipt, resolve
from incentives.crm.models import ObjectState
from tests.factories import deal, make_connection, make_participant, send

START = datetime(2026, 8, 1, 12, tzinfo=UTC)


def july(*args, **fields) -> dict:
    """A deal of before the stopped clock's day."""
    return deal(*args, occurred_at="2026-07-01T00:00:00Z", **fields)


def after(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def worked_through(statements) -> ObjectState:
    """`statements`: (version, received after how many minutes, state or ""), in the order of working through."""
    thing = ObjectState(object_type="deal", object_id="D")
    for version, minutes, state in statements:
        snapshot = resolve.Snapshot(state, f"{version:03}", version, START, after(minutes), None)
        resolve.apply_deal(thing, snapshot, None)
    return thing


@pytest.mark.parametrize(
    ("statements", "minutes"),
    [
        ([(1, 1, "won")], 1),
        ([(1, 1, "won"), (2, 2, "won"), (3, 3, "")], 1),  # later versions of the win keep its moment
        ([(1, 1, "won"), (2, 2, "open"), (3, 3, "won")], 3),  # a win after a reopening takes its own
        ([(1, 1, "won"), (2, 9, "open"), (3, 3, "won"), (4, 4, "won")], 3),  # the reopening was received last
        ([(1, 9, "won"), (2, 2, "won")], 2),  # the older version was received last
        ([(1, 1, "open"), (2, 2, "won")], 2),
        ([(1, 1, "won"), (2, 2, "lost")], 1),  # not won: when we first heard of it
    ],
)
def test_any_order_of_working_through_gives_the_same_moment(statements, minutes):
    for order in permutations(statements):
        assert worked_through(order).received_at == after(minutes)


STATEMENTS = st.lists(st.tuples(st.integers(0, 99), st.sampled_from(["won", "won", "open", "lost", ""])), min_size=1, max_size=9)  # fmt: skip


@given(STATEMENTS, st.randoms(use_true_random=False))
def test_it_is_the_earliest_statement_of_the_win_that_stands(drawn, shuffle):
    statements = [(version, minutes, state) for version, (minutes, state) in enumerate(drawn)]
    stated = [row for row in statements if row[2]]
    last_other = max((version for version, _, state in stated if state != "won"), default=-1)
    win = [minutes for version, minutes, state in stated if state == "won" and version > last_other]
    expected = min(win or [minutes for _, minutes, _ in statements])
    shuffle.shuffle(statements)
    assert worked_through(statements).received_at == after(expected)


def test_a_deal_with_very_many_versions_keeps_a_short_list():
    thing = worked_through([(n, n, "won") for n in range(1, 201)])
    assert thing.received_at == after(1)
    assert len(thing.receipts["won"]) == receipt.KEPT


@pytest.mark.django_db
def test_the_delivery_says_when_and_a_stale_version_changes_nothing(clock):
    ana, crm = make_participant("Ana"), make_connection()
    won_at = datetime(2026, 7, 15, 12, tzinfo=UTC)
    facts = [july("D1", ana, "10.00")]
    facts.append(july("D1", ana, "20.00", version=3, kind="deal.updated", state="won"))
    for fact in facts:
        send(crm, fact, evaluate=False)
        clock.shift(60)
    state = ObjectState.objects.get()
    assert state.received_at == won_at
    seq = state.changed_seq
    send(crm, july("D1", ana, "15.00", version=2, kind="deal.updated", state="won"), evaluate=False)
    state.refresh_from_db()
    assert (state.received_at, state.changed_seq) == (won_at, seq)
    send(crm, july("D1", ana, "20.00", version=4, kind="deal.reopened"), evaluate=False)
    clock.shift(60)
    send(crm, july("D1", ana, "20.00", version=5), evaluate=False)
    state.refresh_from_db()
    assert state.received_at == won_at + timedelta(seconds=180)


@pytest.mark.django_db
def test_a_reported_figure_and_a_claim_keep_their_first_moment(clock):
    ana, crm = make_participant("Ana"), make_connection()
    who = {"participant": {"external_user_id": ana.external_user_id}, "occurred_at": "2026-07-01T00:00:00Z"}
    figure = {"kind": "metric.reported", "metric": "calls", "mode": "set", "period_start": "2026-07-01", **who}
    claim = {
        "external_id": "C",
        "kind": "claim.submitted",
        "object": {"type": "claim", "id": "C"},
        "amount": "5",
        **who,
    }
    for n in (1, 2):
        send(crm, {"external_id": f"M{n}", "value": str(n), **figure}, claim)
        clock.shift(60)
    moments = ObjectState.objects.values_list("object_type", "received_at")
    first = datetime(2026, 7, 15, 12, tzinfo=UTC)
    assert dict(moments) == {"metric": first, "claim": first}


@pytest.mark.django_db
def test_rows_from_before_get_the_moment_of_their_activity(clock):
    ana, crm = make_participant("Ana"), make_connection()
    send(crm, july("D1", ana, "10.00"), july("OPEN", ana, "10.00", kind="deal.updated", state="open"), evaluate=False)
    clock.shift(60)
    send(crm, july("D1", ana, "10.00", version=2, kind="deal.reopened"), evaluate=False)
    clock.shift(60)
    send(crm, july("D1", ana, "10.00", version=3), evaluate=False)
    expected = dict(ObjectState.objects.values_list("object_id", "received_at"))
    assert expected["D1"] - expected["OPEN"] == timedelta(seconds=120)
    ObjectState.objects.update(received_at=None, receipts={})
    import_module("incentives.crm.migrations.0007_object_receipts").fill_received_at(apps, None)
    assert dict(ObjectState.objects.values_list("object_id", "received_at")) == expected
    clock.shift(60)
    send(crm, july("D1", ana, "11.00", version=4, kind="deal.updated", state="won"), evaluate=False)
    assert ObjectState.objects.get(object_id="D1").received_at == expected["D1"]
