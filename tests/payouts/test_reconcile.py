"""Every difference between our books and the provider's is found and named."""

from dataclasses import replace

import pytest

from incentives.payouts.reconcile import reconcile
from rewards import services as rewards
from tests.payouts.test_settle import paid  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture
def listed(paid):  # noqa: F811
    """What the provider lists after one card of 100.00 was issued."""
    paid.world.sweep()
    paid.payout.refresh_from_db()
    paid.listed = lambda: rewards.list_provider_orders(client=paid.world.client)
    return paid


def serious(provider_orders) -> list[str]:
    return [difference.code for difference in reconcile(provider_orders).differences if difference.serious]


def test_books_that_agree_agree(listed):
    report = reconcile(listed.listed())
    assert (report.agrees, report.orders, report.ours_minor, report.theirs_minor) == (True, 1, 10_000, 10_000)


def test_an_order_the_database_does_not_know_is_found(listed, settings):
    theirs = listed.listed()
    extra = replace(theirs[0], id="ord-x", po_number=f"{settings.E2R_PO_PREFIX}-AAAA")
    other_environment = replace(theirs[0], id="ord-y", po_number="ELSEWHERE-AAAA")
    assert serious([*theirs, extra, other_environment]) == ["unknown_here"]


def test_another_amount_and_a_second_order_under_one_number_are_found(listed):
    (order,) = listed.listed()
    line = replace(order.lines[0], value=order.lines[0].value + 1)
    assert serious([replace(order, lines=(line,))]) == ["amount"]
    assert serious([order, replace(order, id="ord-2")]) == ["twice"]


def test_issued_here_but_missing_there_is_a_remark_for_a_day_and_then_a_difference(listed):
    assert [d.code for d in reconcile([]).differences] == ["not_listed"]
    assert serious([]) == []
    order = listed.payout.order
    type(order).objects.filter(pk=order.pk).update(finished_at="2026-01-01T00:00:00Z")
    assert serious([]) == ["not_listed"]
