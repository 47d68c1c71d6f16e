"""The ledger balances, only grows and never goes below zero."""

import threading
from collections import Counter

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.ledger import accounts, services
from incentives.ledger.errors import BudgetInvalid, InsufficientFunds, KeyReused
from incentives.ledger.models import Account, Budget, Posting
from incentives.ledger.posting import Move, post, post_all
from incentives.ledger.selectors import budget_figures, check_postings
from rewards.money import Money
from tests.factories import make_budget, make_user, usd


def figures(budget) -> tuple[int, int, int, int]:
    now = budget_figures([budget])[budget.pk]
    return now.available.minor, now.reserved.minor, now.committed.minor, now.spent.minor


@pytest.mark.django_db
def test_funding_a_budget_makes_it_available_and_says_who_did_it():
    finance = make_user("finance", name="Fay")
    budget = services.create_budget(name="  Q3   Security ", currency="USD", actor=finance)
    services.fund(budget=budget, amount=usd("1000.00"), reference="PO 77", actor=finance)
    assert budget.name == "Q3 Security"
    assert figures(budget) == (100_000, 0, 0, 0)
    events = AuditEvent.objects.order_by("pk").values_list("action", "actor_name")
    assert list(events) == [("budget.created", "Fay"), ("budget.funded", "Fay")]
    assert check_postings() == []


@pytest.mark.django_db
def test_the_same_funding_document_counts_once():
    finance = make_user("finance")
    budget = make_budget(finance=finance)
    for _ in range(3):
        services.fund(budget=budget, amount=usd("50.00"), reference="PO 1", actor=finance)
    assert figures(budget) == (5_000, 0, 0, 0)
    with pytest.raises(KeyReused):
        services.fund(budget=budget, amount=usd("60.00"), reference="PO 1", actor=finance)
    assert figures(budget) == (5_000, 0, 0, 0)
    assert Posting.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("amount", "reference", "words"),
    [
        (Money(0, "USD"), "R", "above zero"),
        (Money(-5, "USD"), "R", "above zero"),
        (Money(10**14, "USD"), "R", "more than one movement"),
        (Money(100, "EUR"), "R", "kept in USD"),
        (Money(100, "USD"), "  ", "reference"),
    ],
)
def test_a_bad_funding_is_refused_and_leaves_nothing(amount, reference, words):
    finance = make_user("finance")
    budget = make_budget(finance=finance)
    events = AuditEvent.objects.count()
    with pytest.raises(BudgetInvalid, match=words):
        services.fund(budget=budget, amount=amount, reference=reference, actor=finance)
    assert (Posting.objects.count(), AuditEvent.objects.count(), figures(budget)) == (0, events, (0, 0, 0, 0))


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["manager", "participant", "partner_admin", "administrator", "auditor"])
def test_only_finance_funds(role):
    budget = make_budget()
    with pytest.raises(NotAllowed):
        services.fund(budget=budget, amount=usd("1.00"), reference="R", actor=make_user(role))
    with pytest.raises(NotAllowed):
        services.create_budget(name="Mine", currency="USD", actor=make_user(role))
    assert Posting.objects.count() == 0
    assert Budget.objects.count() == 1


@pytest.mark.django_db
def test_two_budgets_cannot_share_a_name_whatever_the_casing():
    make_budget(name="Spring")
    with pytest.raises(BudgetInvalid, match="named spring already"):
        services.create_budget(name="spring", currency="USD", actor=make_user("finance"))


@pytest.mark.django_db
def test_more_than_is_available_cannot_leave_and_the_refusal_names_both_amounts():
    finance = make_user("finance")
    budget = make_budget(funded="30.00", finance=finance, name="Spring")
    with pytest.raises(InsufficientFunds, match=r"Budget Spring has 30.00 USD available, 30.01 USD is needed"):
        services.withdraw(budget=budget, amount=usd("30.01"), reference="W1", actor=finance)
    services.withdraw(budget=budget, amount=usd("30.00"), reference="W2", actor=finance)
    assert figures(budget) == (0, 0, 0, 0)
    assert check_postings() == []


@pytest.mark.django_db
def test_a_batch_of_postings_is_all_or_nothing():
    budget = make_budget(funded="10.00")
    buckets = accounts.budget_accounts(budget)

    def move(key, amount):
        return Move(key, usd(amount), buckets["available"], buckets["reserved"], "reserve", "test")

    with transaction.atomic(), pytest.raises(InsufficientFunds):
        post_all([move("a", "6.00"), move("b", "6.00")])
    assert figures(budget) == (1000, 0, 0, 0)
    assert not Posting.objects.filter(key__in=["a", "b"]).exists()


@pytest.mark.django_db
def test_settle_and_release_share_a_key_so_both_cannot_happen():
    budget = make_budget(funded="10.00")
    b = accounts.budget_accounts(budget)
    with transaction.atomic():
        post("reserve:p", usd("10.00"), b["available"], b["reserved"], kind="reserve", cause="p")
        post("commit:p", usd("10.00"), b["reserved"], b["committed"], kind="commit", cause="p")
        post("resolve:p", usd("10.00"), b["committed"], b["spent"], kind="settle", cause="p")
    with transaction.atomic(), pytest.raises(KeyReused):
        post("resolve:p", usd("10.00"), b["committed"], b["available"], kind="release", cause="p")
    assert figures(budget) == (0, 0, 0, 1000)


@pytest.mark.django_db
def test_a_posting_outside_a_transaction_or_with_mixed_currencies_is_a_programming_error():
    budget, other = make_budget(funded="10.00"), make_budget(currency="EUR")
    a, b = accounts.budget_accounts(budget)["available"], accounts.budget_accounts(other)["available"]
    with pytest.raises(ValueError, match="does not fit"), transaction.atomic():
        post("x", usd("1.00"), a, b, kind="t", cause="t")
    assert not Posting.objects.filter(key="x").exists()


@pytest.mark.django_db(transaction=True)
def test_the_database_itself_refuses_to_edit_or_remove_postings_and_audit_events():
    make_budget(funded="10.00")
    for table, column in [("ledger_posting", "amount_minor = 1"), ("core_auditevent", "reason = 'x'")]:
        for statement in (f"UPDATE {table} SET {column}", f"DELETE FROM {table}"):
            with pytest.raises(IntegrityError, match="append-only"), connection.cursor() as cursor:
                cursor.execute(statement)
    assert Posting.objects.get().amount_minor == 1000


@pytest.mark.django_db(transaction=True)
def test_the_database_itself_refuses_a_balance_below_zero():
    budget = make_budget(funded="10.00")
    with pytest.raises(IntegrityError):
        Account.objects.filter(budget=budget, bucket="available").update(balance_minor=-1)


@pytest.mark.django_db
def test_a_balance_that_differs_from_its_postings_is_found_and_named():
    budget = make_budget(funded="10.00")
    Account.objects.filter(budget=budget, bucket="available").update(balance_minor=999)
    (problem,) = check_postings()
    assert "available: balance 999, but its postings give 1000" in problem


@pytest.mark.django_db(transaction=True)
def test_twenty_threads_reserving_cannot_overspend():
    """Promise 5 at the ledger: 40 attempts of 5.00 against 100.00 let exactly 20 pass."""
    budget = make_budget(funded="100.00")
    buckets = accounts.budget_accounts(budget)
    outcomes, start = Counter(), threading.Barrier(20)

    def work(number):
        start.wait()
        for i in range(2):
            try:
                with transaction.atomic():
                    key = f"reserve:{number}:{i}"
                    post(key, usd("5.00"), buckets["available"], buckets["reserved"], kind="reserve", cause="t")
                outcomes["passed"] += 1
            except InsufficientFunds:
                outcomes["refused"] += 1
        connection.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert outcomes == {"passed": 20, "refused": 20}
    assert figures(budget) == (0, 10_000, 0, 0)
    assert check_postings() == []


BUCKETS = ["available", "reserved", "committed", "spent"]


class LedgerProperties(TestCase):
    """Any sequence of moves, allowed or not, keeps the invariants."""

    @settings(max_examples=40)
    @given(
        st.lists(
            st.tuples(st.sampled_from(BUCKETS), st.sampled_from(BUCKETS), st.integers(1, 700), st.integers(0, 15)),
            max_size=25,
        )
    )
    def test_promise_4_the_ledger_balances_and_only_grows(self, moves):
        budget = make_budget(funded="10.00")
        b = accounts.budget_accounts(budget)
        for source, destination, amount, key in moves:
            before = Posting.objects.count()
            try:
                if source == destination:
                    continue
                with transaction.atomic():
                    money = Money(amount, "USD")
                    post(f"k{key}", money, b[source], b[destination], kind="t", cause="t")
            except (InsufficientFunds, KeyReused):
                assert Posting.objects.count() == before
            assert sum(figures(budget)) == 1000
            assert min(figures(budget)) >= 0
        assert check_postings() == []
