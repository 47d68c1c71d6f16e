"""Contests are sealed when the program closes; corrections make the next revision, late facts never enter."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from incentives.core.models import AuditEvent
from incentives.crm import intake
from incentives.crm.ingest import process_deliveries
from incentives.crm.models import Delivery, ObjectState
from incentives.earnings import contests, recompute
from incentives.earnings.evaluate import evaluate
from incentives.earnings.models import ContestSeal, Earning, Participation, SealedStanding
from incentives.ledger.selectors import check_postings
from incentives.participants import services as people
from incentives.programs import services as programs
from incentives.programs.models import Program
from tests.factories import (
    deal,
    make_connection,
    make_participant,
    make_partner,
    make_program,
    make_team,
    make_user,
    send,
)

pytestmark = pytest.mark.django_db
PRIZES = [{"ranks": "1", "amount": "1000.00"}, {"ranks": "2", "amount": "500.00"}, {"ranks": "3", "amount": "100.00"}]
END = datetime(2026, 8, 6, tzinfo=UTC)
"""Midnight after the last grace day of `contest()`, in UTC."""


def contest(reward: dict | None = None, **changes) -> Program:
    """August 1 to 3 with two days of grace."""
    changes.setdefault("rewards", [{"type": "rank", "prizes": PRIZES, **(reward or {})}])
    return make_program(template="contest", starts_on="2026-08-01", ends_on="2026-08-03", grace_days=2, **changes)


def receive(crm, *facts, at: datetime | str = "2026-08-03T12:00:00+00:00", score: bool = True) -> None:
    """Facts that first reach us at a moment, whatever the clock says."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    intake.receive_many(crm, [replace(intake.prepare(fact), received_at=moment) for fact in facts])
    while process_deliveries():
        pass
    if score:
        evaluate()


def close(program: Program, at: datetime = END) -> None:
    """What the date does, and the sweep after it."""
    Program.objects.filter(pk=program.pk).update(status=Program.Status.CLOSED, closed_at=at)
    program.refresh_from_db()
    contests.seal_due(now=at)
    evaluate()


def prizes(program: Program) -> dict[str, int]:
    rows = Participation.objects.filter(program=program).exclude(earned_minor=0)
    return dict(rows.values_list("participant__name", "earned_minor"))


def places(standing: SealedStanding) -> list[tuple]:
    return [(p["rank"], p["name"], p["prize_minor"]) for p in standing.places]


def newest(program: Program, index: int = 0) -> SealedStanding:
    return program.standings.filter(reward_index=index).last()


def in_order() -> bool:
    return list(recompute.check()) == [] and check_postings() == []


@pytest.fixture
def trio():
    return [make_participant(name) for name in ("Ana", "Bob", "Cyd")]


@pytest.fixture
def crm():
    return make_connection()


def test_nothing_is_won_before_the_close_and_everything_at_it(trio, crm):
    ana, bob, cyd = trio
    program = contest()
    receive(crm, deal("D1", ana, "300.00"), deal("D2", bob, "200.00"), deal("D3", cyd, "100.00"))
    assert prizes(program) == {} and in_order() and not contests.settled(program)
    close(program)
    assert prizes(program) == {"Ana": 100_000, "Bob": 50_000, "Cyd": 10_000} and contests.settled(program)
    standing = SealedStanding.objects.get()
    assert (standing.revision, standing.sealed_at, standing.by, standing.ties) == (1, END, "participant", "split")
    assert places(standing) == [(1, "Ana", 100_000), (2, "Bob", 50_000), (3, "Cyd", 10_000)]
    evidence = standing.evidence
    assert (evidence["facts"], evidence["late_facts"], evidence["ranked"]) == (3, 0, 3)
    assert len(standing.inputs_digest) == len(evidence["facts_digest"]) == 64
    line = Earning.objects.get(participation__participant=ana)
    assert (line.line_key, str(line.period_start)) == ("r0:rank", "2026-08-01")
    assert line.explanation == "Rank 1 with 300.00: 1,000.00"
    assert AuditEvent.objects.filter(action="contest.sealed").count() == 1
    assert in_order()


def test_a_program_that_is_still_in_its_grace_days_is_not_sealed(trio, crm):
    program = contest()
    Program.objects.filter(pk=program.pk).update(status=Program.Status.CLOSING)
    receive(crm, deal("D1", trio[0], "300.00"))
    assert contests.seal_due(now=END - timedelta(microseconds=1)) == 0
    assert ContestSeal.objects.count() == 0
    assert contests.seal_due(now=END + timedelta(hours=3)) == 1
    assert ContestSeal.objects.get().sealed_at == END  # a late sweep seals at the scheduled moment
    assert contests.seal_due(now=END + timedelta(hours=3)) == 0


@pytest.mark.parametrize(
    ("zone", "moment"),
    [("America/New_York", "2026-08-06T04:00:00+00:00"), ("Pacific/Auckland", "2026-08-05T12:00:00+00:00")],
)
def test_the_close_is_midnight_in_the_programs_time_zone(zone, moment):
    program = contest(time_zone=zone)
    Program.objects.filter(pk=program.pk).update(status=Program.Status.CLOSING)
    due = datetime.fromisoformat(moment)
    assert contests.seal_due(now=due - timedelta(seconds=1)) == 0
    assert contests.seal_due(now=due) == 1
    assert ContestSeal.objects.get().sealed_at == due


def test_a_program_closed_early_by_hand_is_sealed_at_that_moment(trio, crm):
    program = contest()
    early = datetime(2026, 8, 2, 15, tzinfo=UTC)
    receive(crm, deal("D1", trio[0], "300.00"), at=early - timedelta(seconds=1))
    receive(crm, deal("D2", trio[1], "900.00"), at=early)
    close(program, early)
    assert ContestSeal.objects.get().sealed_at == early
    assert prizes(program) == {"Ana": 100_000}
    assert in_order()


def test_a_program_without_a_contest_is_looked_at_once_and_has_no_standing(crm):
    program = make_program(starts_on="2026-08-01", ends_on="2026-08-03")
    close(program, datetime(2026, 8, 4, tzinfo=UTC))
    assert ContestSeal.objects.get().contests == 0
    assert SealedStanding.objects.count() == 0
    assert contests.seal_due() == 0


def test_a_fact_received_at_the_seal_or_later_never_enters_but_earns_what_else_the_program_pays(trio, crm):
    ana, bob, _cyd = trio
    program = contest(rewards=[{"type": "percent", "rate": "1"}, {"type": "rank", "prizes": PRIZES}])
    receive(crm, deal("D1", ana, "300.00"), at=END - timedelta(microseconds=1))
    close(program)
    receive(crm, deal("D2", bob, "900.00"), at=END)
    assert prizes(program) == {"Ana": 100_300, "Bob": 900}
    assert [s.revision for s in program.standings.all()] == [1]
    assert in_order()


@pytest.mark.parametrize("kind", ["deal.reopened", "deal.lost", "deal.deleted"])
def test_a_reversal_after_the_seal_moves_the_next_up_and_takes_the_prize_back(trio, crm, kind):
    ana, bob, cyd = trio
    program = contest()
    receive(crm, deal("D1", ana, "300.00"), deal("D2", bob, "200.00"), deal("D3", cyd, "100.00"))
    close(program)
    first = newest(program)
    send(crm, deal("D1", ana, "300.00", version=2, kind=kind, occurred_at="2026-08-20T10:00:00Z"))
    assert prizes(program) == {"Bob": 100_000, "Cyd": 50_000}
    second = newest(program)
    assert second.revision == 2 and second.sealed_at == END
    assert places(second) == [(1, "Bob", 100_000), (2, "Cyd", 50_000)]
    changes = {c["name"]: (c["rank"], c["prize_minor"]) for c in second.evidence["changes"]}
    assert changes == {"Ana": ([1, None], [100_000, 0]), "Bob": ([2, 1], [50_000, 100_000]), "Cyd": ([3, 2], [10_000, 50_000])}  # fmt: skip
    assert [cause["object"] for cause in second.evidence["causes"]] == ["deal D1"]
    assert second.reason == f"{kind.replace('.', ' ').capitalize()}: deal D1."
    rows = Earning.objects.filter(participation__program=program).order_by("pk")
    found = [(e.participation.participant.name, e.amount_minor, e.n) for e in rows]
    assert found[3:] == [("Ana", -100_000, 2), ("Bob", 50_000, 2), ("Cyd", 40_000, 2)]
    texts = [e.explanation for e in rows][3:]
    assert texts[0] == "No prize by revision 2 of the standing (corrected, was 1,000.00 USD)"
    assert all("revision 2" in text for text in texts)
    first_again = SealedStanding.objects.get(pk=first.pk)
    assert first_again.places == first.places
    assert in_order()


def test_a_changed_amount_and_a_reassignment_of_a_sealed_fact_enter(trio, crm):
    ana, bob, cyd = trio
    program = contest()
    receive(crm, deal("D1", ana, "300.00"), deal("D2", bob, "200.00"))
    close(program)
    send(crm, deal("D2", bob, "400.00", version=2, kind="deal.updated", state="won"))
    assert prizes(program) == {"Ana": 50_000, "Bob": 100_000}
    send(crm, deal("D2", cyd, "400.00", version=3, kind="deal.updated", state="won"))
    assert prizes(program) == {"Ana": 50_000, "Cyd": 100_000}
    assert [s.revision for s in program.standings.all()] == [1, 2, 3]
    assert in_order()


def test_a_correction_that_changes_no_rank_is_on_record_and_moves_no_money(trio, crm):
    ana, bob, _ = trio
    program = contest()
    receive(crm, deal("D1", ana, "300.00"), deal("D2", bob, "200.00"))
    close(program)
    before = Earning.objects.count()
    send(crm, deal("D1", ana, "310.00", version=2, kind="deal.updated", state="won"))
    assert newest(program).revision == 2
    assert newest(program).evidence["changes"][0]["measure"] == ["300", "310"]
    assert Earning.objects.count() == before
    evaluate()
    assert newest(program).revision == 2
    assert in_order()


def test_the_seal_waits_for_facts_that_were_received_and_not_read(trio, crm):
    ana, bob, _ = trio
    program = contest()
    receive(crm, deal("D1", ana, "300.00"))
    receive(crm, deal("D2", bob, "900.00"), at=END - timedelta(hours=1), score=False)
    Program.objects.filter(pk=program.pk).update(status=Program.Status.CLOSED, closed_at=END)
    contests.seal_due(now=END)
    assert contests.settle() == 0 and SealedStanding.objects.count() == 0
    seal = ContestSeal.objects.get()
    assert contests.waits(seal) == "activities are being credited"
    evaluate()
    assert places(newest(program)) == [(1, "Bob", 100_000), (2, "Ana", 50_000)]
    assert [s.revision for s in program.standings.all()] == [1]
    assert in_order()


def test_the_seal_waits_for_events_received_before_the_close_that_nobody_has_read(trio, crm):
    program = contest()
    receive(crm, deal("D1", trio[0], "300.00"))
    intake.receive_many(crm, [intake.prepare(deal("D2", trio[1], "900.00"))])
    Delivery.objects.filter(status=Delivery.Status.PENDING).update(received_at=END - timedelta(seconds=1))
    close(program)
    assert SealedStanding.objects.count() == 0
    assert contests.waits(ContestSeal.objects.get()) == "events received before the close are being read"
    Delivery.objects.filter(status=Delivery.Status.PENDING).update(received_at=END)
    evaluate()
    assert SealedStanding.objects.count() == 1


def test_prizes_take_what_the_other_rewards_leave_of_the_caps(trio, crm):
    ana, bob, _ = trio
    rewards = [{"type": "percent", "rate": "10"}, {"type": "rank", "prizes": PRIZES}]
    program = contest(rewards=rewards, caps={"participant": "600.00"})
    receive(crm, deal("D1", ana, "3000.00"), deal("D2", bob, "500.00"))
    close(program)
    assert prizes(program) == {"Ana": 60_000, "Bob": 55_000}
    line = Earning.objects.get(participation__participant=ana, line_key="r1:rank")
    assert (line.amount_minor, "limited to 300.00, the rest of 600.00 per participant" in line.explanation) == (
        30_000,
        True,
    )
    assert in_order()
    # a fact that came too late earns its percent; under the cap the prize gives way, the rank does not change
    receive(crm, deal("D3", ana, "1000.00"), at=END + timedelta(hours=1))
    assert prizes(program) == {"Ana": 60_000, "Bob": 55_000}
    assert places(newest(program, 1))[0] == (1, "Ana", 20_000)
    assert in_order()


def test_several_contests_in_one_program_are_sealed_together(trio, crm):
    ana, bob, _ = trio
    by_team = {"type": "rank", "by": "team", "prizes": [{"ranks": "1", "amount": "90.01"}]}
    north, south = make_team("north", name="North"), make_team("south", name="South")
    for person, team in ((ana, north), (bob, north), (trio[2], south)):
        people.update_participant(person=person, actor=make_user("manager"), team=team)
    program = contest(rewards=[{"type": "rank", "prizes": PRIZES}, by_team])
    receive(crm, deal("D1", ana, "300.00"), deal("D2", bob, "200.00"), deal("D3", trio[2], "400.00"))
    close(program)
    assert prizes(program) == {"Cyd": 100_000, "Ana": 50_000 + 4501, "Bob": 10_000 + 4500}
    assert [p["group_name"] for p in newest(program, 1).places] == ["North", "North", "South"]
    assert in_order()
    # who moves to another team later takes no prize along
    people.update_participant(person=bob, actor=make_user("manager"), team=south)
    evaluate()
    assert prizes(program) == {"Cyd": 100_000, "Ana": 50_000 + 4501, "Bob": 10_000 + 4500}
    assert [s.revision for s in program.standings.all()] == [1, 1]
    assert in_order()


def test_a_partner_contest_divides_among_the_partners_people(crm):
    acme, zeta = make_partner("acme", name="Acme"), make_partner("zeta", name="Zeta")
    one, two = (make_participant(n, type="partner", partner=acme) for n in ("One", "Two"))
    three = make_participant("Three", type="partner", partner=zeta)
    program = contest({"by": "partner", "ties": "same"})
    receive(crm, deal("D1", one, "100.00"), deal("D2", two, "100.00"), deal("D3", three, "200.00"))
    close(program)
    assert prizes(program) == {"One": 50_000, "Two": 50_000, "Three": 100_000}
    assert in_order()


@pytest.mark.parametrize(
    ("ties", "expected"),
    [
        ("split", {"Ana": 75_000, "Bob": 75_000, "Cyd": 10_000}),
        ("same", {"Ana": 100_000, "Bob": 100_000, "Cyd": 10_000}),
        ("earliest", {"Ana": 50_000, "Bob": 100_000, "Cyd": 10_000}),
    ],
)
def test_ties_and_the_minimum(trio, crm, ties, expected):
    ana, bob, cyd = trio
    program = contest({"ties": ties, "minimum": "100"})
    receive(
        crm,
        deal("D1", ana, "300.00", occurred_at="2026-08-02T10:00:00Z"),
        deal("D2", bob, "300.00", occurred_at="2026-08-01T10:00:00Z"),
        deal("D3", cyd, "100.00"),
        deal("D4", make_participant("Dee"), "99.99"),
    )
    close(program)
    assert prizes(program) == expected
    assert places(newest(program))[-1] == (4, "Dee", 0)
    assert in_order()


def test_prizes_of_a_program_by_month_stand_in_its_last_period(trio, crm):
    program = make_program(
        starts_on="2026-07-01", ends_on="2026-08-31", period="month", rewards=[{"type": "rank", "prizes": PRIZES}]
    )
    receive(crm, deal("D1", trio[0], "300.00", occurred_at="2026-07-03T10:00:00Z"), deal("D2", trio[1], "200.00"))
    close(program, datetime(2026, 9, 1, tzinfo=UTC))
    found = {(e.participation.participant.name, str(e.period_start)) for e in Earning.objects.all()}
    assert found == {("Ana", "2026-08-01"), ("Bob", "2026-08-01")}
    assert in_order()


def test_a_repeat_of_everything_changes_nothing(trio, crm):
    program = contest()
    receive(crm, deal("D1", trio[0], "300.00"), deal("D2", trio[1], "200.00"))
    close(program)
    before = Earning.objects.count(), SealedStanding.objects.count()
    assert recompute.recompute()["earnings"] == 0
    assert (Earning.objects.count(), SealedStanding.objects.count()) == before
    seal = ContestSeal.objects.get()
    assert seal.dirty_seq == seal.ranked_seq
    with pytest.raises(Exception, match="append-only"):
        ContestSeal.objects.update(sealed_at=END + timedelta(days=1))


def test_the_check_finds_a_prize_that_is_not_what_the_facts_give(trio, crm):
    program = contest()
    receive(crm, deal("D1", trio[0], "300.00"), deal("D2", trio[1], "200.00"))
    close(program)
    ObjectState.objects.filter(object_id="D1").update(received_at=END)  # behind the engine's back
    found = {(d.participant, d.line_key, d.stored_minor, d.computed_minor) for d in recompute.check()}
    assert found == {("Ana", "r0:rank", 100_000, 0), ("Bob", "r0:rank", 50_000, 100_000)}


def test_archived_programs_still_take_corrections(trio, crm):
    manager = make_user("manager")
    program = contest()
    receive(crm, deal("D1", trio[0], "300.00"), deal("D2", trio[1], "200.00"))
    close(program)
    programs.change_status(program=program, new=Program.Status.ARCHIVED, actor=manager)
    send(crm, deal("D1", trio[0], "300.00", version=2, kind="deal.lost"))
    assert prizes(program) == {"Bob": 100_000}
    assert in_order()
