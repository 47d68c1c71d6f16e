"""What credits are worth: every reward, cap and multiplier with exact values, and the sentences that explain them."""

from datetime import date
from decimal import Decimal

import pytest

from incentives.programs.rules import Person, score
from tests.programs.cases import ANA, BO, CY, MAX, ROSTER, amounts, cards, credited, explanations, program, splits, won

Q1 = date(2026, 1, 1)
QUOTA = {
    "type": "bands", "of": "target",
    "bands": [{"from": "0", "rate": "5"}, {"from": "100", "rate": "6"}, {"from": "125", "rate": "7"}],
}  # fmt: skip


def test_the_worked_example_of_the_design():
    definition = program(QUOTA, period="quarter")
    (card,) = cards(definition, won("a", "90000"), won("b", "60000"), targets={Q1: "100000"})[ANA]
    assert [line.amount_minor for line in card.lines] == [500000, 150000, 175000]
    assert card.earned_minor == 825000
    assert (card.measure, card.target, card.attainment) == (Decimal(150000), Decimal(100000), Decimal("150.00"))
    assert [(line.key, line.fact_id) for line in card.lines] == [
        ("r0:band:0", None),
        ("r0:band:100", None),
        ("r0:band:125", None),
    ]
    assert [line.explanation for line in card.lines] == [
        "5 % of 100,000.00 = 5,000.00",
        "6 % of 25,000.00 (from 100,000.00 on, 100 % of the target) = 1,500.00",
        "7 % of 25,000.00 (from 125,000.00 on, 125 % of the target) = 1,750.00",
    ]


# --- per deal, per cent ----------------------------------------------------------------------------------------------


def test_percent_pays_per_deal_rounded_half_up_and_capped():
    definition = program({"type": "percent", "rate": "2"}, caps={"deal": "100.00"})
    facts = [won("a", "5254.00", "2026-02-02"), won("b", "0.25", "2026-02-01"), won("c", "0.24", "2026-02-03")]
    assert amounts(definition, *facts) == [1, 10000, 0]
    assert explanations(definition, *facts) == [
        "2 % of 0.25 = 0.01",
        "2 % of 5,254.00 = 105.08, limited to 100.00 per deal",
        "2 % of 0.24 = 0.00",
    ]
    (card,) = cards(definition, *facts)[ANA]
    assert [(line.key, line.uncapped_minor) for line in card.lines] == [
        ("r0:deal:b", 1),
        ("r0:deal:a", 10508),
        ("r0:deal:c", 0),
    ]


def test_percent_of_a_share_says_so():
    definition = program(
        {"type": "percent", "rate": "2"}, credit={"to": "splits", "overlays": [{"to": "manager", "percent": "10"}]}
    )
    deal = won("a", "5254.00", splits=splits((ANA, "60"), (BO, "40")))
    assert explanations(definition, deal) == ["2 % of 3,152.40 (60 % of 5,254.00) = 63.05"]
    assert explanations(definition, deal, who=MAX) == ["2 % of 525.40 (10 % of 5,254.00 as overlay) = 10.51"]
    (card,) = cards(definition, deal)[MAX]
    assert (card.lines[0].key, card.deals) == ("r0:deal:a:overlay", 0)


def test_per_deal_divides_without_losing_a_cent():
    definition = program({"type": "per_deal", "amount": "100.00"}, credit={"to": "splits"})
    deal = won("a", splits=splits((ANA, "33.33"), (BO, "33.33"), (CY, "33.33")))
    parts = [amounts(definition, deal, who=who) for who in (ANA, BO, CY)]
    assert parts == [[3333], [3334], [3333]]
    assert explanations(definition, deal) == ["33.3334 % of 100.00 per deal = 33.33"]
    assert explanations(definition, won("b")) == ["100.00 per deal"]


# --- per unit --------------------------------------------------------------------------------------------------------


def test_per_unit_pays_whole_units_of_the_periods_measure():
    definition = program({"type": "per_unit", "amount": "50.00"}, measure={"metric": "quantity"})
    facts = [won("a", quantity="1.5", when="2026-02-01"), won("b", quantity="1.5", when="2026-02-02"),
             won("c", quantity="0.25", when="2026-02-03"), won("d", quantity="3", when="2026-02-04")]  # fmt: skip
    assert amounts(definition, *facts) == [5000, 10000, 0, 15000]
    assert explanations(definition, *facts) == [
        "1.5: 1 whole × 50.00 per unit = 50.00",
        "1.5 and 0.5 left from before: 2 whole × 50.00 per unit = 100.00",
        "0.25: no further whole unit yet",
        "3 and 0.25 left from before: 3 whole × 50.00 per unit = 150.00",
    ]
    assert explanations(definition, won("a", quantity="5")) == ["5 × 50.00 per unit = 250.00"]


def test_units_that_are_taken_back_take_back_what_they_earned():
    definition = program({"type": "per_unit", "amount": "10.00"}, measure={"metric": "value"})
    reports = [won(str(i), None, f"2026-02-0{i}", kind="metric.reported", value=Decimal(value))
               for i, value in enumerate(["2.5", "-1", "-4", "3"], 1)]  # fmt: skip
    assert amounts(definition, *reports) == [2000, -1000, -1000, 0]


# --- bands -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "amount", "paid"),
    [
        ("marginal", "9999.99", 10000),
        ("marginal", "10000", 10000),
        ("marginal", "10000.50", 10001),
        ("marginal", "25000", 10000 + 30000),
        ("marginal", "60000", 10000 + 80000 + 30000),
        ("whole", "9999.99", 10000),
        ("whole", "10000", 20000),
        ("whole", "49999.99", 100000),
        ("whole", "60000", 180000),
    ],
)
def test_bands_over_the_deal(mode, amount, paid):
    bands = [{"from": "0", "rate": "1"}, {"from": "10000", "rate": "2"}, {"from": "50000", "rate": "3"}]
    definition = program({"type": "bands", "over": "deal", "mode": mode, "bands": bands})
    assert amounts(definition, won("a", amount), won("b", "100")) == [paid, 100]


def test_bands_with_amounts_pay_the_band_or_every_band_reached():
    bands = [{"from": "5000", "amount": "50.00"}, {"from": "25000", "amount": "150.00"}]
    for mode, paid in [("whole", [0, 5000, 15000]), ("marginal", [0, 5000, 20000])]:
        definition = program({"type": "bands", "over": "deal", "mode": mode, "bands": bands})
        facts = [won("a", "4999.99"), won("b", "5000"), won("c", "25000.00")]
        assert amounts(definition, *facts) == paid
    assert explanations(definition, *facts) == [
        "4,999.99 is below the first band, which starts at 5,000.00",
        "50.00 for 5,000.00 (from 5,000.00 on) = 50.00",
        "25,000.00: 50.00 for 25,000.00 (from 5,000.00 on) + 150.00 for 25,000.00 (from 25,000.00 on) = 200.00",
    ]


def test_whole_bands_over_the_period_pay_everything_at_the_highest_rate():
    reward = {"type": "bands", "mode": "whole", "bands": [{"from": "0", "rate": "5"}, {"from": "1000", "rate": "10"}]}
    (card,) = cards(program(reward), won("a", "600"), won("b", "400"))[ANA]
    assert [(line.key, line.amount_minor, line.explanation) for line in card.lines] == [
        ("r0:band:period", 10000, "10 % of 1,000.00 (from 1,000.00 on) = 100.00")
    ]


def test_a_band_of_a_target_that_does_not_divide_is_exact():
    reward = {"type": "bands", "of": "target", "bands": [{"from": "33.3333", "rate": "100"}]}
    # 33.3333 % of 0.07 is 0.02333331: what lies above is 0.01666669 of 0.04, two cents after rounding
    assert amounts(program(reward), won("a", "0.04"), targets={Q1: "0.07"}) == [2]


def test_nobody_is_paid_for_a_measure_of_zero():
    reward = {"type": "bands", "over": "deal", "mode": "whole", "bands": [{"from": "0", "amount": "5.00"}]}
    definition = program(reward, {"type": "per_deal", "amount": "1.00"})
    assert amounts(definition, won("a", "0.00")) == [0, 100]


# --- tiers, milestones -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "measure", "paid"),
    [
        ("highest", "89999.99", []),
        ("highest", "90000", [("r0:tier:highest", 25000)]),
        ("highest", "120000", [("r0:tier:highest", 100000)]),
        ("each", "99999.99", [("r0:tier:90", 25000)]),
        ("each", "100000", [("r0:tier:90", 25000), ("r0:tier:100", 50000)]),
    ],
)
def test_tiers_of_the_target(mode, measure, paid):
    tiers = [{"at": "90", "amount": "250.00"}, {"at": "100", "amount": "500.00"}, {"at": "120", "amount": "1000.00"}]
    definition = program({"type": "tiers", "of": "target", "mode": mode, "tiers": tiers})
    (card,) = cards(definition, won("a", measure), targets={Q1: "100000"})[ANA]
    assert [(line.key, line.amount_minor) for line in card.lines] == paid


def test_tiers_of_the_measure_explain_themselves():
    definition = program({"type": "tiers", "tiers": [{"at": 3, "amount": "75.00"}]}, measure={"metric": "deals"})
    facts = [won(str(i)) for i in range(4)]
    assert explanations(definition, *facts) == ["4 reached 3: 75.00"]
    assert amounts(definition, *facts[:2]) == []


def test_milestones_count_activities_in_order_whatever_the_share():
    reward = {"type": "milestone", "at": [{"count": 1, "amount": "50.00"}, {"count": 3, "amount": "150.00"}]}
    definition = program(reward, credit={"to": "splits"}, caps={"deal": "10.00"})
    facts = [won("b", when="2026-02-02"), won("a", when="2026-02-03", splits=splits((ANA, "1"), (BO, "99"))),
             won("c", when="2026-02-01")]  # fmt: skip
    (card,) = cards(definition, *facts)[ANA]
    assert [(line.key, line.fact_id, line.amount_minor) for line in card.lines] == [
        ("r0:milestone:1", "c", 5000), ("r0:milestone:3", "a", 15000),
    ]  # fmt: skip
    assert explanations(definition, *facts)[1] == "150.00 for activity number 3"


def test_a_managers_overlays_are_no_activities_of_theirs():
    reward = {"type": "milestone", "at": [{"count": 1, "amount": "50.00"}]}
    definition = program(reward, credit={"to": "owner", "overlays": [{"to": "manager", "percent": "10"}]})
    assert amounts(definition, won("a"), who=MAX) == []


# --- targets and periods ---------------------------------------------------------------------------------------------


def test_without_a_target_nothing_is_earned_from_it_and_the_scorecard_says_so():
    definition = program(QUOTA, {"type": "per_deal", "amount": "1.00"}, period="quarter")
    (card,) = cards(definition, won("a"))[ANA]
    assert [line.amount_minor for line in card.lines] == [100]
    assert [(problem.code, problem.exception) for problem in card.problems] == [("no_target", True)]
    assert (card.target, card.attainment) == (None, None)
    (card,) = cards(definition, won("a"), targets={Q1: "0"})[ANA]
    assert card.problems


def test_a_target_may_name_any_day_of_its_period_but_each_period_has_one():
    definition = program(QUOTA, period="quarter")
    (card,) = cards(definition, won("a"), targets={date(2026, 2, 14): "1000"})[ANA]
    assert card.attainment == Decimal("100.00")
    with pytest.raises(ValueError, match="two targets for the period that starts on 2026-01-01"):
        score(definition, ROSTER[ANA], {Q1: Decimal(1), date(2026, 2, 1): Decimal(1)})


def test_a_target_without_any_credit_has_a_scorecard_and_one_outside_the_program_has_none():
    targets = {Q1: Decimal(1000), date(2027, 1, 1): Decimal(1000)}
    (card,) = score(program(QUOTA, period="quarter"), ROSTER[ANA], targets, [])
    assert (card.measure, card.attainment, card.lines, card.problems) == (Decimal(0), Decimal(0), (), ())


def test_each_period_starts_again():
    reward = {"type": "tiers", "tiers": [{"at": "1000", "amount": "10.00"}]}
    definition = program(reward, period="month")
    facts = [won("a", "600", "2026-01-31"), won("b", "600", "2026-02-01"), won("c", "400", "2026-02-28")]
    found = cards(definition, *facts)[ANA]
    assert [(str(card.period_start), card.earned_minor) for card in found] == [("2026-01-01", 0), ("2026-02-01", 1000)]


# --- caps and multipliers --------------------------------------------------------------------------------------------


def test_caps_apply_per_deal_then_per_period_then_per_participant_oldest_first():
    definition = program(
        {"type": "percent", "rate": "10"}, period="month",
        caps={"deal": "50.00", "period": "80.00", "participant": "100.00"},
    )  # fmt: skip
    facts = [won("a", "600", "2026-01-05"), won("b", "400", "2026-01-06"), won("c", "100", "2026-01-07"),
             won("d", "450", "2026-02-01"), won("e", "450", "2026-03-01")]  # fmt: skip
    assert amounts(definition, *facts) == [5000, 3000, 0, 2000, 0]
    assert explanations(definition, *facts) == [
        "10 % of 600.00 = 60.00, limited to 50.00 per deal",
        "10 % of 400.00 = 40.00, limited to 30.00, the rest of 80.00 per period",
        "10 % of 100.00 = 10.00, limited to nothing, the rest of 80.00 per period",
        "10 % of 450.00 = 45.00, limited to 20.00, the rest of 100.00 per participant",
        "10 % of 450.00 = 45.00, limited to nothing, the rest of 100.00 per participant",
    ]


def test_several_rewards_add_up_and_share_the_deals_cap():
    definition = program({"type": "per_deal", "amount": "30.00"}, {"type": "percent", "rate": "10"},
                         {"type": "tiers", "tiers": [{"at": "1", "amount": "500.00"}]}, caps={"deal": "50.00"})  # fmt: skip
    facts = [won("b", "100", "2026-02-02"), won("a", "400", "2026-02-01")]
    (card,) = cards(definition, *facts)[ANA]
    assert [(line.key, line.amount_minor) for line in card.lines] == [
        ("r0:deal:a", 3000), ("r1:deal:a", 2000), ("r0:deal:b", 3000), ("r1:deal:b", 1000), ("r2:tier:highest", 50000),
    ]  # fmt: skip


def test_partner_multipliers_scale_before_caps_and_a_rewards_own_map_replaces_the_programs():
    definition = program(
        {"type": "percent", "rate": "10"}, {"type": "per_deal", "amount": "1.01", "partner_multipliers": {"silver": "3"}},
        partner_multipliers={"gold": "1.5", "silver": "2"}, caps={"deal": "20.00"},
    )  # fmt: skip
    deal = won("a", "100.01", who=CY)
    assert amounts(definition, deal, who=CY) == [1500, 101]
    assert explanations(definition, deal, who=CY)[0] == "10 % of 100.01 × 1.5 for gold partners = 15.00"
    assert amounts(definition, won("a", "100.01")) == [1000, 101]
    silver = {CY: Person(CY, partner_tier="silver")}
    assert amounts(definition, deal, who=CY, roster=silver) == [2000, 0]


def test_currencies_without_and_with_three_digits():
    yen = program({"type": "percent", "rate": "2"}, currency="JPY")
    assert amounts(yen, won("a", "1225", currency="JPY")) == [25]
    assert explanations(yen, won("a", "1225", currency="JPY")) == ["2 % of 1,225 = 25"]
    dinar = program({"type": "percent", "rate": "2"}, currency="KWD")
    assert explanations(dinar, won("a", "1225.125", currency="KWD")) == ["2 % of 1,225.125 = 24.503"]


# --- what the caller gets wrong ----------------------------------------------------------------------------------------


def test_a_credit_given_twice_counts_once_and_a_contradiction_is_refused():
    definition = program()
    (credit,) = credited(definition, won("a"))[ANA]
    assert score(definition, ROSTER[ANA], {}, [credit, credit]) == score(definition, ROSTER[ANA], {}, [credit])
    with pytest.raises(ValueError, match="two different credits for a"):
        score(definition, ROSTER[ANA], {}, [credit, credit._replace(measure=Decimal(1))])
    with pytest.raises(ValueError, match="a credit of E-1 among those of E-2"):
        score(definition, ROSTER[BO], {}, [credit])
