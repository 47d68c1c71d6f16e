"""Worked examples of other people's plan guides and textbooks, with their figures and where they stand.

Each case is the published rule written as a definition, the published sales, and the published commission. Examples of
things a definition does not have (draws, interpolated rates) are left out.
"""

import re
from datetime import date
from pathlib import Path

import pytest

from incentives.programs.rules import Person
from tests.programs.cases import ANA, BO, CY, MAX, amounts, cards, program, splits, won

Q1 = date(2026, 1, 1)


def bands(*pairs: tuple[str, str], **parts) -> dict:
    return {"type": "bands", "bands": [{"from": start, "rate": rate} for start, rate in pairs], **parts}


ORACLE_STEPS = bands(("0", "1"), ("1000", "2"), ("3000", "3"), ("8000", "5"), over="deal")
ORACLE_FLAT = bands(("0", "1"), ("10000", "2"), ("50000", "3"), ("100000", "4"), over="deal", mode="whole")
OVERQUOTA = bands(("0", "5"), ("100", "6"), ("125", "7"), of="target")
MULTIPLES = bands(("100", "125"), ("125", "150"), ("150", "175"), ("200", "200"), of="target")
GROSS_PROFIT = bands(("0", "2"), ("200", "3"), ("500", "4"), ("1000", "5.5"))
MILESTONES = {"type": "tiers", "of": "target", "mode": "each", "tiers": [
    {"at": "50", "amount": "2000"}, {"at": "75", "amount": "3500"}, {"at": "100", "amount": "7000"},
    {"at": "125", "amount": "14000"}]}  # fmt: skip
AT_QUOTA = {"type": "tiers", "of": "target", "tiers": [{"at": "100", "amount": "50000"}]}

CASES = {
    # Oracle, "Examples of Calculating Earnings Using Step Rates": six transactions, each against the rate table
    # https://docs.oracle.com/en/cloud/saas/sales/facmi/examples-of-calculating-earnings-using-step-rates.html
    "oracle step rates": (ORACLE_STEPS, ["200", "300", "1500", "1200", "2000", "4500"], None,
                          [200, 300, 2000, 1400, 3000, 9500]),
    # Oracle, "Options for Splitting Attainment Numbers Across Rate Tiers": the rate is not split, 1, 2 and 3 per cent
    # https://docs.oracle.com/en/cloud/saas/sales/facmi/options-for-splitting-attainment-numbers-across-rate-tiers.html
    "oracle flat rates": (ORACLE_FLAT, ["5000", "15000", "60000"], None, [5000, 30000, 180000]),
    # The same page, rates split and fixed for the tier: 1 % of 10,000, 2 % of the next 40,000, 3 % of the last 10,000
    "oracle split rates": ({**ORACLE_FLAT, "mode": "marginal"}, ["5000", "15000", "60000"], None, [5000, 20000, 120000]),
    # Oracle, "Report Split Rates in Calculation", example a: 2,500 at a blended rate of 1.6 per cent
    # https://docs.oracle.com/en/cloud/saas/readiness/sales/24b/salm-24b/24B-spm-wn-f31649.htm
    "oracle blended rate": (bands(("0", "1"), ("1000", "2"), ("5000", "3"), over="deal"), ["2500"], None, [4000]),
    # Excel Forum 861932: quarterly quota of 100,000; 150,000 pays 5,000 + 1,500 + 1,750
    # https://excelforum.com/excel-formulas-and-functions/861932-vlookup-for-multiple-results-without-duplicates-prev-thread.html
    "accelerators over quota": (OVERQUOTA, ["150000"], "100000", [500000, 150000, 175000]),
    # Excelguru 9795: quota 10,000, actual 14,000; only what lies above quota earns 125 % and 150 %
    # https://www.excelguru.ca/forums/showthread.php?9795-Automate-Commission-Accelerator-calculations-based-on-quota-attainment-range
    "accelerator tiers above quota": (MULTIPLES, ["14000"], "10000", [312500, 225000]),
    # MathTutor, lesson 803, graduated commissions: 6 % of the first 3,000, 8 % of the next 5,000, 10 % over 8,000
    # https://mathtutor.com/software/business-math-lesson-overviews/lesson-0803.html
    "graduated commission": (bands(("0", "6"), ("3000", "8"), ("8000", "10")), ["9000"], None, [18000, 40000, 10000]),
    # Qammunity 7400068: 10, 15, 25 and 30 per cent; 80,000 of sales earn 20,250
    # https://qammunity.org/7400068/
    "four graduated rates": (bands(("0", "10"), ("5000", "15"), ("10000", "25"), ("50000", "30")), ["80000"], None,
                             [50000, 75000, 1000000, 900000]),
    # Edu.com 493589, Rolf Company: 1 % of the first 25,000, 3 % up to 95,000, 5 % above; 100,000
    # https://edu.com/homework-helper/math/question/493589/
    "graduated scale": (bands(("0", "1"), ("25000", "3"), ("95000", "5")), ["100000"], None, [25000, 210000, 25000]),
    # web2.0calc, commission equation: 10 % of the first 5,000, 15 % over that; 22,000 earn 3,050
    # https://web2.0calc.com/questions/commission-equation-help
    "two graduated rates": (bands(("0", "10"), ("5000", "15")), ["22000"], None, [50000, 255000]),
    # Meevo, commission scales, tiered sliding: 325 of sales earn 51.25
    # https://docs.meevo.com/multi-location/MoreInfo/CommissionScale.htm
    "tiered sliding": (bands(("0", "10"), ("100", "15"), ("200", "20"), ("300", "25")), ["325"], None,
                       [1000, 1500, 2000, 625]),
    # The same page, tiered straight: 125 falls into the second bucket and earns 15 % of all of it, 18.75
    "tiered straight": (bands(("0", "10"), ("100", "15"), ("200", "20"), ("300", "25"), mode="whole"), ["125"], None,
                        [1875]),
    # Sparrow Genie, non-retroactive commission: 3 %, 5 % and 7 %; 600,000 in the quarter earn 26,000
    # https://www.sparrowgenie.com/sales-commission-models/non-retroactive-commission
    "non-retroactive": (bands(("0", "3"), ("300000", "5"), ("500000", "7")), ["600000"], None,
                        [900000, 1000000, 700000]),
    # eHow, how to calculate accumulative commissions: 5 % to 2,000, 10 % to 5,000, 15 % beyond; 7,000 earn 700
    # http://www.ehow.com/how_7385965_calculate-accumlative-commissions.html
    "accumulative tiers": (bands(("0", "5"), ("2000", "10"), ("5000", "15")), ["7000"], None, [10000, 30000, 30000]),
    # Eclipse help, tiered commission plan details: 1,200 of gross profit earn 4 + 9 + 20 + 11 = 44.00 tier by tier
    # http://159.66.236.10:2080/Eclipse-Help/CHUI/!SSL!/WebHelp/mergedProjects/PRICE/PRICE_CON_TieredCommissionPlanDetails.htm
    "gross profit tier by tier": (GROSS_PROFIT, ["1200"], None, [400, 900, 2000, 1100]),
    # The same page, the plan without tiers: the highest rate reached on everything, 5.5 per cent of 1,200 are 66.00
    "gross profit back to the first dollar": ({**GROSS_PROFIT, "mode": "whole"}, ["1200"], None, [6600]),
    # Prowi, milestone bonuses, progressive milestones: 110 per cent of quota earns the first three, 12,500 in all
    # https://prowi.io/en/glossary/milestone-bonus
    "progressive milestones": (MILESTONES, ["110000"], "100000", [200000, 350000, 700000]),
    # Prowi, the milestone model: a quota of 1.8 million and a bonus of 50,000, nothing below, no more at 120 per cent
    # https://prowi.io/en/provisionsmodel-milepael
    "milestone missed": (AT_QUOTA, ["1764000"], "1800000", []),
    "milestone reached": (AT_QUOTA, ["1800000"], "1800000", [5000000]),
    "milestone exceeded": (AT_QUOTA, ["2160000"], "1800000", [5000000]),
    # MyTime, tiered commission, the first, second and last pay cycle: 100, 25 and 1,675 (the last to the cent)
    # https://help.mytime.com/hc/en-us/articles/360046956372
    "pay cycle of 400": (bands(("0", "25"), ("500", "30"), ("3000", "40")), ["400"], None, [10000]),
    "pay cycle of 5000": (bands(("0", "25"), ("500", "30"), ("3000", "40")), ["5000"], None, [12500, 75000, 80000]),
}  # fmt: skip


@pytest.mark.parametrize(("reward", "sales", "target", "published"), CASES.values(), ids=CASES)
def test_a_published_commission(reward, sales, target, published):
    facts = [won(str(index), amount, f"2026-02-{index + 1:02d}") for index, amount in enumerate(sales)]
    targets = {Q1: target} if target else None
    assert amounts(program(reward), *facts, targets=targets) == published


def test_the_total_oracle_gives_for_its_quarter_is_164():
    reward, sales, _, _ = CASES["oracle step rates"]
    assert sum(amounts(program(reward), *[won(str(i), amount) for i, amount in enumerate(sales)])) == 16400


def earned(definition, *deals) -> dict[str, int]:
    return {who: sum(card.earned_minor for card in own) for who, own in cards(definition, *deals).items()}


def test_a_published_split_in_three_parts():
    """Prowi, split commission: a deal of 50,000 at 10 % earns 5,000, shared 60, 25 and 15.

    https://www.prowi.io/en/glossary/split-commission-2a482
    """
    definition = program({"type": "percent", "rate": "10"}, credit={"to": "splits"})
    deal = won("a", "50000", splits=splits((ANA, "60"), (BO, "25"), (CY, "15")))
    assert earned(definition, deal) == {ANA: 300000, BO: 125000, CY: 75000}


def test_a_published_override_of_a_manager():
    """Prowi, override commission: five sellers with 10 %; their manager's 3 % of 300,000 is 9,000, on top of theirs.

    Written as an overlay of 30 per cent of each credited amount, at the sellers' rate.
    https://www.prowi.io/en/glossary/override-commission
    """
    sales = {"A": "75000", "B": "60000", "C": "67500", "D": "52500", "E": "45000"}
    roster = {name: Person(name, manager=MAX) for name in sales} | {MAX: Person(MAX)}
    overlay = {"overlays": [{"to": "manager", "percent": "30"}]}
    definition = program({"type": "percent", "rate": "10"}, credit=overlay)
    found = cards(definition, *[won(name, amount, who=name) for name, amount in sales.items()], roster=roster)
    totals = {who: own[0].earned_minor for who, own in found.items()}
    assert totals == {"A": 750000, "B": 600000, "C": 675000, "D": 525000, "E": 450000, MAX: 900000}
    assert [line.amount_minor for line in found[MAX][0].lines] == [225000, 180000, 202500, 157500, 135000]


def test_a_published_cap():
    """Sparrow Genie, capped commission: 3 % with 10,000 a month at most; 400,000 earn 10,000 instead of 12,000.

    https://www.sparrowgenie.com/sales-commission-models/capped-commission
    """
    definition = program({"type": "percent", "rate": "3"}, period="month", caps={"period": "10000.00"})
    january = [won(f"j{n}", "100000", f"2026-01-1{n}") for n in range(4)]
    february = [won("f", "100000", "2026-02-01")]
    assert amounts(definition, *january, *february) == [300000, 300000, 300000, 100000, 300000]


def test_published_milestones_by_number():
    """QuotaPath, milestone bonus: 1,000 for 25 demo appointments, and another 1,000 for 40.

    https://www.quotapath.com/glossary/milestone-bonus/
    """
    steps = [{"count": 25, "amount": "1000"}, {"count": 40, "amount": "1000"}]
    definition = program({"type": "milestone", "at": steps}, measure={"metric": "deals"})
    demos = [won(f"{n:02}", when=f"2026-01-{n // 2 + 1:02}") for n in range(41)]
    assert [sum(amounts(definition, *demos[:count])) for count in (24, 25, 39, 40, 41)] == [
        0, 100000, 100000, 200000, 200000,
    ]  # fmt: skip


def test_a_published_spiff_of_two_dollars_a_unit():
    """ITA Group, moving from SPIFFs to incremental sales: 100 units at 2.00 pay 200.

    https://www.itagroup.com/insights/move-spiffs-incremental-sales
    """
    definition = program({"type": "per_unit", "amount": "2.00"}, measure={"metric": "quantity"})
    facts = [won(str(index), quantity="4") for index in range(25)]
    assert sum(amounts(definition, *facts)) == 20000


def test_the_examples_come_from_more_than_ten_publishers():
    hosts = set(re.findall(r"https?://([\w.]+)/", Path(__file__).read_text()))
    assert len({host.removeprefix("www.") for host in hosts}) >= 12
