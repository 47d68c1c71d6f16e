"""What the benchmarks found expensive stays away: the number of queries does not grow with the number of rows."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incentives.crm import intake
from incentives.earnings.evaluate import evaluate
from tests.factories import deal, make_connection, make_participant, make_program, send

pytestmark = pytest.mark.django_db


def test_scoring_many_facts_takes_as_many_queries_as_scoring_few():
    crm, people = make_connection(), [make_participant() for _ in range(10)]
    make_program()
    counts = []
    for first, number in ((0, 10), (10, 100)):
        send(crm, *(deal(f"D{first + n}", people[n % 10], "1000.00") for n in range(number)), evaluate=False)
        with CaptureQueriesContext(connection) as found:
            evaluate()
        counts.append(len(found))
        assert sum(p.earned_minor for p in people[0].participations.all()) == 2000 * (1 if number == 10 else 11)
    assert counts[1] <= counts[0]


def test_a_batch_of_new_events_is_not_read_back():
    crm, rep = make_connection(), make_participant()
    items = [intake.prepare(deal(f"D{n}", rep, "10.00")) for n in range(50)]
    with CaptureQueriesContext(connection) as found:
        results = intake.receive_many(crm, items)
    assert {result.status for result in results} == {"accepted"}
    done = [q["sql"].split()[0] for q in found if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    parts = 1 if connection.vendor == "postgresql" else 2  # SQLite takes a limited number of values at once
    assert done == ["INSERT"] * parts
    again = intake.receive_many(crm, items)
    assert {result.status for result in again} == {"duplicate"}
