"""Budgets in a tree, and transfers that a second person approves."""

import threading
from collections import Counter
from itertools import pairwise

import pytest
from django.db import IntegrityError, connection, transaction

from incentives.core.errors import DomainError, IllegalTransition, NotAllowed
from incentives.core.models import AuditEvent
from incentives.ledger import transfers, tree
from incentives.ledger.accounts import budget_accounts
from incentives.ledger.errors import BudgetInvalid, InsufficientFunds, SameHands
from incentives.ledger.models import Budget, BudgetTransfer, Posting
from incentives.ledger.posting import post
from incentives.ledger.selectors import budget_figures, check_postings
from tests.factories import make_budget, make_user, usd
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
ROLES = ["manager", "finance", "administrator", "auditor", "participant", "partner_admin"]


@pytest.fixture
def people():
    return make_user("finance", name="Fay"), make_user("finance", name="Finn")


def left(budget) -> int:
    return budget_figures([budget])[budget.pk].available.minor


def proposal(fay, amount="40.00", **values) -> BudgetTransfer:
    source = values.pop("source", None) or make_budget(funded="100.00", name="EMEA")
    destination = values.pop("destination", None) or make_budget(name="APAC")
    given = {"source": source, "destination": destination, "amount": usd(amount), "reason": "More deals", "actor": fay}
    return transfers.propose(**given | values)


def test_a_transfer_moves_once_when_another_person_approves(people):
    fay, finn = people
    it = proposal(fay)
    assert (left(it.source), left(it.destination)) == (10_000, 0)
    with pytest.raises(SameHands):
        transfers.approve(transfer=it, actor=fay)
    for _ in range(2):
        transfers.approve(transfer=it, actor=finn)
    assert (left(it.source), left(it.destination)) == (6_000, 4_000)
    assert Posting.objects.get(kind="transfer").key == f"transfer:{it.public_id}"
    for step in (transfers.decline, transfers.withdraw):
        with pytest.raises(IllegalTransition):
            step(transfer=it, actor=finn if step is transfers.decline else fay, note="late")
    actions = AuditEvent.objects.filter(action__startswith="transfer.").order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["transfer.proposed", "transfer.approved"] and check_postings() == []


def test_without_funds_it_stays_proposed_and_says_what_is_missing(people):
    fay, finn = people
    it = proposal(fay, "100.01")
    before = (Posting.objects.count(), AuditEvent.objects.count())
    with pytest.raises(InsufficientFunds, match=r"EMEA has 100.00 USD available, 100.01 USD is needed"):
        transfers.approve(transfer=it, actor=finn)
    it.refresh_from_db()
    assert (it.status, it.decided_by) == ("proposed", None)
    assert (Posting.objects.count(), AuditEvent.objects.count()) == before


def test_declined_or_withdrawn_moves_nothing(people):
    fay, finn = people
    first = proposal(fay)
    second = proposal(fay, source=first.source, destination=first.destination)
    with pytest.raises(NotAllowed):
        transfers.withdraw(transfer=first, actor=finn)
    assert transfers.withdraw(transfer=first, actor=fay).status == "withdrawn"
    assert transfers.decline(transfer=second, actor=finn, note="No").note == "No"
    assert Posting.objects.filter(kind="transfer").count() == 0 and left(first.source) == 10_000


def test_bad_proposals_are_refused(people):
    fay, _ = people
    here = make_budget(funded="10.00")
    for values in ({"destination": here}, {"destination": make_budget(currency="EUR")}, {"amount": usd("0")}, {"reason": " "}):  # fmt: skip
        with pytest.raises(BudgetInvalid):
            transfers.propose(**{"source": here, "destination": make_budget(), "amount": usd("1"), "reason": "R", "actor": fay} | values)  # fmt: skip
    with pytest.raises(NotAllowed):
        proposal(make_user("manager"))
    assert BudgetTransfer.objects.count() == 0


def test_the_database_refuses_the_same_hands(people):
    it = proposal(people[0])
    with pytest.raises(IntegrityError), transaction.atomic():
        BudgetTransfer.objects.update(status="approved", decided_by=it.proposed_by)


def test_a_tree_has_five_levels_one_currency_and_no_circle(people):
    fay, _ = people
    chain = [make_budget(name=f"L{n}", funded="1.00") for n in range(6)]
    for above, below in pairwise(chain[:5]):
        tree.place(budget=below, parent=above, actor=fay)
    for budget, parent, words in [
        (chain[5], chain[4], "more than 5 levels"),
        (chain[0], chain[4], "is below L0"),
        (chain[0], chain[0], "or the same"),
        (make_budget(currency="EUR"), chain[0], "one currency"),
    ]:
        with pytest.raises(BudgetInvalid, match=words):
            tree.place(budget=budget, parent=parent, actor=fay)
    rows = tree.in_tree_order(tree.with_tree_sums(Budget.objects.filter(currency="USD"))).order_by(*tree.TREE_ORDER)
    assert [(b.name, b.allocated_minor, b.available_minor) for b in rows] == [
        ("L0", 500, 500), ("L1", 400, 400), ("L2", 300, 300), ("L3", 200, 200), ("L4", 100, 100), ("L5", 100, 100),
    ]  # fmt: skip
    with pytest.raises(NotAllowed):
        tree.place(budget=chain[5], parent=None, actor=make_user("manager"))


@pytest.mark.parametrize("role", ROLES)
def test_each_role_opens_what_it_may(client, people, role):
    it = proposal(people[0])
    client.force_login(make_user(role))
    may_read, may_fund = role in {"manager", "finance", "auditor"}, role == "finance"
    at, budget = it.get_absolute_url(), it.source.get_absolute_url()
    for path in ("/budgets/transfers/", at):
        assert client.get(path).status_code == (200 if may_read else 404), path
    for path in (f"{budget}transfer/", f"{budget}place/", f"{at}approve/", f"{at}decline/", f"{at}withdraw/"):
        assert client.get(path).status_code == (200 if may_fund else 404), path
        if not may_fund:
            assert client.post(path, {}).status_code == 404
    it.refresh_from_db()
    assert it.status == "proposed"


def test_the_pages_propose_approve_and_show(client, people, django_assert_max_num_queries):
    fay, finn = people
    here, there = make_budget(funded="100.00", name="EMEA"), make_budget(name="DACH")
    client.force_login(fay)
    client.post(f"{here.get_absolute_url()}transfer/", {"destination": there.pk, "amount": "40", "reason": "R"})
    client.post(f"{there.get_absolute_url()}place/", {"parent": here.pk})
    at = BudgetTransfer.objects.get().get_absolute_url()
    assert "Withdraw" in assert_page_clean(client.get(at)).text
    client.force_login(finn)
    assert "Approved: the money has moved." in assert_page_clean(client.post(f"{at}approve/", follow=True)).text
    page = assert_page_clean(client.get(here.get_absolute_url()))
    assert "Budgets below it DACH 40.00 USD available 40.00 USD" in page.text
    assert "EMEA DACH" not in page.text and "Transferred R Available DACH Finn" in page.text
    with django_assert_max_num_queries(14):
        listed = assert_page_clean(client.get("/budgets/"))
    assert "100.00 USD 100.00 USD 0.00 USD" in listed.text
    assert "EMEA DACH" in assert_page_clean(client.get("/budgets/transfers/")).text.replace("R ", "")


@pytest.mark.django_db(transaction=True)
def test_approvals_racing_transfers_never_go_below_zero():
    fay, finn = make_user("finance"), make_user("finance")
    here, there = make_budget(funded="100.00"), make_budget(funded="100.00")
    ends = [(here, there), (there, here)] * 6
    made = [proposal(fay, "30.00", source=a, destination=b) for a, b in ends]
    own, outcomes, start = budget_accounts(here), Counter(), threading.Barrier(16)

    def work(n):
        start.wait()
        try:
            if n < 12:
                transfers.approve(transfer=made[n], actor=finn)
            else:
                with transaction.atomic():
                    post(f"reserve:{n}", usd("30.00"), own["available"], own["reserved"], kind="reserve", cause="t")
            outcomes["done"] += 1
        except DomainError as exc:
            outcomes[exc.code] += 1
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert set(outcomes) <= {"done", "insufficient_funds"} and sum(outcomes.values()) == 16
    assert budget_figures([here])[here.pk].allocated + budget_figures([there])[there.pk].allocated == usd("200.00")
    assert min(left(here), left(there)) >= 0 and check_postings() == []
