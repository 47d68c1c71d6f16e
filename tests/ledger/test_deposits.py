"""The deposit account at the provider: what was entered, what should be left, and comparing it."""

from datetime import date, timedelta

import pytest
from django.core import mail
from django.db import Error, transaction
from django.utils import timezone

from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.ledger import accounts, alerts, deposits
from incentives.ledger.errors import DepositInvalid
from incentives.ledger.models import DepositCheck, DepositEntry, Posting
from incentives.ledger.posting import post
from incentives.ledger.selectors import check_postings
from incentives.notifications import sending
from rewards.models import RewardOrder
from rewards.money import Money
from tests.factories import make_user, usd
from tests.payouts.scene import Scene
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
ON = date(2026, 7, 1)


@pytest.fixture
def fay():
    return make_user("finance", name="Fay", email="fay@example.com")


def enter(actor, amount="1000.00", reference="W-1", **values) -> DepositEntry:
    return deposits.enter(**{"amount": usd(amount), "on": ON, "reference": reference, "actor": actor} | values)


def counted() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (DepositEntry, DepositCheck, Posting, AuditEvent))


def now(currency="USD") -> tuple[int, int, int, int]:
    e = deposits.estimate(currency)
    return e.deposits.minor, e.cost.minor, e.in_flight.minor, e.balance.minor


def test_the_same_deposit_is_entered_once_and_a_mistake_is_undone_by_a_row(fay):
    entry = enter(fay)
    assert enter(fay, reference=" w-1 ") == entry and now() == (100_000, 0, 0, 100_000)
    with pytest.raises(DepositInvalid, match=r"entered already: 1,000.00 USD on 2026-07-01"):
        enter(fay, "900.00")
    back = deposits.reverse_entry(entry=entry, reason="Typed one zero too many", actor=fay)
    assert deposits.reverse_entry(entry=entry, reason="again", actor=fay) == back
    enter(fay, "100.00", "W-1b")
    deposits.enter(amount=usd("-5.00"), on=ON, reference="FEE", actor=fay, note="Bank fee", kind="correction")
    assert now() == (9_500, 0, 0, 9_500) and check_postings() == []
    assert [e.amount.minor for e in DepositEntry.objects.order_by("pk")] == [100_000, -100_000, 10_000, -500]
    actions = AuditEvent.objects.filter(action__startswith="deposit.").order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["deposit.deposit", "deposit.reversed", "deposit.deposit", "deposit.correction"]
    with pytest.raises(Error), transaction.atomic():
        DepositEntry.objects.filter(pk=entry.pk).update(amount_minor=1)


def test_what_is_refused_leaves_nothing(fay):
    entry = enter(fay)
    back = deposits.reverse_entry(entry=entry, reason="Wrong", actor=fay)
    before = counted()
    for values in (
        {"amount": usd("0")}, {"amount": usd("-1")}, {"amount": usd("2000000000")}, {"reference": " "},
        {"on": timezone.now().date() + timedelta(days=2)}, {"kind": "correction"}, {"kind": "reversal"},
    ):  # fmt: skip
        with pytest.raises(DepositInvalid):
            deposits.enter(**{"amount": usd("1"), "on": ON, "reference": "NEW", "actor": fay} | values)
    for call in (
        lambda: deposits.reverse_entry(entry=entry, reason=" ", actor=fay),
        lambda: deposits.reverse_entry(entry=back, reason="x", actor=fay),
    ):
        with pytest.raises(DepositInvalid):
            call()
    stranger = make_user("manager")
    for call in (
        lambda: enter(stranger, reference="NEW"),
        lambda: deposits.reverse_entry(entry=entry, reason="x", actor=stranger),
        lambda: deposits.set_low(currency="USD", low=usd("1"), actor=stranger),
        lambda: deposits.compare(shown=usd("1"), actor=stranger),
    ):
        with pytest.raises(NotAllowed):
            call()
    assert counted() == before


def test_the_balance_is_deposits_less_cost_of_cards_and_of_orders_in_flight():
    scene = Scene()
    enter(scene.finance, "500.00")
    scene.issue(scene.payout("5000.00", approve=True))  # 100.00, as expected
    flight, waits = scene.payout("1000.00", approve=True), scene.payout("2000.00", approve=True)
    RewardOrder.objects.filter(pk=flight.order_id).update(expected_cost_minor=1_950)
    RewardOrder.objects.filter(pk=waits.order_id).update(state="unfunded", expected_cost_minor=None)
    assert now() == (50_000, 10_000, 1_950, 38_050)
    found = deposits.estimate("USD")
    assert (found.waiting, found.waiting_count, found.missing) == (usd("40.00"), 1, usd("0"))
    assert (found.recent, found.days) == (usd("100.00"), 106)  # 380.50 * 28 / 100.00
    check = deposits.compare(shown=usd("400.00"), actor=scene.finance)
    assert (check.estimated, check.difference) == (usd("380.50"), usd("19.50"))
    assert deposits.explain(check)[0].startswith("It is exactly the orders in flight")
    lower = deposits.compare(shown=usd("370.00"), actor=scene.finance)
    assert deposits.explain(lower)[0].startswith("A deposit may still be pending")
    assert deposits.explain(deposits.compare(shown=usd("380.50"), actor=scene.finance)) == []


def test_currencies_are_never_added(fay):
    enter(fay)
    deposits.enter(amount=Money(500, "JPY"), on=ON, reference="W-1", actor=fay)
    assert [(e.currency, e.balance) for e in deposits.estimates()] == [
        ("JPY", Money(500, "JPY")), ("USD", usd("1000.00")),
    ]  # fmt: skip


def spend(amount: str, key: str) -> None:
    with transaction.atomic():
        ends = accounts.cash("deposit", "USD"), accounts.cash("cards", "USD")
        post(key, usd(amount), *ends, kind="card", cause=key)


def test_a_low_balance_is_told_once_until_a_deposit(fay):
    enter(fay, "100.00")
    deposits.set_low(currency="USD", low=usd("50.00"), actor=fay)
    spend("50.00", "a")
    assert alerts.sweep_once() == {"alerts": 0}
    spend("0.01", "b")
    assert [alerts.sweep_once()["alerts"] for _ in range(2)] == [1, 0]
    sending.deliver()
    assert (
        mail.outbox[0].subject == "Deposit below 50.00 USD" and "an estimated 49.99\xa0USD left" in mail.outbox[0].body
    )
    enter(fay, "0.01", "W-2")
    assert [alerts.sweep_once()["alerts"] for _ in range(2)] == [0, 0]
    spend("0.01", "c")
    assert [alerts.sweep_once()["alerts"] for _ in range(2)] == [1, 0]
    deposits.set_low(currency="USD", low=None, actor=fay)
    assert deposits.low_ones() == []


def test_the_page_shows_and_keeps_it(client, fay, django_assert_max_num_queries):
    entry = enter(fay, note="First")
    deposits.set_low(currency="USD", low=usd("2000.00"), actor=fay)
    deposits.compare(shown=usd("990.00"), actor=fay)
    client.force_login(fay)
    with django_assert_max_num_queries(16):
        page = assert_page_clean(client.get("/reports/deposits/"))
    assert "The deposit runs low: an estimated 1,000.00 USD, warned below 2,000.00 USD." in page.text
    assert "Difference -10.00 USD" in page.text.replace("−", "-") and "nothing spent lately" in page.text
    assert "The deposit at the provider runs low" in assert_page_clean(client.get("/")).text
    at = f"/reports/deposits/{entry.public_id}/reverse/"
    assert "Reversed." in assert_page_clean(client.post(at, {"note": "Wrong account"}, follow=True)).text
    assert client.post("/reports/deposits/limit/", {"currency": "USD", "amount": ""}).status_code == 302
    assert client.post("/reports/deposits/compare/", {"currency": "USD", "amount": "x"}).status_code == 400
    rows = client.get("/reports/deposits/?export=csv").getvalue().decode()
    assert "W-1,Deposit,2026-07-01,1000.00,USD" in rows.replace('"', "") and "-1000.00" in rows


@pytest.mark.parametrize("role", ["manager", "finance", "administrator", "auditor", "participant", "partner_admin"])
def test_each_role_opens_what_it_may(client, fay, role):
    entry = enter(fay)
    client.force_login(make_user(role))
    reads, edits = role in {"manager", "finance", "auditor"}, role == "finance"
    assert client.get("/reports/deposits/").status_code == (200 if reads else 404)
    before = counted()
    for name in ("limit/", "compare/", "new/", f"{entry.public_id}/reverse/"):
        assert client.get(f"/reports/deposits/{name}").status_code == (200 if edits else 404), name
        if not edits:
            assert client.post(f"/reports/deposits/{name}", {"note": "x"}).status_code == 404
    assert counted() == before
