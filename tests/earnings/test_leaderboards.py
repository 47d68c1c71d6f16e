"""Live boards: the same ranks as the rules give, gaps and movement in words, a bounded number of queries."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incentives.earnings.board_access import own_group, programs_with, takes_part
from incentives.earnings.facts import people_in
from incentives.earnings.leaderboards import (
    Shown,
    boards_of,
    competitors_now,
    leaderboard,
    ruling,
    standing_now,
)
from incentives.earnings.models import LeaderboardSnapshot, Participation, Scorecard
from incentives.earnings.snapshots import snapshot_due
from incentives.participants.models import Participant
from incentives.programs.models import Enrollment, Program
from incentives.programs.rules.contests import rank_standings
from incentives.programs.rules.facts import Line
from incentives.programs.rules.facts import Scorecard as Card
from rewards.money import Money
from tests.earnings.test_contests import END, close, contest, receive
from tests.factories import deal, make_connection, make_participant, make_partner, make_program, make_team

pytestmark = pytest.mark.django_db


@pytest.fixture
def crm():
    return make_connection()


def board_of(program: Program, at: int = 0):
    program = Program.objects.get(pk=program.pk)
    definition = ruling(program)
    return leaderboard(program, boards_of(definition)[at], definition)


def ranks(board) -> list[tuple]:
    return [(row.rank, row.name, row.prize_minor) for row in board.rows]


def test_a_live_board_has_ranks_prizes_gaps_and_leads(crm):
    people = [make_participant(name) for name in ("Ana", "Bob", "Cyd", "Dee", "Eve")]
    program = contest({"minimum": "50"})
    amounts = ("300.00", "200.00", "200.00", "100.00", "49.50")
    receive(crm, *[deal(f"D{n}", p, amount) for n, (p, amount) in enumerate(zip(people, amounts, strict=True))])
    board = board_of(program)
    assert ranks(board) == [(1, "Ana", 100_000), (2, "Bob", 30_000), (2, "Cyd", 30_000), (4, "Dee", 0), (5, "Eve", 0)]
    assert [board.gap(n) for n in range(5)] == [
        "leads by 100.00", "100.00 behind rank 1", "100.00 behind rank 1", "100.00 behind rank 2", "50.50 behind rank 4",
    ]  # fmt: skip
    assert [board.to_prize(n) for n in range(5)] == [
        "", "100.00 to a prize of 1,000.00 USD", "100.00 to a prize of 1,000.00 USD", "100.00 to a prize of 300.00 USD",
        "0.50 below the minimum for a prize",
    ]  # fmt: skip
    shown = Shown(board, 1)
    assert (shown.measured, shown.prize, shown.moved) == (Money(20_000, "USD"), Money(30_000, "USD"), None)


def test_a_board_in_units_speaks_of_units(crm):
    ana, bob = make_participant("Ana"), make_participant("Bob")
    program = contest(measure={"metric": "quantity"})
    receive(crm, deal("D1", ana, None, quantity="12"), deal("D2", bob, None, quantity="9.5"))
    board = board_of(program)
    assert board.gap(1) == "2.5 behind rank 1"
    assert Shown(board, 1).measured == Decimal("9.5")


def test_a_program_without_a_contest_has_a_board_by_measure(crm):
    ana, bob, cyd = (make_participant(name) for name in ("Ana", "Bob", "Cyd"))
    program = make_program()
    receive(crm, deal("D1", ana, "100.00"), deal("D2", bob, "100.00"), deal("D3", cyd, "50.00"))
    board = board_of(program)
    assert (board.board.index, board.board.is_contest) == (-1, False)
    assert ranks(board) == [(1, "Ana", 0), (1, "Bob", 0), (3, "Cyd", 0)]
    assert [board.gap(n) for n in (0, 2)] == ["level with 1 other", "50.00 behind rank 1"]
    assert board.to_prize(2) == ""


def test_teams_and_partners_stand_as_one_row(crm):
    north, south = make_team("north", name="North"), make_team("south", name="South")
    ana, bob, cyd = (make_participant(n, team=t) for n, t in (("Ana", north), ("Bob", north), ("Cyd", south)))
    program = contest({"by": "team"})
    receive(crm, deal("D1", ana, "100.00"), deal("D2", bob, "60.00"), deal("D3", cyd, "150.00"))
    board = board_of(program)
    assert [(r.rank, r.name, r.note, r.members, r.prize_minor) for r in board.rows] == [
        (1, "North", "2 people", 2, 100_000), (2, "South", "1 person", 1, 50_000),
    ]  # fmt: skip
    assert own_group(program, board.board, cyd) == "south"


def test_managers_with_overlays_only_stand_on_no_board(crm):
    boss = make_participant("Boss", type="contractor")
    ana = make_participant("Ana", manager=boss)
    rule = {"to": "owner", "overlays": [{"to": "manager", "percent": "100"}]}
    program = contest(credit=rule, eligible={"types": ["employee"]})
    receive(crm, deal("D1", ana, "100.00"))
    assert Scorecard.objects.filter(participation__participant=boss).exists()
    assert ranks(board_of(program)) == [(1, "Ana", 100_000)]


def test_a_board_follows_every_scoring_at_once(crm):
    ana, bob = make_participant("Ana"), make_participant("Bob")
    program = contest()
    receive(crm, deal("D1", ana, "100.00"))
    assert ranks(board_of(program)) == [(1, "Ana", 100_000)]
    receive(crm, deal("D2", bob, "200.00"))
    assert ranks(board_of(program)) == [(1, "Bob", 100_000), (2, "Ana", 50_000)]


def test_a_closed_board_shows_what_was_sealed(crm):
    ana, bob = make_participant("Ana"), make_participant("Bob")
    program = contest()
    receive(crm, deal("D1", ana, "100.00"))
    close(program)
    receive(crm, deal("D2", bob, "900.00"), at=END + timedelta(hours=1))
    board = board_of(program)
    assert board.sealed.revision == 1
    assert ranks(board) == [(1, "Ana", 100_000)]
    assert Shown(board, 0).to_prize == ""


def test_movement_is_against_the_snapshot_of_the_day(crm):
    ana, bob, cyd = (make_participant(name) for name in ("Ana", "Bob", "Cyd"))
    program = contest(time_zone="Pacific/Auckland")
    receive(crm, deal("D1", ana, "300.00"), deal("D2", bob, "200.00"))
    evening = datetime(2026, 8, 2, 11, 59, tzinfo=UTC)  # 23:59 in Auckland
    assert snapshot_due(evening) == 1
    assert snapshot_due(evening + timedelta(seconds=30)) == 0
    assert snapshot_due(evening + timedelta(minutes=2)) == 1
    assert [(s.day, s.ranks) for s in LeaderboardSnapshot.objects.order_by("day")] == [
        (date(2026, 8, 2), {ana.key: 1, bob.key: 2}), (date(2026, 8, 3), {ana.key: 1, bob.key: 2}),
    ]  # fmt: skip
    receive(crm, deal("D3", bob, "200.00"), deal("D4", cyd, "250.00"))
    board = board_of(program)
    found = [(row.name, board.movement(row)) for row in board.rows]
    assert found == [("Bob", 1), ("Ana", -1), ("Cyd", None)]
    assert board.moved_since == date(2026, 8, 3)


def test_old_snapshots_go_and_closed_programs_take_none(crm):
    program = contest()
    first = date(2026, 1, 1)
    rows = [LeaderboardSnapshot(program=program, board=0, day=first + timedelta(days=n)) for n in range(40)]
    LeaderboardSnapshot.objects.bulk_create(rows)
    assert snapshot_due(datetime(2026, 8, 2, tzinfo=UTC)) == 1
    days = LeaderboardSnapshot.objects.order_by("day").values_list("day", flat=True)
    assert (len(days), days[0]) == (35, date(2026, 1, 7))
    close(program)
    assert snapshot_due(END + timedelta(days=2)) == 0


def test_who_takes_part(crm):
    partner = make_partner("acme", tier="gold")
    inside, outside, invited, excluded, counted = (
        make_participant(name, type=kind, partner=partner if kind == "partner" else None)
        for name, kind in (("In", "partner"), ("Out", "employee"), ("Inv", "employee"), ("Exc", "partner"), ("C", "partner"))
    )  # fmt: skip
    program = contest(eligible={"types": ["partner"]})
    receive(crm, deal("D1", counted, "1.00"))
    Enrollment.objects.create(program=program, participant=invited, state="invited")
    Enrollment.objects.create(program=program, participant=excluded, state="excluded")
    Enrollment.objects.create(program=program, participant=counted, state="excluded")
    definition = ruling(program)
    people = [inside, outside, invited, excluded, counted]
    assert [takes_part(program, definition, p) for p in people] == [True, False, True, False, True]
    assert [bool(programs_with(p, [program])) for p in people] == [True, False, True, False, True]
    only = contest(eligible={"types": ["partner"], "invited_only": True})
    assert not takes_part(only, ruling(only), inside)
    draft = contest(launched=False)
    assert not takes_part(draft, ruling(draft), outside) and programs_with(outside, [draft]) == []


def test_a_board_takes_as_many_queries_for_many_people_as_for_few(crm, django_assert_max_num_queries):
    program = contest(rewards=[{"type": "percent", "rate": "1"}, *contest_rewards()], caps={"participant": "5000.00"})
    definition = ruling(program)
    make_crowd(program, 300)
    for board in boards_of(definition):
        cache.clear()
        with django_assert_max_num_queries(7):
            found = leaderboard(program, board, definition)
            [found.gap(n) + found.to_prize(n) for n in range(min(len(found.rows), 25))]


def contest_rewards() -> list[dict]:
    prizes = [{"ranks": "1", "amount": "100.00"}, {"ranks": "2-4", "amount": "30.00"}]
    return [
        {"type": "rank", "prizes": prizes, "ties": "earliest", "minimum": "2"},
        {"type": "rank", "by": "team", "prizes": prizes, "ties": "same"},
        {"type": "rank", "by": "partner", "prizes": prizes},
    ]


def make_crowd(program: Program, n: int) -> None:
    teams = [make_team() for _ in range(4)]
    rows = [Participant(name=f"P{i}", external_user_id=f"X{i}", team=teams[i % 4]) for i in range(n)]
    people = Participant.objects.bulk_create(rows)
    Participation.objects.bulk_create([Participation(program=program, participant=p) for p in people])
    cards = [
        Scorecard(participation=p, period_start=program.starts_on, period_end=program.ends_on, measure=Decimal(p.pk % 97))
        for p in Participation.objects.filter(program=program)
    ]  # fmt: skip
    Scorecard.objects.bulk_create(cards)


# --- the property -----------------------------------------------------------------------------------------------------
DAY = datetime(2026, 3, 1, tzinfo=UTC)
CARD = st.tuples(
    st.sampled_from([0, 1, 2, 3, 5, 8]), st.one_of(st.none(), st.integers(0, 3)), st.sampled_from([0, 700, 4000]),
)  # fmt: skip
PEOPLE = st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.booleans(), CARD, CARD), min_size=1, max_size=8)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people=PEOPLE)
def test_a_live_board_stands_as_the_rules_rank_the_same_scorecards(people):
    Scorecard.objects.all().delete()
    Participation.objects.all().delete()
    Participant.objects.all().delete()
    program = Program.objects.first() or make_program(
        starts_on="2026-03-01", ends_on="2026-04-30", period="month", caps={"period": "50.00", "participant": "90.00"},
        eligible={"types": ["employee"]}, rewards=[{"type": "percent", "rate": "1"}, *contest_rewards()],
    )  # fmt: skip
    definition = ruling(program)
    teams = {code: make_team_once(code) for code in "ab"}
    cards = []
    for n, (team, employed, *own) in enumerate(people):
        person = make_participant(
            f"P{n}", external_user_id=f"Z{n}", team=teams.get(team), type="employee" if employed else "contractor"
        )
        participation = Participation.objects.create(program=program, participant=person)
        for start, (measure, reached, earned) in zip((date(2026, 3, 1), date(2026, 4, 1)), own, strict=True):
            at = None if reached is None else DAY + timedelta(days=reached)
            line = Line("r0:x", 0, "percent", None, None, earned, earned, "")
            cards.append(Card(person.key, start, start, Decimal(measure), None, None, (line,), at))
            Scorecard.objects.create(
                participation=participation, period_start=start, period_end=start, measure=measure, reached_at=at,
                amount_minor=earned + 500, prize_minor=500,
            )  # fmt: skip
    roster = people_in(Participant.objects.select_related("team", "partner")).roster
    wanted = rank_standings(definition, cards, roster)
    known, competitors = competitors_now(program, definition)
    found = [standing_now(definition, board, known, competitors, {}) for board in boards_of(definition)]
    assert found == list(wanted)


def make_team_once(code: str):
    from incentives.participants.models import Team

    return Team.objects.get_or_create(code=code, defaults={"name": code})[0]
