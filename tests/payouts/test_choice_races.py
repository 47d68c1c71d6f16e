"""Choosing, defaulting and approving at one moment: PostgreSQL with real threads; on SQLite one writer works at a time."""

import threading
from collections import Counter

import pytest
from django.utils import timezone

from incentives.core.errors import DomainError
from incentives.core.models import AuditEvent
from incentives.payouts import services
from incentives.payouts.checks import check_ledger
from incentives.payouts.models import ApprovalPolicy, Hold, Payout, ProductChoice
from incentives.payouts.services.choose import fill_addresses, follow_choices
from rewards.models import RewardOrder
from tests.factories import make_participant, make_user
from tests.payouts.scene import TWO, Scene
from tests.payouts.test_races import in_threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene(db) -> Scene:
    scene = Scene()
    scene.second_product()
    scene.two = scene.program(delivery=TWO)
    return scene


def attempt(outcomes: Counter, name: str, work) -> None:
    try:
        work()
        outcomes[name] += 1
    except DomainError as exc:
        outcomes[exc.code] += 1


@pytest.mark.parametrize("automatic", [True, False], ids=["approved at once", "approved by somebody"])
def test_choosing_and_defaulting_at_one_moment_give_exactly_one_outcome(scene, automatic):
    if automatic:
        ApprovalPolicy.objects.create(name="All", steps=[])
    payouts = [scene.payout(program=scene.two) for _ in range(4)]
    now = timezone.now()
    ProductChoice.objects.update(deadline=now)
    outcomes = Counter()

    def work(number):
        if number % 2:
            follow_choices(now)
            return
        for payout in payouts:
            attempt(
                outcomes,
                "chosen",
                lambda payout=payout: services.choose_reward(
                    payout_id=payout.pk, product_id="OTHER", actor=scene.rep_user
                ),
            )

    in_threads(6, work)
    follow_choices(now)
    for payout in Payout.objects.filter(pk__in=[p.pk for p in payouts]).select_related("choice", "order__product"):
        made = AuditEvent.objects.filter(action="choice.made", target_id=str(payout.public_id)).order_by("pk")
        answers = [event.after["product"] for event in made]
        assert payout.choice.product_code == payout.product_code == answers[-1]
        assert payout.holds.filter(kind=Hold.Kind.CHOICE).count() == 1
        assert not payout.holds.filter(lifted_at__isnull=True).exists()
        lifted = AuditEvent.objects.filter(action="hold.lifted", target_id=str(payout.public_id))
        assert lifted.count() == 1
        if automatic:
            assert len(answers) == 1 and payout.order.product.product_id == answers[0]
        else:
            assert payout.choice.how == "recipient" and answers in (["OTHER"], ["DEMO", "OTHER"])
    assert RewardOrder.objects.count() == (4 if automatic else 0)
    assert check_ledger() == []


def test_changing_and_approving_at_one_moment_order_what_stood_when_it_was_approved(scene):
    payouts = [scene.payout(program=scene.two) for _ in range(3)]
    for payout in payouts:
        services.choose_reward(payout_id=payout.pk, product_id="DEMO", actor=scene.rep_user)
    people = [make_user("finance") for _ in range(3)]
    outcomes = Counter()

    def work(number):
        for payout in payouts:
            if number < 3:
                approve = {"payout_id": payout.pk, "actor": people[number]}
                attempt(outcomes, "approved", lambda approve=approve: services.approve_payout(**approve))
            else:
                change = {"payout_id": payout.pk, "product_id": "OTHER", "actor": scene.rep_user}
                attempt(outcomes, "changed", lambda change=change: services.choose_reward(**change))

    in_threads(6, work)
    assert outcomes["approved"] == 3
    for payout in Payout.objects.select_related("choice", "order__product"):
        assert payout.status == "approved" and payout.choice.committed_at
        assert payout.order.product.product_id == payout.choice.product_code == payout.product_code
        assert payout.approvals.get().seen_hash == payout.order.approval_hash == payout.content_hash
    assert check_ledger() == []


def test_sweeping_in_six_threads_defaults_reminds_and_fills_once(scene):
    nils = make_participant("Nils", email="", external_user_id="N")
    late, early = scene.payout(program=scene.two), scene.payout(program=scene.two)
    without = scene.payout(rep=nils)
    now = timezone.now()
    ProductChoice.objects.filter(payout=late).update(deadline=now)
    ProductChoice.objects.filter(payout=early).update(next_reminder_at=now)
    type(nils).objects.filter(pk=nils.pk).update(email="nils@example.com")
    counts, lock = Counter(), threading.Lock()

    def work(number):
        done = follow_choices(now) | {"filled": fill_addresses()}
        with lock:
            counts.update(done)

    in_threads(6, work)
    late.refresh_from_db(), without.refresh_from_db()
    assert (counts["defaulted"], counts["filled"]) == (1, 1)
    assert (late.choice.product_code, without.recipient_email) == ("DEMO", "nils@example.com")
    assert AuditEvent.objects.filter(action="choice.made").count() == 1
    assert AuditEvent.objects.filter(action="hold.lifted").count() == 2
    assert ProductChoice.objects.get(payout=early).next_reminder_at > now
