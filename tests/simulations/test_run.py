"""What a simulation computes: exact figures over stored facts, and nothing written but its own rows."""

from datetime import date
from decimal import Decimal

import pytest

from incentives.crm.models import ObjectState
from incentives.earnings.models import Credit, Earning, Participation, Scorecard
from incentives.ledger.models import ExchangeRate, Posting
from incentives.programs import services as programs
from incentives.programs.enrollment import set_enrollment
from incentives.programs.services import TargetRow
from incentives.simulations.models import Overlap
from incentives.simulations.results import unpack
from incentives.simulations.services import Source
from tests.factories import (
    deal,
    definition,
    make_connection,
    make_participant,
    make_program,
    make_team,
    make_user,
    send,
)
from tests.simulations.scene import candidate, earned, simulate, source

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager():
    return make_user("manager")


@pytest.fixture
def crm():
    return make_connection()


def result(simulation, position=1) -> dict:
    return candidate(simulation, position).result


def everything() -> tuple:
    models = (ObjectState, Credit, Participation, Scorecard, Earning, Posting)
    return tuple((model.objects.count(), list(model.objects.values_list().order_by("pk"))) for model in models)


def test_it_earns_what_the_rules_give_and_says_why(manager, crm):
    ana, ben = make_participant("Ana"), make_participant("Ben")
    send(crm, deal("D1", ana, "1000.00"), deal("D2", ben, "500.00"), deal("D3", ana, "2000.00", kind="deal.lost"))
    done = simulate(manager, source(definition(caps={"deal": "15.00"})))
    assert (done.status, done.done, done.total) == ("done", 3, 3)
    assert earned(done) == {"Ana": 1500, "Ben": 1000}
    found = result(done)
    assert (found["total_minor"], found["activities"], found["won_minor"]) == (2500, 2, 150_000)
    assert (found["earning"], found["counted"], found["eligible"]) == (2, 2, 2)
    row = candidate(done).people.get(participant=ana)
    ((start, kind, fact, day, minor, words),) = unpack(row.lines)
    assert (start, kind, fact, day, minor) == (
        "2026-01-01",
        "percent",
        ObjectState.objects.get(object_id="D1").pk,
        "2026-08-03",
        1500,
    )
    assert "2 % of 1,000.00 = 20.00, limited to 15.00 per deal" in words


def test_it_touches_neither_facts_nor_earnings_nor_money(manager, crm):
    ana = make_participant("Ana")
    make_program()
    send(crm, deal("D1", ana, "1000.00"))
    before = everything()
    simulate(manager, source(definition(rewards=[{"type": "percent", "rate": "50"}])))
    assert everything() == before


def test_more_and_fewer_wins_scale_amounts(manager, crm):
    ana = make_participant("Ana")
    send(crm, deal("D1", ana, "1000.00"), deal("D2", ana, "333.33"))
    done = simulate(manager, source(definition()), percent=50)
    # 2 % of 800.00 and of 266.66 (266.664), of 1,200.00 and 400.00 (399.996), of 1,500.00 and 500.00 (499.995)
    assert {row["percent"]: row["total_minor"] for row in result(done)["scenarios"]} == {
        -20: 1600 + 533, 0: 2000 + 667, 20: 2400 + 800, 50: 3000 + 1000,
    }  # fmt: skip
    assert earned(done, field="low_minor") == {"Ana": 2133}
    assert earned(done, field="high_minor") == {"Ana": 3200}


def test_more_and_fewer_wins_are_more_and_fewer_activities_where_those_count(manager, crm):
    ana = make_participant("Ana")
    send(crm, *[deal(f"D{n}", ana, "10.00") for n in range(10)])
    document = definition(rewards=[{"type": "per_deal", "amount": "5.00"}], measure={"metric": "deals"})
    done = simulate(manager, source(document), percent=-100)
    assert {row["percent"]: row["total_minor"] for row in result(done)["scenarios"]} == {
        -100: 0, -20: 8 * 500, 0: 10 * 500, 20: 12 * 500,
    }  # fmt: skip
    assert result(done)["by_count"] is True


def test_a_program_of_next_year_is_tried_on_another_quarter_with_its_targets(manager, crm):
    ana, ben = make_participant("Ana"), make_participant("Ben")
    changes = {
        "starts_on": "2027-01-01", "ends_on": "2027-06-30", "period": "quarter",
        "rewards": [{"type": "tiers", "of": "target", "tiers": [{"at": "100", "amount": "500.00"}]}],
    }  # fmt: skip
    program = make_program(manager=manager, launched=False, **changes)
    rows = [TargetRow(ana, date(2027, 1, 1), Decimal(1000)), TargetRow(ana, date(2027, 4, 1), Decimal(3000))]
    programs.set_targets(program=program, rows=rows, actor=manager)
    draft = program.versions.get()
    send(crm, deal("D1", ana, "2000.00"), deal("D2", ana, "2999.99", occurred_at="2026-10-01T10:00:00Z"),
         deal("D3", ana, "9999.00", occurred_at="2026-06-30T23:59:59Z"), deal("D4", ben, "5000.00"))  # fmt: skip
    window = (date(2026, 7, 1), date(2026, 12, 31))
    done = simulate(manager, Source.of(draft), window=window)
    assert earned(done) == {"Ana": 50_000, "Ben": 0}  # third quarter: 200 % of 1,000; fourth: just below 3,000
    assert result(done)["exceptions"]["codes"] == {"no_target": 1}
    given = simulate(manager, Source.of(draft), window=window, targets="given")
    assert earned(given) == {"Ana": 0, "Ben": 0}
    flat = simulate(manager, Source.of(draft), window=window, targets="flat", target_value=Decimal(5000))
    assert earned(flat) == {"Ana": 0, "Ben": 50_000}
    assert result(flat)["exceptions"]["codes"] == {}


def test_winners_and_losers_against_the_running_version(manager, crm):
    ana, ben, cy = (make_participant(name) for name in ("Ana", "Ben", "Cy"))
    program = make_program(manager=manager, rewards=[{"type": "percent", "rate": "2"}])
    send(crm, deal("D1", ana, "10000.00"), deal("D2", ben, "1000.00"), deal("D3", cy, "2000.00"))
    document = definition(rewards=[{"type": "per_deal", "amount": "40.00"}])
    draft = programs.edit_draft(program=program, document=document, actor=manager)
    done = simulate(manager, Source.of(draft), baseline=Source.of(program.current_version))
    assert earned(done, field="before_minor") == {"Ana": 20_000, "Ben": 2000, "Cy": 4000}
    assert earned(done, field="difference_minor") == {"Ana": -16_000, "Ben": 2000, "Cy": 0}
    assert result(done)["changes"] == {"up": 1, "down": 1, "same": 1, "gain_minor": 2000, "loss_minor": -16_000}
    assert result(done)["overlap"]["n"] == 0, "the version it replaces is no other program"


def test_one_deal_paid_twice_is_shown_and_what_stacking_leaves(manager, crm):
    ana = make_participant("Ana")
    stacking = {"group": "g", "rule": "highest"}
    other = make_program(name="Running", manager=manager, stacking=stacking)
    make_program(name="Elsewhere", manager=manager, eligible={"types": ["partner"]})
    send(crm, deal("D1", ana, "1000.00"), deal("D2", ana, "3000.00"))
    alone = simulate(manager, source(definition(rewards=[{"type": "percent", "rate": "5"}])))
    found = result(alone)["overlap"]
    assert (found["n"], found["people"], found["own_minor"], found["cut_minor"]) == (2, 1, 20_000, 0)
    assert [(p["name"], p["n"], p["other_minor"]) for p in found["programs"]] == [("Running", 2, 8000)]
    stacked = simulate(manager, source(definition(rewards=[{"type": "percent", "rate": "1"}], stacking=stacking)))
    assert (result(stacked)["overlap"]["own_minor"], result(stacked)["overlap"]["cut_minor"]) == (4000, 4000)
    rows = Overlap.objects.filter(candidate__simulation=stacked).order_by("object__object_id")
    assert [(r.object.object_id, r.own_minor, r.kept_minor, r.other_minor, r.other_kept_minor) for r in rows] == [
        ("D1", 1000, 0, 2000, 2000), ("D2", 3000, 0, 6000, 6000),
    ]  # fmt: skip
    assert {row.program for row in rows} == {other}


def test_contest_prizes_are_part_of_the_cost(manager, crm):
    north, south = make_team("north"), make_team("south")
    ana, ben = make_participant("Ana", team=north), make_participant("Ben", team=south)
    rank = {"type": "rank", "prizes": [{"ranks": "1", "amount": "100.00"}, {"ranks": "2", "amount": "40.00"}]}
    send(crm, deal("D1", ana, "1000.00"), deal("D2", ben, "3000.00"))
    done = simulate(manager, source(definition(rewards=[rank, {"type": "percent", "rate": "1"}])))
    assert earned(done) == {"Ana": 4000 + 1000, "Ben": 10_000 + 3000}
    (standing,) = result(done)["standings"]
    assert [(place[0], place[2], place[5]) for place in standing["places"]] == [(1, "Ben", 10_000), (2, "Ana", 4000)]
    assert result(done)["by_day"] == {"2026-08-03": 4000, "2026-12-31": 14_000}
    lines = unpack(candidate(done).people.get(participant=ben).lines)
    assert [line[1] for line in lines] == ["percent", "rank"]


def test_an_amount_in_another_currency_takes_the_rate_of_its_day(manager, crm):
    ana = make_participant("Ana")
    ExchangeRate.objects.create(
        currency="EUR", to_currency="USD", starts_on="2026-08-01", ends_on="2026-08-31", rate="1.1"
    )
    send(crm, deal("D1", ana, "100.00", currency="EUR"),
         deal("D2", ana, "100.00", currency="EUR", occurred_at="2026-09-01T00:00:00Z"))  # fmt: skip
    done = simulate(manager, source(definition(rewards=[{"type": "percent", "rate": "10"}])))
    assert earned(done) == {"Ana": 1100}
    assert result(done)["exceptions"]["codes"] == {"no_rate": 1}
    assert result(done)["won_minor"] == 11_000


def test_what_a_person_should_look_at_is_counted(manager, crm):
    send(crm, deal("D1", make_participant("Ana"), None))
    done = simulate(manager, source(definition()))
    assert result(done)["total_minor"] == 0
    assert result(done)["exceptions"]["codes"] == {"no_measure": 1}
    ((code, words, fact, person),) = result(done)["exceptions"]["rows"]
    assert (code, words, fact, person) == (
        "no_measure", "The activity has no amount.", ObjectState.objects.get().pk, None,
    )  # fmt: skip


def test_who_is_invited_or_excluded_by_name_is_so_here_too(manager, crm):
    ana, ben, cy = make_participant("Ana"), make_participant("Ben", type="partner"), make_participant("Cy")
    program = make_program(manager=manager, launched=False, eligible={"types": ["employee"]})
    set_enrollment(program=program, participant=ben, state="invited", actor=manager)
    set_enrollment(program=program, participant=cy, state="excluded", actor=manager)
    send(crm, *[deal(f"D{n}", who, "1000.00") for n, who in enumerate((ana, ben, cy))])
    done = simulate(manager, Source.of(program.versions.get()))
    assert earned(done) == {"Ana": 2000, "Ben": 2000}
    assert result(done)["eligible"] == 2
