"""For every small world: simulating what runs gives what was posted, and no change of the wins changes nothing."""

from datetime import UTC, date
from decimal import Decimal
from itertools import pairwise

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incentives.earnings.models import Participation
from incentives.programs import services as programs
from incentives.programs.rules import Credit
from incentives.programs.rules.facts import OVERLAY, OWNER, SPLIT
from incentives.programs.rules.periods import clock
from incentives.programs.rules.whatif import MoreWins, mark, moved, moved_targets
from incentives.programs.services import TargetRow
from incentives.simulations import figures
from incentives.simulations.services import Source
from incentives.simulations.store import Store
from tests.factories import deal, make_connection, make_participant, make_program, make_user, send
from tests.programs.cases import moment
from tests.programs.cases import program as definition_with
from tests.programs.test_properties import programs as definitions
from tests.programs.test_properties import rewards
from tests.simulations.scene import candidate, earned, simulate

NAMES = ("Ana", "Ben", "Cy", "Mo")


class Undo(Exception):
    """Takes one world back."""


@st.composite
def worlds(draw):
    deals = draw(
        st.lists(
            st.tuples(
                st.sampled_from(NAMES[:3]),
                st.integers(0, 300_000),
                st.integers(1, 364),
                st.lists(st.integers(1, 9), max_size=3),
                st.sampled_from(["deal.won", "deal.won", "deal.won", "deal.lost"]),
            ),
            max_size=8,
        )
    )
    return deals, draw(st.lists(rewards(), min_size=1, max_size=3)), draw(st.sampled_from(["program", "month", "quarter"]))  # fmt: skip


def facts(deals, people):
    for n, (who, cents, day, parts, kind) in enumerate(deals):
        shared = [
            {"participant": {"external_user_id": people[name].external_user_id}, "amount": str(part)}
            for name, part in zip(NAMES, parts, strict=False)
        ]
        at = date.fromordinal(date(2026, 1, 1).toordinal() + day)
        amount = f"{cents // 100}.{cents % 100:02d}"
        yield deal(f"D{n}", people[who], amount, kind=kind, occurred_at=f"{at}T10:00:00Z", splits=shared)


@pytest.mark.django_db(transaction=True)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(worlds())
def test_simulating_what_runs_gives_what_was_posted(world):
    deals, reward, period = world
    try:
        with transaction.atomic():
            boss = make_participant("Mo")
            people = {name: make_participant(name, manager=boss) for name in NAMES[:3]} | {"Mo": boss}
            manager = make_user("manager")
            program = make_program(
                manager=manager, rewards=reward, period=period,
                credit={"to": "splits", "overlays": [{"to": "manager", "percent": "10"}]},
                caps={"period": "900.00"}, measure={"metric": "amount"},
            )  # fmt: skip
            rows = [TargetRow(people["Ana"], date(2026, 1, 1), Decimal(500))]
            programs.set_targets(program=program, rows=rows, actor=manager)
            send(make_connection(), *facts(deals, people))
            posted = Participation.objects.filter(program=program).values_list("participant__name", "earned_minor")
            done = simulate(manager, Source.of(program.current_version), percent=0)
            assert {name: minor for name, minor in earned(done).items() if minor} == {n: m for n, m in posted if m}
            found = candidate(done).result
            assert found["total_minor"] == sum(dict(posted).values()) == sum(found["by_day"].values())
            raise Undo
    except Undo:
        pass


# --- pure ------------------------------------------------------------------------------------------------------------
units = st.integers(-(10**15), 10**15).map(lambda n: Decimal(n).scaleb(-4))
credit_lists = st.lists(
    st.builds(
        Credit,
        fact_id=st.integers(1, 2**40).map(str),
        participant=st.sampled_from(["A", "B"]),
        role=st.sampled_from([OWNER, SPLIT, OVERLAY]),
        share_percent=st.integers(0, 1_000_000).map(lambda n: Decimal(n).scaleb(-4)),
        share_from=st.integers(0, 1_000_000).map(lambda n: Decimal(n).scaleb(-4)),
        counted_at=st.datetimes(timezones=st.just(UTC)),
        period_start=st.dates(date(1999, 1, 1), date(2100, 1, 1)),
        measure=st.one_of(units, st.just(Decimal(10**30))),
        whole=units,
    ),
    max_size=20,
)


@pytest.mark.pure
@given(credit_lists)
def test_the_store_gives_back_what_it_was_given(credits):
    store = Store()
    store.add(credits)
    assert store.participants() == sorted({credit.participant for credit in credits})
    for who in store.participants():
        assert sorted(store.of(who)) == sorted(credit for credit in credits if credit.participant == who)


@pytest.mark.pure
@given(definitions(), credit_lists)
def test_no_change_of_the_wins_changes_nothing(definition, credits):
    marks = [mark(credit.fact_id) for credit in credits]
    assert list(MoreWins(definition, 0, marks).apply(credits)) == credits


@pytest.mark.pure
@given(st.sets(st.integers(1, 10**6), min_size=1, max_size=60), st.integers(-100, 500))
def test_so_many_more_activities_are_exactly_so_many(numbers, percent):
    counting = definition_with({"type": "per_deal", "amount": "1.00"})
    credits = [
        Credit(str(n), "A", OWNER, Decimal(100), Decimal(0), moment("2026-02-01"), date(2026, 1, 1), Decimal(1), Decimal(1))
        for n in numbers
    ]  # fmt: skip
    found = list(MoreWins(counting, percent, [mark(credit.fact_id) for credit in credits]).apply(credits))
    assert len(found) == (len(credits) * (100 + percent) * 2 + 100) // 200
    assert len({credit.fact_id for credit in found}) == len(found), "a copy is an activity of its own"
    fewer = list(MoreWins(counting, max(percent - 7, -100), [mark(c.fact_id) for c in credits]).apply(credits))
    assert {credit.fact_id for credit in fewer} <= {credit.fact_id for credit in found}


@pytest.mark.pure
@given(st.dates(date(2020, 1, 1), date(2029, 1, 1)), st.integers(0, 800), st.sampled_from(["program", "week", "month", "quarter", "year"]))  # fmt: skip
def test_targets_keep_their_place_on_other_days(first, days, period):
    definition = definition_with(period=period)
    own = {start: Decimal(n + 1) for n, start in enumerate(clock(definition).starts)}
    last = date.fromordinal(first.toordinal() + days)
    to = moved(definition, first, last)
    assert (to.starts_on, to.ends_on, to.rewards) == (first, last, definition.rewards)
    values = list(moved_targets(definition, to, own).values())
    assert values == [Decimal(min(n + 1, len(own))) for n in range(len(clock(to).starts))]
    assert moved_targets(definition, definition, own) == own


@pytest.mark.pure
@given(st.lists(st.integers(0, 10**9), max_size=60))
def test_a_histogram_has_everybody_who_earns_once(values):
    bars = figures.histogram(values)
    earning = [value for value in values if value]
    assert sum(bar["n"] for bar in bars) == len(earning)
    assert len(bars) <= figures.BARS
    assert all(bar["to"] == follow["from"] for bar, follow in pairwise(bars))
    assert not bars or (bars[0]["from"] == 0 and bars[-1]["from"] <= max(earning) < bars[-1]["to"])


@pytest.mark.pure
@given(st.dictionaries(st.dates(date(2026, 1, 1), date(2028, 6, 1)), st.integers(1, 10**6), max_size=30))
def test_columns_over_time_lose_nothing(by_day):
    first, last = date(2026, 1, 1), max([*by_day, date(2026, 1, 3)])
    columns = figures.over_time(by_day, first, last)
    assert sum(minor for _day, minor in columns) == sum(by_day.values())
    assert [day for day, _ in columns] == sorted({day for day, _ in columns})
    assert len(columns) <= figures.COLUMNS or (last - first).days > 26 * 28


@pytest.mark.pure
def test_small_figures():
    assert [figures.median(v) for v in ([], [3], [1, 4], [9, 1, 5])] == [0, 3, 3, 5]
    assert figures.top_share([100] + [10] * 30) == 130 * 10_000 // 400  # four of 31
    assert figures.crossing({date(2026, 1, 2): 5, date(2026, 1, 1): 5}, 9) == date(2026, 1, 2)
    assert figures.crossing({date(2026, 1, 1): 5}, 5) is None
