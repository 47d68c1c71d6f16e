"""Burn-down, forecast and cost of a budget, to the cent."""

import csv
from datetime import UTC, date, datetime, timedelta

import pytest

from incentives.ledger import burndown, panels, services, tree
from incentives.ledger.models import Budget
from incentives.payouts import services as payouts
from incentives.payouts.budget_panels import costs_of
from incentives.payouts.forecast import forecast
from rewards.models import Product, RewardOrder
from tests.factories import deal, make_budget, make_participant, send, usd
from tests.payouts.scene import Scene
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
TODAY = date(2026, 7, 15)


@pytest.fixture
def scene(clock) -> Scene:
    return Scene()


def won(scene, program, amount: str, on: str, name: str, rep=None) -> None:
    attributes = {"for": program.name}
    send(scene.crm, deal(name, rep or scene.rep, amount, occurred_at=f"{on}T10:00:00Z", attributes=attributes))


def test_the_worked_example_of_the_finance_page(scene):
    """docs/finance.md: 560.00 earned in eight weeks, 240.00 of it on a payout, 78 days to go, 1,000.00 available."""
    program = scene.program(funded="1240.00", ends_on="2026-10-01", starts_on="2026-01-01", name="Spring")
    approved(scene, program, "12000.00", "A")  # 240.00
    won(scene, program, "16000.00", "2026-07-14", "B")  # 320.00
    found = forecast(program.budget)
    (line,) = found.lines
    assert (found.available, line.waiting, line.pace) == (usd("1000.00"), usd("320.00"), usd("560.00"))
    assert (line.days_looked_at, line.days_left, line.weekly) == (56, 78, usd("70.00"))
    assert (line.expected, line.need, found.left) == (usd("780.00"), usd("1100.00"), usd("-100.00"))
    assert (found.missing, found.runs_out_on, found.last_day) == (usd("100.00"), date(2026, 9, 22), date(2026, 10, 1))
    assert found.left_after(68) == 0 and found.left_after(69) == -1_000
    assert found.series()[:2] == [(TODAY, 68_000), (TODAY + timedelta(days=7), 61_000)]
    assert found.series()[-1] == (date(2026, 10, 1), 0)


def approved(scene, program, amount: str, name: str):
    """A payout of 2 % of a deal of 10 July, approved."""
    won(scene, program, amount, "2026-07-10", name)
    (payout,) = payouts.build_payouts(program=program).payouts
    return scene.approve(payout)


def test_what_was_earned_before_eight_weeks_or_corrected_counts_as_it_is(scene):
    program = scene.program(starts_on="2026-01-01", ends_on="2026-07-29", name="Old")
    won(scene, program, "50000.00", "2026-05-20", "OLD")  # the day before the 56 days begin
    won(scene, program, "10000.00", "2026-05-21", "FIRST")
    line = forecast(program.budget).lines[0]
    assert (line.waiting, line.pace, line.expected) == (usd("1200.00"), usd("200.00"), usd("50.00"))


def test_a_young_program_is_measured_from_its_first_day_and_at_least_a_week(scene):
    program = scene.program(starts_on="2026-07-13", ends_on="2026-07-22", name="Young")
    won(scene, program, "3500.00", "2026-07-14", "A")
    line = forecast(program.budget).lines[0]
    assert (line.days_looked_at, line.days_left, line.expected) == (7, 7, usd("70.00"))


def test_a_cap_bounds_what_is_expected(scene):
    program = scene.program(starts_on="2026-07-01", caps={"participant": "150.00"}, name="Capped")
    won(scene, program, "5000.00", "2026-07-10", "A")
    won(scene, program, "6000.00", "2026-07-10", "B", make_participant("Bo"))
    line = forecast(program.budget).lines[0]
    assert (line.waiting, line.cap_room, line.expected) == (usd("220.00"), usd("80.00"), usd("80.00"))


def test_prizes_of_a_running_contest_count_until_they_are_sealed(scene):
    prizes = [{"type": "rank", "prizes": [{"ranks": "1", "amount": "300.00"}, {"ranks": "2-4", "amount": "50.00"}]}]
    program = scene.program(rewards=prizes, funded="100.00", ends_on="2026-07-20", template="contest", name="Race")
    found = forecast(program.budget)
    assert (found.lines[0].prizes, found.need, found.runs_out_on) == (usd("450.00"), usd("450.00"), date(2026, 7, 20))


def test_several_programs_share_and_one_without_any_says_nothing(scene):
    budget = make_budget(funded="500.00")
    for name, end in (("One", "2026-07-29"), ("Two", "2026-08-12")):
        program = scene.program(budget=budget, starts_on="2026-01-01", ends_on=end, name=name)
        won(scene, program, "14000.00", "2026-07-01", name)  # 280.00: 5.00 a day
    found = forecast(budget)
    assert [line.expected for line in found.lines] == [usd("70.00"), usd("140.00")]
    assert (found.need, found.runs_out_on) == (usd("770.00"), TODAY)  # 560.00 are earned already
    empty = forecast(make_budget(funded="5.00"))
    assert (empty.lines, empty.left, empty.runs_out_on) == ((), usd("5.00"), None)


def test_the_burn_down_follows_the_postings_alone(scene, clock):
    clock.move_to(datetime(2026, 6, 20, 12, tzinfo=UTC))
    budget = make_budget(funded="100.00", finance=scene.finance)
    clock.move_to(datetime(2026, 7, 5, 23, 59, tzinfo=UTC))
    services.withdraw(budget=budget, amount=usd("30.00"), reference="X", actor=scene.finance)
    clock.move_to(datetime(2026, 7, 15, 12, tzinfo=UTC))
    assert burndown.series(budget, TODAY) == [
        (date(2026, 6, 17), 0), (date(2026, 6, 24), 10_000), (date(2026, 7, 1), 10_000), (date(2026, 7, 8), 7_000),
        (TODAY, 7_000),
    ]  # fmt: skip
    assert burndown.series(make_budget(), TODAY) == []


def test_costs_come_from_the_cash_book_and_add_up_along_the_tree(scene):
    Product.objects.update(fee_minor=150, discount_percent=5)
    top, low = make_budget(name="Top", finance=scene.finance), make_budget(name="Low", funded="1000.00")
    tree.place(budget=low, parent=top, actor=scene.finance)
    program = scene.program(budget=low)
    scene.issue(approved(scene, program, "5000.00", "A"))  # 100.00 - 5.00 + 1.50
    approved(scene, program, "2000.00", "B")  # 40.00 - 2.00 + 1.50
    own = costs_of([low])[low.pk]
    assert (own.face, own.discount, own.fee, own.shipping) == (usd("100.00"), usd("5.00"), usd("1.50"), usd("0"))
    assert (own.cost, own.expected) == (usd("96.50"), usd("39.50"))
    assert panels.costs_with_children(Budget.objects.all())[top.pk] == own and costs_of([top])[top.pk].cost == usd("0")


def test_a_charge_beyond_the_catalogue_is_a_fee_and_one_below_a_discount(scene):
    budget = make_budget(funded="1000.00")
    program = scene.program(budget=budget)
    for amount, cost in (("5000.00", 10_300), ("2000.00", 3_700)):
        payout = approved(scene, program, amount, amount)
        RewardOrder.objects.filter(pk=payout.order_id).update(expected_cost_minor=cost)
        payout.refresh_from_db()
        scene.issue(payout)
    own = costs_of([budget])[budget.pk]
    assert (own.fee, own.discount, own.cost) == (usd("3.00"), usd("3.00"), usd("140.00"))


def test_the_pages_and_the_export_show_it(client, scene, django_assert_max_num_queries):
    program = scene.program(funded="1000.00", name="Spring", ends_on="2026-09-30")
    scene.issue(approved(scene, program, "5000.00", "A"))
    client.force_login(scene.finance)
    with django_assert_max_num_queries(34):
        page = assert_page_clean(client.get(program.budget.get_absolute_url()))
    assert "At the present pace it lasts" in page.text and "This budget 100.00 USD" in page.text
    with django_assert_max_num_queries(12):
        rows = client.get("/budgets/?export=csv").getvalue().decode()
    head, row = list(csv.reader(rows.lstrip("\ufeff").splitlines()))[:2]
    found = dict(zip(head, row, strict=True))
    assert (found["Face value"], found["Cost"], found["Committed, expected cost"]) == ("100.00", "100.00", "0.00")
