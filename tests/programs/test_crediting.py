"""Whose fact, what share, and in words why not."""

from datetime import date
from decimal import Decimal

import pytest

from incentives.programs.rules import Person, Split, credits_for
from tests.programs.cases import ANA, BO, CY, MAX, ROSTER, moment, program, splits, won

SPLITS = {"to": "splits"}


def shares(definition, fact, roster=ROSTER, rates=None):
    """(participant, role, share, measure) of every credit"""
    found = credits_for(definition, fact, roster, rates or {}).credits
    return [(c.participant, c.role, str(c.share_percent), str(c.measure)) for c in found]


def reasons(definition, fact, roster=ROSTER, **options):
    return [(r.code, r.exception, r.message) for r in credits_for(definition, fact, roster, **options).reasons]


def test_the_owner_gets_the_whole_activity():
    credit = credits_for(program(), won("d1", "5254.00", "2026-02-03T10:00"), ROSTER).credits[0]
    assert credit.fact_id == "d1"
    assert (credit.participant, credit.role, credit.share_percent, credit.share_from) == (ANA, "owner", 100, 0)
    assert (credit.measure, credit.whole) == (Decimal("5254"), Decimal("5254"))
    assert (credit.counted_at, credit.period_start) == (moment("2026-02-03T10:00"), date(2026, 1, 1))


def test_splits_count_only_where_the_program_asks_for_them():
    deal = won("d1", "1000.00", splits=splits((ANA, "60"), (BO, "40")))
    assert shares(program(), deal) == [(ANA, "owner", "100.0000", "1000.0000")]
    assert shares(program(credit=SPLITS), deal) == [
        (ANA, "split", "60.0000", "600.0000"), (BO, "split", "40.0000", "400.0000"),
    ]  # fmt: skip
    assert shares(program(credit=SPLITS), won("d2")) == [(ANA, "owner", "100.0000", "1000.0000")]


def test_split_shares_total_the_amount_to_the_cent():
    deal = won("d1", "100.00", splits=splits((BO, "33.33"), (ANA, "33.33"), (CY, "33.34")))
    assert shares(program(credit=SPLITS), deal) == [
        (CY, "split", "33.3400", "33.3400"),
        (ANA, "split", "33.3300", "33.3300"),
        (BO, "split", "33.3300", "33.3300"),
    ]
    deal = won("d1", "100.00", splits=splits((BO, "33.33"), (ANA, "33.33"), (CY, "33.33")))
    assert shares(program(credit=SPLITS), deal) == [
        (ANA, "split", "33.3334", "33.3400"),
        (BO, "split", "33.3333", "33.3300"),
        (CY, "split", "33.3333", "33.3300"),
    ]


def test_split_amounts_serve_where_percentages_are_missing():
    deal = won("d1", "900.00", splits=(Split(ANA, amount=Decimal(600)), Split(BO, amount=Decimal(300))))
    assert shares(program(credit=SPLITS), deal) == [
        (ANA, "split", "66.6667", "600.0000"), (BO, "split", "33.3333", "300.0000"),
    ]  # fmt: skip


def test_two_splits_of_one_person_are_one_share():
    deal = won("d1", splits=splits((ANA, "30"), (BO, "50"), (ANA, "20")))
    assert shares(program(credit=SPLITS), deal) == [
        (ANA, "split", "50.0000", "500.0000"), (BO, "split", "50.0000", "500.0000"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "parts", [(("E-1", "60"), ("E-2", "30")), (("E-1", "70"), ("E-2", "40")), (("E-1", "120"), ("E-2", "-20"))]
)
def test_splits_that_do_not_total_one_hundred_credit_nobody(parts):
    deal = won("d1", splits=splits(*parts))
    assert shares(program(credit=SPLITS), deal) == []
    ((code, exception, message),) = reasons(program(credit=SPLITS), deal)
    assert (code, exception) == ("split_total", True)
    assert "instead of 100" in message


def test_the_share_of_somebody_unknown_goes_to_nobody_and_is_an_exception():
    deal = won("d1", splits=(*splits((ANA, "60")), Split(None, Decimal(40), name="E-77")))
    assert shares(program(credit=SPLITS), deal) == [(ANA, "split", "60.0000", "600.0000")]
    assert reasons(program(credit=SPLITS), deal) == [
        ("unknown_participant", True, "E-77 is not known here, or not unambiguously."),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("who", "name", "code"),
    [(None, "", "no_participant"), (None, "x@example.com", "unknown_participant"), ("E-99", "", "unknown_participant")],
)
def test_an_activity_without_a_known_participant_is_an_exception(who, name, code):
    deal = won("d1", who=who, participant_name=name)
    assert shares(program(), deal) == []
    assert [(found, exception) for found, exception, _ in reasons(program(), deal)] == [(code, True)]


@pytest.mark.parametrize(
    ("limits", "earns"),
    [
        ({"types": ["employee"]}, {ANA, BO}),
        ({"types": ["partner"], "partner_tiers": ["gold", "silver"]}, {CY}),
        ({"partner_tiers": ["silver"]}, set()),
        ({"partners": ["P-1"]}, {CY}),
        ({"teams": ["East", "West"], "regions": ["North"]}, {ANA}),
        ({"regions": ["South"]}, {BO}),
        ({}, {ANA, BO, CY}),
    ],
)
def test_eligibility_asks_every_list_that_is_not_empty(limits, earns):
    definition = program(eligible=limits)
    assert {who for who in (ANA, BO, CY) if shares(definition, won("d", who=who))} == earns


def test_who_is_not_eligible_is_told_why():
    assert reasons(program(eligible={"teams": ["West", "North"]}), won("d1")) == [
        ("not_eligible", False, "Not eligible: the program is for team North, West, and Ana has East."),
    ]  # fmt: skip


def test_only_the_days_between_joining_and_leaving_count():
    roster = {ANA: Person(ANA, started_on=date(2026, 2, 1), ended_on=date(2026, 2, 28), name="Ana")}
    definition = program(time_zone="America/New_York")
    for when, counts in [("2026-02-01T04:59", False), ("2026-02-01T05:00", True), ("2026-03-01T04:59", True),
                         ("2026-03-01T05:00", False)]:  # fmt: skip
        assert bool(shares(definition, won("d1", when=when), roster)) is counts
    assert reasons(definition, won("d1", when="2026-04-01"), roster) == [
        ("not_active", False, "Ana was not active on 2026-03-31.")
    ]


def test_an_overlay_comes_on_top_of_what_the_owner_gets():
    definition = program(credit={"to": "owner", "overlays": [{"to": "manager", "percent": "10"}]})
    assert shares(definition, won("d1", "1234.55")) == [
        (ANA, "owner", "100.0000", "1234.5500"), (MAX, "overlay", "10.0000", "123.4600"),
    ]  # fmt: skip


def test_a_manager_of_two_split_partners_has_one_overlay_over_both():
    overlays = [{"to": "manager", "percent": "10"}, {"to": "second_manager", "percent": "5"}]
    definition = program(credit={"to": "splits", "overlays": overlays})
    deal = won("d1", "1000.00", splits=splits((ANA, "60"), (BO, "40")))
    assert shares(definition, deal)[2:] == [
        (MAX, "overlay", "10.0000", "100.0000"),
        ("M-2", "overlay", "5.0000", "50.0000"),
    ]


def test_overlays_go_to_named_people_too_and_to_nobody_who_owns_the_deal():
    overlays = [{"to": "participant", "participant": BO, "percent": "20"}, {"to": "manager", "percent": "10"}]
    definition = program(credit={"to": "owner", "overlays": overlays})
    assert shares(definition, won("d1", who=ANA))[1:] == [
        (BO, "overlay", "20.0000", "200.0000"), (MAX, "overlay", "10.0000", "100.0000"),
    ]  # fmt: skip
    assert shares(definition, won("d1", who=BO))[1:] == [(MAX, "overlay", "10.0000", "100.0000")]
    assert reasons(definition, won("d1", who=CY)) == [("no_manager", False, "E-3 has no manager to share with.")]


def test_overlays_pass_by_the_eligibility_lists_but_only_over_shares_that_earned():
    definition = program(
        eligible={"teams": ["East"]}, credit={"to": "splits", "overlays": [{"to": "manager", "percent": "10"}]}
    )
    deal = won("d1", "1000.00", splits=splits((ANA, "60"), (CY, "40")))
    assert shares(definition, deal) == [
        (ANA, "split", "60.0000", "600.0000"),
        (MAX, "overlay", "6.0000", "60.0000"),
    ]


def test_overlay_splits_of_the_source_come_on_top():
    deal = won("d1", splits=(*splits((ANA, "100")), Split(BO, Decimal(25), type="overlay")))
    assert shares(program(credit=SPLITS), deal) == [
        (ANA, "split", "100.0000", "1000.0000"), (BO, "overlay", "25.0000", "250.0000"),
    ]  # fmt: skip


def test_what_does_not_qualify_is_told_by_comparison():
    definition = program(
        qualifies={
            "all": [{"field": "amount", "op": "gte", "value": "10000"}, {"field": "quantity", "op": "gt", "value": 1}]
        }
    )
    assert reasons(definition, won("d1", "900.00")) == [
        ("not_qualified", False,
         "Does not qualify. amount is at least 10000: found 900; quantity is more than 1: found missing."),
    ]  # fmt: skip
    assert reasons(definition, won("d1", "900.00"), words=False) == [("not_qualified", False, "")]


@pytest.mark.parametrize("kind", ["deal.lost", "deal.reopened", "deal.deleted", "deal.updated", "claim.submitted"])
def test_only_a_won_deal_earns_even_where_the_condition_forgets_the_kind(kind):
    definition = program(qualifies={"field": "amount", "op": "gt", "value": 1})
    assert shares(definition, won("d1")) != []
    assert shares(definition, won("d1", kind=kind)) == []


def test_a_claim_earns_where_the_condition_names_its_kind():
    definition = program(qualifies={"field": "kind", "op": "eq", "value": "claim.submitted"})
    assert shares(definition, won("d1", kind="claim.submitted")) == [(ANA, "owner", "100.0000", "1000.0000")]


def test_what_lies_outside_the_program_is_told():
    assert reasons(program(), won("d1", when="2027-01-01")) == [
        ("outside_window", False, "It counts on 2027-01-01; the program runs from 2026-01-01 to 2026-12-31."),
    ]  # fmt: skip
    assert reasons(program(counts_by="close_date"), won("d1")) == [
        ("no_close_date", True, "The program counts by close date and the activity has none."),
    ]  # fmt: skip


def test_facts_received_after_the_money_ran_out_do_not_count():
    stop = moment("2026-03-01T12:00")
    before, after = (won("d", received_at=moment(text)) for text in ("2026-03-01T11:59:59", "2026-03-01T12:00"))
    assert credits_for(program(), before, ROSTER, stops=[(stop, None)]).credits
    assert [reason[0] for reason in reasons(program(), after, stops=[(stop, None)])] == ["stopped"]


@pytest.mark.parametrize(
    ("metric", "parts", "measure"),
    [
        ("amount", {"amount": "12.345"}, "12.3500"),
        ("quantity", {"quantity": "2.5"}, "2.5000"),
        ("quantity", {"lines": ({"quantity": "2"}, {"quantity": "3.25"})}, "5.2500"),
        ("deals", {"amount": None}, "1.0000"),
        ("attributes.points", {"attributes": {"points": "7.5"}}, "7.5000"),
    ],
)
def test_the_measure(metric, parts, measure):
    (found,) = shares(program(measure={"metric": metric}), won("d1", **parts))
    assert found[3] == measure


def test_a_reported_value_counts_without_a_condition_on_the_kind():
    report = won("m1", None, kind="metric.reported", metric="calls", value=Decimal("-3"), currency=None)
    assert shares(program(measure={"metric": "value"}), report) == [(ANA, "owner", "100.0000", "-3.0000")]


@pytest.mark.parametrize(
    ("metric", "measure"), [("amount", "450.0000"), ("quantity", "3.0000")],
)  # fmt: skip
def test_lines_restrict_amount_and_quantity(metric, measure):
    definition = program(measure={"metric": metric, "lines": {"field": "line.family", "op": "eq", "value": "Security"}})
    lines = ({"family": "Security", "quantity": "1", "total": "150.00"},
             {"family": "Security", "quantity": "2", "unit_price": "150"}, {"family": "Storage", "quantity": "9"})  # fmt: skip
    assert shares(definition, won("d1", lines=lines))[0][3] == measure
    assert [reason[0] for reason in reasons(definition, won("d2", lines=lines[2:]))] == ["nothing_counts"]
    broken = ({"family": "Security", "name": "Firewall", "quantity": "two", "total": "some"},)
    assert [reason[:2] for reason in reasons(definition, won("d3", lines=broken))] == [("bad_line", True)]


@pytest.mark.parametrize(
    ("parts", "code", "words"),
    [
        ({"amount": None}, "no_measure", "The activity has no amount."),
        ({"amount": "-5.00"}, "negative_measure", "The activity's amount is negative (-5)."),
        ({"currency": None}, "no_currency", "The activity's amount has no currency."),
        ({"currency": "EUR"}, "no_rate", "There is no exchange rate from EUR to USD for 2026-02-01."),
    ],
)
def test_what_cannot_be_measured_is_an_exception(parts, code, words):
    assert shares(program(), won("d1", **parts)) == []
    assert reasons(program(), won("d1", **parts)) == [(code, True, words)]


def test_another_currency_is_converted_with_the_rate_of_its_day_and_rounded_once():
    definition = program(credit=SPLITS, time_zone="America/New_York")
    deal = won("d1", "1000.00", "2026-02-02T04:00", currency="EUR", splits=splits((ANA, "50"), (BO, "50")))
    rates = {("EUR", date(2026, 2, 1)): Decimal("1.12345")}
    assert shares(definition, deal, rates=rates) == [
        (ANA, "split", "50.0000", "561.7300"), (BO, "split", "50.0000", "561.7200"),
    ]  # fmt: skip


def test_a_per_deal_bonus_needs_no_amount():
    definition = program({"type": "per_deal", "amount": "50.00"})
    assert shares(definition, won("d1", None)) == [(ANA, "owner", "100.0000", "0.0000")]
