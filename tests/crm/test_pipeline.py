"""From deliveries to object states and activities: the table of the contract, whatever the order of arrival."""

import itertools
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.crm import ingest, intake, services, tasks
from incentives.crm.errors import CannotRepair, MalformedEvent
from incentives.crm.models import Activity, Connection, Delivery, IdentityLink, ObjectState
from incentives.crm.nudge import Nudger
from tests.crm.conftest import event, process
from tests.factories import make_participant, make_user

pytestmark = pytest.mark.django_db
_n = itertools.count(1)


def send(connection, *, channel="push", **changes) -> Delivery:
    """Receive one event about order 7 and process it. `v` is its version, `at` its day in March."""
    version, at = changes.pop("v", None), changes.pop("at", 4)
    changes.setdefault("object", {"type": "order", "id": "7", **({"version": version} if version else {})})
    changes.setdefault("external_id", f"e-{next(_n)}")
    changes.setdefault("occurred_at", f"2026-03-{at:02d}T12:00:00Z")
    incoming = intake.prepare(event(**changes), channel=channel)
    intake.receive_one(connection, incoming)
    process()
    return Delivery.objects.get(connection=connection, delivery_key=incoming.key)


def story() -> list[tuple[str, str]]:
    """Kinds and last parts of the keys of wins, in order."""
    return [(a.kind, a.external_id.split(":", 2)[2]) for a in Activity.objects.order_by("pk")]


def kinds() -> list[str]:
    return [a.kind for a in Activity.objects.order_by("pk")]


def test_won_reopened_won_again_is_two_numbered_wins(connection, ana):
    send(connection, v="1", kind="deal.won")
    send(connection, v="2", kind="deal.reopened")
    assert ObjectState.objects.get().kind == "deal.reopened"
    send(connection, v="3", kind="deal.won")
    assert [key for kind, key in story() if kind == "deal.won"] == ["won:1", "won:2"]
    assert kinds() == ["deal.won", "deal.reopened", "deal.won"]
    thing = ObjectState.objects.get()
    assert (thing.kind, thing.external_id, thing.win_ordinal) == ("deal.won", "order:7:won:2", 2)


def test_an_older_open_after_the_win_changes_nothing(connection, ana):
    send(connection, v="2026-03-05T00:00:00Z", kind="deal.won")
    before = ObjectState.objects.values("state", "amount", "changed_seq", "external_id").get()
    late = send(connection, v="2026-03-04T23:00:00+00:00", kind="deal.reopened", amount="1")
    assert (late.status, late.code) == ("ignored", "stale")
    now = ObjectState.objects.values("state", "amount", "changed_seq", "external_id").get()
    assert {**now, "changed_seq": before["changed_seq"]} == before
    assert kinds() == ["deal.won"]


def test_push_and_poll_of_one_win_are_one_activity(connection, ana):
    send(connection, v="5", kind="deal.won")
    poll = send(connection, v="5", kind="deal.won", channel="poll")
    assert (poll.status, poll.code) == ("ignored", "unchanged")
    assert kinds() == ["deal.won"]


def test_an_amount_edited_after_the_win_is_an_adjustment_with_what_was_before(connection, ana):
    send(connection, v="1", kind="deal.won", amount="12500.00")
    send(connection, v="2", kind="deal.updated", amount="9000.50", at=9)
    thing = ObjectState.objects.get()
    assert (thing.kind, thing.external_id, thing.amount) == ("deal.won", "order:7:won:1", Decimal("9000.50"))
    assert thing.occurred_at == datetime(2026, 3, 4, 12, tzinfo=UTC)
    adjusted = Activity.objects.order_by("pk").last()
    assert (adjusted.kind, adjusted.previous) == ("deal.updated", {"amount": "12500.0000"})


def test_an_update_that_overtakes_its_win_keeps_its_values(connection, ana):
    send(connection, v="2", kind="deal.updated", amount="9000.50", at=9)
    send(connection, v="1", kind="deal.won", amount="12500.00")
    thing = ObjectState.objects.get()
    assert (thing.kind, thing.amount, thing.occurred_at.day) == ("deal.won", Decimal("9000.50"), 4)


@pytest.mark.parametrize(
    ("first", "second", "emitted", "standing"),
    [
        (None, "deal.updated", ["deal.updated"], "deal.updated"),
        (None, "deal.won", ["deal.won"], "deal.won"),
        (None, "deal.lost", [], "deal.lost"),
        (None, "deal.deleted", [], "deal.deleted"),
        ("deal.updated", "deal.won", ["deal.updated", "deal.won"], "deal.won"),
        ("deal.updated", "deal.lost", ["deal.updated", "deal.lost"], "deal.lost"),
        ("deal.won", "deal.lost", ["deal.won", "deal.lost"], "deal.lost"),
        ("deal.won", "deal.reopened", ["deal.won", "deal.reopened"], "deal.reopened"),
        ("deal.won", "deal.deleted", ["deal.won", "deal.deleted"], "deal.deleted"),
        ("deal.won", "deal.won", ["deal.won"], "deal.won"),
        ("deal.lost", "deal.won", ["deal.won"], "deal.won"),
        ("deal.deleted", "deal.won", ["deal.won"], "deal.won"),
        ("deal.deleted", "deal.reopened", ["deal.updated"], "deal.updated"),
    ],
)
def test_the_table_of_transitions(connection, ana, first, second, emitted, standing):
    if first:
        send(connection, v="1", kind=first)
    send(connection, v="2", kind=second)
    assert kinds() == emitted
    assert ObjectState.objects.get().kind == standing


def test_losing_a_won_deal_says_what_it_was(connection, ana):
    send(connection, v="1", kind="deal.won")
    send(connection, v="2", kind="deal.lost", amount=None, quantity=None)
    lost = Activity.objects.get(kind="deal.lost")
    assert lost.previous["state"] == "won"
    assert ObjectState.objects.get().amount == Decimal("12500")  # a statement without values changes none


def test_a_win_before_go_live_is_known_and_never_rewarded(connection, administrator, ana):
    services.update_connection(connection, actor=administrator, go_live_at=datetime(2026, 3, 10, tzinfo=UTC))
    early = send(connection, v="1", kind="deal.won", at=4)
    thing = ObjectState.objects.get()
    assert (early.status, early.code, thing.baseline, kinds()) == ("ignored", "baseline", True, [])
    send(connection, v="2", kind="deal.updated", amount="5")
    assert (ObjectState.objects.get().baseline, kinds()) == (True, [])
    send(connection, v="3", kind="deal.reopened", at=11)
    send(connection, v="4", kind="deal.won", at=12)
    thing = ObjectState.objects.get()
    assert (thing.baseline, thing.external_id) == (False, "order:7:won:1")


def test_stages_are_mapped_by_the_connection_and_unmapped_ones_wait(connection, administrator, ana):
    services.update_connection(connection, actor=administrator, stage_map={"Closed Won": "won", "Qualify": "open"})
    send(connection, v="1", kind=None, stage="Qualify")
    assert ObjectState.objects.get().state == "open"
    send(connection, v="2", kind="deal.updated", stage="Closed Won")
    assert ObjectState.objects.get().kind == "deal.won"
    odd = send(connection, v="3", kind=None, stage="Verbal")
    assert (odd.status, odd.code) == ("quarantined", "unmapped_stage")
    services.update_connection(connection, actor=administrator, stage_map={"Closed Won": "won", "Verbal": "open"})
    services.replay_delivery(odd, actor=administrator)
    process()
    assert ObjectState.objects.get().kind == "deal.reopened"


# --- order of arrival ---------------------------------------------------------------------------------------------------

snapshots = st.lists(
    st.tuples(
        st.sampled_from(["deal.won", "deal.updated", "deal.reopened", "deal.lost", "deal.deleted"]),
        st.integers(min_value=1, max_value=28),
        st.sampled_from(["10", "20.5", None]),
        st.sampled_from(["E-1009", "E-1012"]),
    ),
    min_size=1,
    max_size=6,
)
COMPARED = (
    "state", "state_version", "version", "baseline", "ever_won", "kind", "occurred_at", "close_date", "participant_id",
    "amount", "quantity", "currency", "lines", "splits", "account", "partner", "attributes", "region",
)  # fmt: skip


def _play(connection, made: list[dict], order: list[int], object_id: str) -> dict:
    for n in order:
        item = {**made[n], "object": {**made[n]["object"], "id": object_id}, "external_id": f"{object_id}-{n}"}
        intake.receive_many(connection, [intake.prepare(item)])
        process()
    thing = ObjectState.objects.get(connection=connection, object_id=object_id)
    facts = list(thing.activities.order_by("pk").values_list("kind", flat=True))
    wins = facts.count("deal.won")
    standing = [kind for kind in facts if kind != "deal.updated"][-1:] if wins else []
    assert thing.win_ordinal == wins
    if thing.state == "won":  # moved before go-live, a win stands without counting
        assert standing == ["deal.won"] or thing.baseline
    else:
        assert standing != ["deal.won"]
    return {name: getattr(thing, name) for name in COMPARED}


@hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statements=snapshots, data=st.data())
def test_any_order_and_any_repetition_end_in_the_same_state(connection, ana, ben, statements, data):
    Connection.objects.filter(pk=connection.pk).update(go_live_at=datetime(2026, 3, 5, tzinfo=UTC))
    made = [
        event(
            kind=kind,
            occurred_at=f"2026-03-{day:02d}T00:00:00Z",
            amount=amount,
            participant={"external_user_id": who},
            object={"type": "order", "version": str(version)},
            quantity=None,
        )
        for version, (kind, day, amount, who) in enumerate(statements, start=1)
    ]
    places = list(range(len(made)))
    shuffled = data.draw(st.permutations(places + data.draw(st.lists(st.sampled_from(places), max_size=4))))
    in_order = _play(connection, made, places, f"a{next(_n)}")
    assert _play(connection, made, shuffled, f"b{next(_n)}") == in_order


@hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reports=st.lists(
        st.tuples(st.sampled_from(["set", "add"]), st.integers(min_value=0, max_value=9)), min_size=1, max_size=6
    ),
    data=st.data(),
)
def test_reported_figures_come_to_the_same_in_any_order(connection, ana, reports, data):
    def total(order, run):
        month = f"{2000 + run}-01-01"
        for n in order:
            mode, value = reports[n]
            made = event(
                f"m{run}-{n}",
                kind="metric.reported",
                metric="units",
                mode=mode,
                value=str(value),
                period_start=month,
                object=None,
                occurred_at=f"2026-03-{n + 1:02d}T00:00:00Z",
            )
            intake.receive_many(connection, [intake.prepare(made)])
            process()
        thing = ObjectState.objects.get(connection=connection, period_start=month)
        return thing.value, thing.occurred_at

    places = list(range(len(reports)))
    expected = Decimal(0)
    for mode, value in reports:
        expected = Decimal(value) if mode == "set" else expected + value
    shuffled = data.draw(st.permutations(places + data.draw(st.lists(st.sampled_from(places), max_size=3))))
    first, second = total(places, next(_n)), total(shuffled, next(_n))
    assert first == second
    assert first[0] == expected


# --- figures and claims -------------------------------------------------------------------------------------------------


def report(connection, mode, value, **changes):
    made = {"metric": "units_sold", "period_start": "2026-03-01", "period_end": "2026-03-31", **changes}
    return send(connection, kind="metric.reported", object={}, mode=mode, value=value, amount=None, **made)


def test_set_replaces_and_add_increments_a_figure(connection, ana):
    report(connection, "add", "2", at=1)
    report(connection, "set", "40", at=5)
    report(connection, "add", "0.5", at=6)
    report(connection, "add", "-1", at=7)
    thing = ObjectState.objects.get()
    assert (thing.kind, thing.metric, thing.value) == ("metric.reported", "units_sold", Decimal("39.5"))
    assert Activity.objects.count() == 4


def test_additions_without_a_period_stand_alone(connection, ana):
    report(connection, "add", "2", at=1, period_start=None, period_end=None)
    report(connection, "add", "3", at=2, period_start=None, period_end=None)
    assert sorted(ObjectState.objects.values_list("value", flat=True)) == [Decimal(2), Decimal(3)]


def test_a_claim_waits_for_approval(connection, ana):
    delivery = send(connection, kind="claim.submitted", evidence=["INV-77"], external_id="claim-9")
    thing = ObjectState.objects.get()
    assert (delivery.status, thing.kind, thing.state) == ("processed", "claim.submitted", "pending")
    assert (thing.object_type, thing.object_id) == ("claim", "claim-9")
    assert thing.attributes["evidence"] == ["INV-77"]
    assert thing.attributes["object_id"] == "7"


# --- exactness ----------------------------------------------------------------------------------------------------------


def test_decimals_survive_from_the_payload_to_the_object(hook, ana):
    assert hook('{"external_id":"x","kind":"deal.won","occurred_at":"2026-03-04T00:00:00Z","participant":"E-1009",'
                '"amount":0.3,"quantity":0.1,"lines":[{"sku":"a","total":0.2,"unit_price":1e2}],'
                '"attributes":{"rate":0.1}}').status_code == 202  # fmt: skip
    process()
    thing = ObjectState.objects.get()
    assert (thing.amount, thing.quantity) == (Decimal("0.3"), Decimal("0.1"))
    assert thing.lines == [{"sku": "a", "total": "0.2", "unit_price": "100"}]
    assert thing.attributes == {"rate": "0.1"}


# --- people -------------------------------------------------------------------------------------------------------------


def test_an_unknown_person_waits_and_after_linking_counts_once(hook, connection, administrator, db):
    assert hook(event(participant={"external_user_id": "CRM-5", "name": "Ana Silva"})).status_code == 202
    process()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.code) == ("quarantined", "unknown_participant")
    assert not Activity.objects.exists() and not ObjectState.objects.exists()
    ana = make_participant("Ana Silva")
    services.replay_delivery(delivery, actor=administrator)
    process()
    assert Delivery.objects.get().status == "quarantined"  # a name never matches
    services.link_identity(connection, "CRM-5", ana, actor=administrator, reason="asked HR")
    process()
    services.replay_delivery(delivery, actor=administrator)
    process()
    assert [a.participant for a in Activity.objects.all()] == [ana]
    assert AuditEvent.objects.filter(action="connection.identity_linked", reason="asked HR").count() == 1


@pytest.mark.parametrize(
    ("identity", "found"),
    [
        ({"email": "  ANA.Silva@Example.com "}, True),
        ({"external_user_id": "E-1009"}, True),
        ({"external_user_id": "e-1009"}, False),
        ({"employee_number": "0042"}, True),
        ({"federation_id": "fed|1"}, True),
        ({"name": "Ana Silva"}, None),
        ({"email": "ana.silva@example.org"}, False),
    ],
)
def test_people_match_by_id_number_federation_or_address(connection, identity, found):
    make_participant(
        "Ana Silva", email="ana.silva@example.com", external_user_id="E-1009", employee_number="0042",
        federation_id="fed|1", active=False,
    )  # fmt: skip
    delivery = send(connection, participant=identity)
    expected = {True: "", False: "unknown_participant", None: "participant_missing"}[found]
    assert delivery.code == expected


def test_an_earlier_match_is_remembered_but_does_not_overrule_what_is_stated(connection, administrator, ana, ben):
    send(connection, participant={"external_user_id": "005A", "email": "ana.silva@example.com"})
    assert IdentityLink.objects.get().source == "matched"
    alone = send(connection, participant={"external_user_id": "005A"}, object={"id": "8"})
    assert Activity.objects.get(delivery=alone).participant == ana
    odd = send(connection, participant={"external_user_id": "005A", "email": "ben.ito@example.com"}, object={"id": "9"})
    assert (odd.status, odd.code) == ("quarantined", "ambiguous_participant")
    services.link_identity(connection, "005A", ben, actor=administrator)
    process()
    assert Activity.objects.get(delivery=odd).participant == ben


def test_splits_name_people_and_their_shares(connection, ana, ben):
    splits = [
        {"participant": {"email": "ana.silva@example.com"}, "percentage": "60"},
        {"participant": {"external_user_id": "E-1012"}, "amount": "5000"},
    ]
    send(connection, splits=splits, participant={"external_user_id": "00G-queue"})
    thing = ObjectState.objects.get()
    assert thing.participant is None
    assert [(s["participant"], Decimal(s["percentage"])) for s in thing.splits] == [
        (str(ana.public_id), Decimal(60)),
        (str(ben.public_id), Decimal(40)),
    ]


# --- quarantine ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": "-1"}, "negative_amount"),
        ({"amount": "1000000000.01"}, "absurd_amount"),
        ({"quantity": "-2"}, "negative_quantity"),
        ({"currency": "XXX"}, "unknown_currency"),
        ({"lines": [{"sku": "a", "currency": "USD"}]}, "mixed_currencies"),
        ({"participant": None}, "participant_missing"),
        ({"splits": [{"participant": {"email": "nobody@example.com"}, "percentage": "50"}]}, "unknown_participant"),
        ({"splits": [{"participant": "E-1009", "percentage": p} for p in ("60", "41")]}, "splits_over_100"),
        ({"kind": None, "type": "com.example.odd"}, "unmapped_type"),
    ],
)
def test_a_business_problem_is_accepted_and_waits_in_quarantine(connection, ana, changes, code):
    delivery = send(connection, **changes)
    assert (delivery.status, delivery.code) == ("quarantined", code)
    assert delivery.message
    assert not Activity.objects.exists() and not ObjectState.objects.exists()


def test_the_future_waits(connection, ana):
    ahead = (timezone.now() + timedelta(hours=25)).isoformat()
    assert send(connection, occurred_at=ahead).code == "occurred_in_future"
    soon = (timezone.now() + timedelta(hours=23)).isoformat()
    assert send(connection, occurred_at=soon).status == "processed"


def test_a_figure_before_go_live_waits(connection, administrator, ana):
    services.update_connection(connection, actor=administrator, go_live_at=datetime(2026, 3, 10, tzinfo=UTC))
    assert report(connection, "set", "4").code == "before_go_live"


def test_a_repaired_value_is_used_recorded_and_counts_once(connection, administrator, ana):
    delivery = send(connection, currency="XXX", amount="-5")
    for changes, reason, error in (
        ({"currency": "EUR"}, "  ", CannotRepair),
        ({}, "why", CannotRepair),
        ({"amount": "1,5"}, "why", MalformedEvent),
        ({"external_id": "other"}, "why", MalformedEvent),
    ):
        with pytest.raises(error):
            services.repair_delivery(delivery, changes, actor=administrator, reason=reason)
    delivery.refresh_from_db()
    assert (delivery.overrides, delivery.status) == ({}, "quarantined")
    services.repair_delivery(
        delivery, {"currency": "EUR", "amount": "5", "participant": ana}, actor=administrator, reason="typing error"
    )
    process()
    thing = ObjectState.objects.get()
    assert (thing.currency, thing.amount, thing.participant) == ("EUR", Decimal(5), ana)
    recorded = AuditEvent.objects.get(action="delivery.repaired")
    assert (recorded.reason, recorded.before["amount"], recorded.after["amount"]) == ("typing error", "-5", "5")
    assert "example.com" not in str(recorded.before)
    with pytest.raises(CannotRepair):
        services.repair_delivery(delivery, {"amount": "6"}, actor=administrator, reason="again")


def test_a_mended_state_overrules_the_kind_that_was_sent(connection, administrator, ana):
    delivery = send(connection, currency="XXX", kind="deal.won")
    services.repair_delivery(delivery, {"currency": "EUR", "state": "lost"}, actor=administrator, reason="it was lost")
    process()
    assert ObjectState.objects.get().kind == "deal.lost"


def test_the_longest_ids_fit(connection, ana):
    thing = {"type": "t" * 64, "id": "i" * 255, "version": "v" * 128}
    for n, kind in enumerate(("deal.won", "deal.reopened")):
        longest = send(connection, external_id=f"{n}" * 255, object=thing, kind=kind)
        assert longest.code in ("", "unchanged"), longest.message
    metric = {"metric": "m" * 100, "external_id": "x" * 255}
    assert report(connection, "set", "1", **metric).status == "processed"


def test_a_figure_needs_its_participant(connection, ana):
    splits = [{"participant": "E-1009", "percentage": "100"}]
    assert report(connection, "set", "1", participant=None, splits=splits).code == "participant_missing"


@pytest.mark.parametrize("role", ["finance", "auditor", "participant"])
def test_services_refuse_those_who_may_not(connection, ana, role):
    delivery, actor = send(connection, currency="XXX"), make_user(role)
    attempts = [
        lambda: services.create_connection(name="X", currency="USD", actor=actor),
        lambda: services.add_secret(connection, "bearer", actor=actor),
        lambda: services.rotate_token(connection, actor=actor),
        lambda: services.pause(connection, actor=actor),
        lambda: services.replay_delivery(delivery, actor=actor),
        lambda: services.repair_delivery(delivery, {"currency": "EUR"}, actor=actor, reason="x"),
        lambda: services.dismiss_delivery(delivery, actor=actor, reason="x"),
        lambda: services.link_identity(connection, "a", ana, actor=actor),
    ]
    for attempt in attempts:
        with pytest.raises(NotAllowed):
            attempt()
    assert (Connection.objects.count(), connection.secrets.count(), IdentityLink.objects.count()) == (1, 1, 0)
    assert Delivery.objects.get(status="quarantined").overrides == {}


def test_a_dismissed_delivery_counts_for_nothing(connection, administrator, ana):
    delivery = send(connection, currency="XXX")
    services.dismiss_delivery(delivery, actor=administrator, reason="test data")
    process()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.code, Activity.objects.count()) == ("ignored", "dismissed", 0)
    with pytest.raises(CannotRepair):
        services.dismiss_delivery(delivery, actor=administrator, reason="again")


def test_erased_content_cannot_be_replayed_but_its_key_still_protects(hook, connection, administrator, ana):
    hook(event())
    process()
    assert services.erase_raw(timezone.now()) == 1
    delivery = Delivery.objects.get()
    assert (delivery.raw, delivery.event) == ("", {})
    with pytest.raises(CannotRepair):
        services.replay_delivery(delivery, actor=administrator)
    assert hook(event()).status_code == 200
    assert "example.com" not in str(Activity.objects.values().get())


# --- workers ------------------------------------------------------------------------------------------------------------


def test_a_poison_delivery_stops_nothing_and_ends_on_the_list(connection, ana, monkeypatch):
    examine = ingest._examine

    def explode(connection, work):
        if work.event["external_id"] == "poison":
            raise RuntimeError("boom")
        examine(connection, work)

    monkeypatch.setattr(ingest, "_examine", explode)
    for name in ("good-1", "poison", "good-2"):
        intake.receive_one(connection, intake.prepare(event(name, object={"id": name})))
    for _ in range(ingest.MAX_ATTEMPTS):
        process()
        Delivery.objects.update(next_attempt_at=timezone.now())
    found = dict(Delivery.objects.values_list("external_id", "status"))
    assert found == {"good-1": "processed", "poison": "failed", "good-2": "processed"}
    assert Delivery.objects.get(external_id="poison").message == "Processing failed: RuntimeError."


def test_a_worker_that_died_is_followed_by_the_sweep_after_its_lease(connection, ana):
    intake.receive_one(connection, intake.prepare(event()))
    assert len(ingest._claim(10)) == 1  # and the worker dies
    assert tasks.sweep_once() == 0
    Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert tasks.sweep_once() == 1
    assert Activity.objects.count() == 1


def test_a_worker_that_lost_its_lease_writes_nothing(connection, ana):
    intake.receive_one(connection, intake.prepare(event()))
    claimed = ingest._claim(10)
    Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert list(ingest._claim(10).values()) == [2]
    ingest._process(claimed)
    assert (Delivery.objects.get().status, Activity.objects.count()) == ("pending", 0)


def test_a_broker_outage_fails_nothing(hook, ana, settings, monkeypatch):
    settings.CELERY_TASK_ALWAYS_EAGER = True

    def down(*args, **kwargs):
        raise ConnectionError("no broker")

    monkeypatch.setattr(tasks.process_deliveries_task, "delay", down)
    assert hook(event()).status_code == 202
    assert tasks.sweep_once() == 1


def test_an_activity_cannot_be_edited_or_removed(connection, ana):
    send(connection)
    with pytest.raises(Exception, match="append-only"), transaction.atomic():
        Activity.objects.update(kind="deal.lost")
    with pytest.raises((IntegrityError, Exception), match="append-only"), transaction.atomic():
        Activity.objects.all()._raw_delete("default")
    assert kinds() == ["deal.won"]


def test_a_person_can_be_erased_from_raw_deliveries_while_facts_stay(connection, administrator, ana, ben):
    mine = send(connection)
    other = send(connection, participant={"external_user_id": "E-1012"}, object={"id": "8"})
    assert services.erase_person(ana, actor=administrator) == 1
    mine.refresh_from_db()
    other.refresh_from_db()
    assert (mine.raw, mine.event) == ("", {}) and "E-1012" in other.raw
    assert Activity.objects.get(delivery=mine).participant == ana


def test_a_burst_of_nudges_is_one_message_and_the_last_one_is_never_lost():
    sent, seen, requests = [], [], []

    def send_message():
        if len(sent) == 1:
            sent.append("down")
            raise ConnectionError("no broker")
        sent.append("ok")
        seen.append(len(requests))

    nudger = Nudger(send_message)
    for burst in range(3):
        for n in range(500):
            requests.append(n)
            nudger.wake()
        deadline = time.monotonic() + 5
        while len(sent) <= burst and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.12)
    assert seen[-1] == 1500
    assert 3 <= len(sent) <= 40
