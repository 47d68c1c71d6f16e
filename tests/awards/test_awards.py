"""Awards are facts: given inside limits and a budget, paid by the usual approvals, corrected like anything else."""

import datetime

import pytest
from hypothesis import given as given_by
from hypothesis import strategies as st

from incentives.awards import selectors, services, spot
from incentives.awards.errors import CannotGive, FileGiven, OwnAward, RowsWrong
from incentives.awards.models import Award, AwardBatch
from incentives.awards.services import Wanted
from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.crm import intake
from incentives.crm.errors import CannotRepair, MalformedEvent, OwnConnection
from incentives.crm.models import Activity, Connection, Delivery, ObjectState
from incentives.crm.services import add_secret, repair_delivery, rotate_token
from incentives.earnings import recompute
from incentives.earnings.chain import chain_of
from incentives.earnings.evaluate import evaluate
from incentives.earnings.models import Earning
from incentives.payouts import services as payouts
from incentives.payouts.checks import check_ledger
from incentives.payouts.errors import SelfApproval
from incentives.payouts.policies import makers_of
from incentives.payouts.selectors import for_decision, objection
from incentives.programs import services as programs
from incentives.programs.models import Enrollment
from incentives.programs.rules.parsing import parse_definition
from tests.awards.conftest import settle
from tests.factories import make_connection, make_participant, make_program, make_user, send, usd

pytestmark = pytest.mark.django_db


def nothing_left() -> bool:
    counted = (Award, Delivery, Activity, Earning, AuditEvent.objects.filter(action="award.given"))
    return [rows.objects.count() if hasattr(rows, "objects") else rows.count() for rows in counted] == [0] * 5


# --- giving -------------------------------------------------------------------------------------------------------------
def test_an_award_is_a_fact_that_earns_its_amount_once(pots):
    award = pots.give("50.00", reason=" Saved the renewal ", note="asked by Pat")
    activity = Activity.objects.get()
    assert (activity.kind, activity.connection.kind, activity.participant) == ("award.given", "awards", pots.scene.rep)
    assert (
        "asked by Pat" not in str(activity.snapshot)
        and activity.snapshot["attributes"]["reason"] == "Saved the renewal"
    )
    earning = Earning.objects.get()
    assert (earning.amount, earning.object.object_id) == (usd("50.00"), award.record)
    assert str(earning.object) == "award: Saved the renewal"
    event = AuditEvent.objects.get(action="award.given")
    assert (event.actor, event.reason, event.after["amount"]) == (pots.manager, "Saved the renewal", "50.00 USD")
    settle()
    assert Earning.objects.count() == 1 and list(recompute.check()) == [] and check_ledger() == []


def test_two_awards_are_two_facts_and_the_chain_tells_each(pots):
    pots.give("50.00", reason="First")
    pots.give("60.00", reason="Second")
    chains = [chain_of(earning) for earning in Earning.objects.order_by("pk")]
    assert [(c.title, c.amount) for c in chains] == [("award: First", usd("50.00")), ("award: Second", usd("60.00"))]


@pytest.mark.parametrize(
    ("amount", "words"),
    [("0.00", "not above zero"), ("-1.00", "not above zero"), ("250.01", "at most 250.00 USD"), ("2000.00", "at most")],
)
def test_an_amount_outside_the_limits_is_refused_and_leaves_nothing(pots, amount, words):
    with pytest.raises(CannotGive, match=words):
        pots.give(amount)
    assert nothing_left()


def test_the_limits_of_period_and_person_count_what_stands(pots):
    program = pots.make(period_cap=100, participant_cap=120)
    first = pots.give("80.00", program)
    with pytest.raises(
        CannotGive, match=r"100.00 USD may be given to one person in this period, and 20.00 USD of it is left"
    ):
        pots.give("20.01", program)
    pots.cancel(first)
    pots.give("100.00", program)
    with pytest.raises(CannotGive, match=r"0\.00 USD of it is left"):
        pots.give("0.01", program)
    assert sum(e.amount_minor for e in Earning.objects.all()) == 10_000


def test_a_budget_without_room_is_named_with_what_is_missing(pots):
    program = pots.make(funded="40.00")
    with pytest.raises(CannotGive, match=r"has 40.00 USD available; 10.00 USD are missing"):
        pots.give("50.00", program)
    assert nothing_left()


def test_what_another_payout_took_meanwhile_holds_the_payout_not_the_award(pots):
    program = pots.make(funded="60.00")
    pots.give("50.00", program)
    pots.give("50.00", program, make_participant())
    built = payouts.build_payouts(program=program).payouts
    assert [payout.reserved for payout in built] == [True, False]


def test_only_running_award_programs_can_be_given_out_of(pots, clock):
    plain = make_program()
    for program, words in (
        (plain, "Awards are not given out of"),
        (pots.make(launched=False), "is draft"),
        (pots.make(starts_on="2026-07-16"), "is scheduled"),
    ):
        with pytest.raises(CannotGive, match=words):
            pots.give(program=program)
    ended = pots.make(ends_on="2026-07-14")
    with pytest.raises(CannotGive, match="runs from 2026-01-01 to 2026-07-14"):
        pots.give(program=ended)
    assert Award.objects.count() == 0 and [pot.program for pot in selectors.pots()] == []


def test_the_last_day_is_that_of_the_programs_own_zone(pots, clock):
    program = pots.make(ends_on="2026-07-15", time_zone="Pacific/Auckland", starts_on="2026-07-01")
    with pytest.raises(CannotGive, match="by the clock of Pacific/Auckland"):
        pots.give(program=program)  # there it is the 16th
    clock.move_to(datetime.datetime(2026, 7, 15, 11, tzinfo=datetime.UTC))
    pots.give(program=program)
    assert Earning.objects.get().amount == usd("50.00")


def test_who_cannot_earn_is_given_nothing(pots):
    program = pots.make()
    gone = make_participant("Gone", active=False)
    left = make_participant("Left", ended_on=datetime.date(2026, 1, 31))
    out = make_participant("Out")
    Enrollment.objects.create(program=program, participant=out, state=Enrollment.State.EXCLUDED)
    for person, words in ((gone, "inactive"), (left, "does not work here"), (out, "is excluded")):
        with pytest.raises(CannotGive, match=words):
            pots.give(program=program, person=person)
    assert nothing_left()


def test_eligibility_is_the_programs_own(pots):
    program = pots.make()
    document = {**program.current_definition, "eligible": {"types": ["partner"]}}
    programs.edit_draft(program=program, document=document, actor=pots.manager)
    programs.launch(program=program, actor=make_user("manager"))
    with pytest.raises(CannotGive, match="The program is for type partner"):
        pots.give(program=program)
    pots.give(program=program, person=pots.scene.boss)


@pytest.mark.parametrize("role", ["finance", "participant", "partner_admin", "administrator", "auditor", "superuser"])
def test_only_a_manager_gives_and_takes_back(pots, role):
    award = pots.give()
    with pytest.raises(NotAllowed):
        pots.give(actor=pots.scene.users[role])
    with pytest.raises(NotAllowed):
        services.cancel_award(award=award, actor=pots.scene.users[role], reason="no")
    assert Award.objects.get().status == "given"


# --- promise 6 ------------------------------------------------------------------------------------------------------------
def test_promise_6_nobody_gives_themselves_anything_nor_takes_it_back(pots):
    both = make_user("manager", "participant")
    person = make_participant("Manager who earns", user=both)
    with pytest.raises(OwnAward):
        pots.give(person=person, actor=both)
    assert nothing_left()
    award = pots.give(person=person)
    with pytest.raises(OwnAward):
        services.cancel_award(award=award, actor=both, reason="I deserve more")


def test_promise_6_the_giver_is_a_maker_of_the_payout(pots):
    both = make_user("manager", "finance", name="Giver")
    award = pots.give(actor=both)
    (payout,) = payouts.build_payouts(program=award.program).payouts
    assert both.pk in makers_of(payout)
    assert not for_decision(type(payout).objects.all(), both).get().mine
    assert str(objection(payout, both)) == "you gave or cancelled an award in it"
    with pytest.raises(SelfApproval):
        payouts.approve_payout(payout_id=payout.pk, actor=both)
    payouts.approve_payout(payout_id=payout.pk, actor=pots.scene.finance)


def test_promise_6_who_took_an_award_back_decides_no_payout_it_reduces(pots):
    both = make_user("manager", "finance")
    first, _second = pots.give("50.00"), pots.give("80.00")
    built = payouts.build_payouts(program=first.program).payouts
    for payout in built:
        payouts.approve_payout(payout_id=payout.pk, actor=pots.scene.finance)
    pots.cancel(first, actor=both)
    pots.give("90.00")
    payout = payouts.build_payouts(program=first.program).payouts[0]
    assert payout.amount == usd("40.00") and both.pk in makers_of(payout)


# --- taking back ------------------------------------------------------------------------------------------------------------
def test_taking_back_corrects_the_earning_and_withdraws_the_payout(pots, quiet_nudges):
    award = pots.give("50.00")
    (payout,) = payouts.build_payouts(program=award.program).payouts
    pots.cancel(award, reason="Given twice")
    payouts.follow_up()
    payout.refresh_from_db()
    assert (payout.status, [e.amount_minor for e in Earning.objects.order_by("pk")]) == ("cancelled", [5000, -5000])
    assert [a.kind for a in Activity.objects.order_by("pk")] == ["award.given", "award.cancelled"]
    cause = chain_of(Earning.objects.first()).postings[1].because[0]
    assert cause.text == "Award cancelled: Saved the renewal"
    assert list(recompute.check()) == [] and check_ledger() == []


def test_taking_back_twice_changes_nothing_and_needs_a_reason(pots):
    award = pots.give()
    with pytest.raises(CannotGive, match="reason"):
        services.cancel_award(award=award, actor=pots.manager, reason=" ")
    pots.cancel(award)
    again = pots.cancel(award, actor=make_user("manager"), reason="Other words")
    assert (again.cancelled_reason, Delivery.objects.count()) == ("Given twice", 2)


def test_the_order_of_arrival_does_not_matter(pots):
    program = pots.make()
    award = services.give_award(
        program=program, participant=pots.scene.rep, amount=usd("50.00"), reason="Why", actor=pots.manager
    )
    services.cancel_award(award=award, actor=pots.manager, reason="No")
    first = Delivery.objects.order_by("pk").first()
    Delivery.objects.filter(pk=first.pk).update(status="failed")
    settle()
    Delivery.objects.filter(pk=first.pk).update(status="pending")
    settle()
    assert ObjectState.objects.get().kind == "award.cancelled" and not Earning.objects.exists()


# --- nothing from outside ---------------------------------------------------------------------------------------------------
def test_an_award_from_outside_is_refused_at_every_door(pots):
    program = pots.make()
    code = spot.code_of(parse_definition(program.current_definition))
    event = {
        "external_id": "x1", "kind": "award.given", "occurred_at": "2026-08-03T10:00:00Z", "amount": "5000",
        "participant": {"external_user_id": pots.scene.rep.external_user_id}, "attributes": {"program": code},
    }  # fmt: skip
    with pytest.raises(MalformedEvent):
        intake.prepare(event)
    outside = make_connection()
    intake.receive_one(outside, intake.prepare(event, internal=True))  # as if a door had let it through
    settle()
    assert (Delivery.objects.get().status, Delivery.objects.get().code) == ("quarantined", "internal_kind")
    with pytest.raises(MalformedEvent):
        repair_delivery(Delivery.objects.get(), {"kind": "award.given"}, actor=pots.manager, reason="please")
    assert not Earning.objects.exists()


def test_the_connection_of_awards_has_no_address_and_no_repair(pots):
    pots.give()
    own = Connection.objects.get(kind="awards")
    admin = pots.scene.users["administrator"]
    with pytest.raises(OwnConnection):
        add_secret(own, "bearer", actor=admin)
    with pytest.raises(OwnConnection):
        rotate_token(own, actor=admin)
    delivery = own.deliveries.get()
    Delivery.objects.filter(pk=delivery.pk).update(status="quarantined")
    with pytest.raises(CannotRepair):
        repair_delivery(delivery, {"amount": "9999"}, actor=pots.manager, reason="more")


def test_a_deal_that_calls_itself_an_award_earns_nothing(pots):
    program = pots.make()
    code = spot.code_of(parse_definition(program.current_definition))
    fact = {
        "external_id": "d1", "kind": "deal.won", "occurred_at": "2026-08-03T10:00:00Z", "amount": "500", "currency": "USD",
        "participant": {"external_user_id": pots.scene.rep.external_user_id}, "attributes": {"program": code},
        "object": {"type": "award", "id": "fake", "version": "1"},
    }  # fmt: skip
    send(make_connection(), fact)
    evaluate()
    assert not Earning.objects.exists()


# --- a file -----------------------------------------------------------------------------------------------------------------
def wanted(*rows) -> list[Wanted]:
    return [
        Wanted(person, usd(amount), reason, "", line) for line, (person, amount, reason) in enumerate(rows, start=2)
    ]


def batch_of(pots, program, digest="a" * 64) -> AwardBatch:
    return services.upload_batch(
        program=program, file_name="q3.csv", sha256=digest, rows=[[2, "x"]], actor=pots.manager
    )


def test_a_file_is_given_as_a_whole_or_not_at_all(pots):
    program, ana, ben = pots.make(), pots.scene.rep, make_participant("Ben", active=False)
    batch = batch_of(pots, program)
    with pytest.raises(RowsWrong) as refused:
        services.give_batch(
            batch=batch, wanted=wanted((ana, "10.00", "Yes"), (ben, "10.00", "Yes")), actor=pots.manager
        )
    assert refused.value.details["problems"] == [(3, "Ben is inactive.")]
    assert Award.objects.count() == 0 and AwardBatch.objects.get().status == "uploaded"
    awards = services.give_batch(
        batch=batch, wanted=wanted((ana, "10.00", "A"), (ana, "20.00", "B")), actor=pots.manager
    )
    settle()
    assert sum(e.amount_minor for e in Earning.objects.all()) == 3000 and len(awards) == 2


def test_a_file_counts_its_own_rows_against_limits_and_budget(pots):
    program = pots.make(funded="150.00", participant_cap=100)
    ana, ben = pots.scene.rep, make_participant("Ben")
    rows = wanted((ana, "60.00", "A"), (ana, "60.00", "B"))
    assert services.check(selectors.pot_of(program), rows, pots.manager) == [
        (3, f"{ana}: at most 100.00 USD may be given to one person in this program, and 40.00 USD of it is left.")
    ]
    rows = wanted((ana, "100.00", "A"), (ben, "100.00", "B"))
    assert services.check(selectors.pot_of(program), rows, pots.manager)[0][1].endswith("50.00 USD are missing.")


def test_the_same_file_is_given_once(pots):
    program = pots.make()
    first, second = batch_of(pots, program), batch_of(pots, program)
    rows = wanted((pots.scene.rep, "10.00", "A"))
    services.give_batch(batch=first, wanted=rows, actor=pots.manager)
    for refused in (first, second):
        with pytest.raises(FileGiven):
            services.give_batch(batch=refused, wanted=rows, actor=pots.manager)
    with pytest.raises(FileGiven, match="were given on"):
        batch_of(pots, program)
    assert Award.objects.count() == 1


# --- the definition -----------------------------------------------------------------------------------------------------------
@given_by(
    change=st.sampled_from([
        {"rewards": [{"type": "percent", "rate": "200"}]},
        {"rewards": [{"type": "percent", "rate": "100"}, {"type": "per_deal", "amount": "5"}]},
        {"measure": {"metric": "quantity"}, "rewards": [{"type": "per_unit", "amount": "5"}]},
        {"credit": {"overlays": [{"to": "manager", "percent": "10"}]}},
        {"qualifies": {"field": "kind", "op": "eq", "value": "award.given"}},
        {"qualifies": {"any": [{"field": "kind", "op": "eq", "value": "award.given"},
                               {"field": "attributes.program", "op": "eq", "value": "x"}]}},
        {"partner_multipliers": {"gold": "2"}},
    ])
)  # fmt: skip
def test_a_definition_that_does_more_is_no_award_program(change):
    days = {"starts_on": datetime.date(2026, 1, 1), "ends_on": datetime.date(2026, 12, 31)}
    document = spot.document(name="Spot", currency="USD", **days)
    assert spot.code_of(parse_definition(document)).startswith("award-")
    assert spot.code_of(parse_definition({**document, **change})) == ""
