"""Contests: ranks, ties, teams, minimums, prizes and their caps."""

from decimal import Decimal

import pytest

from incentives.programs.rules import Person, rank_standings
from tests.programs.cases import ANA, BO, CY, ROSTER, cards, program, standing, won

PRIZES = [{"ranks": "1", "amount": "100.00"}, {"ranks": "2", "amount": "50.00"}, {"ranks": "3-4", "amount": "10.01"}]
PEOPLE = {key: Person(key, team=team) for key, team in zip("ABCDEF", ("X", "X", "X", "Y", "Y", None), strict=True)}


def contest(**parts):
    return program({"type": "rank", "prizes": PRIZES, **parts})


def race(definition, *measures: tuple[str, str, str], roster=PEOPLE):
    facts = [won(f"{who}{i}", amount, when, who=who) for i, (who, amount, when) in enumerate(measures)]
    return standing(definition, *facts, roster=roster)


def places(found):
    return [(place.rank, place.participant, place.prize_minor) for place in found.places]


D1, D2, D3 = "2026-03-01", "2026-03-02", "2026-03-03"


def test_the_best_measure_wins_and_all_periods_add_up():
    definition = program({"type": "rank", "prizes": PRIZES}, period="month")
    found = race(definition, ("A", "10", "2026-01-05"), ("B", "15", D1), ("A", "10", D2), ("C", "1", D1))
    assert places(found) == [(1, "A", 10000), (2, "B", 5000), (3, "C", 1001)]
    assert found.places[0].measure == Decimal(20)
    assert found.lines["A"].explanation == "Rank 1 with 20.00: 100.00"
    assert (found.lines["A"].key, found.lines["A"].reward_type) == ("r0:rank", "rank")


def test_no_prize_is_left_for_ranks_without_one():
    found = race(contest(), *[(who, str(20 - i), D1) for i, who in enumerate("ABCDEF")])
    assert places(found)[3:] == [(4, "D", 1001), (5, "E", 0), (6, "F", 0)]
    assert "E" not in found.lines


@pytest.mark.parametrize(
    ("ties", "expected"),
    [
        ("split", [(1, "A", 10000), (2, "B", 2334), (2, "C", 2334), (2, "D", 2334), (5, "E", 0)]),
        ("same", [(1, "A", 10000), (2, "B", 5000), (2, "C", 5000), (2, "D", 5000), (5, "E", 0)]),
        ("earliest", [(1, "A", 10000), (2, "C", 5000), (3, "B", 1001), (4, "D", 1001), (5, "E", 0)]),
    ],
)
def test_ties(ties, expected):
    found = race(contest(ties=ties), ("A", "9", D3), ("B", "5", D2), ("C", "5", D1), ("D", "5", D3), ("E", "1", D1))
    assert places(found) == expected


def test_a_shared_prize_divides_to_the_cent():
    found = race(contest(ties="split"), ("A", "5", D1), ("B", "5", D1), ("C", "5", D1))
    assert places(found) == [(1, "A", 5334), (1, "B", 5334), (1, "C", 5333)]
    assert sum(place.prize_minor for place in found.places) == 16001
    assert all(place.tied for place in found.places)


def test_earliest_counts_when_the_measure_was_reached_and_the_same_moment_shares():
    definition = contest(ties="earliest")
    found = race(definition, ("A", "5", D1), ("B", "3", D1), ("B", "2", D2))
    assert places(found) == [(1, "A", 10000), (2, "B", 5000)]
    found = race(definition, ("B", "5", D1), ("A", "5", D1))
    assert places(found) == [(1, "A", 7500), (1, "B", 7500)]


def test_below_the_minimum_nobody_wins_a_prize():
    found = race(contest(minimum="10"), ("A", "9.99", D1), ("B", "10.00", D1))
    assert places(found) == [(1, "B", 10000), (2, "A", 0)]


def test_a_team_competes_together_and_divides_its_prize_among_those_who_contributed():
    found = race(contest(by="team"), ("A", "5", D1), ("B", "5", D1), ("C", "1", D1), ("D", "9", D1), ("F", "99", D1))
    assert places(found) == [
        (1, "A", 3334), (1, "B", 3333), (1, "C", 3333), (2, "D", 5000),
    ]  # fmt: skip
    assert {place.group for place in found.places} == {"X", "Y"}
    assert found.places[0].measure == Decimal(11)
    assert found.lines["B"].explanation == "Team X, rank 1 with 11.00: 100.00, divided among 3 people = 33.33"


def test_partners_compete_by_their_organisation():
    found = standing(contest(by="partner"), won("a", who=CY), won("b", who=ANA), roster=ROSTER)
    assert places(found) == [(1, CY, 10000)]


def test_only_eligible_people_and_positive_measures_take_part():
    definition = program({"type": "rank", "prizes": PRIZES}, {"type": "per_deal", "amount": "1.00"},
                         eligible={"teams": ["East"]}, credit={"to": "owner", "overlays": [{"to": "manager", "percent": "50"}]})  # fmt: skip
    found = standing(definition, won("a", "10"), won("b", "0", who=BO), roster=ROSTER)
    assert places(found) == [(1, ANA, 10000)]


def test_prizes_respect_what_is_left_under_the_caps():
    definition = program({"type": "percent", "rate": "10"}, {"type": "rank", "prizes": PRIZES}, period="quarter",
                         caps={"period": "90.00", "participant": "120.00"})  # fmt: skip
    found = race(definition, ("A", "500", D1), ("A", "300", "2026-10-01"), ("B", "100", D1))
    assert places(found) == [(1, "A", 4000), (2, "B", 5000)]
    line = found.lines["A"]
    assert (line.uncapped_minor, line.explanation) == (
        10000, "Rank 1 with 800.00: 100.00, limited to 60.00, the rest of 90.00 per period, "
               "limited to 40.00, the rest of 120.00 per participant",
    )  # fmt: skip


def test_two_contests_of_one_program_share_the_caps():
    definition = program({"type": "rank", "prizes": PRIZES}, {"type": "rank", "by": "team", "prizes": PRIZES},
                         caps={"participant": "120.00"})  # fmt: skip
    found = cards(definition, won("a", who="A"), roster=PEOPLE)
    first, second = rank_standings(definition, found["A"], PEOPLE)
    assert [first.lines["A"].amount_minor, second.lines["A"].amount_minor] == [10000, 2000]


def test_the_seal_covers_rules_measures_and_moments():
    base = race(contest(), ("A", "5", D1), ("B", "3", D1))
    again = race(contest(), ("B", "3", D1), ("A", "5", D1))
    assert base.inputs_digest == again.inputs_digest
    others = [
        race(contest(), ("A", "5", D1), ("B", "3.01", D1)),
        race(contest(), ("A", "5", D2), ("B", "3", D1)),
        race(contest(ties="same"), ("A", "5", D1), ("B", "3", D1)),
    ]
    assert len({base.inputs_digest, *(found.inputs_digest for found in others)}) == 4


def test_a_program_without_a_rank_has_no_standing():
    assert rank_standings(program(), [], ROSTER) == ()


def test_a_contest_nobody_took_part_in_is_an_empty_list():
    (found,) = rank_standings(contest(), [], ROSTER)
    assert (found.places, found.lines, found.by, found.ties) == ((), {}, "participant", "split")


def test_enrolment_decides_who_takes_part_in_a_contest():
    definition = program({"type": "rank", "prizes": PRIZES}, eligible={"teams": ["East"]})
    found = cards(program(eligible={}), won("d1", "900.00"), won("d2", "800.00", who=BO), won("d3", "700.00", who=CY))
    everyone = [card for own in found.values() for card in own]
    (usual,) = rank_standings(definition, everyone, ROSTER)
    assert [place.participant for place in usual.places] == [ANA, BO]
    (by_name,) = rank_standings(definition, everyone, ROSTER, {ANA: "excluded", CY: "invited"})
    assert [place.participant for place in by_name.places] == [BO, CY]
