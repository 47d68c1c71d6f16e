"""A definition in plain words: complete, and different wherever two definitions differ."""

import copy

import pytest

from incentives.programs.rules.parsing import canonical, parse_definition
from incentives.programs.summary import differences, grouped, outline, sentences

FULL = {
    "name": "Q3 Security SPIFF",
    "template": "spiff",
    "currency": "USD",
    "time_zone": "America/New_York",
    "starts_on": "2026-07-01",
    "ends_on": "2026-09-30",
    "grace_days": 5,
    "counts_by": "close_date",
    "eligible": {
        "types": ["employee"], "teams": ["north"], "partners": ["acme"], "partner_tiers": ["gold"], "regions": ["EMEA"],
    },
    "qualifies": {
        "all": [
            {"field": "kind", "op": "eq", "value": "deal.won"},
            {"field": "amount", "op": "gte", "value": "10000"},
            {"any": [
                {"field": "account.segment", "op": "in", "value": ["SMB", "Mid"]},
                {"not": {"field": "attributes.new_logo", "op": "eq", "value": True}},
            ]},
        ]
    },
    "credit": {"to": "splits", "overlays": [{"to": "manager", "percent": "10"}]},
    "measure": {"metric": "quantity", "lines": {"field": "line.family", "op": "in", "value": ["Security"]}},
    "period": "month",
    "rewards": [
        {"type": "per_unit", "amount": "50.00", "partner_multipliers": {"gold": "1.5"}},
        {"type": "per_deal", "amount": "25.00"},
        {"type": "percent", "rate": "2"},
        {"type": "bands", "over": "deal", "mode": "whole", "of": "measure",
         "bands": [{"from": "0", "rate": "1"}, {"from": "100", "amount": "7.00"}]},
        {"type": "tiers", "of": "target", "mode": "each", "tiers": [{"at": "90", "amount": "100.00"}]},
        {"type": "rank", "by": "team", "ties": "same", "minimum": "5",
         "prizes": [{"ranks": "1", "amount": "900.00"}, {"ranks": "2-5", "amount": "90.00"}]},
        {"type": "milestone", "at": [{"count": 3, "amount": "30.00"}]},
    ],
    "caps": {"deal": "500.00", "period": "2000.00", "participant": "5000.00"},
    "partner_multipliers": {"silver": "1.2"},
    "stacking": {"group": "security", "rule": "highest"},
    "stop_when_spent": True,
    "payout": {"when": "instant", "minimum": "5.00", "hold_days": 3, "recovery": "write_off"},
    "delivery": {"type": "DigitalDelivery", "channel": "email", "products": ["CVS"]},
    "personalization": {"from_name": "Sales Leadership", "message": "Congrats!"},
}  # fmt: skip

OTHER = {  # a value of the same kind for every leaf that is not just another text or number
    "template": "quota", "currency": "EUR", "time_zone": "UTC", "starts_on": "2026-07-02", "ends_on": "2026-09-29",
    "counts_by": "occurred_at", "types": "contractor", "to": {"splits": "owner", "manager": "second_manager"},
    "metric": "amount", "period": {"month": "week", "2000.00": "2001.00"}, "over": "period",
    "mode": {"whole": "marginal", "each": "highest"}, "of": {"measure": "target", "target": "measure"}, "by": "partner",
    "ties": "split", "ranks": {"1": "1-2", "2-5": "3-5"}, "rule": "first", "when": "weekly", "recovery": "none",
    "channel": "sms", "op": {"eq": "ne", "gte": "gt", "in": "not_in"}, "field": {"kind": "metric", "amount": "quantity", "line.family": "line.sku"},
}  # fmt: skip


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path


def another(path: tuple, value):
    name = next(part for part in reversed(path) if isinstance(part, str))
    if name in OTHER:
        wanted = OTHER[name]
        return wanted.get(value, f"{value}x") if isinstance(wanted, dict) else wanted
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return "17.00" if value.replace(".", "").isdigit() and name not in {"from", "at"} else f"{value}1"


def changed(path: tuple):
    document = copy.deepcopy(FULL)
    place = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = another(path, place[path[-1]])
    return document


CHANGEABLE = [path for path in leaves(FULL) if path[-1] != "type"]


@pytest.mark.pure
@pytest.mark.parametrize("path", CHANGEABLE, ids=lambda path: ".".join(map(str, path)))
def test_changing_any_value_of_a_definition_changes_a_sentence(path):
    document = changed(path)
    if path[-1] == "ranks" and path[-2] == 0:
        document["rewards"][5]["prizes"][1]["ranks"] = "3-5"
    assert sentences(document) != sentences(FULL)
    assert differences(FULL, document) != []


@pytest.mark.pure
@pytest.mark.parametrize(
    "key", [key for key in FULL if key not in {"name", "currency", "starts_on", "ends_on", "rewards"}]
)
def test_leaving_a_part_out_changes_a_sentence_and_the_rest_still_reads(key):
    start = FULL | {"template": "contest"}  # the default kind is the sample's own
    document = {name: value for name, value in start.items() if name != key}
    changes = differences(start, document)
    assert changes and all(change.before or change.after for change in changes)


@pytest.mark.pure
def test_a_definition_reads_as_a_person_would_say_it():
    told = [text.replace("\xa0", " ") for text in sentences(FULL)]
    for text in (
        "Pays 50.00 USD for every whole unit measured; its own factors for partner tiers: gold × 1.5.",
        "Pays 25.00 USD for every activity that counts.",
        "Pays by the quantity of each activity, where the highest band reached pays for everything: 1 % from 0 units on; "
        "7.00 USD from 100 units on.",
        "Pays a fixed amount by the quantity per month, for every step reached: 100.00 USD at 90 % of the target.",
        "Ranks teams by the quantity when the program closes and pays 900.00 USD for rank 1 and 90.00 USD each for ranks "
        "2 to 5; those who tie each get the best prize of their ranks; who has less than 5 units wins nothing.",
        "Pays at most 500.00 USD per deal, 2,000.00 USD per month and 5,000.00 USD per participant over the whole program.",
        "An activity counts when the deal is won and amount is at least 10000 and (account segment is one of SMB, Mid or "
        "not (new logo is true)).",
        "Only people of type employees, in team north, of partner acme, of partner tier gold and in region EMEA can earn.",
        "Runs from 1 Jul 2026 to 30 Sep 2026, by the clock of America/New_York.",
        "Pays out as soon as something is earned, after waiting 3 days; less than 5.00 USD is carried to the next time.",
        "Rewards come as a digital card by e-mail; the product is CVS.",
    ):
        assert text in told


@pytest.mark.pure
def test_the_simplest_program_reads_shortly():
    told = sentences({"name": "A", "currency": "JPY", "starts_on": "2026-01-01", "ends_on": "2026-01-01",
                      "rewards": [{"type": "per_deal", "amount": "500"}]})  # fmt: skip
    assert "Pays 500\xa0JPY for every won deal." in told
    assert "Everybody can earn." in told and "No cap limits what is earned." in told


@pytest.mark.pure
def test_documents_that_mean_the_same_have_no_difference():
    assert differences(FULL, canonical(parse_definition(FULL))) == []
    assert [part for part, _texts in grouped(FULL)] == list(dict.fromkeys(item.part for item in outline(FULL)))


@pytest.mark.pure
def test_documents_that_only_read_alike_are_told_apart_by_their_digests():
    one, other = (
        {**FULL, "qualifies": {"field": name, "op": "eq", "value": "x"}} for name in ("attributes.metric", "metric")
    )
    assert sentences(one) == sentences(other)
    (change,) = differences(one, other)
    assert change.part == "Document" and change.before != change.after
