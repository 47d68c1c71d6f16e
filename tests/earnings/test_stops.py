"""A program that stops when its budget is spent: at a recorded moment, and what is received later does not count."""

from datetime import timedelta

import pytest

from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.crm.models import Delivery, ObjectState
from incentives.earnings import explain, recompute
from incentives.earnings.evaluate import evaluate, sweep_once
from incentives.earnings.stops import room_in
from incentives.ledger import services as ledger
from incentives.payouts import services as payouts
from incentives.programs import services as programs
from incentives.programs.errors import ProgramInvalid
from incentives.programs.models import ProgramStop
from tests.earnings.test_evaluate import earned, in_order
from tests.factories import (
    deal,
    make_budget,
    make_connection,
    make_participant,
    make_product,
    make_program,
    make_user,
    send,
    usd,
)
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db


def make_limited(**options):
    """2 % of each deal, from 50.00."""
    return make_program(**{"funded": "50.00", "stop_when_spent": True, **options})


def room(program) -> tuple[int, int]:
    found = room_in(program.budget)
    return found.unreserved.minor, found.available.minor


def test_a_program_stops_when_what_is_earned_reaches_what_is_available():
    ana, crm, program = make_participant("Ana"), make_connection(), make_limited()
    send(crm, deal("D1", ana, "2499.50"))
    assert (room(program), program.stops.count()) == ((4999, 5000), 0)
    send(crm, deal("D2", ana, "0.50"))
    stop = program.stops.get()
    assert (stop.resumed_at, stop.to_credit) == (None, False)
    event = AuditEvent.objects.get(action="program.spent")
    assert (event.after["available"], event.after["unreserved"]) == ("50.00 USD", "50.00 USD")
    send(crm, deal("D3", ana, "1000.00"))
    assert earned(program) == {"Ana": 5000}
    (told,) = explain.explain(ObjectState.objects.get(object_id="D3"))
    assert told.reasons == ["The program's budget was spent when this activity was received."]
    assert in_order()
    assert ProgramStop.objects.count() == 1


def test_a_correction_of_what_was_known_counts_and_a_new_win_does_not():
    ana, crm, program = make_participant("Ana"), make_connection(), make_limited()
    send(crm, deal("D1", ana, "2500.00"), deal("D2", ana, "100.00"))
    send(crm, deal("D1", ana, "2600.00", version=2))
    assert earned(program) == {"Ana": 5200 + 200}
    send(crm, deal("D1", ana, "2600.00", version=3, kind="deal.reopened"))
    send(crm, deal("D1", ana, "2600.00", version=4))
    assert earned(program) == {"Ana": 200}
    assert in_order()


def test_a_program_that_goes_on_counts_what_is_received_from_then_on():
    ana, crm, program, manager = make_participant("Ana"), make_connection(), make_limited(), make_user("manager")
    send(crm, deal("D1", ana, "2500.00"))
    send(crm, deal("D2", ana, "100.00"))
    ledger.fund(budget=program.budget, amount=usd("10.00"), reference="MORE", actor=make_user("finance"))
    stop = programs.resume_stopped(program=program, actor=manager, reason="More money")
    assert stop.resumed_at > stop.stopped_at
    send(crm, deal("D3", ana, "200.00"))
    assert earned(program) == {"Ana": 5000 + 400}
    assert in_order()
    send(crm, deal("D4", ana, "300.00"))
    assert earned(program) == {"Ana": 5000 + 400 + 600}
    assert program.stops.count() == 2
    assert recompute.recompute()["earnings"] == 0
    event = AuditEvent.objects.get(action="program.goes_on")
    assert (event.actor, event.reason) == (manager, "More money")


def test_a_fact_credited_while_the_stop_was_being_recorded_is_credited_anew():
    ana, crm, program = make_participant("Ana"), make_connection(), make_limited()
    send(crm, deal("D1", ana, "100.00"), deal("D2", ana, "100.00"))
    moment = Delivery.objects.order_by("-pk")[0].received_at + timedelta(seconds=1)
    ObjectState.objects.filter(object_id="D2").update(received_at=moment)
    ProgramStop.objects.create(program=program, stopped_at=moment)
    assert earned(program) == {"Ana": 400}
    evaluate()
    assert earned(program) == {"Ana": 200}
    assert in_order()


def test_what_is_reserved_committed_and_issued_is_not_owed_twice():
    make_product()
    budget = make_budget(funded="50.00")
    ana, crm = make_participant("Ana"), make_connection()
    program = make_limited(budget=budget)
    beside = make_program(budget=budget, qualifies={"field": "attributes.beside", "op": "exists"})
    send(crm, deal("D1", ana, "1000.00"))
    assert room(program) == (2000, 5000)
    assert len(payouts.build_payouts(program=program).payouts) == 1
    assert room(program) == (0, 3000)
    send(crm, deal("D2", ana, "1400.00"))
    assert (room(program), program.stops.count()) == ((2800, 3000), 0)
    send(crm, deal("D3", ana, "100.00", attributes={"beside": True}))  # 2.00 in each
    assert (room(program), program.stops.count(), beside.stops.count()) == ((3200, 3000), 1, 0)


def test_money_taken_out_of_the_budget_stops_it_with_the_next_sweep():
    ana, crm, program = make_participant("Ana"), make_connection(), make_limited()
    send(crm, deal("D1", ana, "1000.00"))
    ledger.withdraw(budget=program.budget, amount=usd("30.00"), reference="BACK", actor=make_user("finance"))
    sweep_once()
    sweep_once()
    assert (room(program), program.stops.count()) == ((2000, 2000), 1)


def test_an_unfunded_program_is_not_stopped_before_anything_is_earned_nor_one_that_does_not_ask():
    unfunded, other = make_limited(funded="0"), make_program(qualifies={"field": "attributes.x", "op": "exists"})
    sweep_once()
    assert not ProgramStop.objects.exists()
    send(make_connection(), deal("D1", make_participant(), "1000.00", attributes={"x": 1}))
    assert (unfunded.stops.count(), other.stops.count()) == (1, 0)


def test_what_keeps_a_program_from_going_on_changes_nothing():
    ana, crm, program, manager = make_participant("Ana"), make_connection(), make_limited(), make_user("manager")
    with pytest.raises(ProgramInvalid, match="is not stopped"):
        programs.resume_stopped(program=program, actor=manager, reason="Why not")
    send(crm, deal("D1", ana, "2500.00"))
    ledger.withdraw(budget=program.budget, amount=usd("50.00"), reference="BACK", actor=make_user("finance"))
    with pytest.raises(ProgramInvalid, match="nothing available"):
        programs.resume_stopped(program=program, actor=manager, reason="Please")
    with pytest.raises(ProgramInvalid, match="Say in at most"):
        programs.resume_stopped(program=program, actor=manager, reason=" ")
    with pytest.raises(NotAllowed):
        programs.resume_stopped(program=program, actor=make_user("finance"), reason="Mine")
    assert program.stops.get().resumed_at is None
    assert not AuditEvent.objects.filter(action="program.goes_on").exists()


def test_the_program_s_page_says_so_and_a_manager_lets_it_go_on(client):
    program = make_limited()
    send(make_connection(), deal("D1", make_participant("Ana"), "2500.00"))
    ledger.fund(budget=program.budget, amount=usd("10.00"), reference="MORE", actor=make_user("finance"))
    at = f"{program.get_absolute_url()}resume-stopped/"
    for role, status in (("manager", 200), ("finance", 404), ("auditor", 404), ("participant", 404)):
        client.force_login(make_user(role))
        assert client.get(at).status_code == status
        if status == 404:
            assert client.post(at, {"reason": "Mine"}).status_code == 404
    assert program.stops.get().resumed_at is None
    client.force_login(make_user("manager"))
    assert "the program has stopped" in assert_page_clean(client.get(program.get_absolute_url())).text
    assert_page_clean(client.get(at))
    answer = client.post(at, {"reason": "More money"}, follow=True)
    page = assert_page_clean(answer)
    assert "goes on. What was received meanwhile stays uncounted." in page.text
    assert "the program has stopped" not in page.text
