"""How far somebody is: every kind of reward, exact levels and sentences."""

from decimal import Decimal

import pytest

from incentives.portal.progress import Step, progress_of
from incentives.programs.rules.parsing import parse_definition
from tests.factories import usd

pytestmark = pytest.mark.pure
D = Decimal


def given(*rewards, **changes):
    document = {"name": "P", "currency": "USD", "starts_on": "2026-01-01", "ends_on": "2026-12-31"}
    return parse_definition({**document, "rewards": list(rewards), **changes})


def one(reward, *, changes=None, **card):
    card.setdefault("measure", D(0))
    (progress,) = progress_of(given(reward, **(changes or {})), **card)
    return progress


TIERS = {"type": "tiers", "tiers": [{"at": "10000", "amount": "100.00"}, {"at": "20000", "amount": "250.00"}]}


def plain(text: str) -> str:
    return text.replace("\xa0", " ")


def test_the_way_to_the_next_reward_in_words():
    progress = one(TIERS, measure=D("17500"))
    assert progress.steps == [Step(usd("10000.00"), usd("100.00")), Step(usd("20000.00"), usd("250.00"))]
    assert (progress.value, progress.missing) == (usd("17500.00"), usd("2500.00"))
    assert plain(progress.sentence) == "2,500.00 USD more reach the next reward of 250.00 USD."


@pytest.mark.parametrize(
    ("measure", "following"), [("0", "100.00"), ("9999.99", "100.00"), ("10000", "250.00"), ("19999.99", "250.00")]
)
def test_the_next_step_is_the_first_not_reached(measure, following):
    assert one(TIERS, measure=D(measure)).next.reward == usd(following)


def test_after_the_last_step_there_is_no_next():
    progress = one(TIERS, measure=D("20000"))
    assert (progress.next, progress.missing, progress.sentence) == (None, None, "")


def test_levels_of_a_target_follow_the_target():
    reward = {"type": "tiers", "of": "target", "tiers": [{"at": "80", "amount": "100.00"}]}
    progress = one(reward, measure=D("70000"), target=D("100000"))
    assert (progress.steps[0].at, progress.missing) == (usd("80000.00"), usd("10000.00"))
    assert one(reward, measure=D("70000")).steps == []


def test_bands_of_the_period_name_rates_and_the_one_from_the_start():
    bands = [{"from": "0", "rate": "5"}, {"from": "100", "rate": "6.5"}]
    progress = one({"type": "bands", "of": "target", "bands": bands}, measure=D("90000"), target=D("100000"))
    assert (progress.rule, progress.steps) == ("From the start 5%.", [Step(usd("100000.00"), "6.5%")])
    assert plain(progress.sentence) == "10,000.00 USD more reach the next rate of 6.5%."


def test_bands_by_deal_have_no_way_to_go():
    bands = [{"from": "0", "rate": "1"}, {"from": "5000", "amount": "75.00"}]
    progress = one({"type": "bands", "over": "deal", "bands": bands}, measure=D("1"))
    assert (plain(progress.rule), progress.steps) == ("Each deal pays 1% or 75.00 USD, by its size.", [])


def test_milestones_count_deals():
    reward = {"type": "milestone", "at": [{"count": 1, "amount": "50.00"}, {"count": 10, "amount": "500.00"}]}
    progress = one(reward, measure=D("9000"), deals=4)
    assert (progress.value, progress.missing, progress.next.reward) == (D(4), D(6), usd("500.00"))
    assert plain(progress.sentence) == "6 more reach the next reward of 500.00 USD."


def test_a_partner_tier_scales_what_a_step_is_worth():
    changes = {"partner_multipliers": {"gold": "1.5"}}
    assert one(TIERS, changes=changes, tier="gold").steps[0].reward == usd("150.00")
    assert one(TIERS, changes=changes, tier="silver").steps[0].reward == usd("100.00")
    own = {**TIERS, "partner_multipliers": {"gold": "2"}}
    assert one(own, changes=changes, tier="gold").steps[0].reward == usd("200.00")


@pytest.mark.parametrize(
    ("reward", "rule"),
    [
        ({"type": "per_unit", "amount": "50.00"}, "50.00 USD for every unit."),
        ({"type": "per_deal", "amount": "20.00"}, "20.00 USD for every deal."),
        ({"type": "percent", "rate": "2.5"}, "2.5% of what counts."),
        ({"type": "rank", "prizes": [{"ranks": "1", "amount": "900.00"}]}, "The best win prizes at the end, up to 900.00 USD."),
    ],
)  # fmt: skip
def test_rewards_without_steps_say_their_rule(reward, rule):
    progress = one(reward, measure=D("10"))
    assert (plain(progress.rule), progress.steps, progress.sentence) == (rule, [], "")


def test_a_measure_that_is_no_money_is_a_number():
    progress = one(TIERS, measure=D("9999"), changes={"measure": {"metric": "quantity"}})
    assert (progress.value, progress.missing) == (D(9999), D(1))
    assert plain(progress.sentence) == "1 more reach the next reward of 100.00 USD."


def test_every_reward_of_a_definition_gets_its_progress():
    assert len(progress_of(given(TIERS, {"type": "percent", "rate": "1"}), measure=D(0))) == 2
