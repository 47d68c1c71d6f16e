"""Two managers at one moment: PostgreSQL with real threads; right on SQLite as well, where one writer works at a time."""

import threading

import pytest
from django.db import connection

from incentives.awards import services as awards
from incentives.awards.models import Award, AwardBatch
from incentives.core.errors import DomainError
from incentives.crm.models import Delivery
from incentives.disputes import services
from incentives.disputes.models import Dispute
from tests.awards.conftest import Pots
from tests.disputes.conftest import Desk
from tests.factories import make_user, usd
from tests.payouts.scene import Scene

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


def at_once(*works) -> list[str]:
    """Run them together; the code of each one's refusal, or done."""
    start, outcomes = threading.Barrier(len(works)), []

    def run(work):
        try:
            start.wait()
            work()
            outcomes.append("done")
        except DomainError as exc:
            outcomes.append(exc.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    [t.start() for t in threads]
    [t.join() for t in threads]
    return sorted(outcomes)


def test_of_two_managers_who_answer_at_once_one_is_refused():
    desk = Desk(Scene())
    dispute = desk.ask()

    def explain(actor):
        return lambda: services.explain(dispute=dispute, actor=actor, text=str(actor), seen_version=1)

    assert at_once(explain(desk.manager), explain(desk.other)) == ["done", "stale_dispute"]
    dispute.refresh_from_db()
    assert (dispute.version, dispute.messages.count()) == (2, 2)
    assert dispute.messages.last().text == str(dispute.decided_by)


def test_the_same_question_asked_twice_at_once_is_one():
    desk = Desk(Scene())
    assert at_once(lambda: desk.ask("One"), lambda: desk.ask("Two")) == ["done", "done"]
    assert Dispute.objects.count() == 1 and Dispute.objects.get().messages.count() == 2


def test_two_givers_at_once_see_each_others_awards_under_the_limit():
    pots = Pots(Scene())
    program = pots.make(participant_cap=100)

    def give(actor):
        return lambda: awards.give_award(
            program=program, participant=pots.scene.rep, amount=usd("60.00"), reason="Why", actor=actor
        )

    assert at_once(give(make_user("manager")), give(make_user("manager"))) == ["cannot_give", "done"]
    assert Award.objects.count() == Delivery.objects.count() == 1


def test_one_file_confirmed_by_two_at_once_is_given_once():
    pots = Pots(Scene())
    program = pots.make()
    batches = [
        awards.upload_batch(program=program, file_name="a.csv", sha256="a" * 64, rows=[[2, "x"]], actor=pots.manager)
        for _copy in range(2)
    ]
    rows = [awards.Wanted(pots.scene.rep, usd("10.00"), "Why", "", 2)]

    def confirm(batch):
        return lambda: awards.give_batch(batch=batch, wanted=rows, actor=pots.manager)

    assert at_once(*(confirm(batch) for batch in batches)) == ["done", "file_given"]
    assert Award.objects.count() == 1 and AwardBatch.objects.filter(status="given").count() == 1
