"""From what is due to approved payouts: money, refusals, and who may not."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from incentives.core.errors import IllegalTransition, NotAllowed
from incentives.core.models import AuditEvent
from incentives.ledger import services as ledger
from incentives.ledger.errors import InsufficientFunds
from incentives.ledger.models import Posting
from incentives.ledger.selectors import budget_figures
from incentives.payouts import services
from incentives.payouts.checks import check_ledger
from incentives.payouts.errors import (
    CannotBuild,
    OrderProblem,
    PayoutOnHold,
    ReasonNeeded,
    SameApprover,
    SelfApproval,
    StalePayout,
)
from incentives.payouts.models import Approval, ApprovalPolicy, Hold, Payout, PayoutEarning
from incentives.programs import services as programs
from rewards.models import Product, RewardOrder
from tests.factories import deal, make_connection, make_participant, make_product, make_program, make_user, send, usd

pytestmark = pytest.mark.django_db


def figures(budget) -> tuple[int, int, int, int]:
    now = budget_figures([budget])[budget.pk]
    return now.available.minor, now.reserved.minor, now.committed.minor, now.spent.minor


@pytest.fixture
def cast():
    """A manager, finance, a rep with an account of her own, and a card product."""
    make_product()

    class Cast:
        manager, finance, other = make_user("manager"), make_user("finance"), make_user("finance")
        rep_user = make_user("participant")
        rep = make_participant("Ana", user=rep_user, external_user_id="ANA")
        crm = make_connection()

    return Cast


def build(program, amount="5000.00", *, cast, actor=None, object_id="D1"):
    """One deal worth 2 % of `amount`, and the payouts built for it."""
    send(cast.crm, deal(object_id, cast.rep, amount))
    return services.build_payouts(program=program, actor=actor).payouts


def rows() -> tuple[int, int, int, int]:
    return Approval.objects.count(), Posting.objects.count(), RewardOrder.objects.count(), AuditEvent.objects.count()


# --- building ----------------------------------------------------------------------------------------------------------


def test_what_is_due_becomes_a_payout_with_its_money_reserved(cast):
    program = make_program(funded="500.00")
    (payout,) = build(program, cast=cast)
    assert (payout.amount, payout.status, payout.steps) == (usd("100.00"), "submitted", ["finance"])
    assert (payout.product_code, payout.recipient_email) == ("DEMO", cast.rep.email)
    assert figures(program.budget) == (40_000, 10_000, 0, 0)
    assert sum(PayoutEarning.objects.values_list("amount_minor", flat=True)) == 10_000
    assert services.build_payouts(program=program).payouts == []
    assert check_ledger() == []


def test_more_than_one_card_holds_is_split_and_what_no_card_can_hold_is_carried(cast):
    program = make_program(funded="1000.00")
    payouts = build(program, "25200.00", cast=cast)  # 504.00
    assert [p.amount_minor for p in payouts] == [25_000, 25_000]
    result = services.build_payouts(program=program)
    assert (result.payouts, [s.code for s in result.skipped]) == ([], ["below_smallest_card"])
    assert build(program, "100.00", cast=cast, object_id="D2")[0].amount_minor == 600  # the carried 4.00 and 2.00
    assert check_ledger() == []


def test_below_the_programs_minimum_the_amount_is_carried(cast):
    program = make_program(funded="100.00", payout={"when": "at_close", "minimum": "50.00"})
    assert build(program, "2000.00", cast=cast) == []
    (skipped,) = services.build_payouts(program=program).skipped
    assert (skipped.code, skipped.due) == ("below_minimum", usd("40.00"))
    assert build(program, "500.00", cast=cast, object_id="D2")[0].amount_minor == 5_000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"delivery": {"type": "DigitalDelivery", "channel": "email", "products": ["NOPE"]}}, "no orderable NOPE"),
        ({"currency": "EUR"}, "no orderable any product in EUR"),
    ],
)
def test_a_program_that_cannot_pay_says_why_and_builds_nothing(cast, change, words):
    program = make_program(funded="100.00", **change)
    with pytest.raises(CannotBuild, match=words):
        services.build_payouts(program=program)
    assert Payout.objects.count() == 0


def test_a_paused_program_pays_nothing(cast):
    program = make_program(funded="100.00", manager=cast.manager)
    send(cast.crm, deal("D1", cast.rep, "1000.00"))
    programs.change_status(program=program, new="paused", actor=cast.manager)
    program.refresh_from_db()
    with pytest.raises(CannotBuild, match="is paused"):
        services.build_payouts(program=program)


@pytest.mark.parametrize("role", ["finance", "participant", "administrator", "auditor", "partner_admin"])
def test_only_a_manager_builds(cast, role):
    program = make_program(funded="100.00")
    send(cast.crm, deal("D1", cast.rep, "1000.00"))
    with pytest.raises(NotAllowed):
        services.build_payouts(program=program, actor=make_user(role))
    assert Payout.objects.count() == 0


# --- approving ---------------------------------------------------------------------------------------------------------


def test_approving_commits_the_money_and_writes_the_order(cast):
    program = make_program(funded="500.00")
    (payout,) = build(program, cast=cast, actor=cast.manager)
    seen = payout.content_hash
    services.approve_payout(payout_id=payout.pk, actor=cast.finance, seen_hash=seen, ip_address="10.0.0.1")
    payout.refresh_from_db()
    assert (payout.status, payout.order.state, payout.order.value) == ("approved", "draft", usd("100.00"))
    assert payout.order.reference == str(payout.public_id)
    assert figures(program.budget) == (40_000, 0, 10_000, 0)
    approval = Approval.objects.get()
    assert (approval.actor, approval.decision, approval.ip_address) == (cast.finance, "approved", "10.0.0.1")
    assert approval.seen["amount"] == "100.00 USD"
    again = rows()
    services.approve_payout(payout_id=payout.pk, actor=cast.finance)
    assert rows() == again
    assert check_ledger() == []


def test_rejecting_returns_the_money_and_the_amount_is_due_again(cast):
    program = make_program(funded="500.00")
    (payout,) = build(program, cast=cast)
    with pytest.raises(ReasonNeeded):
        services.reject_payout(payout_id=payout.pk, actor=cast.finance, reason="  ")
    services.reject_payout(payout_id=payout.pk, actor=cast.finance, reason="Wrong quarter")
    payout.refresh_from_db()
    assert (payout.status, payout.outcome) == ("rejected", "Wrong quarter")
    assert figures(program.budget) == (50_000, 0, 0, 0)
    with pytest.raises(IllegalTransition):
        services.approve_payout(payout_id=payout.pk, actor=cast.other)
    (second,) = services.build_payouts(program=program).payouts
    assert (second.n, second.amount_minor) == (2, 10_000)
    assert check_ledger() == []


def refusal(payout, actor, error, **more):
    before = rows(), figures(payout.budget)
    with pytest.raises(error):
        services.approve_payout(payout_id=payout.pk, actor=actor, **more)
    payout.refresh_from_db()
    assert (rows(), figures(payout.budget)) == before
    assert payout.status == "submitted"


def test_promise_6_nobody_approves_what_they_submitted_wrote_the_rules_of_or_receive(cast):
    both = make_user("manager", "finance")
    receiver = make_user("finance")
    cast.rep.user = receiver
    cast.rep.save()
    (submitted_by_both,) = build(make_program(funded="500.00"), cast=cast, actor=both)
    refusal(submitted_by_both, both, SelfApproval)
    refusal(submitted_by_both, receiver, SelfApproval)
    author = make_user("manager", "finance")
    program = make_program(funded="500.00", manager=author, name="Authored")
    payout = build(program, cast=cast, actor=cast.manager, object_id="D2")[0]
    refusal(payout, author, SelfApproval)
    services.approve_payout(payout_id=payout.pk, actor=cast.finance)


@pytest.mark.parametrize("role", ["manager", "participant", "partner_admin", "administrator", "auditor"])
def test_only_the_steps_own_role_approves(cast, role):
    (payout,) = build(make_program(funded="500.00"), cast=cast)
    refusal(payout, make_user(role), NotAllowed)


def test_being_a_superuser_approves_nothing(cast):
    (payout,) = build(make_program(funded="500.00"), cast=cast)
    refusal(payout, make_user("administrator", is_superuser=True, is_staff=True), NotAllowed)


def test_the_database_refuses_a_self_approval_whatever_door_it_came_through(cast):
    (payout,) = build(make_program(funded="500.00"), cast=cast, actor=cast.manager)
    values = {"payout": payout, "step": 0, "decision": "approved", "actor_name": "x", "seen_hash": "x"}
    for actor in (cast.manager, cast.rep_user):
        with pytest.raises(IntegrityError), transaction.atomic():
            Approval.objects.create(actor=actor, submitted_by=cast.manager, recipient_user=cast.rep_user, **values)
    assert Approval.objects.count() == 0


def test_two_steps_need_two_people(cast):
    ApprovalPolicy.objects.create(name="Two of finance", steps=["finance", "finance"])
    (payout,) = build(make_program(funded="500.00"), cast=cast)
    services.approve_payout(payout_id=payout.pk, actor=cast.finance)
    refusal(payout, cast.finance, SameApprover)
    assert figures(payout.budget) == (40_000, 10_000, 0, 0)
    services.approve_payout(payout_id=payout.pk, actor=cast.other)
    payout.refresh_from_db()
    assert payout.status == "approved"
    assert check_ledger() == []


def test_a_policy_without_steps_approves_small_amounts_by_itself_but_not_over_its_limit(cast):
    ApprovalPolicy.objects.create(name="Small", steps=[], up_to_minor=5_000, position=1)
    program = make_program(funded="500.00")
    (small,) = build(program, "2500.00", cast=cast)
    (large,) = build(program, "2550.00", cast=cast, object_id="D2")
    assert (small.status, large.status) == ("approved", "submitted")
    assert Approval.objects.get().actor_name == "Policy: Small"
    assert figures(program.budget) == (50_000 - 10_100, 5_100, 5_000, 0)
    assert check_ledger() == []


def test_a_decision_on_something_else_than_what_was_shown_is_refused(cast):
    (payout,) = build(make_program(funded="500.00"), cast=cast)
    refusal(payout, cast.finance, StalePayout, seen_hash="0" * 64)


def test_what_an_approver_saw_cannot_change_afterwards(cast):
    (payout,) = build(make_program(funded="500.00"), cast=cast)
    for column, value in [("amount_minor", 1), ("recipient_email", "'x@example.com'"), ("product_code", "'X'")]:
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE payouts_payout SET {column} = {value}")
    payout.refresh_from_db()
    assert payout.amount_minor == 10_000


def test_a_held_payout_waits_until_finance_lifts_the_hold_with_a_reason(cast):
    (payout,) = build(make_program(funded="500.00"), cast=cast)
    hold = services.place_hold(payout_id=payout.pk, actor=cast.manager, reason="Ask Ana first")
    refusal(payout, cast.finance, PayoutOnHold)
    with pytest.raises(NotAllowed):
        services.lift_hold(hold_id=hold.pk, actor=cast.manager, reason="ok")
    with pytest.raises(ReasonNeeded):
        services.lift_hold(hold_id=hold.pk, actor=cast.finance, reason="")
    services.lift_hold(hold_id=hold.pk, actor=cast.finance, reason="She confirmed")
    services.approve_payout(payout_id=payout.pk, actor=cast.finance)


def test_a_recipient_whose_address_changed_lately_waits_for_a_look(cast):
    cast.rep.contact_changed_at = timezone.now()
    cast.rep.save()
    ApprovalPolicy.objects.create(name="All", steps=[])
    (payout,) = build(make_program(funded="500.00"), cast=cast)
    assert payout.status == "submitted"
    assert [h.kind for h in payout.holds.all()] == [Hold.Kind.CONTACT_CHANGED]


# --- budgets -----------------------------------------------------------------------------------------------------------


def test_without_room_in_the_budget_a_payout_waits_and_approving_is_refused_until_it_is_funded(cast):
    program = make_program(funded="99.99")
    (payout,) = build(program, cast=cast)
    assert ([h.kind for h in payout.holds.all()], payout.reserved) == (["funding"], False)
    assert figures(program.budget) == (9_999, 0, 0, 0)
    refusal(payout, cast.finance, InsufficientFunds)
    ledger.fund(budget=program.budget, amount=usd("0.01"), reference="MORE", actor=cast.finance)
    services.approve_payout(payout_id=payout.pk, actor=cast.finance)
    assert figures(program.budget) == (0, 0, 10_000, 0)
    assert Hold.objects.get().lifted_at is not None
    assert check_ledger() == []


def test_a_card_that_left_the_catalogue_refuses_the_approval_and_leaves_nothing(cast):
    (payout,) = build(make_program(funded="500.00"), cast=cast)
    Product.objects.update(orderable=False)
    refusal(payout, cast.finance, OrderProblem)


# --- corrections -------------------------------------------------------------------------------------------------------


def test_promise_3_a_payout_that_is_no_longer_earned_is_withdrawn_and_the_rest_is_due_again(cast):
    program = make_program(funded="500.00")
    (payout,) = build(program, cast=cast)
    send(cast.crm, deal("D1", cast.rep, "2000.00", version=2))
    services.follow_up()
    payout.refresh_from_db()
    assert payout.status == "cancelled"
    assert figures(program.budget) == (50_000, 0, 0, 0)
    (second,) = services.build_payouts(program=program).payouts
    assert second.amount_minor == 4_000
    assert sum(second.allocations.values_list("amount_minor", flat=True)) == 4_000
    assert check_ledger() == []


def test_promise_3_what_left_already_is_recovered_from_the_next_payouts(cast):
    program = make_program(funded="500.00")
    (payout,) = build(program, cast=cast)
    services.approve_payout(payout_id=payout.pk, actor=cast.finance)
    send(cast.crm, deal("D1", cast.rep, "4000.00", version=2))  # 80.00 instead of 100.00
    services.follow_up()
    payout.refresh_from_db()
    assert payout.status == "approved"
    assert build(program, "800.00", cast=cast, object_id="D2") == []  # 16.00 of the 20.00
    (second,) = build(program, "700.00", cast=cast, object_id="D3")
    assert second.amount_minor == 1_000
    assert sum(PayoutEarning.objects.values_list("amount_minor", flat=True)) == 11_000
    assert check_ledger() == []


def test_an_instant_program_pays_without_anybody_where_policy_allows(cast):
    ApprovalPolicy.objects.create(name="All", steps=[])
    program = make_program(funded="500.00", payout={"when": "instant"})
    send(cast.crm, deal("D1", cast.rep, "5000.00"))
    assert services.follow_up() == {"looked": 1, "withdrawn": 0, "built": 1}
    payout = Payout.objects.get()
    assert (payout.status, payout.submitted_by, payout.program) == ("approved", None, program)
    assert services.follow_up()["looked"] == 0
    assert check_ledger() == []


def test_cancelling_an_approved_payout_before_it_left_returns_the_money(cast):
    program = make_program(funded="500.00")
    (payout,) = build(program, cast=cast)
    services.approve_payout(payout_id=payout.pk, actor=cast.finance)
    services.cancel_payout(payout_id=payout.pk, actor=cast.finance, reason="Wrong person")
    payout.refresh_from_db()
    assert (payout.status, payout.order.state) == ("cancelled", "cancelled")
    assert figures(program.budget) == (50_000, 0, 0, 0)
    assert check_ledger() == []


def test_what_nobody_decides_expires_and_its_money_returns(cast):
    program = make_program(funded="500.00")
    (payout,) = build(program, cast=cast)
    Payout.objects.update(expires_at="2026-01-01T00:00:00Z")
    assert services.sweep_once()["expired"] == 1
    payout.refresh_from_db()
    assert (payout.status, figures(program.budget)) == ("expired", (50_000, 0, 0, 0))
    assert check_ledger() == []


def test_a_payout_that_waits_for_something_does_not_expire_and_has_its_30_days_from_then(cast, clock):
    clock.shift(30 * 86_400)
    program = make_program(funded="500.00")
    (payout,) = build(program, cast=cast)
    hold = services.place_hold(payout_id=payout.pk, actor=cast.finance, reason="Look at the contract")
    clock.shift(90 * 86_400)
    assert services.sweep_once()["expired"] == 0
    services.lift_hold(hold_id=hold.pk, actor=cast.finance, reason="Seen")
    clock.shift(29 * 86_400)
    assert services.sweep_once()["expired"] == 0
    clock.shift(2 * 86_400)
    assert services.sweep_once()["expired"] == 1
    payout.refresh_from_db()
    assert (payout.status, figures(program.budget)) == ("expired", (50_000, 0, 0, 0))


def test_an_instant_program_builds_what_expired_again_as_nothing_else_would(cast):
    program = make_program(funded="500.00", payout={"when": "instant"})
    send(cast.crm, deal("D1", cast.rep, "5000.00"))
    services.sweep_once()
    first = Payout.objects.get()
    Payout.objects.update(expires_at="2026-01-01T00:00:00Z")
    assert services.sweep_once()["expired"] == 1
    assert services.sweep_once()["expired"] == 0
    again = Payout.objects.exclude(pk=first.pk).get()
    assert (again.status, again.amount_minor) == ("submitted", first.amount_minor)
    assert figures(program.budget) == (50_000 - again.amount_minor, again.amount_minor, 0, 0)
    assert check_ledger() == []


@pytest.mark.parametrize("old", [s for s in Payout.Status if s != "submitted"])
def test_every_state_but_submitted_refuses_a_decision(cast, old):
    (payout,) = build(make_program(funded="500.00"), cast=cast)
    Payout.objects.filter(pk=payout.pk).update(status=old)
    before = rows()
    for act in (
        lambda: services.approve_payout(payout_id=payout.pk, actor=cast.finance),
        lambda: services.reject_payout(payout_id=payout.pk, actor=cast.finance, reason="no"),
    ):
        with pytest.raises(IllegalTransition):
            act()
    assert rows() == before
