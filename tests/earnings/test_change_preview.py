"""Whom a further version changes, said before it is published, and what then really happens."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incentives.earnings.change_preview import change_preview
from incentives.earnings.evaluate import evaluate
from incentives.earnings.models import Earning, Participation
from incentives.programs import services
from incentives.programs.selectors import draft_of
from tests.factories import deal, definition, make_connection, make_participant, make_program, make_user, send, usd
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
AUGUST = datetime(2026, 8, 1, tzinfo=UTC)


@pytest.fixture
def manager():
    return make_user("manager")


@pytest.fixture
def program(manager, clock):
    """2 % of won deals; Ana and Ben each won one in July, Ana one in August. Today is 15 July, noon."""
    program = make_program(name="Bonus", manager=manager, funded="5000.00")
    ana, ben = make_participant("Ana"), make_participant("Ben")
    clock.move_to(datetime(2026, 9, 1, tzinfo=UTC))
    send(
        make_connection(),
        deal("D1", ana, "1000.00", occurred_at="2026-07-01T10:00:00Z"),
        deal("D2", ben, "500.00", occurred_at="2026-07-02T10:00:00Z"),
        deal("D3", ana, "2000.00", occurred_at="2026-08-02T10:00:00Z"),
    )
    clock.move_to(datetime(2026, 7, 15, 12, tzinfo=UTC))
    return program


def write(program, manager, **changes):
    services.edit_draft(program=program, document=definition(name="Bonus", **changes), actor=manager)
    return draft_of(program)


def earned() -> dict[str, int]:
    return dict(Participation.objects.values_list("participant__name", "earned_minor"))


def test_from_the_beginning_everybody_is_counted_again(program, manager):
    draft = write(program, manager, rewards=[{"type": "percent", "rate": "3"}])
    change = change_preview(program, draft)
    assert (change.before, change.after, change.difference) == (usd("70.00"), usd("105.00"), usd("35.00"))
    assert (change.gain, change.lose, change.same, change.looked_at, change.cut) == (2, 0, 0, 3, False)
    assert [(row.name, row.before, row.after) for row in change.rows] == [
        ("Ana", usd("60.00"), usd("90.00")), ("Ben", usd("10.00"), usd("15.00")),
    ]  # fmt: skip
    services.launch(program=program, actor=manager)
    evaluate()
    assert earned() == {"Ana": 9000, "Ben": 1500}


def test_from_a_day_on_what_counted_before_stays(program, manager):
    draft = write(program, manager, rewards=[{"type": "percent", "rate": "1"}])
    change = change_preview(program, draft, AUGUST)
    assert (change.before, change.after) == (usd("70.00"), usd("50.00"))
    assert (change.gain, change.lose, change.same) == (0, 1, 1)
    assert [(row.name, row.difference) for row in change.rows] == [("Ana", usd("20.00") - usd("40.00"))]
    services.launch(program=program, actor=manager, starts_at=AUGUST)
    evaluate()
    assert earned() == {"Ana": 4000, "Ben": 1000}


def test_looking_writes_nothing_and_asks_as_often_for_many(program, manager):
    draft = write(program, manager, caps={"deal": "5.00"})
    before = Earning.objects.count(), earned()

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            change_preview(program, draft)
        return len(found)

    few = queries()
    send(make_connection(), *[deal(f"X{n}", make_participant(), "100.00") for n in range(20)], evaluate=False)
    assert queries() == few
    assert (Earning.objects.count(), earned()) == before


def test_too_many_facts_are_said_to_be_a_sample(program, manager):
    draft = write(program, manager, caps={"deal": "5.00"})
    change = change_preview(program, draft, limit=2)
    assert change.cut and change.looked_at == 2


def test_a_shorter_program_shows_what_is_lost(program, manager):
    draft = write(program, manager, ends_on="2026-07-31")
    change = change_preview(program, draft)
    assert (change.before, change.after, change.lose) == (usd("70.00"), usd("30.00"), 1)


# --- pages -----------------------------------------------------------------------------------------------------------------
def test_the_launch_page_offers_three_starts_and_shows_whom_each_changes(program, manager, client):
    write(program, manager, rewards=[{"type": "percent", "rate": "3"}])
    client.force_login(manager)
    at = f"{program.get_absolute_url()}launch/"
    page = assert_page_clean(client.get(at)).text
    assert "from now on: what counted before stays as it is" in page
    assert "Earned now 70.00 USD Earned then 90.00 USD Difference 20.00 USD" in page
    assert "People who gain 1 People who lose 0 Unchanged 1" in page
    look = assert_page_clean(client.post(at, {"action": "look", "start": "beginning"})).text
    assert "Earned then 105.00 USD" in look and "governs everything from the program's first day on" in look
    day = client.post(at, {"action": "look", "start": "day", "day": "2026-08-02"})
    assert "Earned then 90.00 USD" in assert_page_clean(day).text and 'value="2026-08-02"' in day.content.decode()
    for data, words in (
        ({"start": "day"}, "Choose the first day."),
        ({"start": "day", "day": "2027-03-01"}, "Choose a day of the program, from 2026-01-01 to 2026-12-31."),
        ({}, "This field is required."),
    ):
        for action in ("look", ""):
            refused = client.post(at, data | {"action": action})
            assert refused.status_code == 400 and words in assert_page_clean(refused).text
    assert draft_of(program) is not None


def test_publishing_with_a_start_keeps_it(program, manager, client):
    write(program, manager, rewards=[{"type": "percent", "rate": "3"}])
    client.force_login(manager)
    at = f"{program.get_absolute_url()}launch/"
    answer = client.post(at, {"start": "day", "day": "2026-08-01"}, follow=True)
    page = assert_page_clean(answer).text
    assert "What counts from its start on is counted by it." in page
    assert "Version 2 is published and governs facts from 1 Aug 2026" in page
    assert program.newest_version.starts_at == AUGUST
    versions = assert_page_clean(client.get(f"{program.get_absolute_url()}versions/?from=1&to=2")).text
    assert "Version 2 Scheduled" in versions and "From version 1 to version 2" in versions
    assert "Pays 3 % of the amount of every won deal." in versions


def test_a_start_that_the_rules_do_not_allow_is_said_and_refused(program, manager, client):
    write(program, manager, period="month")
    client.force_login(manager)
    at = f"{program.get_absolute_url()}launch/"
    page = assert_page_clean(client.get(at)).text
    assert "It cannot start at this moment:" in page
    refused = client.post(at, {"start": "now"})
    assert refused.status_code == 409 and draft_of(program) is not None
    assert client.post(at, {"start": "beginning"}).status_code == 302
