"""What a comparison sees, and how it is told to people."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from incentives.programs.rules import Fact, explain
from incentives.programs.rules.conditions import holds, parse_condition

FACT = Fact(
    id="1",
    kind="deal.won",
    occurred_at=datetime(2026, 7, 4, 22, 30, tzinfo=UTC),
    participant="E-1",
    close_date=date(2026, 7, 4),
    amount=Decimal("12500.00"),
    currency="USD",
    quantity=None,
    region="South",
    account={"id": "C-77", "name": "Example Bakery", "segment": "SMB", "parent": {"country": "PT"}},
    attributes={
        "new_logo": "true",
        "score": "7.50",
        "code": "007",
        "signed_on": "2026-07-01",
        "tags": ["Spring", "VIP"],
        "empty": "",
        "nothing": None,
        "campaign": "spring",
        "zero": 0,
        "no": False,
    },
    lines=({"sku": "LX-1", "family": "Security", "quantity": "2"}, {"sku": "AB-2", "family": "Storage"}),
    object_type="order",
    object_id="20455",
)


def condition(field, op, value=None):
    document = {"field": field, "op": op} if value is None else {"field": field, "op": op, "value": value}
    found, problems = parse_condition(document, line=True)
    assert not problems
    return found


@pytest.mark.parametrize(
    ("field", "op", "value", "passes"),
    [
        ("kind", "eq", "deal.won", True),
        ("kind", "ne", "deal.lost", True),
        ("kind", "eq", "Deal.Won", False),
        ("amount", "eq", "12500", True),
        ("amount", "eq", 12500, True),
        ("amount", "gte", "12500.00", True),
        ("amount", "gt", "12500", False),
        ("amount", "lt", 12500.01, True),
        ("amount", "lte", "12499.99", False),
        ("amount", "gt", "2026-01-01", False),
        ("attributes.score", "eq", 7.5, True),
        ("attributes.score", "gt", "10", False),
        ("attributes.code", "eq", 7, False),
        ("attributes.code", "eq", "007", True),
        ("attributes.new_logo", "eq", True, True),
        ("attributes.new_logo", "eq", "true", True),
        ("attributes.new_logo", "ne", True, False),
        ("attributes.new_logo", "eq", 1, False),
        ("attributes.zero", "eq", False, False),
        ("attributes.zero", "eq", "0", True),
        ("attributes.no", "eq", False, True),
        ("attributes.signed_on", "lt", "2026-07-02", True),
        ("attributes.signed_on", "gte", "2026-07-02", False),
        ("close_date", "eq", "2026-07-04", True),
        ("occurred_at", "gte", "2026-07-04", True),
        ("occurred_at", "lt", "2026-07-04T20:00:00-04:00", True),
        ("occurred_at", "gt", "2026-07-04T20:00:00-04:00", False),
        ("account.segment", "in", ["SMB", "Mid"], True),
        ("account.segment", "not_in", ["SMB", "Mid"], False),
        ("amount", "in", ["12500", "7"], True),
        ("account.parent.country", "eq", "PT", True),
        ("account.name", "contains", "BAKERY", True),
        ("account.name", "starts_with", "example", True),
        ("account.name", "starts_with", "bakery", False),
        ("attributes.tags", "contains", "vip", True),
        ("attributes.tags", "contains", "VI", False),
        ("attributes.tags", "eq", "Spring", True),
        ("attributes.tags", "ne", "Spring", False),
        ("attributes.tags", "not_in", ["Autumn"], True),
        ("lines.family", "eq", "Storage", True),
        ("lines.family", "ne", "Storage", False),
        ("lines.family", "in", ["Services"], False),
        ("lines.sku", "starts_with", "lx-", True),
        ("lines.quantity", "gte", 2, True),
        ("participant", "eq", "E-1", True),
        ("participant.external_user_id", "eq", "E-1", True),
        ("object.type", "eq", "order", True),
        ("object.id", "eq", "20455", True),
        ("territory", "eq", "South", True),
        ("campaign", "eq", "spring", True),
        # what is missing makes every comparison false
        ("quantity", "eq", "1", False),
        ("quantity", "ne", "1", False),
        ("quantity", "lt", "1", False),
        ("attributes.other", "not_in", ["a"], False),
        ("attributes.empty", "ne", "a", False),
        ("attributes.nothing", "ne", "a", False),
        ("partner.tier.level", "eq", "gold", False),
        ("kind.of.deal", "ne", "x", False),
        ("account", "eq", "x", False),
        # only exists sees it
        ("quantity", "exists", None, False),
        ("quantity", "exists", False, True),
        ("attributes.empty", "exists", True, False),
        ("attributes.zero", "exists", True, True),
        ("lines", "exists", True, True),
        ("splits", "exists", False, True),
    ],
)
def test_a_comparison(field, op, value, passes):
    assert holds(condition(field, op, value), FACT) is passes


def test_true_and_one_are_different_conditions():
    yes, one = condition("attributes.no", "eq", False), condition("attributes.no", "eq", 0)
    assert holds(yes, FACT) is True
    assert holds(one, FACT) is False


def test_groups_and_negation():
    tree, problems = parse_condition(
        {
            "all": [
                {"field": "kind", "op": "eq", "value": "deal.won"},
                {"any": [
                    {"field": "amount", "op": "gt", "value": "99999"},
                    {"not": {"field": "quantity", "op": "gt", "value": "1"}},
                ]},
            ]
        }
    )  # fmt: skip
    assert not problems
    assert holds(tree, FACT) is True  # `not` turns the false comparison with the missing quantity into a true one


def test_line_fields_are_read_from_the_line():
    tree = condition("line.family", "in", ["Security"])
    assert [holds(tree, FACT, line) for line in FACT.lines] == [True, False]


def test_an_explanation_tells_each_comparison_what_was_found_and_whether_it_speaks_for_earning():
    tree, _ = parse_condition(
        {
            "all": [
                {"field": "amount", "op": "gte", "value": "20000"},
                {"any": [
                    {"field": "account.segment", "op": "in", "value": ["SMB", "Mid"]},
                    {"field": "attributes.new_logo", "op": "eq", "value": True},
                ]},
                {"not": {"field": "region", "op": "eq", "value": "South"}},
                {"field": "quantity", "op": "exists"},
            ]
        }
    )  # fmt: skip
    assert [tuple(item) for item in explain(tree, FACT)] == [
        ("amount is at least 20000", "12500", False),
        ("account segment is one of SMB, Mid", "SMB", True),
        ("or new logo is true", "true", True),
        ("not (region is South)", "South", False),
        ("quantity is given", "missing", False),
    ]
