"""Definitions that are meant to hurt: refused with path, finding and expectation after a bounded amount of work, or stored
as the harmless text they are and shown escaped. How much work is counted in calls, not in seconds."""

import copy
import functools
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incentives.core.models import AuditEvent
from incentives.programs.forms import DefinitionForm
from incentives.programs.models import Program
from incentives.programs.rules import DefinitionError, canonical, conditions, digest, parse_definition, parsing
from incentives.programs.rules.limits import MAX_CONDITION_NODES, MAX_PROBLEMS, MAX_VALUES, shown
from tests.factories import definition, make_program, make_user
from tests.programs.test_definitions import EXAMPLE
from tests.support.html import Page, assert_page_clean

GALLERY = [
    json.loads(path.read_text()) for path in sorted((Path(__file__).parents[2] / "docs/programs").glob("*.json"))
]
BASE = {
    "name": "Bonus", "currency": "USD", "starts_on": "2026-01-01", "ends_on": "2026-12-31",
    "rewards": [{"type": "per_deal", "amount": "1.00"}],
}  # fmt: skip
TEST = {"field": "amount", "op": "gt", "value": "1"}
HUGE = 10**5000


def refusal(document) -> tuple:
    with pytest.raises(DefinitionError) as caught:
        parse_definition(document)
    assert 1 <= len(caught.value.problems) <= MAX_PROBLEMS
    assert len(str(caught.value)) < 20_000
    return caught.value.problems


def text_with(more: str) -> str:
    """BASE as JSON text with one more member, which json.dumps would not write."""
    return json.dumps(BASE)[:-1] + f", {more}}}"


def qualifies(**parts) -> dict:
    return BASE | {"qualifies": {"field": "region", "op": "eq", "value": "East"} | parts}


def delivery(products) -> dict:
    return BASE | {"delivery": {"type": "Links", "products": products}}


def looped() -> dict:
    document = dict(BASE)
    document["rewards"] = [document]
    return document


def doubled(times: int) -> list:
    """A list that is small in memory and has 2 ** times members."""
    return functools.reduce(lambda inner, _: [inner, inner], range(times), ["x"])


@pytest.mark.parametrize(
    ("document", "path", "found", "expected"),
    [
        # text that is no text
        (BASE | {"name": "a\x00b"}, "name", '"a�b"', "without control characters"),
        (BASE | {"name": "a\x7fb"}, "name", '"a�b"', "without control characters"),
        (BASE | {"name": "a\x9bb"}, "name", '"a�b"', "without control characters"),
        (BASE | {"name": "Bonus\nBcc: all@example.com"}, "name", '"Bonus�Bcc', "on one line"),
        (BASE | {"name": "Bonus \u202egpj.exe"}, "name", '"Bonus �gpj', "without control characters"),
        (BASE | {"name": "\u2066Bonus"}, "name", '"�Bonus"', "without control characters"),
        (BASE | {"name": "\u200b\u00a0\u2060"}, "name", '"���"', "not empty"),
        (BASE | {"name": "a\ud800b"}, "name", '"a�b"', "without control characters"),
        (text_with(r'"stacking": {"group": "\udfff"}'), "stacking.group", '"�"', "without control characters"),
        (text_with(r'"stacking": {"group": "\u0000"}'), "stacking.group", '"�"', "without control characters"),
        (BASE | {"personalization": {"message": "a\x1bb"}}, "personalization.message", '"a�b"', "control"),
        (qualifies(value="a\x00"), "qualifies.value", '"a�"', "without control characters"),
        (qualifies(value="\ud800"), "qualifies.value", '"�"', "without control characters"),
        (qualifies(op="in", value=["a", "\u200b"]), "qualifies.value[1]", '"�"', "text of at most 500"),
        (delivery(["A", "a\x00"]), "delivery.products", '"a�"', "product codes"),
        (delivery(["A", " A"]), "delivery.products", "a list of 2", "each once"),
        (BASE | {"partner_multipliers": {"a\x00": "2"}}, "partner_multipliers.a�", '"a�"', "control"),
        (BASE | {"partner_multipliers": {"gold": "2", " gold": "3"}}, "partner_multipliers", '"gold"', "once"),
        (BASE | {"partner_multipliers": {"g" * 300: "2"}}, "partner_multipliers." + "g" * 60 + "...", '"ggg', "200"),
        # numbers that are no numbers
        (text_with('"grace_days": NaN'), "", "NaN", "ordinary numbers"),
        (text_with('"grace_days": -Infinity'), "", "-Infinity", "ordinary numbers"),
        (text_with('"grace_days": 1e999'), "grace_days", "1E+999", "a whole number"),
        (text_with('"grace_days": 1e99999999999999999999'), "", "far too long", "valid JSON"),
        (text_with(f'"grace_days": {"9" * 4000}'), "grace_days", "far too long", "18 digits"),
        (text_with(f'"grace_days": {"9" * 5000}'), "", "far too long", "valid JSON"),
        (text_with('"qualifies": {"field": "amount", "op": "gt", "value": 1e999}'), "qualifies.value", "1E+999", "a number"),
        (text_with('"qualifies": {"field": "amount", "op": "gt", "value": 1e-999}'), "qualifies.value", "1E-999", "a number"),
        (BASE | {"grace_days": float("nan")}, "grace_days", "nan", "a whole number"),
        (qualifies(value=float("inf")), "qualifies.value", "Infinity", "a number"),
        (qualifies(value=Decimal("sNaN")), "qualifies.value", "sNaN", "a number"),
        (qualifies(value=HUGE), "qualifies.value", "far too long", "18 digits"),
        (qualifies(op=HUGE), "qualifies.op", "far too long", "18 digits"),
        (BASE | {"name": HUGE}, "name", "far too long", "18 digits"),
        (BASE | {"rewards": [{"type": HUGE}]}, "rewards[0].type", "far too long", "18 digits"),
        (BASE | {"rewards": [{"type": "milestone", "at": [{"count": -HUGE, "amount": "1"}]}]}, "rewards[0].at[0].count",
         "far too long", "18 digits"),
        (BASE | {"rewards": [{"type": "per_deal", "amount": "٥"}]}, "rewards[0].amount", '"٥"', "money as text"),
        (BASE | {"starts_on": "2026-W01-1"}, "starts_on", '"2026-W01-1"', '"2026-07-01"'),
        # zones that are another one on another machine, or no zone at all
        (BASE | {"time_zone": "localtime"}, "time_zone", '"localtime"', "America/New_York"),
        (BASE | {"time_zone": "/etc/localtime"}, "time_zone", '"/etc/localtime"', "America/New_York"),
        (BASE | {"time_zone": "America"}, "time_zone", '"America"', "America/New_York"),
        (BASE | {"time_zone": "a\x00"}, "time_zone", '"a�"', "America/New_York"),
        (BASE | {"time_zone": "A/" * 50_000}, "time_zone", '"A/A/', "America/New_York"),
        # keys
        (BASE | {1: 2}, "", "the key 1", "keys that are text"),
        (BASE | {None: 2}, "", "the key nothing", "keys that are text"),
        (BASE | {"caps": {b"deal": "1"}}, "caps", "the key b'deal'", "keys that are text"),
        (BASE | {"rewards": [{(1, 2): 3}]}, "rewards[0]", "the key a list of 2", "keys that are text"),
        (BASE | {"qualifies": {"all": [{0: 1}]}}, "qualifies.all[0]", "the key 0", "keys that are text"),
        (BASE | {"\u202ename": "x"}, "�name", "an unknown key", "one of name"),
        (BASE | {"x" * 100_000: 1}, "x" * 60 + "...", "an unknown key", "one of name"),
        ('{"name": "a", "rewards": [{"type": "rank", "prizes": [{"ranks": "1", "ranks": "2"}]}]}',
         "rewards[0].prizes[0].ranks", "the key twice", "each key once"),
        # the wrong shape
        (BASE | {"name": b"abc"}, "name", "b'abc'", "text"),
        (BASE | {"currency": ["USD"]}, "currency", "a list of 1", "text"),
        (BASE | {"rewards": [{"type": []}]}, "rewards[0].type", "[]", "one of per_unit"),
        (qualifies(op=["eq"]), "qualifies.op", "a list of 1", "one of eq"),
        (qualifies(op="in", value=[["East"]]), "qualifies.value[0]", "a list of 1", "text"),
        (qualifies(op="in", value=["x"] * 5000), "qualifies.value", "a list of 5000", "1 to 1000"),
        (qualifies(op="in", value=functools.reduce(lambda a, _: [a], range(10_000), "x")), "", "64 levels", "at most 64"),
        (looped(), "", "64 levels", "at most 64"),
        (BASE | {"eligible": doubled(40)}, "", "a very large document", "262,144 bytes"),
        # patterns and hints that could take long
        (qualifies(field="a" * 100_000 + "!"), "qualifies.field", '"aaa', "the name of a field"),
        (qualifies(field="a." * 50_000), "qualifies.field", '"a.a.', "the name of a field"),
        (qualifies(op="x" * 200_000), "qualifies.op", '"xxx', "one of eq"),
        (BASE | {"template": "s" * 200_000}, "template", '"sss', "spiff"),
        (BASE | {"measure": {"metric": "attributes." + "a " * 50_000}}, "measure.metric", '"attributes.', "attributes.<name>"),
        (BASE | {"rewards": [{"type": "rank", "prizes": [{"ranks": "1" * 100_000, "amount": "1"}]}]},
         "rewards[0].prizes[0].ranks", '"111', '"1" or "2-5"'),
    ],
)  # fmt: skip
def test_a_hostile_value_is_refused_with_path_finding_and_expectation(document, path, found, expected):
    problem = next((item for item in refusal(document) if item.path == path), None)
    assert problem is not None, refusal(document)
    assert found in problem.found
    assert expected in problem.expected
    assert problem.found.isprintable()
    assert problem.expected.isprintable()


@pytest.fixture
def count_calls(monkeypatch):
    """Counts the calls of a function while a document is refused."""

    def watch(owner, name: str) -> list:
        calls, original = [], getattr(owner, name)

        @functools.wraps(original)
        def counted(*args, **kwargs):
            calls.append(1)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)
        return calls

    return watch


@pytest.mark.parametrize(
    "text",
    [
        b'{"name": "' + b"x" * 1_000_000 + b'"}',
        b" " * 1_000_000,
        '{"name": "' + "\N{PILE OF POO}" * 70_000 + '"}',
        '{"a":' * 10_000 + "1" + "}" * 10_000,
        '{"qualifies": ' + '{"not": ' * 10_000 + json.dumps(TEST) + "}" * 10_001,
        '{"qualifies": ' + '{"all": [' * 10_000 + "]}" * 10_000 + "}",
        "[" * 200_000,
    ],
    ids=["1 MB", "spaces", "characters of four bytes", "deep objects", "deep conditions", "deep groups", "open lists"],
)
def test_size_and_depth_are_refused_before_the_text_is_parsed(text, count_calls):
    parsed = count_calls(parsing.json, "loads")
    (problem,) = refusal(text)
    assert parsed == []
    assert re.search("at most (262,144 bytes|64 objects)", problem.expected)


def test_ten_thousand_conditions_side_by_side_are_read_up_to_the_limit(count_calls):
    read = count_calls(conditions._Reader, "read")
    problems = refusal(BASE | {"qualifies": {"any": [TEST, *[{"not": TEST}] * 2400]}})
    assert [problem.expected for problem in problems] == [f"at most {MAX_CONDITION_NODES} conditions in all"]
    assert len(read) <= MAX_CONDITION_NODES + 2
    read.clear()
    (problem,) = refusal(BASE | {"qualifies": {"all": [TEST] * 10_000}})
    assert (problem.found, read) == ("a very large document", [])


def test_a_document_of_many_values_is_walked_up_to_the_limit_only(monkeypatch):
    walked = []
    original = parsing._walk
    monkeypatch.setattr(parsing, "_walk", lambda data: (walked.append(1) or found for found in original(data)))
    (problem,) = refusal(BASE | {"eligible": {"teams": ["x"] * 1_000_000}})
    assert problem.found == "a very large document"
    assert len(walked) <= MAX_VALUES


def test_fifteen_thousand_unknown_keys_are_answered_with_the_first_fifty(count_calls):
    hints = count_calls(parsing, "one_of")
    problems = refusal(BASE | {f"key{n}": 1 for n in range(15_000)})
    assert len(problems) == len(hints) == MAX_PROBLEMS
    assert {problem.found for problem in problems} == {"an unknown key"}


# --- what is only odd is kept as it is ---------------------------------------------------------------------------------------
ODD = (
    '<script>alert("1")</script>',
    "'); DROP TABLE programs_program;--",
    "{{ request.user.password }}{% debug %}",
    "=HYPERLINK(\"http://x\")",
    "../../etc/passwd",
    "%s%n${jndi:ldap://x}",
    "برنامج الحوافز",
    "👩‍👩‍👧 family bonus",
    "Ze\u200bro",
)  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_text_that_is_text_is_kept_as_it_is(name):
    document = BASE | {
        "name": name, "eligible": {"teams": [name]}, "personalization": {"message": f"{name}\r\n{name}"},
        "qualifies": {"field": "region", "op": "in", "value": [name]}, "partner_multipliers": {name: "2"},
    }  # fmt: skip
    parsed = parse_definition(json.dumps(document))
    assert (parsed.name, parsed.eligible.teams, parsed.qualifies.value) == (name, (name,), (name,))
    assert parsed.personalization.message == f"{name}\n{name}"
    assert parse_definition(canonical(parsed)) == parsed


@pytest.mark.django_db
def test_hostile_names_are_stored_and_shown_escaped_on_every_page(client):
    manager = make_user("manager")
    client.force_login(manager)
    programs = [
        make_program(manager=manager, name=name, personalization={"from_name": name[:100], "message": name},
                     qualifies={"field": "region", "op": "eq", "value": name}, stacking={"group": name})
        for name in ODD
    ]  # fmt: skip
    assert [program.name for program in Program.objects.order_by("pk")] == list(ODD)
    for program in programs:
        for part in ("", "versions/", "edit/", "close/", "targets/"):
            answer = client.get(f"/programs/{program.public_id}/{part}")
            page = Page(answer.content.decode())
            assert [problem for problem in page.problems if "template code" not in problem] == []
            assert program.name in page.text or part, part
            assert "<script>alert(" not in answer.content.decode(), part
    listed = assert_page_clean(client.get("/programs/?tab=all&q=DROP+TABLE"))
    assert ODD[1] in listed.text and ODD[2] not in listed.text


@pytest.mark.django_db
@pytest.mark.parametrize(
    "rules",
    [
        "x" * 400_000,
        '{"a":' * 10_000 + "1" + "}" * 10_000,
        '{"qualifies": ' + '{"not": ' * 10_000 + json.dumps(TEST) + "}" * 10_001,
        json.dumps({"qualifies": {"all": [TEST] * 10_000}}),
        '{"rewards": [], "rewards": []}',
        '{"grace_days": 1e99999999999999999999}',
        r'{"rewards": [{"type": "per_deal", "amount": "1"}], "stacking": {"group": "\ud800"}}',
        r'{"rewards": [{"type": "per_deal", "amount": "1"}], "stacking": {"group": "\u0000"}}',
        "[1, 2]",
        '"text"',
        "\x00",
    ],
    ids=[
        "400 kB",
        "deep",
        "deep conditions",
        "wide",
        "twice",
        "1e99..",
        "surrogate",
        "nul",
        "list",
        "text",
        "nul text",
    ],
)
def test_the_browser_form_refuses_it_with_words_and_keeps_nothing(client, rules):
    client.force_login(make_user("manager"))
    form = DefinitionForm.initial_of(definition())
    before = AuditEvent.objects.count()
    answer = client.post("/programs/new/?start=empty", form | {"rules": rules, "action": "save"})
    assert answer.status_code in (200, 422)
    assert "expected" in answer.content.decode().lower() or "characters" in answer.content.decode().lower()
    assert Program.objects.count() == 0
    assert AuditEvent.objects.count() == before


# --- any mutation of any valid document --------------------------------------------------------------------------------------
VALUES = [
    None, True, False, 0, -1, 7, 10**20, 0.5, float("nan"), float("inf"), Decimal("1e-30"), "", " ", "0", "-1", "1.5", "50 %",
    "1e5", "NaN", "x", "x" * 3000, "a\x00", "\ud800", "\u202e", "<b>", "2026-02-30", "2026-02-28", "2199-01-01", "all", "any",
    "USD", "JPY", "target", "deal", "rank", "1-0", "3-2", "line.sku", [], {}, [[]], [{}], ["a", "a"], {"all": []},
    {"field": "kind", "op": "exists"}, {"type": "percent", "rate": "5"}, {"from": "1", "rate": "1"}, {1: 2}, b"x", object,
]  # fmt: skip


def places(node, path=()) -> list[tuple]:
    """Every path of the document."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(found for key, value in items for found in places(value, (*path, key)))]


def at(document, path: tuple):
    return functools.reduce(lambda node, key: node[key], path, document)


@st.composite
def mutated(draw):
    """A valid document after one to three changes: keys and values dropped, replaced, moved, repeated or made up."""
    document = copy.deepcopy(draw(st.sampled_from([EXAMPLE, *GALLERY])))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(document)[1:] or [()]))
        if not path:
            break
        holder, key = at(document, path[:-1]), path[-1]
        change = draw(st.sampled_from(["drop", "replace", "swap", "repeat", "rename", "insert"]))
        if change == "drop":
            del holder[key]
        elif change == "replace":
            holder[key] = copy.deepcopy(draw(st.sampled_from(VALUES) | st.text(max_size=5) | st.integers()))
        elif change == "swap":
            holder[key] = copy.deepcopy(at(document, draw(st.sampled_from(places(document)))))
        elif isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif change == "rename":
            holder[draw(st.sampled_from(["name", "all", "not", "value", "amount", "rate", "x"]))] = holder.pop(key)
        else:
            holder[draw(st.text(max_size=4))] = copy.deepcopy(holder[key])
    return document


def resolves(path: str, node) -> bool:
    """Whether the path of a problem leads to a value of the document, or to where one is missing from an object."""
    if not path:
        return True
    if isinstance(node, list | tuple):
        found = re.match(r"\[(\d+)\]\.?", path)
        return bool(found) and int(found[1]) < len(node) and resolves(path[found.end() :], node[int(found[1])])
    if not isinstance(node, dict):
        return False
    for key, value in node.items():
        name = shown(str(key))[1:-1]
        if path.startswith(name) and path[len(name) : len(name) + 1] in ("", ".", "["):
            rest = path[len(name) :].removeprefix(".")
            if resolves(rest, value):
                return True
    return re.fullmatch(r"[a-z_]+", path) is not None


@settings(max_examples=400)
@given(mutated())
def test_any_change_of_a_valid_document_parses_or_is_refused_with_a_path_into_it(document):
    try:
        parsed = parse_definition(document)
    except DefinitionError as exc:
        assert exc.problems
        for problem in exc.problems:
            assert problem.found and problem.expected, problem
            assert resolves(problem.path, document), problem
            assert str(problem).isprintable(), problem
        return
    plain = canonical(parsed)
    again = parse_definition(json.dumps(plain))
    assert again == parsed
    assert canonical(again) == plain
    assert digest(again) == digest(parsed)


@settings(max_examples=200)
@given(st.sampled_from([EXAMPLE, *GALLERY]), st.data())
def test_any_damage_to_the_text_of_a_document_is_refused_or_harmless(document, data):
    text = json.dumps(document)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    noise = data.draw(st.text(alphabet='{}[]",:\\u0e9-.tfn \x00\ud800', max_size=8))
    damaged = text[:start] + noise + text[end:]
    try:
        parsed = parse_definition(damaged)
    except DefinitionError as exc:
        assert all(problem.found and problem.expected for problem in exc.problems)
    else:
        assert parse_definition(canonical(parsed)) == parsed
