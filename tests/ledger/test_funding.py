"""Funding above what one person may do alone, and changing that limit."""

import threading
from collections import Counter

import pytest
from django.db import IntegrityError, connection, transaction

from incentives.core.errors import DomainError, NotAllowed
from incentives.core.models import AuditEvent
from incentives.ledger import funding, services, transfers
from incentives.ledger.errors import BudgetInvalid, SameHands, SecondPersonNeeded
from incentives.ledger.models import BudgetTransfer, FundingLimit, Posting
from incentives.ledger.selectors import budget_figures, check_postings
from tests.factories import make_budget, make_user, usd
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    return make_user("finance", name="Fay"), make_user("finance", name="Finn")


def available(budget):
    return budget_figures([budget])[budget.pk].available


def counted() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Posting, BudgetTransfer, AuditEvent, FundingLimit))


def fund(budget, amount: str, reference: str, actor):
    return services.fund(budget=budget, amount=usd(amount), reference=reference, actor=actor)


def test_one_person_funds_up_to_the_limit_in_a_day_however_it_is_cut(people, clock):
    fay, finn = people
    first, second = make_budget(finance=fay), make_budget(finance=fay)
    fund(first, "60000.00", "A", fay)
    before = counted()
    with pytest.raises(SecondPersonNeeded, match=r"up to 100,000.00 USD in 24 hours alone"):
        fund(second, "40000.01", "B", fay)
    assert counted() == before and fund(first, "60000.00", "A", fay).amount == usd("60000.00")  # a repeat is no funding
    fund(second, "40000.00", "B", fay)
    fund(second, "100000.00", "C", finn)
    clock.shift(86_401)
    fund(first, "100000.00", "D", fay)
    assert (available(first), available(second)) == (usd("160000.00"), usd("140000.00"))


def test_more_is_booked_once_when_another_person_approves(people):
    fay, finn = people
    budget = make_budget(finance=fay)
    asked = transfers.propose_funding(
        budget=budget, amount=usd("100000.01"), reference=" PO 9 ", actor=fay, memo="Plan"
    )
    again = transfers.propose_funding(budget=budget, amount=usd("100000.01"), reference="PO 9", actor=finn)
    assert again == asked and available(budget) == usd("0")
    with pytest.raises(BudgetInvalid, match=r"proposed already, with 100,000.01"):
        transfers.propose_funding(budget=budget, amount=usd("7"), reference="PO 9", actor=finn)
    with pytest.raises(SameHands):
        transfers.approve(transfer=asked, actor=fay)
    for _ in range(2):
        transfers.approve(transfer=asked, actor=finn)
    posting = Posting.objects.get()
    assert (posting.key, posting.kind, posting.amount) == (
        f"alloc:{budget.public_id}:PO 9",
        "allocate",
        usd("100000.01"),
    )
    assert available(budget) == usd("100000.01") and check_postings() == []
    assert funding.alone_lately(finn, "USD") == usd("0")  # it was not alone
    with pytest.raises(BudgetInvalid, match="was booked"):
        transfers.propose_funding(budget=budget, amount=usd("100000.01"), reference="PO 9", actor=fay)


def test_a_document_booked_meanwhile_leaves_the_proposal_and_books_nothing(people):
    fay, finn = people
    budget = make_budget(finance=fay)
    asked = transfers.propose_funding(budget=budget, amount=usd("50.00"), reference="PO 9", actor=fay)
    fund(budget, "50.00", "PO 9", fay)
    before = counted()
    with pytest.raises(BudgetInvalid, match="was booked"):
        transfers.approve(transfer=asked, actor=finn)
    asked.refresh_from_db()
    assert (counted(), asked.status, available(budget)) == (before, "proposed", usd("50.00"))


def test_a_limit_holds_once_another_person_confirms_what_they_saw(people):
    fay, finn = people
    row = funding.propose_limit(amount=usd("10.00"), actor=fay)
    assert (funding.limit_for("USD"), row.proposed) == (usd("100000.00"), usd("10.00"))
    before = counted()
    for shown, actor, error in (("10.00", fay, SameHands), ("11.00", finn, BudgetInvalid)):
        with pytest.raises(error):
            funding.confirm_limit(limit=row, shown=usd(shown), actor=actor)
    with pytest.raises(NotAllowed):
        funding.confirm_limit(limit=row, shown=usd("10.00"), actor=make_user("manager"))
    assert counted() == before
    funding.confirm_limit(limit=row, shown=usd("10.00"), actor=finn)
    with pytest.raises(BudgetInvalid):
        funding.confirm_limit(limit=row, shown=usd("10.00"), actor=finn)
    with pytest.raises(SecondPersonNeeded):
        fund(make_budget(finance=fay), "10.01", "X", fay)
    with pytest.raises(BudgetInvalid, match="is the limit already"):
        funding.propose_limit(amount=usd("10.00"), actor=finn)
    with pytest.raises(IntegrityError), transaction.atomic():
        FundingLimit.objects.update(set_by=fay, confirmed_by=fay)


def test_the_page_turns_too_much_into_a_proposal_and_another_approves(client, people):
    fay, finn = people
    budget = make_budget(finance=fay, name="EMEA")
    client.force_login(fay)
    at = budget.get_absolute_url()
    posted = {"amount": "250000", "reference": "FIN-1", "memo": "Year"}
    page = assert_page_clean(client.post(f"{at}fund/", posted, follow=True))
    assert "That is more than one person funds alone: proposed." in page.text and "document FIN-1" in page.text
    client.force_login(finn)
    assert "250,000.00 USD new money for EMEA" in assert_page_clean(client.get(at)).text
    asked = BudgetTransfer.objects.get()
    assert "Approved: the money has moved." in client.post(f"{asked.get_absolute_url()}approve/", follow=True).text
    assert available(budget) == usd("250000.00")
    assert "New money, FIN-1" in assert_page_clean(client.get("/budgets/transfers/?source__isnull=true")).text


def test_the_limit_pages_for_each_role(client, people):
    fay, finn = people
    client.force_login(fay)
    client.post("/budgets/funding-limits/new/", {"currency": "USD", "amount": "500"})
    limit = FundingLimit.objects.get()
    at = f"/budgets/funding-limits/{limit.pk}/"
    for role in ("manager", "administrator", "auditor", "participant", "partner_admin"):
        client.force_login(make_user(role))
        read = 200 if role in {"manager", "auditor"} else 404
        assert client.get("/budgets/funding-limits/").status_code == read, role
        for path in ("/budgets/funding-limits/new/", f"{at}confirm/", f"{at}withdraw/"):
            assert (client.get(path).status_code, client.post(path, {"shown": "50000"}).status_code) == (404, 404), role
    client.force_login(fay)
    assert client.post(f"{at}confirm/", {"shown": "50000"}).status_code == 403
    client.force_login(finn)
    assert (
        "500.00 USD instead of 100,000.00 USD, proposed by Fay"
        in assert_page_clean(client.get("/budgets/funding-limits/")).text
    )
    assert "Fay proposed 500.00 USD instead of 100,000.00 USD." in assert_page_clean(client.get(f"{at}confirm/")).text
    client.post(f"{at}confirm/", {"shown": "50000"})
    assert funding.limit_for("USD") == usd("500.00")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_one_person_at_many_doors_at_once_funds_no_more_than_the_limit():
    fay = make_user("finance")
    budget, outcomes, start = make_budget(finance=fay), Counter(), threading.Barrier(6)

    def work(n):
        start.wait()
        try:
            fund(budget, "30000.00", f"R{n}", fay)
            outcomes["done"] += 1
        except DomainError as exc:
            outcomes[exc.code] += 1
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert outcomes == {"done": 3, "second_person_needed": 3}
    assert available(budget) == usd("90000.00") and check_postings() == []
