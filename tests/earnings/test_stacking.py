"""Running programs that reward the same activity: each posts its own lines, beside the others'."""

import threading
from datetime import UTC, datetime

import pytest
from django.db import connection

from incentives.crm.models import ObjectState
from incentives.earnings import explain, recompute
from incentives.earnings.evaluate import evaluate
from incentives.earnings.models import Participation
from incentives.programs import services as programs
from incentives.programs.errors import CannotLaunch
from tests.earnings.test_evaluate import earned, in_order, lines
from tests.earnings.test_versions import percent, publish
from tests.factories import deal, make_connection, make_participant, make_program, make_user, send

pytestmark = pytest.mark.django_db
HIGHEST = {"group": "security", "rule": "highest"}


def test_the_highest_pays_and_the_other_says_so():
    ana, crm = make_participant("Ana"), make_connection()
    two = make_program(name="Two", stacking=HIGHEST)
    three = make_program(name="Three", stacking=HIGHEST, rewards=percent("3"), caps={"deal": "25.00"})
    send(crm, deal("D1", ana, "1000.00"), deal("D2", ana, "2000.00"))
    assert (earned(two), earned(three)) == ({"Ana": 4000}, {"Ana": 2500})
    assert in_order()
    (told, other) = explain.explain(ObjectState.objects.get(object_id="D1"))
    assert told.shares[0].unpaid == [
        "2 % of 1,000.00 = 20.00. Paid by Three instead (stacking group security)."
    ]  # fmt: skip
    assert other.amount.minor == 2500


def test_a_program_that_joins_a_group_takes_back_what_it_replaces_and_a_correction_gives_it_back():
    ana, crm = make_participant("Ana"), make_connection()
    two = make_program(name="Two", stacking=HIGHEST)
    send(crm, deal("D1", ana, "1000.00"))
    three = make_program(
        name="Three",
        stacking=HIGHEST,
        rewards=percent("3"),
        qualifies={"field": "amount", "op": "lte", "value": "1000"},
    )
    evaluate()
    assert (earned(two), earned(three)) == ({}, {"Ana": 3000})
    assert lines(two)[-1] == (
        -2000, "2 % of 1,000.00 = 20.00. Paid by Three instead (stacking group security). (corrected, was 20.00 USD)",
    )  # fmt: skip
    send(crm, deal("D1", ana, "1200.00", version=2))
    assert (earned(two), earned(three)) == ({"Ana": 2400}, {})
    assert in_order()


def test_a_cap_used_by_one_activity_changes_what_another_program_pays_for_the_next():
    ana, crm = make_participant("Ana"), make_connection()
    high = make_program(name="High", stacking=HIGHEST, rewards=percent("10"), caps={"participant": "100.00"})
    low = make_program(name="Low", stacking=HIGHEST, qualifies={"field": "attributes.both", "op": "eq", "value": True})
    both = {"attributes": {"both": True}}
    send(crm, deal("D2", ana, "1000.00", **both))
    assert (earned(high), earned(low)) == ({"Ana": 10_000}, {})
    send(crm, deal("D1", ana, "1000.00", occurred_at="2026-08-01T00:00:00Z"))
    assert (earned(high), earned(low)) == ({"Ana": 10_000}, {"Ana": 2000})
    assert in_order()


def test_versions_and_other_people_and_groups_stand_apart():
    ana, bob, crm, manager = make_participant("Ana"), make_participant("Bob"), make_connection(), make_user("manager")
    two = make_program(manager=manager, stacking=HIGHEST)
    make_program(stacking={"group": "other", "rule": "highest"}, rewards=percent("9"))
    three = make_program(manager=manager, rewards=percent("3"), eligible={"types": ["contractor"]})
    dan = make_participant("Dan", type="contractor")
    send(crm, *(deal(f"D{n}", who, "1000.00") for n, who in enumerate((ana, bob, dan))))
    assert earned(two) == {"Ana": 2000, "Bob": 2000, "Dan": 2000}
    publish(three, manager, datetime(2026, 8, 3, 10, tzinfo=UTC), stacking=HIGHEST)
    evaluate()
    assert (earned(two), earned(three)) == ({"Ana": 2000, "Bob": 2000}, {"Dan": 3000})
    publish(three, manager, None, stacking=None)
    evaluate()
    assert earned(two) == {"Ana": 2000, "Bob": 2000, "Dan": 2000}
    assert in_order()


def test_one_group_has_one_currency():
    make_program(name="Euros", currency="EUR", stacking=HIGHEST)
    draft = make_program(stacking=HIGHEST, launched=False)
    with pytest.raises(CannotLaunch, match="Euros pays EUR in the stacking group security, this program USD"):
        programs.launch(program=draft, actor=make_user("manager"))
    draft.refresh_from_db()
    assert (draft.status, draft.stacks, draft.newest_version) == ("draft", False, None)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_facts_that_land_in_stacked_programs_at_the_same_time_give_what_recomputing_gives():
    people, crm = [make_participant(f"Rep {n}") for n in range(3)], make_connection()
    caps = {"participant": "150.00"}
    high = make_program(name="High", stacking=HIGHEST, rewards=percent("10"), caps=caps)
    both = {"field": "attributes.both", "op": "eq", "value": True}
    low = make_program(name="Low", stacking=HIGHEST, qualifies=both, caps=caps)
    evaluate()
    failures, start = [], threading.Barrier(4)

    def facts(worker: int):
        for n in range(6):
            day = f"2026-08-{20 - 3 * n + worker:02}T10:00:00Z"
            for who in people:
                fact = deal(
                    f"D{worker}-{n}-{who.pk}",
                    who,
                    f"{300 + 10 * n}.00",
                    occurred_at=day,
                    attributes={"both": n % 2 == 0},
                )
                send(crm, fact, evaluate=worker > 1)
        evaluate()

    def run(worker: int):
        try:
            start.wait()
            facts(worker)
        except Exception as exc:
            failures.append(exc)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert failures == []
    evaluate()
    assert list(recompute.check()) == []
    assert Participation.objects.count() == 6
    before = earned(high), earned(low)
    assert recompute.recompute()["earnings"] == 0
    assert (earned(high), earned(low)) == before and set(before[0].values()) == {15_000} and min(before[1].values()) > 0
