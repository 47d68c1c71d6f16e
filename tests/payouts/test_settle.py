"""An approved payout becomes a card and its money is spent, or it is proven that there is none and the money is back."""

from decimal import Decimal

import pytest
from django.db import transaction

from incentives.ledger import accounts
from incentives.ledger.models import Account, Posting
from incentives.ledger.selectors import derived_balances
from incentives.payouts import services
from incentives.payouts.checks import check_ledger
from incentives.payouts.models import Payout
from rewards import selectors as orders
from rewards import services as rewards
from rewards.models import Product, RewardOrder
from tests.factories import deal, make_connection, make_participant, make_program, make_user, send
from tests.payouts.test_payouts import figures

pytestmark = pytest.mark.django_db

CVS = {"delivery": {"type": "DigitalDelivery", "channel": "email", "products": ["CVS"]}}


@pytest.fixture
def paid(world):
    """One approved payout of 100.00, and what it belongs to."""

    class Paid:
        crm, rep, finance = make_connection(), make_participant("Ana"), make_user("finance")
        program = make_program(funded="500.00", **CVS)

    send(Paid.crm, deal("D1", Paid.rep, "5000.00"))
    (Paid.payout,) = services.build_payouts(program=Paid.program).payouts
    services.approve_payout(payout_id=Paid.payout.pk, actor=Paid.finance)
    Paid.world = world
    return Paid


def cash(bucket: str) -> int:
    account = accounts.cash(bucket, "USD")
    return derived_balances()[account.pk]


def state(payout: Payout) -> tuple[str, str]:
    payout.refresh_from_db()
    return payout.status, payout.order.state


def test_promise_9_an_issued_card_is_spent_money_and_both_books_agree(paid):
    paid.world.sweep()
    assert state(paid.payout) == ("fulfilled", "completed")
    assert figures(paid.program.budget) == (40_000, 0, 0, 10_000)
    books = paid.world.books()
    assert (books["orders"], Decimal(books["face_value"])) == (1, Decimal("100.00"))
    assert orders.books()["face_value"].minor == 10_000
    assert (cash("cards"), cash("discount"), cash("fees"), cash("deposit")) == (10_000, -350, 0, -9_650)
    own = Account.objects.get(code=f"participant:{paid.payout.participation.public_id}:paid")
    assert own.balance_minor == 10_000
    assert check_ledger() == []


def test_a_pending_order_is_ordered_until_the_provider_is_done(paid):
    paid.world.faults({"fault": "pending", "on": "POST /v1/Orders", "seconds": 100, "next": 1})
    paid.world.sweep()
    assert state(paid.payout) == ("ordered", "pending")
    assert figures(paid.program.budget) == (40_000, 0, 10_000, 0)
    paid.world.settle()
    assert state(paid.payout) == ("fulfilled", "completed")
    assert check_ledger() == []


def test_a_definite_refusal_returns_the_money_and_the_amount_is_due_again_under_a_new_number(paid):
    paid.world.faults({"fault": "400", "on": "POST /v1/Orders", "next": 1})
    paid.world.sweep()
    assert state(paid.payout) == ("failed", "rejected")
    assert paid.payout.outcome != ""
    assert figures(paid.program.budget) == (50_000, 0, 0, 0)
    (second,) = services.build_payouts(program=paid.program).payouts
    services.approve_payout(payout_id=second.pk, actor=paid.finance)
    paid.world.sweep()
    assert state(second) == ("fulfilled", "completed")
    assert second.order.po_number != paid.payout.order.po_number
    assert paid.world.books()["orders"] == 1
    assert check_ledger() == []


def test_an_unknown_outcome_keeps_the_money_committed_and_is_resolved_with_the_same_number(paid):
    paid.world.faults({"fault": "504_after", "on": "POST /v1/Orders", "next": 1})
    paid.world.sweep()
    assert state(paid.payout) == ("approved", "submitting")
    assert figures(paid.program.budget) == (40_000, 0, 10_000, 0)
    paid.world.settle()
    assert state(paid.payout) == ("fulfilled", "completed")
    assert paid.world.books()["orders"] == 1
    assert len({post.body for post in paid.world.posts()}) == 1
    assert check_ledger() == []


def test_a_failing_ledger_rolls_the_orders_change_back_and_the_sweep_settles_it_later(paid, monkeypatch):
    """Card and ledger move together or not at all."""
    from incentives.payouts.services import settle

    def broken(*args):
        raise RuntimeError("the ledger is away")

    with monkeypatch.context() as patched:
        patched.setattr(settle.states, "settle", broken)
        paid.world.sweep()
    assert state(paid.payout)[0] == "approved"
    assert RewardOrder.objects.get().state != "completed"
    assert figures(paid.program.budget) == (40_000, 0, 10_000, 0)
    paid.world.settle()
    assert state(paid.payout) == ("fulfilled", "completed")
    assert paid.world.books()["orders"] == 1
    assert check_ledger() == []


def test_promise_3_a_correction_after_the_card_left_is_recoverable_and_recovered_from_the_next(paid):
    paid.world.sweep()
    send(paid.crm, deal("D1", paid.rep, "3000.00", version=2))
    services.follow_up()
    recoverable = Account.objects.get(code=f"participant:{paid.payout.participation.public_id}:recoverable")
    assert recoverable.balance_minor == 4_000
    send(paid.crm, deal("D2", paid.rep, "2500.00"))
    (second,) = services.build_payouts(program=paid.program).payouts
    assert second.amount_minor == 1_000
    services.approve_payout(payout_id=second.pk, actor=paid.finance)
    paid.world.sweep()
    recoverable.refresh_from_db()
    assert recoverable.balance_minor == 0
    assert check_ledger() == []


def test_a_restored_backup_meets_its_own_number_and_pays_nothing_twice(paid):
    """The order was placed after the backup; the same payout, approved again, arrives at the same PONumber."""
    paid.payout.refresh_from_db()
    number = paid.payout.order.po_number
    sid = transaction.savepoint()
    paid.world.sweep()
    assert state(paid.payout) == ("fulfilled", "completed")
    transaction.savepoint_rollback(sid)  # the database as it was before the card was ordered
    assert state(paid.payout) == ("approved", "draft")
    paid.world.sweep()
    assert state(paid.payout) == ("fulfilled", "completed")
    assert paid.payout.order.po_number == number
    assert paid.world.books()["orders"] == 1
    assert check_ledger() == []


def test_promise_10_a_claim_link_is_nowhere_in_the_database_in_clear(world, caplog):
    rep, finance, crm = make_participant("Ana"), make_user("finance"), make_connection()
    program = make_program(funded="500.00", delivery={"type": "Links", "products": ["CVS"]})
    send(crm, deal("D1", rep, "5000.00"))
    (payout,) = services.build_payouts(program=program).payouts
    services.approve_payout(payout_id=payout.pk, actor=finance)
    world.sweep()
    payout.refresh_from_db()
    secret = rewards.reveal_card(payout.order.cards.get().pk, actor_name="Ana", actor_ref="1")
    from django.apps import apps

    seen = 0
    for model in apps.get_models():
        for row in model.objects.all().values():
            seen += 1
            assert secret.link not in str(row)
    assert seen > 50
    assert secret.link not in caplog.text
    assert Posting.objects.filter(kind="settle").count() == 1


def test_every_product_of_the_catalogue_can_be_paid_with(world):
    """Fixed and variable values alike: what is due is split over cards and the rest is carried, to the cent."""
    rep, finance, crm = make_participant("Ana"), make_user("finance"), make_connection()
    send(crm, deal("D1", rep, "8888.50"))  # 177.77
    for product in Product.objects.filter(orderable=True, currency="USD"):
        if "DigitalDelivery" not in product.delivery_types:
            continue
        delivery = {"type": "DigitalDelivery", "channel": "email", "products": [product.product_id]}
        program = make_program(funded="500.00", delivery=delivery)
        send(crm)
        result = services.build_payouts(program=program)
        assert result.total_minor + sum(s.due.minor for s in result.skipped) + result.carried_minor == 17_777
        for payout in result.payouts:
            services.approve_payout(payout_id=payout.pk, actor=finance)
    world.settle()
    assert not Payout.objects.exclude(status="fulfilled").exists()
    assert Decimal(world.books()["face_value"]) * 100 == sum(Payout.objects.values_list("amount_minor", flat=True))
    assert check_ledger() == []
