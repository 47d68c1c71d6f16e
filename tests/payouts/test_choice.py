"""Which card a payout becomes: the question, its answers, what refuses them, and what the order then says."""

import json
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.notifications.models import Notification
from incentives.payouts import selectors, services
from incentives.payouts.checks import check_ledger
from incentives.payouts.errors import (
    ChoiceClosed,
    ChoiceInvalid,
    PayoutOnHold,
    ReasonNeeded,
    SelfApproval,
    StalePayout,
)
from incentives.payouts.kinds import CHOOSE
from incentives.payouts.models import ApprovalPolicy, Hold, Payout, ProductChoice, RewardPreference
from incentives.payouts.services.choose import fill_addresses, follow_choices
from rewards.models import Product, RewardOrder
from tests.factories import make_participant, make_user
from tests.payouts.scene import TWO

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def two(scene):
    """The scene with two cards and a program that lets the recipient choose between them within 10 days."""
    scene.second_product()
    scene.two = scene.program(delivery=TWO | {"choose_within_days": 10})
    return scene


def choose(scene, payout, product="OTHER", **more):
    return services.choose_reward(payout_id=payout.pk, product_id=product, actor=scene.rep_user, **more)


def state(payout) -> tuple[str, str, str, list[str]]:
    """(status, product, how it was chosen, open holds)"""
    payout = Payout.objects.get(pk=payout.pk)
    holds = list(payout.holds.filter(lifted_at__isnull=True).order_by("pk").values_list("kind", flat=True))
    return payout.status, payout.product_code, payout.choice.how, holds


def trail() -> tuple[int, ...]:
    models = (AuditEvent, Notification, RewardOrder, Hold, RewardPreference)
    answers = ProductChoice.objects.exclude(product_code="").count()
    return (*(model.objects.count() for model in models), answers, ProductChoice.staff.through.objects.count())


def told(payout) -> list[int]:
    """Numbers of the notices about a payout's choice, in the order they were told."""
    rows = Notification.objects.filter(kind=CHOOSE, data__payout=str(payout.public_id)).order_by("pk")
    return [row.data["reminder"] for row in rows]


def body(order) -> dict:
    return json.loads(bytes(order.body))["LineItems"][0]


def vanish(code: str) -> None:
    Product.objects.filter(product_id=code).update(orderable=False)


# --- the question -------------------------------------------------------------------------------------------------------
def test_one_orderable_product_is_sent_as_it_is_and_nothing_is_asked(scene):
    payout = scene.payout(program=scene.program(delivery=TWO))  # OTHER is not in the catalogue
    assert not ProductChoice.objects.exists() and not payout.holds.exists()
    scene.approve(payout)
    assert body(payout.order)["ProductId"] == "DEMO"


def test_a_product_that_cannot_have_the_amount_is_no_choice(scene):
    scene.second_product(values=(500, 2_500), denomination_type="Fixed")
    payout = scene.payout(program=scene.program(delivery=TWO))  # 100.00
    assert not ProductChoice.objects.exists() and not payout.holds.exists()


def test_several_products_hold_the_payout_reserve_its_money_and_tell_the_recipient(two):
    payout = two.payout(program=two.two)
    choice = payout.choice
    assert state(payout) == ("submitted", "DEMO", "", ["choice"])
    assert (choice.allowed, choice.deadline - choice.asked_at) == (["DEMO", "OTHER"], 10 * DAY)
    assert payout.reserved and told(payout) == [0]
    hold = payout.holds.get()
    assert hold.evidence == {"until": choice.deadline.isoformat(), "default": "Demo", "asked": 1}
    with pytest.raises(PayoutOnHold, match="recipient chooses"):
        services.approve_payout(payout_id=payout.pk, actor=two.finance)
    with pytest.raises(NotAllowed, match="Nobody lifts this one"):
        services.lift_hold(hold_id=hold.pk, actor=two.finance, reason="Hurry")
    assert not RewardOrder.objects.exists() and payout.approvals.count() == 0


def test_without_days_in_the_definition_there_are_fourteen_and_any_means_the_catalogue_by_name(scene):
    scene.second_product("AAA")
    payout = scene.payout(program=scene.program(delivery=TWO | {"products": "any"}))
    assert payout.choice.deadline - payout.choice.asked_at == 14 * DAY
    assert (payout.product_code, payout.choice.allowed) == ("AAA", [])
    (question,) = selectors.questions_of(scene.rep)
    assert [product.product_id for product in question.options] == ["AAA", "DEMO"]


def test_a_hold_that_only_waits_for_a_choice_does_not_take_a_payout_from_its_automatic_policy(two):
    ApprovalPolicy.objects.create(name="All", steps=[])
    payout = two.payout(program=two.two)
    assert (payout.status, payout.steps) == ("submitted", [])
    choose(two, payout)
    payout.refresh_from_db()
    assert (payout.status, payout.order.product.product_id) == ("approved", "OTHER")
    assert payout.choice.committed_at is not None
    assert check_ledger() == []


# --- the answer ---------------------------------------------------------------------------------------------------------
def test_the_recipient_chooses_changes_and_the_order_says_the_last(two):
    payout = two.payout(program=two.two)
    before = payout.content_hash
    choose(two, payout)
    assert state(payout) == ("submitted", "OTHER", "recipient", [])
    choose(two, payout, "DEMO")
    choose(two, payout)
    payout.refresh_from_db()
    assert payout.content_hash != before and payout.product_name == "Other"
    assert (payout.choice.chosen_by, payout.choice.reason) == (two.rep_user, "")
    two.approve(payout)
    assert body(payout.order)["ProductId"] == "OTHER"
    assert payout.order.approval_hash == payout.content_hash == payout.approvals.get().seen_hash
    made = AuditEvent.objects.filter(action="choice.made").order_by("pk")
    assert [event.after for event in made] == [
        {"product": code, "how": "recipient"} for code in ("OTHER", "DEMO", "OTHER")
    ]
    assert check_ledger() == []


def test_repeating_a_choice_changes_nothing(two):
    payout = two.payout(program=two.two)
    choose(two, payout)
    before, first = trail(), ProductChoice.objects.get(payout=payout)
    choose(two, payout)
    again = ProductChoice.objects.get(payout=payout)
    assert trail() == before and again.chosen_at == first.chosen_at


def test_a_change_after_the_page_was_shown_makes_the_decision_stale(two):
    payout = two.payout(program=two.two)
    choose(two, payout, "DEMO")
    seen = Payout.objects.get(pk=payout.pk).content_hash
    choose(two, payout, "OTHER")
    with pytest.raises(StalePayout):
        services.approve_payout(payout_id=payout.pk, actor=two.finance, seen_hash=seen)
    assert payout.approvals.count() == 0


@pytest.mark.parametrize("why", ["approved", "cancelled"])
def test_after_the_order_is_written_or_the_payout_ended_nothing_changes(two, why):
    payout = two.payout(program=two.two)
    choose(two, payout)
    if why == "approved":
        two.approve(payout)
    else:
        services.cancel_payout(payout_id=payout.pk, actor=two.finance, reason="Oops")
    before = trail()
    with pytest.raises(ChoiceClosed):
        choose(two, payout, "DEMO")
    with pytest.raises(ChoiceClosed):
        services.choose_for(payout_id=payout.pk, product_id="DEMO", actor=two.manager, reason="Asked me")
    assert trail() == before and state(payout)[1:3] == ("OTHER", "recipient")


def test_the_database_refuses_other_products_and_edits_of_what_was_committed(two):
    payout = two.payout(program=two.two)

    def refused(sql: str) -> None:
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)

    hashed = "content_hash = 'x'"
    refused(f"UPDATE payouts_payout SET product_code = 'OTHER', product_name = 'Other', {hashed}")  # nobody chose it
    refused(f"UPDATE payouts_payout SET {hashed}")
    refused("UPDATE payouts_payout SET recipient_email = 'x@example.com', content_hash = 'x'")
    choose(two, payout)
    refused("UPDATE payouts_payout SET product_code = 'DEMO', content_hash = 'x'")
    two.approve(payout)
    refused("UPDATE payouts_productchoice SET product_code = 'DEMO'")
    refused("DELETE FROM payouts_productchoice")
    refused("UPDATE payouts_payout SET product_name = 'X'")
    with pytest.raises(IntegrityError), transaction.atomic():
        ProductChoice.objects.create(payout=payout, asked_at=timezone.now(), deadline=timezone.now())
    assert state(payout) == ("approved", "OTHER", "recipient", [])


def test_what_is_not_offered_and_who_is_not_the_recipient_is_refused(two):
    two.second_product("THIRD")
    payout = two.payout(program=two.two)
    stranger = make_user("participant")
    make_participant("Other", user=stranger)
    before = trail()
    for code in ("THIRD", "NOPE", ""):
        with pytest.raises(ChoiceInvalid):
            choose(two, payout, code)
    for person in (stranger, two.users["partner_admin"]):
        with pytest.raises(NotAllowed):
            services.choose_reward(payout_id=payout.pk, product_id="OTHER", actor=person)
    plain = two.payout()
    with pytest.raises(ChoiceClosed, match="no choice"):
        choose(two, plain)
    assert state(payout) == ("submitted", "DEMO", "", ["choice"])
    assert trail()[3:] == before[3:]


# --- by others ----------------------------------------------------------------------------------------------------------
def test_who_chooses_for_a_recipient_is_a_maker_for_ever_and_the_recipient_may_still_change_it(two):
    payout = two.payout(program=two.two)
    before = trail()
    with pytest.raises(ReasonNeeded):
        services.choose_for(payout_id=payout.pk, product_id="OTHER", actor=two.finance, reason=" ")
    for role in ("auditor", "administrator", "participant"):
        with pytest.raises(NotAllowed):
            services.choose_for(payout_id=payout.pk, product_id="OTHER", actor=two.users[role], reason="Why not")
    assert trail() == before
    services.choose_for(payout_id=payout.pk, product_id="OTHER", actor=two.finance, reason="Asked me on the phone")
    assert state(payout) == ("submitted", "OTHER", "staff", [])
    assert str(selectors.objection(payout, two.finance)) == "you chose its card for the recipient"
    assert not selectors.for_decision(Payout.objects.all(), two.finance).get(pk=payout.pk).mine
    choose(two, payout, "DEMO")
    for decide in (services.approve_payout, services.reject_payout):
        more = {"reason": "No"} if decide is services.reject_payout else {}
        with pytest.raises(SelfApproval):
            decide(payout_id=payout.pk, actor=two.finance, **more)
    with pytest.raises(ChoiceClosed, match="only they change it"):
        services.choose_for(payout_id=payout.pk, product_id="OTHER", actor=two.manager, reason="Better")
    assert selectors.for_decision(Payout.objects.all(), two.other).get(pk=payout.pk).mine
    services.approve_payout(payout_id=payout.pk, actor=two.other)
    assert state(payout) == ("approved", "DEMO", "recipient", [])


def test_an_approver_of_an_earlier_step_and_the_recipient_do_not_choose_for(two):
    ApprovalPolicy.objects.create(name="Two", steps=["finance", "finance"])
    payout = two.payout(program=two.two)
    services.choose_for(payout_id=payout.pk, product_id="OTHER", actor=two.manager, reason="Phone")
    services.approve_payout(payout_id=payout.pk, actor=two.finance)
    with pytest.raises(NotAllowed, match="You approved"):
        services.choose_for(payout_id=payout.pk, product_id="DEMO", actor=two.finance, reason="Phone")
    two.rep_user.role_set.create(role="finance")
    person = type(two.rep_user).objects.get(pk=two.rep_user.pk)
    with pytest.raises(NotAllowed, match="your own page"):
        services.choose_for(payout_id=payout.pk, product_id="DEMO", actor=person, reason="Mine")
    assert state(payout)[1:3] == ("OTHER", "staff")


# --- standing preferences -----------------------------------------------------------------------------------------------
def test_a_preference_answers_new_questions_without_a_hold_where_it_is_allowed(two):
    first, open_one = two.payout(program=two.two), two.payout(program=two.two)
    choose(two, first, always=True)
    assert state(open_one)[2:] == ("", ["choice"])  # answers new questions alone
    later = two.payout(program=two.two)
    assert state(later) == ("submitted", "OTHER", "preference", []) and told(later) == []
    elsewhere = two.payout()
    assert elsewhere.product_code == "DEMO" and not ProductChoice.objects.filter(payout=elsewhere).exists()
    choose(two, later, "DEMO")
    assert state(later)[1:3] == ("DEMO", "recipient")
    assert services.forget_preference(actor=two.rep_user, currency="USD") is True
    assert services.forget_preference(actor=two.rep_user, currency="USD") is False
    assert state(two.payout(program=two.two))[2:] == ("", ["choice"])
    assert [e.action for e in AuditEvent.objects.filter(action__startswith="preference").order_by("pk")] == [
        "preference.set",
        "preference.removed",
    ]


def test_a_preferred_card_that_cannot_be_ordered_asks(two):
    choose(two, two.payout(program=two.two), always=True)
    two.second_product("THIRD")
    vanish("OTHER")
    payout = two.payout(program=two.program(delivery=TWO | {"products": ["DEMO", "OTHER", "THIRD"]}))
    assert state(payout) == ("submitted", "DEMO", "", ["choice"])


# --- the deadline -------------------------------------------------------------------------------------------------------
def test_reminders_half_way_and_the_day_before_each_once(two):
    payout = two.payout(program=two.two)
    start = payout.choice.asked_at
    steps = [(4.9, [0]), (5.1, [0, 1]), (5.2, [0, 1]), (8.9, [0, 1]), (9.1, [0, 1, 2]), (9.9, [0, 1, 2])]
    for days, numbers in steps:
        follow_choices(start + days * DAY)
        assert told(payout) == numbers, days
    assert state(payout)[2:] == ("", ["choice"])


def test_of_reminders_that_were_missed_only_the_newest_is_told_and_none_after_a_choice(two):
    late, quick = two.payout(program=two.two), two.payout(program=two.two)
    choose(two, quick)
    follow_choices(late.choice.asked_at + 9.5 * DAY)
    assert (told(late), told(quick)) == ([0, 2], [0])
    short = two.payout(program=two.program(delivery=TWO | {"choose_within_days": 1}))
    follow_choices(short.choice.asked_at + DAY * 0.6)
    assert told(short) == [0, 1]  # half way; the day before was the day it was asked


def test_after_the_deadline_the_default_is_sent_once(two):
    payout = two.payout(program=two.two)
    end = payout.choice.deadline
    assert follow_choices(end - timedelta(seconds=1))["defaulted"] == 0
    assert follow_choices(end) == {"asked_again": 0, "defaulted": 1, "reminded": 0}
    assert state(payout) == ("submitted", "DEMO", "default", [])
    before = trail()
    assert follow_choices(end + DAY) == {"asked_again": 0, "defaulted": 0, "reminded": 0}
    assert trail() == before
    assert payout.holds.get().lifted_reason == "The deadline has passed: the default is sent."
    choose(two, payout)  # until it is approved the recipient still may
    assert state(payout)[1:3] == ("OTHER", "recipient")


def test_the_default_goes_on_by_an_automatic_policy_and_is_the_next_where_the_first_vanished(two):
    ApprovalPolicy.objects.create(name="All", steps=[])
    payout = two.payout(program=two.two)
    vanish("DEMO")
    services.sweep_once()
    assert state(payout) == ("submitted", "DEMO", "", ["choice"])
    follow_choices(payout.choice.deadline)
    assert state(payout) == ("approved", "OTHER", "default", [])
    assert check_ledger() == []


def test_with_nothing_to_order_it_waits_and_goes_on_by_itself(two):
    payout = two.payout(program=two.two)
    end = payout.choice.deadline
    Product.objects.update(orderable=False)
    assert follow_choices(end)["defaulted"] == 0
    assert state(payout) == ("submitted", "DEMO", "", ["choice"])
    Product.objects.update(orderable=True)
    assert follow_choices(end)["defaulted"] == 1


# --- a chosen card that vanishes ----------------------------------------------------------------------------------------
def test_a_chosen_card_that_vanished_is_asked_again_and_nothing_else_is_sent_meanwhile(two):
    payout = two.payout(program=two.two)
    choose(two, payout)
    vanish("OTHER")
    with pytest.raises(PayoutOnHold, match="cannot be ordered any more"):
        services.approve_payout(payout_id=payout.pk, actor=two.finance)
    now = timezone.now()
    assert follow_choices(now)["asked_again"] == 1
    assert follow_choices(now)["asked_again"] == 0
    assert state(payout)[2:] == ("", ["choice"]) and told(payout) == [0, 0]
    hold = payout.holds.get(lifted_at__isnull=True)
    assert (hold.evidence["asked"], hold.evidence["default"]) == (2, "Demo")
    choose(two, payout, "DEMO")
    two.approve(payout)
    assert body(payout.order)["ProductId"] == "DEMO"


def test_an_amount_the_card_cannot_have_any_more_is_asked_again_and_after_the_deadline_the_default_is_sent(two):
    payout, late = two.payout(program=two.two), two.payout(program=two.two)
    choose(two, payout), choose(two, late)
    ProductChoice.objects.filter(payout=late).update(deadline=timezone.now())
    Product.objects.filter(product_id="OTHER").update(denominations=[500, 5_000])
    assert follow_choices()["asked_again"] == 2
    assert state(payout)[1:] == ("OTHER", "", ["choice"])
    assert state(late) == ("submitted", "DEMO", "default", [])
    assert check_ledger() == []


# --- addresses ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("channel", "missing", "given"),
    [("email", "e-mail address", {"email": "nils@example.com"}), ("sms", "mobile number", {"phone": "+14155550123"})],
)
def test_a_missing_address_holds_the_payout_and_setting_it_lifts_the_hold(scene, channel, missing, given):
    nils = make_participant("Nils", email="", external_user_id="N")
    program = scene.program(delivery={"type": "DigitalDelivery", "channel": channel, "products": ["DEMO"]})
    payout = scene.payout(program=program, rep=nils)
    hold = payout.holds.get()
    assert (hold.kind, hold.reason) == ("contact", f"No {missing} is on file for the recipient.")
    assert hold.evidence == {"wanted": missing}
    with pytest.raises(PayoutOnHold, match="when the address is on file"):
        services.approve_payout(payout_id=payout.pk, actor=scene.finance)
    with pytest.raises(NotAllowed):
        services.lift_hold(hold_id=hold.pk, actor=scene.finance, reason="x")
    assert fill_addresses() == 0
    before = payout.content_hash
    type(nils).objects.filter(pk=nils.pk).update(**given)
    services.sweep_once()
    payout.refresh_from_db()
    assert not payout.holds.filter(lifted_at__isnull=True).exists() and payout.content_hash != before
    assert payout.recipient_email == given.get("email", "") and payout.recipient_phone == given.get("phone", "")
    assert fill_addresses() == 0
    scene.approve(payout)
    assert check_ledger() == []


def test_an_address_that_came_late_passes_the_same_checks_as_one_that_was_there(scene):
    ApprovalPolicy.objects.create(name="All", steps=[])
    nils = make_participant("Nils", email="", external_user_id="N")
    payout = scene.payout(rep=nils)
    assert payout.steps == []
    type(nils).objects.filter(pk=nils.pk).update(email="ana+x@example.com", contact_changed_at=timezone.now())
    assert fill_addresses() == 1
    payout.refresh_from_db()
    kinds = set(payout.holds.filter(lifted_at__isnull=True).values_list("kind", flat=True))
    assert kinds == {"same_contact", "contact_changed"}
    assert (payout.status, payout.steps) == ("submitted", ["finance"])
    with pytest.raises(PayoutOnHold):
        services.approve_payout(payout_id=payout.pk, actor=scene.finance)
