"""Reading definitions: what is accepted, what is refused, and that a refusal names path, finding and expectation."""

import copy
import json
import time
from pathlib import Path

import pytest
from django.core.management import call_command

from incentives.programs.management.commands.program_schema import schema_text
from incentives.programs.rules import DefinitionError, canonical, digest, parse_definition, warnings
from tests.programs.cases import program

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = {
    "name": "Q3 Security SPIFF",
    "template": "spiff",
    "currency": "USD",
    "time_zone": "America/New_York",
    "starts_on": "2026-07-01",
    "ends_on": "2026-09-30",
    "grace_days": 5,
    "counts_by": "occurred_at",
    "eligible": {"types": ["employee"], "teams": [], "partners": [], "partner_tiers": [], "regions": []},
    "qualifies": {
        "all": [
            {"field": "kind", "op": "eq", "value": "deal.won"},
            {"field": "amount", "op": "gte", "value": "10000"},
            {
                "any": [
                    {"field": "account.segment", "op": "in", "value": ["SMB", "Mid"]},
                    {"field": "attributes.new_logo", "op": "eq", "value": True},
                ]
            },
        ]
    },
    "credit": {"to": "splits", "overlays": [{"to": "manager", "percent": "10"}]},
    "measure": {"metric": "quantity", "lines": {"field": "line.family", "op": "in", "value": ["Security"]}},
    "period": "program",
    "rewards": [{"type": "per_unit", "amount": "50.00"}],
    "caps": {"deal": "500.00", "period": "2000.00", "participant": "5000.00"},
    "stacking": {"group": "security", "rule": "all"},
    "stop_when_spent": False,
    "payout": {"when": "instant", "minimum": "5.00", "hold_days": 0, "recovery": "next_payout"},
    "delivery": {"type": "DigitalDelivery", "channel": "email", "products": ["CVS"]},
    "personalization": {"from_name": "Sales Leadership", "message": "Congrats on closing the deal!"},
}
BANDS = {"type": "bands", "bands": [{"from": "0", "rate": "5"}]}
TIERS = {"type": "tiers", "tiers": [{"at": "100", "amount": "5.00"}]}
RANK = {"type": "rank", "prizes": [{"ranks": "1", "amount": "5.00"}]}
MILESTONE = {"type": "milestone", "at": [{"count": 1, "amount": "5.00"}]}
REMOVED = object()
TEST = {"field": "kind", "op": "eq", "value": "deal.won"}


def changed(path: list, value) -> dict:
    document = copy.deepcopy(EXAMPLE)
    node = document
    for part in path[:-1]:
        node = node[part]
    if value is REMOVED:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return document


def refusal(document) -> tuple:
    with pytest.raises(DefinitionError) as caught:
        parse_definition(document)
    return caught.value.problems


def test_the_example_of_the_design_reads_back_as_it_was_written():
    definition = parse_definition(json.dumps(EXAMPLE))
    assert canonical(definition) == {**EXAMPLE, "partner_multipliers": {}}
    assert warnings(definition) == []


def test_only_five_keys_are_required_and_the_rest_has_the_documented_defaults():
    definition = program({"type": "per_deal", "amount": "1.00"})
    assert canonical(definition) == {
        "name": "Test",
        "template": "spiff",
        "currency": "USD",
        "time_zone": "UTC",
        "starts_on": "2026-01-01",
        "ends_on": "2026-12-31",
        "grace_days": 0,
        "counts_by": "occurred_at",
        "eligible": {"types": [], "teams": [], "partners": [], "partner_tiers": [], "regions": []},
        "credit": {"to": "owner", "overlays": []},
        "measure": {"metric": "amount"},
        "period": "program",
        "rewards": [{"type": "per_deal", "amount": "1.00"}],
        "caps": {},
        "partner_multipliers": {},
        "stop_when_spent": False,
        "payout": {"when": "at_close", "minimum": "0.00", "hold_days": 0, "recovery": "next_payout"},
        "personalization": {"from_name": "", "message": ""},
    }
    for key in ("name", "currency", "starts_on", "ends_on", "rewards"):
        (problem,) = refusal(changed([key], REMOVED))
        assert (problem.path, problem.found) == (key, "nothing")


def test_documents_that_mean_the_same_have_one_digest_and_others_another():
    first = program({"type": "per_deal", "amount": "1"}, name="A")
    same = program({"amount": "1.00", "type": "per_deal"}, name=" A ", caps={}, time_zone="UTC")
    assert first == same
    assert hash(first) == hash(same)
    assert digest(first) == digest(same) == digest(parse_definition(canonical(first)))
    assert digest(program({"type": "per_deal", "amount": "1.01"}, name="A")) != digest(first)


def test_a_definition_cannot_be_changed():
    definition = program()
    with pytest.raises(ValueError, match="frozen"):
        definition.name = "other"


@pytest.mark.parametrize(
    ("path", "value", "where", "found", "expected"),
    [
        (["name"], "", "name", '""', "text that is not empty"),
        (["name"], "x" * 201, "name", '"xxx', "at most 200 characters"),
        (["name"], 5, "name", "5", "text"),
        (["name"], "bell\x07", "name", '"bell', "text"),
        (["template"], "bonus", "template", '"bonus"', 'did you mean "deal_bonus"?'),
        (["currency"], "usd", "currency", '"usd"', "ISO 4217"),
        (["currency"], "XXX", "currency", '"XXX"', "ISO 4217"),
        (["time_zone"], "New York", "time_zone", '"New York"', "America/New_York"),
        (["time_zone"], "../../etc/passwd", "time_zone", "passwd", "a time zone"),
        (["starts_on"], "1 July 2026", "starts_on", '"1 July 2026"', '"2026-07-01"'),
        (["starts_on"], "2026-02-30", "starts_on", '"2026-02-30"', "a day"),
        (["starts_on"], 20260701, "starts_on", "20260701", "a day"),
        (["ends_on"], "2026-06-30", "ends_on", "2026-06-30", "from 2026-07-01 on"),
        (["ends_on"], "2199-06-30", "ends_on", "2199-06-30", "20 years"),
        (["grace_days"], -1, "grace_days", "-1", "from 0 on"),
        (["grace_days"], "5", "grace_days", '"5"', "a whole number"),
        (["grace_days"], 5000, "grace_days", "5000", "at most 366"),
        (["counts_by"], "closed", "counts_by", '"closed"', "occurred_at, close_date"),
        (["eligible"], [], "eligible", "a list of 0", "an object"),
        (["eligible", "types"], ["reseller"], "eligible.types[0]", '"reseller"', "employee, contractor, partner"),
        (["eligible", "teams"], "East", "eligible.teams", '"East"', "a list"),
        (["eligible", "team"], ["East"], "eligible.team", "an unknown key", 'did you mean "teams"?'),
        (["eligible", "teams"], ["East", "East"], "eligible.teams[1]", '"East"', "once"),
        (["qualifies"], [], "qualifies", "a list of 0", "an object such as"),
        (["qualifies"], {"all": []}, "qualifies.all", "a list of 0", "at least one condition"),
        (["qualifies"], {"all": [TEST], "any": [TEST]}, "qualifies", "all, any", "only all"),
        (["qualifies", "all", 1, "op"], ">=", "qualifies.all[1].op", '">="', "one of eq, ne"),
        (["qualifies", "all", 1, "field"], "a..b", "qualifies.all[1].field", '"a..b"', "the name of a field"),
        (["qualifies", "all", 1, "field"], "line.sku", "qualifies.all[1].field", '"line.sku"', '"lines.sku"'),
        (["qualifies", "all", 1, "value"], REMOVED, "qualifies.all[1].value", "nothing", 'op "exists"'),
        (["qualifies", "all", 1, "value"], "lots", "qualifies.all[1].value", '"lots"', "a number or a day"),
        (["qualifies", "all", 0, "value"], {}, "qualifies.all[0].value", "an object", "text"),
        (["qualifies", "all", 0, "vale"], 1, "qualifies.all[0].vale", "an unknown key", 'did you mean "value"?'),
        (["qualifies", "all", 2, "any", 0, "value"], "SMB", "qualifies.all[2].any[0].value", '"SMB"', "a list of 1"),
        (["qualifies"], {"field": "x", "op": "exists", "value": "no"}, "qualifies.value", '"no"', "true or false"),
        (["credit", "to"], "team", "credit.to", '"team"', "owner, splits"),
        (["credit", "overlays", 0, "percent"], 10, "credit.overlays[0].percent", "10", "per cent as text"),
        (["credit", "overlays", 0, "percent"], "101", "credit.overlays[0].percent", '"101"', "at most 100"),
        (["credit", "overlays", 0, "percent"], "0", "credit.overlays[0].percent", '"0"', "more than 0"),
        (["credit", "overlays", 0, "to"], "boss", "credit.overlays[0].to", '"boss"', "manager, second_manager"),
        (["credit", "overlays", 0, "to"], "participant", "credit.overlays[0]", "nothing", "a participant together"),
        (["measure", "metric"], "revenue", "measure.metric", '"revenue"', "amount, quantity, deals, value"),
        (["measure", "metric"], "deals", "measure", '"deals"', "only together with the metric amount or quantity"),
        (["measure", "lines", "op"], "is", "measure.lines.op", '"is"', "one of eq"),
        (["period"], "fortnight", "period", '"fortnight"', "program, week, month, quarter, year"),
        (["rewards"], [], "rewards", "a list of 0", "at least 1"),
        (["rewards"], {}, "rewards", "an object", "a list"),
        (["rewards", 0], {"amount": "5.00"}, "rewards[0].type", "an object", "one of per_unit"),
        (["rewards", 0], {"type": "per_sale"}, "rewards[0].type", '"per_sale"', "per_deal"),
        (["rewards", 0], {"type": "per_unit"}, "rewards[0].amount", "nothing", "required"),
        (["rewards", 0, "amount"], 50, "rewards[0].amount", "50", 'money as text, such as "50.00"'),
        (["rewards", 0, "amount"], 50.0, "rewards[0].amount", "50.0", "money as text"),
        (["rewards", 0, "amount"], "1,000.00", "rewards[0].amount", '"1,000.00"', "money as text"),
        (["rewards", 0, "amount"], "1e3", "rewards[0].amount", '"1e3"', "money as text"),
        (["rewards", 0, "amount"], "NaN", "rewards[0].amount", '"NaN"', "money as text"),
        (["rewards", 0, "amount"], "-5.00", "rewards[0].amount", '"-5.00"', "from 0"),
        (["rewards", 0, "amount"], "0.00", "rewards[0].amount", '"0.00"', "more than zero"),
        (["rewards", 0, "amount"], "50.005", "rewards[0].amount", '"50.005"', "at most 2 digits after the point in USD"),
        (["rewards", 0, "amount"], "9999999999.00", "rewards[0].amount", '"9999999999.00"', "1,000,000,000"),
        (["rewards", 0, "rate"], "5", "rewards[0].rate", "an unknown key", "amount"),
        (["rewards", 0], {"type": "percent", "rate": 0.05}, "rewards[0].rate", "0.05", 'such as "5" for 5 %'),
        (["rewards", 0], {"type": "percent", "rate": "1001"}, "rewards[0].rate", '"1001"', "at most 1,000"),
        (["rewards", 0], {**BANDS, "bands": []}, "rewards[0].bands", "a list of 0", "at least 1"),
        (["rewards", 0], {**BANDS, "bands": [{"from": "0"}]}, "rewards[0].bands[0]", '"neither"', "rate or amount"),
        (["rewards", 0], {**BANDS, "bands": [{"from": "0", "rate": "1", "amount": "1"}]}, "rewards[0].bands[0]",
         '"both"', "either rate or amount"),
        (["rewards", 0], {**BANDS, "bands": [{"from": "5", "rate": "1"}, {"from": "5", "rate": "2"}]},
         "rewards[0].bands[1].from", '"5"', "more than the 5 before it"),
        (["rewards", 0], {**BANDS, "bands": [{"from": "-5", "rate": "1"}]}, "rewards[0].bands[0].from", '"-5"', "from 0"),
        (["rewards", 0], {**BANDS, "over": "year"}, "rewards[0].over", '"year"', "deal, period"),
        (["rewards", 0], {**BANDS, "mode": "margin"}, "rewards[0].mode", '"margin"', 'did you mean "marginal"?'),
        (["rewards", 0], {**BANDS, "of": "quota"}, "rewards[0].of", '"quota"', "measure, target"),
        (["rewards", 0], {**TIERS, "mode": "all"}, "rewards[0].mode", '"all"', "highest, each"),
        (["rewards", 0], {**TIERS, "tiers": [*TIERS["tiers"], {"at": "90", "amount": "1"}]},
         "rewards[0].tiers[1].at", '"90"', "more than the 100 before it"),
        (["rewards", 0], {**RANK, "ties": "coin"}, "rewards[0].ties", '"coin"', "split, same, earliest"),
        (["rewards", 0], {**RANK, "prizes": [{"ranks": "first", "amount": "1"}]}, "rewards[0].prizes[0].ranks",
         '"first"', '"1" or "2-5"'),
        (["rewards", 0], {**RANK, "prizes": [{"ranks": "5-2", "amount": "1"}]}, "rewards[0].prizes[0].ranks",
         '"5-2"', "rising order"),
        (["rewards", 0], {**RANK, "prizes": [{"ranks": "1-3", "amount": "1"}, {"ranks": "3", "amount": "1"}]},
         "rewards[0].prizes[1].ranks", '"3"', "ranks from 4 on"),
        (["rewards", 0], {**MILESTONE, "at": [{"count": 0, "amount": "1"}]}, "rewards[0].at[0].count", "0", "from 1 on"),
        (["rewards", 0], {**MILESTONE, "at": [{"count": 2, "amount": "1"}] * 2}, "rewards[0].at[1].count", '"2"',
         "more than the 2 before it"),
        (["caps", "deal"], "0.00", "caps.deal", '"0.00"', "more than zero"),
        (["caps", "month"], "5.00", "caps.month", "an unknown key", "deal, period, participant"),
        (["partner_multipliers"], {"gold": "-1"}, "partner_multipliers.gold", '"-1"', "from 0 to 100"),
        (["partner_multipliers"], {"gold": 1.5}, "partner_multipliers.gold", "1.5", 'such as "1.5"'),
        (["stacking", "rule"], "sum", "stacking.rule", '"sum"', "all, highest, first"),
        (["stop_when_spent"], "no", "stop_when_spent", '"no"', "true or false"),
        (["payout", "when"], "now", "payout.when", '"now"', "instant, weekly, monthly, at_close"),
        (["payout", "hold_days"], 1.5, "payout.hold_days", "1.5", "whole number"),
        (["payout", "recovery"], "never", "payout.recovery", '"never"', "next_payout, write_off, none"),
        (["delivery", "type"], "Email", "delivery.type", '"Email"', "DigitalDelivery, Links, PhysicalShipment"),
        (["delivery", "products"], [], "delivery.products", "a list of 0", '"any"'),
        (["delivery", "products"], "CVS", "delivery.products", '"CVS"', '"any" or a list'),
        (["delivery", "type"], "Links", "delivery", '"email"', "no channel unless"),
        (["personalization", "message"], "x" * 2001, "personalization.message", '"xxx', "at most 2000 characters"),
        (["curency"], "USD", "curency", "an unknown key", 'did you mean "currency"?'),
        (["<script>\n"], 1, "<script>\N{REPLACEMENT CHARACTER}", "an unknown key", "one of name"),
    ],
)  # fmt: skip
def test_a_bad_document_is_refused_with_path_finding_and_expectation(path, value, where, found, expected):
    problems = refusal(changed(path, value))
    problem = next((item for item in problems if item.path == where), None)
    assert problem is not None, problems
    assert found in problem.found
    assert expected in problem.expected
    assert str(problem) in str(DefinitionError(list(problems)))


def test_every_problem_of_a_document_is_named_at_once():
    document = changed(["currency"], "EURO")
    document["caps"]["deal"] = "x"
    document["rewards"].append({"type": "percent"})
    assert [problem.path for problem in refusal(document)] == ["currency", "rewards[1].rate", "caps.deal"]


def test_the_message_for_people_says_everything():
    with pytest.raises(DefinitionError) as caught:
        parse_definition(changed(["caps", "deal"], "5.001"))
    assert caught.value.user_message == ('caps.deal: found "5.001", expected at most 2 digits after the point in USD')
    assert (caught.value.code, caught.value.status) == ("bad_definition", 422)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "Expecting value"),
        ("[1]", "a list of 1"),
        ("null", "nothing"),
        ('{"name": "x",}', "line 1, column"),
        ('{"name": NaN}', "NaN"),
        ('{"name": -Infinity}', "-Infinity"),
        ('{"name": "a", "name": "b"}', "the key twice"),
        (b"\xff\xfe", "not UTF-8"),
        ('{"name": ' + "9" * 5000 + "}", "far too long"),
    ],
)
def test_text_that_is_no_json_object_is_refused(text, found):
    (problem,) = refusal(text)
    assert found in problem.found


@pytest.mark.parametrize(
    "document",
    [
        b" " * 300_000,
        b'{"name": "' + b"x" * 1_000_000 + b'"}',
        '{"a":' * 100_000,
        "[" * 200_000,
        '{"name": "' + '\\"' * 100_000 + '"}',
        {"name": "x" * 300_000},
        {"name": ["x"] * 30_000},
    ],
    ids=["spaces", "1 MB", "deep objects", "deep lists", "escapes", "long text", "many values"],
)
def test_hostile_size_and_depth_are_refused_quickly(document):
    started = time.perf_counter()
    refusal(document)
    assert time.perf_counter() - started < 1


def test_ten_thousand_conditions_inside_each_other_are_refused():
    node: dict = dict(TEST)
    for _ in range(10_000):
        node = {"not": node}
    (problem,) = refusal({**EXAMPLE, "qualifies": node})
    assert "64 objects or lists" in problem.expected


def nested(depth: int) -> dict:
    node: dict = dict(TEST)
    for _ in range(depth - 1):
        node = {"not": node}
    return node


def test_conditions_may_be_twenty_deep_and_five_hundred_in_all():
    program(qualifies=nested(20))
    program(qualifies={"all": [TEST] * 499})
    (problem,) = refusal({**EXAMPLE, "qualifies": nested(21)})
    assert "at most 20 conditions inside each other" in problem.expected
    (problem,) = refusal({**EXAMPLE, "qualifies": {"all": [TEST] * 500}})
    assert "at most 500 conditions in all" in problem.expected


def test_money_follows_the_digits_of_the_currency():
    yen = program({"type": "per_deal", "amount": "500"}, currency="JPY")
    assert canonical(yen)["rewards"][0]["amount"] == "500"
    dinar = program({"type": "per_deal", "amount": "1.25"}, currency="KWD")
    assert canonical(dinar)["rewards"][0]["amount"] == "1.250"
    with pytest.raises(DefinitionError, match="at most 0 digits after the point in JPY"):
        program({"type": "per_deal", "amount": "500.5"}, currency="JPY")


def test_rates_are_per_cent_with_or_without_the_sign():
    assert program({"type": "percent", "rate": "2.5 %"}) == program({"type": "percent", "rate": "2.50"})


def test_warnings_name_what_is_missing_or_probably_not_meant():
    definition = program(
        {"type": "percent", "rate": "0.05"},
        {"type": "tiers", "of": "target", "tiers": [{"at": 100, "amount": "5.00"}]},
        qualifies={"field": "campain", "op": "eq", "value": "spring"},
    )
    assert [problem.path for problem in warnings(definition)] == [
        "delivery", "rewards[0].rate", "rewards[1].of", "qualifies",
    ]  # fmt: skip
    assert "write 5 for 5 %" in warnings(definition)[1].expected


def test_the_published_schema_is_up_to_date():
    assert (DOCS / "program-v1.schema.json").read_text() == schema_text()
    call_command("program_schema", check=True)
    schema = json.loads(schema_text())
    assert set(EXAMPLE) | {"partner_multipliers"} == set(schema["properties"])
    assert schema["required"] == ["name", "currency", "starts_on", "ends_on", "rewards"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Measure"]["properties"]["lines"]["anyOf"][0] == {"$ref": "#/$defs/Condition"}
