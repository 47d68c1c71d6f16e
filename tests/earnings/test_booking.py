"""The accounting day of earnings: when they counted, or today where that month is closed."""

import threading
from datetime import UTC, date, datetime

import pytest
from django.db import connection, transaction
from django.utils import timezone

from incentives.earnings.evaluate import evaluate
from incentives.earnings.models import Earning
from incentives.ledger.models import PeriodClose
from incentives.ledger.periods import closed_months, wait_for_bookings
from tests.earnings.test_evaluate import in_order
from tests.factories import deal, make_connection, make_participant, make_program, make_user, send

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 25)
TIERS = [{"type": "percent", "rate": "2"}, {"type": "tiers", "tiers": [{"at": "500", "amount": "5.00"}]}]


@pytest.fixture
def november(clock):
    clock.move_to(datetime(2026, 11, 25, 12, tzinfo=UTC))
    return clock


def close(month: int, **fields) -> PeriodClose:
    return PeriodClose.objects.create(
        month=date(2026, month, 1), closed_at=timezone.now(), closed_by=make_user("finance"), **fields
    )


def booked() -> list[tuple[int, date]]:
    return list(Earning.objects.order_by("pk").values_list("amount_minor", "booked_on"))


def on(day: str, hour: int = 10) -> dict:
    return {"occurred_at": f"2026-{day}T{hour:02}:00:00Z"}


def test_a_line_is_booked_on_the_day_it_counted_in_the_program_s_time_zone(november):
    ana = make_participant("Ana")
    make_program(rewards=TIERS, period="month", time_zone="America/New_York")
    send(make_connection(), deal("D1", ana, "1000.00", **on("04-01", 2)), deal("D2", ana, "100.00", **on("11-20")))
    assert booked() == [(2000, date(2026, 3, 31)), (500, date(2026, 3, 31)), (200, date(2026, 11, 20))]


def test_what_a_running_period_earns_is_booked_today_and_no_day_to_come_is_taken(november):
    ana = make_participant("Ana")
    make_program(rewards=TIERS, counts_by="close_date")
    send(make_connection(), deal("D1", ana, "1000.00", close_date="2026-12-20"))
    assert booked() == [(2000, TODAY), (500, TODAY)]


def test_a_period_ends_with_its_program(november):
    ana = make_participant("Ana")
    make_program(rewards=TIERS, period="quarter", ends_on="2026-08-15")
    send(make_connection(), deal("D1", ana, "1000.00"))
    assert booked() == [(2000, date(2026, 8, 3)), (500, date(2026, 8, 15))]


def test_what_belongs_to_a_closed_month_is_booked_today_and_says_why(november):
    ana, crm = make_participant("Ana"), make_connection()
    make_program()
    send(crm, deal("D1", ana, "1000.00", **on("03-10")), deal("D2", ana, "1000.00", **on("04-10")))
    close(3)
    close(4, reopened_at=timezone.now())
    assert closed_months() == {date(2026, 3, 1)}
    send(crm, deal("D1", ana, "1500.00", version=2, **on("03-10")))
    send(crm, deal("D2", ana, "1500.00", version=2, **on("04-10")))
    send(crm, deal("D1", ana, "1500.00", version=3, kind="deal.lost", **on("11-24")))
    send(crm, deal("D2", ana, "1500.00", version=3, kind="deal.lost", **on("11-24")))
    assert booked() == [
        (2000, date(2026, 3, 10)), (2000, date(2026, 4, 10)), (1000, TODAY), (1000, date(2026, 4, 10)),
        (-3000, TODAY), (-3000, date(2026, 4, 10)),
    ]  # fmt: skip
    words = Earning.objects.order_by("pk").values_list("explanation", flat=True)
    reason = " (booked on 2026-11-25 because March 2026 is closed)"
    assert [text.endswith(reason) for text in words] == [False, False, True, False, True, False]
    assert words[2] == f"2 % of 1,500.00 = 30.00 (corrected, was 20.00 USD){reason}"
    assert in_order()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_month_that_is_being_closed_waits_for_what_is_being_booked_and_takes_nothing_after():
    ana = make_participant("Ana")
    make_program()
    send(make_connection(), deal("D1", ana, "1000.00", **on("03-10")), evaluate=False)
    closing, may_commit = threading.Event(), threading.Event()

    def closer():
        try:
            with transaction.atomic():
                wait_for_bookings()
                close(3)
                closing.set()
                may_commit.wait(5)
        finally:
            connection.close()

    def scorer():
        try:
            evaluate()
        finally:
            connection.close()

    first, second = threading.Thread(target=closer), threading.Thread(target=scorer)
    first.start()
    assert closing.wait(5)
    second.start()
    second.join(0.5)
    assert second.is_alive() and not Earning.objects.exists()
    may_commit.set()
    first.join()
    second.join()
    assert Earning.objects.get().booked_on == datetime.now(UTC).date()
