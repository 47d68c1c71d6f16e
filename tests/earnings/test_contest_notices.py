"""What participants and channels hear of contests: each step once, with their own place and nobody else's."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail

from incentives.earnings import contests
from incentives.earnings.evaluate import sweep_once
from incentives.earnings.notices import announce_due
from incentives.notifications.models import ChannelEndpoint, Notification
from incentives.notifications.sending import deliver
from incentives.programs import life
from rewards import vault
from tests.factories import deal, make_connection, make_participant, make_program, make_user, send

pytestmark = pytest.mark.django_db
RANK = [{"type": "rank", "by": "participant", "prizes": [{"ranks": "1", "amount": "300.00"}]}]


@pytest.fixture
def contest(clock):
    """From 1 to 31 July 2026 in UTC, two days of grace; Ana leads Ben, and Cy does not work here any more."""
    clock.move_to(datetime(2026, 7, 1, 0, 30, tzinfo=UTC))
    make_user("administrator")
    program = make_program(
        name="Race & win", starts_on="2026-07-01", ends_on="2026-07-31", grace_days=2, template="contest", rewards=RANK,
        eligible={"types": ["employee"]}, funded="1000.00",
    )  # fmt: skip
    life.advance_by_date()
    program.refresh_from_db()
    program.ana = make_participant(
        "Ana Ruiz", email="ana@example.com", user=make_user("participant", email="ana@login.example")
    )
    program.ben = make_participant("Ben Ode", email="ben@example.com", language="en")
    make_participant("Cy Gone", email="cy@example.com", active=False)
    make_participant("Pia Partner", email="pia@example.com", type="partner")
    send(
        make_connection(),
        deal("A", program.ana, "9000.00", occurred_at="2026-07-01T00:10:00Z"),
        deal("B", program.ben, "4000.00", occurred_at="2026-07-01T00:10:00Z"),
    )
    return program


def told() -> list[tuple[str, str]]:
    found = sorted((message.to[0], message.subject) for message in mail.outbox)
    mail.outbox.clear()
    return found


def test_everybody_eligible_hears_of_the_beginning_once(contest, clock):
    assert (announce_due(), announce_due()) == (1, 0)
    assert deliver() == 2
    assert told() == [
        ("ana@login.example", "The contest “Race & win” has begun"),
        ("ben@example.com", "The contest “Race & win” has begun"),
    ]
    clock.shift(timedelta(days=1))
    assert announce_due() == 0


def test_half_way_each_hears_of_their_own_place(contest, clock):
    announce_due()
    deliver()
    mail.outbox.clear()
    clock.move_to(datetime(2026, 7, 16, 11, 59, tzinfo=UTC))
    assert announce_due() == 0
    clock.move_to(datetime(2026, 7, 16, 12, 0, tzinfo=UTC))
    assert announce_due() == 1
    deliver()
    texts = {message.to[0]: message.body + message.alternatives[0][0] for message in mail.outbox}
    assert texts["ana@login.example"].count("You are on rank 1 of 2 now: leads by 5,000.00.") == 2
    assert texts["ben@example.com"].count("You are on rank 2 of 2 now: 5,000.00 behind rank 1.") == 2
    assert "Ben" not in texts["ana@login.example"] and "Ana" not in texts["ben@example.com"]
    assert "Race &amp; win" in texts["ben@example.com"] and "It runs until 31 July 2026." in texts["ben@example.com"]
    assert "/me/boards/" in texts["ana@login.example"] and "/me/" not in texts["ben@example.com"]


def test_the_end_is_told_when_the_standing_is_final(contest, clock):
    clock.move_to(datetime(2026, 8, 2, 23, 0, tzinfo=UTC))
    life.advance_by_date()
    contests.seal_due()
    assert announce_due() == 0, "the grace days are not over"
    clock.move_to(datetime(2026, 8, 3, 0, 0, tzinfo=UTC))
    life.advance_by_date()
    contests.seal_due()
    sweep_once()
    assert announce_due() == 1
    deliver()
    texts = {message.to[0]: message.body for message in mail.outbox}
    assert "You finished on rank 1 of 2 and won 300.00 USD." in texts["ana@login.example"].replace("\xa0", " ")
    assert "You finished on rank 2 of 2." in texts["ben@example.com"] and "won" not in texts["ben@example.com"]
    assert announce_due() == 0


def test_an_installation_that_was_away_says_nothing_late(contest, clock):
    clock.shift(timedelta(days=4))
    assert announce_due() == 0 and not Notification.objects.exists()


def test_a_contest_that_was_paused_before_the_mail_left_is_not_told(contest):
    announce_due()
    life.change_status(program=contest, new="paused", actor=make_user("manager"))
    assert deliver() == 0


def test_a_program_without_prizes_announces_nothing(contest):
    announce_due()
    make_program(starts_on="2026-07-01", ends_on="2026-07-31")
    life.advance_by_date()
    assert announce_due() == 0


def test_a_channel_hears_without_names_or_places(contest):
    row = ChannelEndpoint(
        name="Sales", channel="slack", host="x", kinds=["contests.started"], programs=[str(contest.public_id)]
    )
    row.sealed = vault.seal(row.label, {"url": "https://example.invalid/"})
    row.save()
    announce_due()
    from incentives.notifications import Item, Reader, registry

    notice = Notification.objects.get(endpoint=row)
    content = registry.get(notice.kind).content([Item(notice.key, notice.data, notice.created_at)], Reader(chat=True))
    assert content.summary == "Race & win It runs until 31 July 2026."


def test_looking_costs_few_queries_once_all_is_told(contest, django_assert_max_num_queries):
    announce_due()
    for _ in range(4):
        make_program(starts_on="2026-07-01", ends_on="2026-07-31", rewards=RANK)
    life.advance_by_date()
    assert announce_due() == 4
    with django_assert_max_num_queries(3):
        assert announce_due() == 0
