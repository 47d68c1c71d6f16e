"""The pages of budgets: exact figures, who may fund, and refusals that move nothing."""

from itertools import pairwise

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from incentives.core.models import AuditEvent
from incentives.ledger import accounts, services
from incentives.ledger.errors import BudgetInvalid
from incentives.ledger.models import Budget, Posting
from incentives.ledger.posting import post
from incentives.ledger.selectors import budget_figures, check_postings, with_buckets
from incentives.ledger.views import figures_of
from tests.factories import make_budget, make_program, make_user, usd
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
ROLES = ["manager", "finance", "administrator", "auditor", "participant", "partner_admin"]


@pytest.fixture
def finance():
    return make_user("finance", name="Fay")


@pytest.fixture
def signed_in(client, finance):
    client.force_login(finance)
    return client


def spend(budget, amount: str, *, to: str) -> None:
    """Move money along available, reserved, committed, spent as far as `to`."""
    own, names = accounts.budget_accounts(budget), list(accounts.BUCKETS)
    with transaction.atomic():
        for source, target in pairwise(names[: names.index(to) + 1]):
            key = f"{target}:{budget.pk}:{amount}:{Posting.objects.count()}"
            post(key, usd(amount), own[source], own[target], kind="reserve", cause="payout:x", memo="Ana")


@pytest.mark.parametrize("role", ROLES)
def test_each_role_opens_what_it_may_and_finds_nothing_else(client, role):
    budget = make_budget(funded="100.00")
    client.force_login(make_user(role))
    may_read, may_fund = role in {"manager", "finance", "auditor"}, role == "finance"
    at, postings = budget.get_absolute_url(), Posting.objects.count()
    for path in ("/budgets/", at):
        assert client.get(path).status_code == (200 if may_read else 404), path
    for path in ("/budgets/new/", f"{at}fund/", f"{at}withdraw/"):
        assert client.get(path).status_code == (200 if may_fund else 404), path
        if not may_fund:
            data = {"amount": "5", "reference": "R", "name": "Mine", "currency": "USD"}
            assert client.post(path, data).status_code == 404
    assert (Posting.objects.count(), Budget.objects.count()) == (postings, 1)


def test_nobody_signed_in_goes_to_the_sign_in_page(client):
    budget = make_budget()
    for path in ("/budgets/", "/budgets/new/", budget.get_absolute_url(), f"{budget.get_absolute_url()}fund/"):
        assert client.get(path)["Location"].startswith("/accounts/login/")


def test_the_list_shows_every_bucket_to_the_cent(signed_in):
    budget = make_budget(funded="100.00", name="FY26")
    spend(budget, "12.34", to="reserved")
    spend(budget, "20.00", to="committed")
    spend(budget, "30.00", to="spent")
    page = assert_page_clean(signed_in.get("/budgets/"))
    assert "FY26 Fay" not in page.text  # owned by whoever made it
    assert "100.00 USD 37.66 USD 12.34 USD 20.00 USD 30.00 USD 62.3%" in page.text
    row = with_buckets(Budget.objects.all()).get()
    assert figures_of(row) == budget_figures([budget])[budget.pk]
    text = b"".join(signed_in.get("/budgets/?export=csv").streaming_content).decode("utf-8-sig")
    assert "FY26,USD,100.00,USD,37.66,USD,12.34,USD,20.00,USD,30.00,USD" in text


def test_one_budget_shows_its_figures_programs_and_postings(signed_in, finance):
    budget = make_budget(name="FY26")
    services.fund(budget=budget, amount=usd("100.00"), reference="PO-7", actor=finance, memo="Board")
    services.withdraw(budget=budget, amount=usd("25.00"), reference="CN-1", actor=finance)
    make_program(budget=budget, name="Spring bonus")
    other = make_budget(funded="9.00")
    page = assert_page_clean(signed_in.get(budget.get_absolute_url()))
    assert "Allocated 75.00 USD Available 75.00 USD may be reserved Reserved 0.00 USD" in page.text
    assert "Spring bonus Active" in page.text
    assert "Withdrawn CN-1 Available Funding Fay just now 25.00 USD" in page.text
    assert "Funded PO-7 · Board Funding Available Fay just now 100.00 USD" in page.text
    assert "9.00" not in page.text and other.name not in page.text


def test_postings_are_searched_filtered_paged_and_exported(signed_in, finance):
    budget = make_budget(name="FY26")
    for n in range(30):
        services.fund(budget=budget, amount=usd(f"{n + 1}.00"), reference=f"PO-{n:02}", actor=finance)
    spend(budget, "5.00", to="reserved")
    at = budget.get_absolute_url()
    assert "1–25 of 31" in assert_page_clean(signed_in.get(at)).text
    assert "26–31 of 31" in assert_page_clean(signed_in.get(f"{at}?page=2")).text
    assert "1–1 of 1" in assert_page_clean(signed_in.get(f"{at}?q=PO-07")).text
    assert "1–1 of 1" in assert_page_clean(signed_in.get(f"{at}?bucket=reserved")).text
    assert "1–1 of 1" in assert_page_clean(signed_in.get(f"{at}?kind=reserve")).text
    assert "Nothing matches" in assert_page_clean(signed_in.get(f"{at}?since=2999-01-01")).text
    top = assert_page_clean(signed_in.get(f"{at}?sort=-amount")).texts
    assert top.index("30.00") < top.index("29.00")
    lines = b"".join(signed_in.get(f"{at}?export=csv").streaming_content).decode("utf-8-sig").splitlines()
    assert len(lines) == 32 and f"alloc:{budget.public_id}:PO-29" in lines[2]


def count(client, path) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def test_query_counts_do_not_grow_with_the_rows(signed_in, finance):
    budget = make_budget()

    def grow(number: int) -> None:
        for _n in range(number):
            make_program(budget=budget)
            make_budget()
            services.fund(budget=budget, amount=usd("1.00"), reference=f"P{Posting.objects.count()}", actor=finance)

    grow(3)
    paths = ["/budgets/?per=100", f"{budget.get_absolute_url()}?per=100", f"{budget.get_absolute_url()}fund/"]
    before = {path: count(signed_in, path) for path in paths}
    grow(57)
    assert {path: count(signed_in, path) for path in paths} == before


# --- making and moving -----------------------------------------------------------------------------------------------------
def test_a_new_budget_is_made_and_funded_in_the_browser(signed_in):
    answer = signed_in.post("/budgets/new/", {"name": "FY27", "currency": "JPY", "note": "First"}, follow=True)
    assert "Fund it next." in assert_page_clean(answer).text
    budget = Budget.objects.get()
    at = f"{budget.get_absolute_url()}fund/"
    assert "Amount in JPY" in assert_page_clean(signed_in.get(at)).text
    answer = signed_in.post(at, {"amount": "5000", "reference": " PO 1 ", "memo": "x"}, follow=True)
    assert "5,000 JPY were added to FY27." in assert_page_clean(answer).text
    assert budget_figures([budget])[budget.pk].available.minor == 5000
    assert Posting.objects.get().key == f"alloc:{budget.public_id}:PO 1"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "fy26"}, "There is a budget named fy26 already."),
        ({"currency": "XXX"}, "Select a valid choice"),
    ],
)
def test_a_bad_budget_is_refused(signed_in, data, message):
    make_budget(name="FY26")
    before = AuditEvent.objects.count()
    answer = signed_in.post("/budgets/new/", {"name": "FY27", "currency": "USD"} | data)
    assert answer.status_code == 400 and message in assert_page_clean(answer).text
    assert (Budget.objects.count(), AuditEvent.objects.count()) == (1, before)


@pytest.mark.parametrize("step", ["fund", "withdraw"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"amount": ""}, "This field is required."),
        ({"amount": "0"}, "Give an amount above zero."),
        ({"amount": "-5"}, "Give an amount above zero."),
        ({"amount": "1.005"}, "USD has 2 digits after the point."),
        ({"amount": "ten"}, "Enter a number."),
        ({"amount": "NaN"}, "Enter a number."),
        ({"amount": "2000000000"}, "is more than one movement may carry"),
        ({"reference": "  "}, "This field is required."),
        ({"reference": "x" * 71}, "at most 70 characters"),
    ],
)
def test_a_bad_movement_is_refused_and_moves_nothing(signed_in, step, data, message):
    budget = make_budget(funded="100.00")
    before = (Posting.objects.count(), AuditEvent.objects.count())
    wanted = {"amount": "5.00", "reference": "R-1"} | data
    answer = signed_in.post(f"{budget.get_absolute_url()}{step}/", wanted)
    assert answer.status_code == 400 and message in assert_page_clean(answer).text
    assert (Posting.objects.count(), AuditEvent.objects.count()) == before


def test_more_than_is_available_cannot_be_withdrawn(signed_in):
    budget = make_budget(funded="100.00", name="FY26")
    spend(budget, "60.00", to="committed")
    before = Posting.objects.count()
    answer = signed_in.post(f"{budget.get_absolute_url()}withdraw/", {"amount": "40.01", "reference": "R"})
    page = assert_page_clean(answer)
    assert answer.status_code == 409
    assert "Budget FY26 has 40.00 USD available, 40.01 USD is needed." in page.text
    assert Posting.objects.count() == before and check_postings() == []


def test_the_same_reference_is_never_booked_twice(signed_in):
    budget = make_budget(name="FY26")
    at = f"{budget.get_absolute_url()}fund/"
    signed_in.post(at, {"amount": "100.00", "reference": "PO-1"})
    again = signed_in.post(at, {"amount": "100.00", "reference": "PO-1"}, follow=True)
    assert "The reference PO-1 was booked already; nothing was changed." in assert_page_clean(again).text
    other = signed_in.post(at, {"amount": "200.00", "reference": "PO-1"})
    assert other.status_code == 400
    assert "The reference PO-1 was booked already, with another amount." in assert_page_clean(other).text
    assert budget_figures([budget])[budget.pk].available == usd("100.00")
    assert AuditEvent.objects.filter(action="budget.funded").count() == 1


def test_two_long_references_with_one_beginning_are_not_one(finance):
    budget = make_budget()
    with pytest.raises(BudgetInvalid, match="more than 70 characters"):
        services.fund(budget=budget, amount=usd("1.00"), reference="x" * 80, actor=finance)
    for last in "ab":
        services.fund(budget=budget, amount=usd("1.00"), reference="x" * 69 + last, actor=finance)
    assert budget_figures([budget])[budget.pk].available == usd("2.00")
