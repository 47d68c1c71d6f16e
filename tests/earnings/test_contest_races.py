"""Several sealers at once: PostgreSQL with real threads; right on SQLite as well, where one writer works at a time."""

from datetime import timedelta

import pytest

from incentives.earnings import contests, recompute
from incentives.earnings.evaluate import evaluate
from incentives.earnings.models import ContestSeal, Earning, SealedStanding
from incentives.ledger.selectors import check_postings
from incentives.programs.models import Program
from tests.earnings.test_contests import END, contest, prizes, receive
from tests.factories import deal, make_connection, make_participant
from tests.payouts.test_races import in_threads

pytestmark = pytest.mark.django_db(transaction=True)


def test_many_sealers_seal_once_and_pay_every_prize_once():
    crm, people = make_connection(), [make_participant(f"P{n}") for n in range(6)]
    program = contest()
    receive(crm, *[deal(f"D{n}", p, f"{100 - n}.00") for n, p in enumerate(people)])
    Program.objects.filter(pk=program.pk).update(status=Program.Status.CLOSED, closed_at=END)

    def work(number):
        contests.seal_due(now=END + timedelta(seconds=number))
        evaluate()

    in_threads(8, work)
    evaluate()
    assert ContestSeal.objects.get().sealed_at == END
    assert SealedStanding.objects.count() == 1
    assert prizes(program) == {"P0": 100_000, "P1": 50_000, "P2": 10_000}
    assert Earning.objects.count() == 3
    assert list(recompute.check()) == [] and check_postings() == []


def test_corrections_that_arrive_while_the_contest_is_sealed_are_never_lost():
    crm, people = make_connection(), [make_participant(f"P{n}") for n in range(6)]
    program = contest()
    receive(crm, *[deal(f"D{n}", p, f"{100 - n}.00") for n, p in enumerate(people)])
    Program.objects.filter(pk=program.pk).update(status=Program.Status.CLOSED, closed_at=END)

    def work(number):
        if number < 4:
            contests.seal_due(now=END)
            evaluate()
        else:  # P0 and P1 lose their deals meanwhile
            receive(crm, deal(f"D{number - 4}", people[number - 4], "1.00", version=2, kind="deal.lost"), at=END)

    in_threads(6, work)
    evaluate()
    newest = SealedStanding.objects.order_by("revision").last()
    assert [(p["rank"], p["name"]) for p in newest.places] == [(1, "P2"), (2, "P3"), (3, "P4"), (4, "P5")]
    assert prizes(program) == {"P2": 100_000, "P3": 50_000, "P4": 10_000}
    assert list(recompute.check()) == [] and check_postings() == []
