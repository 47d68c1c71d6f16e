"""Explanations in the reader's language: every sentence the rules can write is taken apart and told anew."""

import re

import pytest
from django.utils.translation import override

from incentives.programs.rules import conditions
from incentives.programs.told import told, told_condition, told_limits
from tests.programs.cases import ANA, cards, program, won
from tests.programs.test_published_examples import CASES, Q1

ENGLISH = re.compile(
    r"\b(of|for|per|from|reached|limited|rank|with|deal|unit|whole|the|is|was|to|by|share|overlay|nothing|people|has|and)\b",
    re.IGNORECASE,
)
SENTENCES = [
    "2 % of 5,000.00 = 100.00",
    "60 % of 100.00 per deal × 1.2 for gold partners = 72.00, limited to 50.00, the rest of 500.00 per period",
    "20 % of 100.00 per deal as overlay = 20.00, limited to nothing, the rest of 500.00 per participant",
    "25.00 per deal, limited to 20.00 per deal (corrected, was 30.00 USD)",
    "3,152.40 (60 % of 5,254.00): 6 % of 200.00 + 8 % of 10.00 (from 3,000.00 on) = 12.80",
    "50.00 for 700.00 (from 500.00 on, 50 % of the target) = 50.00",
    "100.00 (50 % of 200.00 as overlay) is below the first band, which starts at 300.00",
    "3 and 0.5 left from before: 3 whole × 10.00 per unit = 30.00",
    "0.5: no further whole unit yet",
    "150,000.00 reached 120,000.00 (120 % of the target 100,000.00): 500.00",
    "7 reached 5: 50.00 × 1.5 for gold partners = 75.00",
    "100.00 for activity number 3",
    "Rank 1 with 9,000.00: 300.00",
    "Rank 4, no prize (standing, revision 2)",
    "Team north, rank 2 with 1,000.00, tied: the prizes of the tied ranks are shared: 500.00, divided among 3 people = 166.67",
    "Partner acme, rank 1 with 10, tied: each gets the best prize of the tied ranks: 500.00",
    "Taken back: 1,234.50 USD is no longer earned. (booked on 2026-05-01 because April 2026 is closed)",
    "25.00 per deal. Paid by SPIFF A instead (stacking group q3).",
    "The program's budget was spent when this activity was received.",
    "It counts on 2026-08-01; the program runs from 2026-09-01 to 2026-09-30.",
    "Does not qualify. amount is at least 10000: found 900; close date is given: found missing.",
    "Not eligible: the program is for partner tier gold, silver, and Ana has none.",
    "Not eligible: the program is for invited people, and Ana is not invited.",
    "Ana was not active on 2026-08-01.",
    "Ana has no target for the period from 2026-07-01; what depends on it pays nothing.",
    "Nothing in this activity adds to the amount the program counts.",
]


@pytest.mark.parametrize("language", ["es", "fr"])
@pytest.mark.parametrize("text", SENTENCES)
def test_every_form_is_told_in_the_language(language, text):
    with override(language):
        assert ENGLISH.findall(told(text)) == [], told(text)
    with override("en"):
        assert told(text) == text


@pytest.mark.parametrize("language", ["es", "fr"])
def test_what_the_rules_write_for_published_examples_is_told(language):
    written = set()
    for reward, amounts, target, _expected in CASES.values():
        facts = [won(str(n), amount, f"2026-02-{n + 1:02d}") for n, amount in enumerate(amounts)]
        made = cards(program(reward), *facts, targets={Q1: target} if target else None)
        written |= {line.explanation for card in made[ANA] for line in card.lines}
    assert len(written) > 20
    with override(language):
        left = {text: told(text) for text in written if ENGLISH.search(told(text))}
    assert left == {}


def test_figures_are_kept_and_written_as_the_reader_writes_them():
    with override("es"):
        shown = told("6 % of 25,000.00 (from 100,000.00 on, 100 % of the target) = 1,500.00, limited to 50.00 per deal")
        assert shown.replace("\xa0", " ") == (
            "6 % de 25 000,00 (a partir de 100 000,00, 100 % del objetivo) = 1 500,00, limitado a 50,00 por operación"
        )
        assert told_limits("2 % of 5.00 = 1.00", "0.50 per deal") == "limitado a 0,50 por operación"
        assert told("A free remark about 1,000.00") == "A free remark about 1,000.00"
    assert told_limits("2 % of 5.00 = 1.00", "0.50 per deal") == "limited to 0.50 per deal"


@pytest.mark.parametrize("language", ["es", "fr"])
@pytest.mark.parametrize("op", conditions.OPS)
def test_every_comparison_is_told(language, op):
    value = True if op == "exists" else (("a", "b") if op in ("in", "not_in") else "12000")
    test = conditions.Test("amount", op, value)
    texts = [conditions.sentence(test, negated=negated) for negated in (False, True)]
    with override(language):
        for text in texts:
            assert ENGLISH.findall(told_condition(text)) == [], told_condition(text)
