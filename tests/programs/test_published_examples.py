"""Worked examples of other people's plan guides and textbooks, with their figures and where they stand.

Each case is the published rule written as a definition, the published sales, and the published commission. Examples of
things a definition does not have (draws, interpolated rates) are left out.
"""

from datetime import date

import pytest

from tests.programs.cases import ANA, BO, amounts, cards, program, splits, won

Q1 = date(2026, 1, 1)


def bands(*pairs: tuple[str, str], **parts) -> dict:
    return {"type": "bands", "bands": [{"from": start, "rate": rate} for start, rate in pairs], **parts}


ORACLE_STEPS = bands(("0", "1"), ("1000", "2"), ("3000", "3"), ("8000", "5"), over="deal")
ORACLE_FLAT = bands(("0", "1"), ("10000", "2"), ("50000", "3"), ("100000", "4"), over="deal", mode="whole")
OVERQUOTA = bands(("0", "5"), ("100", "6"), ("125", "7"), of="target")
MULTIPLES = bands(("100", "125"), ("125", "150"), ("150", "175"), ("200", "200"), of="target")

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
    # Salestool, tiered commission calculator: 5 %, 7 % and 10 %; 30,000 earn 2,050
    # https://huggingface.co/salestool/TieredCommissionCalculator
    "marginal tiers": (bands(("0", "5"), ("10000", "7"), ("25000", "10")), ["30000"], None, [50000, 105000, 50000]),
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


def test_a_published_split_of_sixty_to_forty():
    """Prowi, split commission, example 2: 100,000 at 10 %, split 60 to 40, pays 6,000 and 4,000.

    https://prowi.io/en/glossary/split-commission
    """
    definition = program({"type": "percent", "rate": "10"}, credit={"to": "splits"})
    deal = won("a", "100000", splits=splits((ANA, "60"), (BO, "40")))
    assert {who: own[0].earned_minor for who, own in cards(definition, deal).items()} == {ANA: 600000, BO: 400000}


def test_a_published_spiff_of_two_dollars_a_unit():
    """ITA Group, moving from SPIFFs to incremental sales: 100 units at 2.00 pay 200.

    https://www.itagroup.com/insights/move-spiffs-incremental-sales
    """
    definition = program({"type": "per_unit", "amount": "2.00"}, measure={"metric": "quantity"})
    facts = [won(str(index), quantity="4") for index in range(25)]
    assert sum(amounts(definition, *facts)) == 20000
