"""What if I close this deal: the answer is what the engine pays when the deal arrives."""

import itertools
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incentives.earnings.estimate import Deal, ahead_of, estimate, questions
from incentives.earnings.evaluate import evaluate
from incentives.earnings.models import Earning, Participation
from incentives.programs import services as programs
from incentives.programs.models import Program
from incentives.programs.services import TargetRow
from tests.factories import deal, make_connection, make_participant, make_program, make_team, make_user, send, usd
from tests.payouts.conftest import as_user, quiet_nudges, scene  # noqa: F401
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
TODAY = date(2026, 8, 3)
NUMBERS = itertools.count()
FAMILY = {"field": "line.family", "op": "in", "value": ["Security", "Cloud"]}


@pytest.fixture
def rep():
    return make_participant("Ana Ruiz", user=make_user("participant"), team=make_team("north"))


@pytest.fixture
def crm():
    return make_connection()


def answer(rep, amount: str, **more) -> dict[str, str]:
    """Program -> what it would add."""
    runs = ahead_of(rep)
    found = estimate(rep, runs, Deal(Decimal(amount), "USD", TODAY, **more))
    return {one.program.name: str(one.gained.decimal) for one in found if one.gained.minor}


def earned(rep) -> dict[str, int]:
    return dict(Participation.objects.filter(participant=rep).values_list("program__name", "earned_minor"))


def test_it_is_what_the_deal_adds_to_what_was_sold_and_nothing_is_stored(rep, crm):
    make_program(name="Percent", rewards=[{"type": "percent", "rate": "2"}])
    make_program(name="Tiers", rewards=[{"type": "tiers", "mode": "highest", "tiers": [
        {"at": "5000", "amount": "100.00"}, {"at": "10000", "amount": "250.00"}]}])  # fmt: skip
    send(crm, deal("D1", rep, "6000.00"))
    before = Earning.objects.count()
    assert answer(rep, "3000.00") == {"Percent": "60.00"}
    assert answer(rep, "4000.00") == {"Tiers": "150.00", "Percent": "80.00"}
    assert Earning.objects.count() == before
    send(crm, deal("D2", rep, "4000.00"))
    assert earned(rep) == {"Percent": 200_00, "Tiers": 250_00}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(amounts=st.lists(st.integers(1, 30_000), min_size=1, max_size=4), cap=st.sampled_from([None, "300.00"]))
def test_every_estimate_equals_what_is_then_paid(rep, crm, amounts, cap):
    number = next(NUMBERS)
    Program.objects.update(status="draft")  # of the examples before
    program = make_program(
        name=f"P{number}", caps={"participant": cap} if cap else {}, stacking={"group": f"g{number}", "rule": "highest"},
        rewards=[{"type": "bands", "bands": [{"from": "0", "rate": "1"}, {"from": "20000", "rate": "3"}]},
                 {"type": "per_deal", "amount": "5.00"}],
    )  # fmt: skip
    evaluate()
    for n, amount in enumerate(amounts):
        before = earned(rep).get(program.name, 0)
        guess = answer(rep, str(amount)).get(program.name, "0")
        send(crm, deal(f"{program.pk}-{n}", rep, f"{amount}.00"))
        assert earned(rep)[program.name] - before == int(Decimal(guess) * 100)


def test_stacking_programs_are_estimated_beside_each_other(rep, crm):
    one = {"stacking": {"group": "g", "rule": "highest"}}
    make_program(name="Two", rewards=[{"type": "percent", "rate": "2"}], **one)
    make_program(name="Three", rewards=[{"type": "percent", "rate": "3"}], **one)
    assert answer(rep, "1000.00") == {"Three": "30.00"}
    send(crm, deal("D1", rep, "1000.00"))
    assert earned(rep) == {"Two": 0, "Three": 30_00}


def test_the_form_asks_what_the_rules_ask(rep):
    new = {"field": "attributes.new_logo", "op": "eq", "value": True}
    won = {"field": "kind", "op": "eq", "value": "deal.won"}
    make_program(name="Lines", measure={"metric": "amount", "lines": FAMILY})
    make_program(name="Logo", qualifies={"all": [won, new, {"field": "account.segment", "op": "in", "value": ["SMB"]}]})
    make_program(
        name="Reported",
        qualifies={"field": "kind", "op": "eq", "value": "metric.reported"},
        measure={"metric": "value"},
    )
    runs = ahead_of(rep)
    assert [run.program.name for run in runs] == ["Lines", "Logo"]
    asked = {one.field: (one.choices, one.truth) for one in questions(runs)}
    assert asked == {
        "lines.family": (("Security", "Cloud"), False),
        "attributes.new_logo": ((), True),
        "account.segment": (("SMB",), False),
    }
    assert answer(rep, "1000.00") == {}
    yes = {"lines.family": "Cloud", "attributes.new_logo": True, "account.segment": "SMB"}
    assert answer(rep, "1000.00", answers=yes) == {"Lines": "20.00", "Logo": "20.00"}


def test_targets_of_the_person_count(rep):
    rewards = [{"type": "tiers", "of": "target", "tiers": [{"at": "100", "amount": "500.00"}]}]
    program = make_program(name="Quota", rewards=rewards, launched=False)
    manager = make_user("manager")
    programs.set_targets(program=program, rows=[TargetRow(rep, date(2026, 1, 1), Decimal(1000))], actor=manager)
    programs.launch(program=program, actor=manager)
    assert (answer(rep, "999.00"), answer(rep, "1000.00")) == ({}, {"Quota": "500.00"})


def test_a_contest_says_the_rank(rep, crm):
    other = make_participant("Bob Stone")
    make_program(name="Race", rewards=[{"type": "rank", "prizes": [{"ranks": "1", "amount": "90.00"}]}])
    send(crm, deal("D1", other, "500.00"))
    places = [estimate(rep, ahead_of(rep), Deal(Decimal(amount), "USD", TODAY))[0].place for amount in ("400", "600")]
    assert places == [(None, 2), (None, 1)]


def test_why_it_would_not_count_is_said(rep, scene, as_user):  # noqa: F811
    make_program(name="Ended", ends_on="2026-07-31", grace_days=200)
    (found,) = [
        one for one in estimate(rep, ahead_of(rep), Deal(Decimal(10), "USD", TODAY)) if one.program.name == "Ended"
    ]
    assert found.gained == usd("0.00") and found.why_not


# --- the page -----------------------------------------------------------------------------------------------------------
def test_the_page_answers_a_phone_and_keeps_what_was_typed(client, rep, django_assert_max_num_queries):
    make_program(name="Percent", rewards=[{"type": "percent", "rate": "2"}])
    client.force_login(rep.user)
    assert "Enter an amount" in assert_page_clean(client.get("/me/estimate/")).text
    query = {"amount": "1500.00", "currency": "USD", "quantity": "1", "closes_on": "2026-08-03"}
    with django_assert_max_num_queries(22):
        page = assert_page_clean(client.get("/me/estimate/", query))
    assert "30.00" in page.text and "2 % of 1,500.00 = 30.00" in page.text.replace("\xa0", " ")
    part = client.get("/me/estimate/", query, headers={"hx-target": "answer"})
    assert part.content.decode().count("<html") == 0 and "30.00" in part.content.decode()
    make_program(name="New only", qualifies={"field": "attributes.renewal", "op": "eq", "value": False})
    answers = [client.get("/me/estimate/", query | {"q0": value}).context["totals"] for value in ("no", "yes")]
    assert answers == [[usd("60.00")], [usd("30.00")]]
    wrong = client.get("/me/estimate/", query | {"amount": "-5"})
    assert wrong.status_code == 400 and 'value="-5"' in wrong.content.decode()


@pytest.mark.parametrize("role", ["manager", "finance", "administrator", "auditor"])
def test_it_is_for_participants_alone(client, role):
    client.force_login(make_user(role))
    assert client.get("/me/estimate/").status_code == 404
