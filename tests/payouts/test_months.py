"""Closed months: closed in order by finance, opened again with a reason, and what each holds."""

from datetime import UTC, date, datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.earnings.models import Earning
from incentives.ledger.models import PeriodClose
from incentives.payouts import month_selectors, services
from incentives.payouts.errors import MonthInvalid, ReasonNeeded
from tests.factories import deal, make_user, send
from tests.payouts.scene import Scene
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
MAY, JUNE, JULY = date(2026, 5, 1), date(2026, 6, 1), date(2026, 7, 1)


@pytest.fixture
def scene(clock, db):
    """Ana earned 100.00 in May, 40.00 in June and 20.00 in July; the clock stands at 15 July 2026."""
    made = Scene()
    made.prog = made.program(name="Bonus")
    for number, (month, day, amount) in enumerate(((5, 20, "5000.00"), (6, 2, "2000.00"), (7, 15, "1000.00"))):
        clock.move_to(datetime(2026, month, day, 12, tzinfo=UTC))
        fact = deal(f"M{number}", made.rep, amount, occurred_at=f"2026-{month:02}-{day:02}T10:00:00Z")
        send(made.crm, fact | {"attributes": {"for": "Bonus"}})
    return made


def refused(error, act, match=None):
    before = list(PeriodClose.objects.values()), AuditEvent.objects.count()
    with pytest.raises(error, match=match):
        act()
    assert (list(PeriodClose.objects.values()), AuditEvent.objects.count()) == before


def close(month, actor, **more):
    return services.close_month(month=month, actor=actor, **more)


def test_months_are_closed_one_after_the_other_once_they_have_ended(scene):
    refused(MonthInvalid, lambda: close(JUNE, scene.finance), "Close May 2026 first")
    refused(MonthInvalid, lambda: close(date(2026, 4, 1), scene.finance), "May 2026 is the first")
    refused(MonthInvalid, lambda: close(date(2026, 5, 2), scene.finance), "not the first day")
    closed = close(MAY, scene.finance, note="All reviewed")
    assert (closed.closed_by, closed.note) == (scene.finance, "All reviewed")
    assert close(MAY, scene.other).pk == closed.pk  # a repeat
    close(JUNE, scene.finance)
    refused(MonthInvalid, lambda: close(JULY, scene.finance), "has not ended")
    assert list(
        AuditEvent.objects.filter(action="month.closed").order_by("pk").values_list("target_label", flat=True)
    ) == [
        "2026-05",
        "2026-06",
    ]


def test_a_month_has_ended_when_it_has_ended_everywhere(scene, clock):
    close(MAY, scene.finance)
    close(JUNE, scene.finance)
    clock.move_to(datetime(2026, 8, 1, 11, 59, tzinfo=UTC))
    refused(MonthInvalid, lambda: close(JULY, scene.finance), "has not ended")
    clock.move_to(datetime(2026, 8, 1, 12, 0, tzinfo=UTC))
    close(JULY, scene.finance)


def test_only_the_latest_closed_month_is_opened_again_and_with_a_reason(scene):
    reopen = lambda month, actor=scene.finance, reason="Late file": services.reopen_month(  # noqa: E731
        month=month, actor=actor, reason=reason
    )
    refused(MonthInvalid, lambda: reopen(MAY))
    close(MAY, scene.finance)
    close(JUNE, scene.finance)
    refused(MonthInvalid, lambda: reopen(MAY), "Only June 2026 can be")
    refused(ReasonNeeded, lambda: reopen(JUNE, reason=" "))
    opened = reopen(JUNE)
    assert (opened.reopened_by, opened.reopen_reason) == (scene.finance, "Late file")
    assert AuditEvent.objects.get(action="month.reopened").reason == "Late file"
    refused(MonthInvalid, lambda: reopen(JUNE))
    close(JUNE, scene.other)
    assert PeriodClose.objects.filter(month=JUNE).count() == 2


@pytest.mark.parametrize("role", ["manager", "auditor", "administrator", "participant"])
def test_only_finance_closes_and_opens(scene, role):
    actor = make_user(role, is_superuser=True)
    refused(NotAllowed, lambda: close(MAY, actor))
    close(MAY, scene.finance)
    refused(NotAllowed, lambda: services.reopen_month(month=MAY, actor=actor, reason="x"))


def test_nothing_was_earned_yet(db):
    refused(MonthInvalid, lambda: close(MAY, make_user("finance")), "Nothing was earned yet")


def test_what_a_month_holds_by_program(scene, clock):
    (payout,) = services.build_payouts(program=scene.prog).payouts  # 160.00, in July
    scene.issue(scene.approve(payout))
    clock.shift(60)
    second = deal("M9", scene.rep, "500.00", occurred_at="2026-07-15T10:00:00Z")
    send(scene.crm, second | {"attributes": {"for": "Bonus"}})
    (payout,) = services.build_payouts(program=scene.prog).payouts  # 10.00
    scene.issue(scene.approve(payout))
    held = {month: month_selectors.by_program(month) for month in (MAY, JUNE, JULY)}
    shown = {m: [(f.program.name, f.earned, f.approved, f.ordered, f.paid) for f in rows] for m, rows in held.items()}
    assert shown == {
        MAY: [("Bonus", 10_000, 0, 0, 0)],
        JUNE: [("Bonus", 4_000, 0, 0, 0)],
        JULY: [("Bonus", 3_000, 17_000, 17_000, 17_000)],
    }
    rows = month_selectors.all_months(timezone.now().date())
    assert [(r.month, r.status, r.sums["USD"]["earned"]) for r in rows] == [
        (JULY, "open", 3_000),
        (JUNE, "open", 4_000),
        (MAY, "open", 10_000),
    ]
    assert rows[0].sums["USD"] == {"earned": 3_000, "approved": 17_000, "ordered": 17_000, "paid": 17_000}


def test_an_earning_with_a_booking_day_counts_on_that_day(scene):
    from incentives.payouts.month_selectors import booked_in

    first = Earning.objects.order_by("pk").first()
    values = {
        f.attname: getattr(first, f.attname) for f in Earning._meta.concrete_fields if f.name not in {"id", "public_id"}
    }
    Earning.objects.create(**values | {"n": 2, "amount_minor": -300, "booked_on": date(2026, 7, 3)})
    assert sum(Earning.objects.filter(booked_in(MAY, JUNE)).values_list("amount_minor", flat=True)) == 10_000
    assert (
        sum(Earning.objects.filter(booked_in(JULY, date(2026, 8, 1))).values_list("amount_minor", flat=True)) == 1_700
    )
    (july,) = month_selectors.by_program(JULY)
    assert (july.earned, july.corrected) == (1_700, -300)


def test_the_pages_close_open_and_export(scene, as_user, django_assert_max_num_queries):
    client = as_user(scene.finance)
    with django_assert_max_num_queries(16):
        listed = client.get(reverse("payouts:months"))
    assert_page_clean(listed)
    assert "Close May 2026" in listed.content.decode()
    with django_assert_max_num_queries(26):
        one = client.get(reverse("payouts:month", args=["2026-05"]))
    assert_page_clean(one)
    assert "Facts in quarantine or failed" in one.content.decode()
    asked = client.get(reverse("payouts:month-close", args=["2026-05"]))
    assert_page_clean(asked)
    done = client.post(reverse("payouts:month-close", args=["2026-05"]), {"note": ""}, follow=True)
    assert "May 2026 is closed." in done.content.decode()
    refused_page = client.post(reverse("payouts:month-close", args=["2026-07"]), {"note": ""})
    assert refused_page.status_code == 409
    csv = b"".join(client.get(reverse("payouts:month", args=["2026-05"]), {"export": "csv"}).streaming_content).decode()
    assert "Bonus,USD,100.00,0.00" in csv
    assert client.get(reverse("payouts:months"), {"export": "xlsx"}).status_code == 200
    assert (
        "2026-05,closed,USD,100.00"
        in b"".join(client.get(reverse("payouts:months"), {"export": "csv"}).streaming_content).decode()
    )
    reopened = client.post(reverse("payouts:month-reopen", args=["2026-05"]), {"reason": "Late"}, follow=True)
    assert "open again" in reopened.content.decode()
    for wrong in ("2026-13", "2019-01", "x", "2026"):
        assert client.get(reverse("payouts:month", args=[wrong])).status_code == 404
