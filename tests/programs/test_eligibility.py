"""Who can earn: the database, the answer in words and the rules say the same about everybody."""

import random

import pytest

from incentives.earnings.facts import people_in
from incentives.participants.models import Participant
from incentives.programs import eligibility
from incentives.programs.models import Enrollment
from incentives.programs.rules.crediting import ineligible
from incentives.programs.rules.parsing import parse_definition
from tests.factories import definition, make_participant, make_partner, make_program, make_team

pytestmark = pytest.mark.django_db


def test_a_list_of_everybody_agrees_with_the_rules():
    chance = random.Random(7)
    teams = [make_team(f"t{n}", region=region) for n, region in enumerate(["", "EMEA", "APAC"])]
    partners = [make_partner(f"p{n}", tier=tier, region=r) for n, (tier, r) in enumerate([("", "EMEA"), ("gold", "")])]
    for _ in range(40):
        make_participant(
            type=chance.choice(["employee", "contractor", "partner"]),
            team=chance.choice([None, *teams]),
            partner=chance.choice([None, *partners]),
            region=chance.choice(["", "", "EMEA", "US"]),
        )
    program = make_program()
    rules = (
        {}, {"types": ["partner"]}, {"teams": ["t0", "t2"]}, {"partners": ["p1"]}, {"partner_tiers": ["gold"]},
        {"regions": ["EMEA"]}, {"types": ["employee", "contractor"], "regions": ["EMEA", "US"], "teams": ["t1"]},
    )  # fmt: skip
    for rule in rules:
        parsed = parse_definition(definition(eligible=rule))
        found = set(eligibility.eligible_people(program, parsed).values_list("pk", flat=True))
        rows = list(Participant.objects.select_related("team", "partner"))
        known = people_in(rows)
        assert found == {known.ids[key] for key, person in known.roster.items() if not ineligible(parsed, person)}, rule
        assert found == {row.pk for row in rows if eligibility.can_earn(parsed, row, None)}, rule
        assert 0 < len(found) < 40 or rule == {}


@pytest.mark.parametrize(
    ("rule", "enrolled", "words"),
    [
        ({}, None, "Can earn: the program is for everybody."),
        ({"types": ["employee"]}, None, "Can earn: matches the rule."),
        ({"types": ["partner"]}, None, "Cannot earn: the program is for type partner, and Ana has employee."),
        ({"types": ["partner"]}, "invited", "Can earn: invited by a manager. On loan."),
        ({}, "excluded", "Cannot earn: excluded by a manager. On loan."),
        ({"invited_only": True}, None, "Cannot earn: only invited people can, and nobody has invited them."),
        ({"invited_only": True}, "invited", "Can earn: invited by a manager. On loan."),
    ],
)
def test_why_somebody_can_earn_or_cannot(rule, enrolled, words):
    ana, program = make_participant("Ana"), make_program()
    if enrolled:
        Enrollment.objects.create(program=program, participant=ana, state=enrolled, reason="On loan.")
    parsed = parse_definition(definition(eligible=rule))
    row = eligibility.people(program, parsed).get(pk=ana.pk)
    assert eligibility.why(parsed, row, row.enrolled, row.enrolled_reason or "") == words
    assert row.can_earn is words.startswith("Can earn")
    assert eligibility.can_earn(parsed, row, row.enrolled) is row.can_earn
