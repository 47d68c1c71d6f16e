"""A closed month is closed through every door: services, bulk writes, SQL."""

from datetime import UTC, date, datetime

import pytest
from django.db import DatabaseError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from incentives.earnings.models import Earning
from incentives.ledger import accounts
from incentives.ledger.errors import MonthClosed
from incentives.ledger.models import Account, PeriodClose, Posting
from incentives.ledger.posting import Move, post_all
from tests.awards.conftest import Pots
from tests.factories import deal, make_budget, make_connection, make_participant, make_program, make_user, send, usd
from tests.payouts.conftest import scene  # noqa: F401

pytestmark = pytest.mark.django_db
MAY = date(2026, 5, 1)


@pytest.fixture
def closed(clock):
    """May 2026 is closed; Ana earned 20.00 in it."""
    clock.move_to(datetime(2026, 7, 15, 12, tzinfo=UTC))
    make_program(starts_on="2026-01-01")
    send(make_connection("crm"), deal("D1", make_participant("Ana"), "1000.00", occurred_at="2026-05-10T10:00:00Z"))
    return PeriodClose.objects.create(month=MAY, closed_at=timezone.now(), closed_by=make_user("finance"))


def in_may() -> tuple:
    rows = Posting.objects.filter(booked_on__range=("2026-05-01", "2026-05-31"))
    return rows.count(), Earning.objects.filter(booked_on__range=("2026-05-01", "2026-05-31")).count()


def move(day: date | None) -> Move:
    inside = accounts.budget_accounts(make_budget())[accounts.AVAILABLE]
    outside = accounts.world("funding", "USD", book=Account.Book.BUDGET)
    return Move(f"alloc:x:{day}", usd("5.00"), outside, inside, "allocate", "budget:x", booked_on=day)


def test_the_ledger_books_nothing_into_it_and_leaves_nothing_behind(closed):
    before, one = in_may(), move(date(2026, 5, 31))
    with pytest.raises(MonthClosed, match="May 2026 is closed"), transaction.atomic():
        post_all([one])
    assert in_may() == before == (1, 1)
    assert not Posting.objects.filter(key=one.key).exists() and one.destination.balance_minor == 0
    with transaction.atomic():
        (april,) = post_all([move(date(2026, 4, 30))])
        (today,) = post_all([move(None)])
    assert (april.booked_on, today.booked_on) == (date(2026, 4, 30), date(2026, 7, 15))


def copies(row, **values):
    fields = {
        f.attname: getattr(row, f.attname) for f in row._meta.concrete_fields if f.name not in {"id", "public_id"}
    }
    return type(row)(**fields | values)


@pytest.mark.parametrize("model", [Posting, Earning])
def test_the_database_refuses_what_goes_past_the_services(closed, model):
    row = model.objects.get(booked_on="2026-05-10")
    new = copies(row, **({"key": "new"} if model is Posting else {"n": 2}))
    for door in (lambda: new.save(force_insert=True), lambda: model.objects.bulk_create([new])):
        with pytest.raises(DatabaseError, match="closed month"), transaction.atomic():
            door()
    names = [f.column for f in model._meta.concrete_fields if f.name not in {"id", "public_id", "key", "n"}]
    extra = {"ledger_posting": ("key", "'sql'"), "earnings_earning": ("n, public_id", "7, lower(hex(randomblob(16)))")}
    also, values = extra[model._meta.db_table]
    if connection.vendor == "postgresql":
        values = values.replace("lower(hex(randomblob(16)))", "gen_random_uuid()")
    copied = ", ".join(names)
    with pytest.raises(DatabaseError, match="closed month"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {model._meta.db_table} ({copied}, {also}) SELECT {copied}, {values} FROM {model._meta.db_table}")  # fmt: skip
    assert in_may() == (1, 1)
    closed.reopened_at = timezone.now()
    closed.save()
    new.save(force_insert=True)


def test_a_row_without_a_day_counts_on_the_day_it_was_posted(closed):
    """Rows of before the column, or of a door that leaves it out."""
    closed.month = date(2026, 7, 1)  # the month that runs cannot be closed; a clock that was wrong could
    closed.save()
    with pytest.raises(DatabaseError, match="closed month"), transaction.atomic():
        copies(Posting.objects.get(booked_on="2026-05-10"), key="new", booked_on=None).save(force_insert=True)


def test_an_award_of_a_closed_month_is_taken_back_today(scene, clock):  # noqa: F811
    clock.move_to(datetime(2026, 5, 20, 12, tzinfo=UTC))
    pots = Pots(scene)
    award = pots.give("50.00")
    clock.move_to(datetime(2026, 7, 15, 12, tzinfo=UTC))
    PeriodClose.objects.create(month=MAY, closed_at=timezone.now(), closed_by=scene.finance)
    pots.cancel(award)
    pots.give("20.00")
    days = [(5_000, date(2026, 5, 20)), (-5_000, date(2026, 7, 15)), (2_000, date(2026, 7, 15))]
    assert list(Earning.objects.order_by("pk").values_list("amount_minor", "booked_on")) == days
    assert list(Posting.objects.filter(key__startswith="earn:").order_by("pk").values_list("booked_on", flat=True)) == [
        day for _minor, day in days
    ]


def test_a_late_fact_of_it_is_booked_today(closed):
    ana = make_participant("Bo", user=make_user("participant"))
    send(make_connection("late"), deal("D2", ana, "500.00", occurred_at="2026-05-11T10:00:00Z"))
    late = Earning.objects.get(participation__participant=ana)
    assert late.booked_on == date(2026, 7, 15)
    assert Posting.objects.get(key=f"earn:{late.public_id}").booked_on == date(2026, 7, 15)
    assert in_may() == (1, 1)


@pytest.mark.django_db
def test_the_list_of_months_has_a_year_filter_a_search_and_pages(closed, client):
    client.force_login(make_user("finance"))
    get = lambda **query: client.get(reverse("payouts:months"), query).context  # noqa: E731
    names = lambda **query: [row["cells"][0]["value"] for row in get(**query)["rows"]]  # noqa: E731
    assert names() == ["July 2026", "June 2026", "May 2026"]
    assert names(year="2026") == names(q="2026") and names(q="june") == ["June 2026"]
    assert names(state="closed") == ["May 2026"] and names(year="2025") == [] and names(sort="month")[0] == "May 2026"
    assert get()["page"].paginator.per_page == 25
