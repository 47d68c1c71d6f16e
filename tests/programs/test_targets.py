"""Targets: the history of every change, the grid, and proration of those who joined or left."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from incentives.core.errors import NotAllowed
from incentives.programs import services
from incentives.programs.models import Target, TargetChange
from incentives.programs.rules.parsing import parse_definition
from incentives.programs.rules.periods import period_start
from incentives.programs.rules.proration import Days, days_in, prorated
from incentives.programs.selectors import definition_of
from incentives.programs.services import TargetRow
from incentives.programs.targets import prorate, to_prorate
from tests.factories import definition, make_participant, make_program, make_team, make_user
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
Q3 = date(2026, 7, 1)
QUOTA = {
    "template": "quota", "period": "quarter",
    "rewards": [{"type": "tiers", "of": "target", "tiers": [{"at": "100", "amount": "500.00"}]}],
}  # fmt: skip


@pytest.fixture
def manager():
    return make_user("manager", name="Maya")


@pytest.fixture
def signed_in(client, manager):
    client.force_login(manager)
    return client


@pytest.fixture
def quota(manager):
    return make_program(name="Quota", manager=manager, **QUOTA)


def set_target(program, person, value, manager, start=Q3):
    services.set_targets(program=program, rows=[TargetRow(person, start, Decimal(value))], actor=manager)


def changes() -> list[tuple]:
    rows = TargetChange.objects.order_by("pk")
    return [(row.participant.name, row.before, row.after, row.whole, row.reason) for row in rows]


# --- history ---------------------------------------------------------------------------------------------------------------
def test_every_change_is_kept_and_a_repeat_is_none(quota, manager):
    ana = make_participant("Ana")
    for value in ("1000", "1000", "1200.50"):
        set_target(quota, ana, value, manager)
    assert changes() == [
        ("Ana", None, Decimal(1000), None, ""), ("Ana", Decimal(1000), Decimal("1200.5"), None, ""),
    ]  # fmt: skip
    assert {row.changed_by for row in TargetChange.objects.all()} == {manager}
    for spoil in (lambda: TargetChange.objects.update(after=1), TargetChange.objects.all().delete):
        with pytest.raises(DatabaseError), transaction.atomic():
            spoil()


def test_the_history_is_a_list_per_target_with_export(signed_in, quota, manager):
    ana, ben = make_participant("Ana"), make_participant("Ben")
    for person, value in ((ana, "1000"), (ana, "1500"), (ben, "700")):
        set_target(quota, person, value, manager)
    at = f"/programs/{quota.public_id}/targets/"
    history = f"{at}history/?participant={ana.public_id}&period=2026-07-01"
    assert history in assert_page_clean(signed_in.get(at)).links
    page = assert_page_clean(signed_in.get(history)).text
    assert "1,000.00 USD 1,500.00 USD" in page and "Ben" not in page and "Maya" in page
    rows = b"".join(signed_in.get(f"{at}history/?export=csv").streaming_content).decode("utf-8-sig")
    assert rows.count("\n") == 4 and ",1000.00,USD,1500.00,USD," in rows


# --- proration -------------------------------------------------------------------------------------------------------------
@pytest.mark.pure
@pytest.mark.parametrize(
    ("joined", "left", "days"),
    [
        (None, None, (92, 92)),
        ("2026-07-01", None, (92, 92)),
        ("2026-07-02", None, (91, 92)),
        ("2026-08-15", None, (47, 92)),
        (None, "2026-07-31", (31, 92)),
        ("2026-08-01", "2026-08-01", (1, 92)),
        ("2026-10-01", None, (0, 92)),
        (None, "2026-06-30", (0, 92)),
    ],
)
def test_the_days_of_joining_and_leaving_count(joined, left, days):
    rules = parse_definition(definition(**QUOTA))
    ends = [date.fromisoformat(day) if day else None for day in (joined, left)]
    assert days_in(rules, Q3, *ends) == Days(*days)


@pytest.mark.pure
def test_days_outside_the_program_do_not_count():
    rules = parse_definition(definition(**QUOTA, starts_on="2026-08-01"))
    assert days_in(rules, Q3, None, None) == Days(61, 61)
    assert days_in(rules, Q3, date(2026, 9, 1), None) == Days(30, 61)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("metric", "value", "days", "part"),
    [
        ("amount", "100000", (47, 92), "51086.96"),
        ("quantity", "100", (47, 92), "51"),
        ("deals", "5", (1, 2), "3"),  # half up
        ("amount", "0.01", (1, 2), "0.01"),
        ("amount", "123.4567", (92, 92), "123.4567"),  # whole stays as it was set
    ],
)
def test_the_part_is_rounded_half_up(metric, value, days, part):
    rules = parse_definition(definition(**QUOTA, measure={"metric": metric}))
    assert prorated(rules, Decimal(value), Days(*days)) == Decimal(part)


@pytest.mark.pure
@given(
    start=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    joined=st.none() | st.dates(date(2025, 6, 1), date(2027, 6, 1)),
    stays=st.none() | st.integers(0, 500),
    value=st.integers(1, 10**9),
    period=st.sampled_from(["program", "week", "month", "quarter", "year"]),
)
def test_a_part_is_never_more_than_the_whole_and_the_days_add_up(start, joined, stays, value, period):
    rules = parse_definition(definition(period=period))
    first = period_start(rules, start)
    left = joined + timedelta(days=stays) if joined and stays is not None else None
    days = days_in(rules, first, joined, left)
    assert 0 <= days.active <= days.all
    part = prorated(rules, Decimal(value), days)
    assert 0 <= part <= value
    assert (part == value) or days.active < days.all
    if joined:  # who leaves the day before somebody else joins shares the target with them
        rest = days_in(rules, first, None, joined - timedelta(days=1))
        assert rest.active + days_in(rules, first, joined, None).active == days.all


def test_proration_writes_ordinary_targets_with_their_reason_and_a_repeat_nothing(quota, manager):
    ana, ben = make_participant("Ana", started_on=date(2026, 8, 15)), make_participant("Ben")
    for person in (ana, ben):
        set_target(quota, person, "100000", manager)
    (item,) = to_prorate(quota, definition_of(quota), Q3)
    assert (item.participant, item.whole, item.value, item.same) == (ana, Decimal(100000), Decimal("51086.96"), False)
    both = {ana.pk, ben.pk}
    assert prorate(program=quota, period_start=Q3, participants=both, actor=manager)["changed"] == 1
    assert Target.objects.get(participant=ana).value == Decimal("51086.96")
    assert Target.objects.get(participant=ben).value == Decimal(100000)
    assert changes()[-1] == (
        "Ana", Decimal(100000), Decimal("51086.96"), Decimal(100000), "prorated: joined 2026-08-15, 47 of 92 days",
    )  # fmt: skip
    for _ in range(2):
        assert prorate(program=quota, period_start=Q3, participants=both, actor=manager)["changed"] == 0
    assert to_prorate(quota, definition_of(quota), Q3)[0].same and TargetChange.objects.count() == 3


def test_other_dates_prorate_the_whole_and_not_the_part(quota, manager):
    ana = make_participant("Ana", started_on=date(2026, 8, 15))
    set_target(quota, ana, "920", manager)
    prorate(program=quota, period_start=Q3, participants={ana.pk}, actor=manager)
    type(ana).objects.filter(pk=ana.pk).update(started_on=date(2026, 7, 11), ended_on=date(2026, 9, 10))
    prorate(program=quota, period_start=Q3, participants={ana.pk}, actor=manager)
    assert Target.objects.get().value == Decimal(620)
    assert changes()[-1][4] == "prorated: joined 2026-07-11, left 2026-09-10, 62 of 92 days"
    set_target(quota, ana, "500", manager)  # by hand: this is the whole now
    assert to_prorate(quota, definition_of(quota), Q3)[0].whole == Decimal(500)


def test_who_was_not_there_at_all_is_shown_and_left_alone(quota, manager):
    ana = make_participant("Ana", ended_on=date(2026, 6, 30))
    set_target(quota, ana, "500", manager)
    (item,) = to_prorate(quota, definition_of(quota), Q3)
    assert item.problem == "Was not there on any day of the period."
    assert prorate(program=quota, period_start=Q3, participants={ana.pk}, actor=manager)["changed"] == 0
    assert Target.objects.get().value == Decimal(500)


def test_only_a_manager_prorates(quota, manager):
    ana = make_participant("Ana", started_on=date(2026, 8, 15))
    set_target(quota, ana, "500", manager)
    with pytest.raises(NotAllowed):
        prorate(program=quota, period_start=Q3, participants={ana.pk}, actor=make_user("finance"))
    assert Target.objects.get().value == Decimal(500)


def test_the_page_offers_and_writes_what_is_ticked(signed_in, quota, manager):
    ana, ben = (make_participant(name, started_on=date(2026, 8, 15)) for name in ("Ana", "Ben"))
    for person in (ana, ben):
        set_target(quota, person, "100000", manager)
    at = f"/programs/{quota.public_id}/targets/prorate/"
    page = assert_page_clean(signed_in.get(f"{at}?period=2026-07-01")).text
    assert "47 of 92 100,000.00 USD 100,000.00 USD 51,086.96 USD" in page and "Prorate the ticked of 2 people" in page
    refused = signed_in.post(at, {"period": "2026-07-01"})
    assert refused.status_code == 400 and TargetChange.objects.count() == 2
    signed_in.post(at, {"period": "2026-07-01", "ids": [str(ana.public_id)]})
    assert dict(Target.objects.values_list("participant__name", "value")) == {
        "Ana": Decimal("51086.96"), "Ben": Decimal(100000),
    }  # fmt: skip
    assert "51,086.96 USD stands" in assert_page_clean(signed_in.get(f"{at}?period=2026-07-01")).text
    assert "Nobody to prorate" in assert_page_clean(signed_in.get(f"{at}?period=2026-01-01")).text


# --- the grid ----------------------------------------------------------------------------------------------------------------
def cell(person, start=Q3) -> str:
    return f"t-{person.pk}-{start}"


def test_the_grid_sets_what_was_changed_and_nothing_else(signed_in, quota, manager):
    ana, ben = make_participant("Ana"), make_participant("Ben")
    set_target(quota, ana, "1000", manager)
    at = f"/programs/{quota.public_id}/targets/grid/?from=2026-07-01"
    page = signed_in.get(at)
    assert_page_clean(page)
    assert f'name="{cell(ana)}" value="1000"' in page.content.decode()
    data = {
        cell(ana): "1000", f"was-{cell(ana)}": "1000",
        cell(ben): "2,500.50", f"was-{cell(ben)}": "",
        cell(ben, date(2026, 10, 1)): "", f"was-{cell(ben, date(2026, 10, 1))}": "",
    }  # fmt: skip
    answer = signed_in.post(at, data, follow=True)
    assert "1 target is set." in assert_page_clean(answer).text
    assert changes()[1:] == [("Ben", None, Decimal("2500.5"), None, "")]
    assert "Nothing was changed." in assert_page_clean(signed_in.post(at, data | {
        cell(ben): "2500.5", f"was-{cell(ben)}": "2500.5"}, follow=True)).text  # fmt: skip


def test_what_was_typed_stays_while_any_of_it_is_wrong(signed_in, quota, manager):
    ana, ben, cleo = (make_participant(name) for name in ("Ana", "Ben", "Cleo"))
    for person in (ana, cleo):
        set_target(quota, person, "1000", manager)
    at = f"/programs/{quota.public_id}/targets/grid/?from=2026-07-01"
    data = {
        cell(ana): "", f"was-{cell(ana)}": "1000",
        cell(ben): "12,5", f"was-{cell(ben)}": "",
        cell(cleo): "900", f"was-{cell(cleo)}": "800",
    }  # fmt: skip
    answer = signed_in.post(at, data)
    text = assert_page_clean(answer).text
    assert answer.status_code == 400 and "3 targets cannot be set." in text
    assert "A target that stands can be changed, not removed." in text
    assert "“12,5” is not a number" in text and "Somebody set 1000 in the meantime." in text
    assert 'value="12,5"' in answer.content.decode() and 'value="900"' in answer.content.decode()
    assert TargetChange.objects.count() == 2


def test_the_grid_pages_people_and_periods(signed_in, manager):
    monthly = make_program(manager=manager, **QUOTA | {"period": "month"})
    for n in range(30):
        make_participant(f"Rep {n:02d}", email="", external_user_id=f"X{n}")
    at = f"/programs/{monthly.public_id}/targets/grid/"
    first = assert_page_clean(signed_in.get(f"{at}?from=2026-01-01"))
    assert "Rep 24" in first.text and "Rep 25" not in first.text and "April 2026" in first.text
    assert "?page=2&q=&from=2026-01-01" in first.links and "?page=1&q=&from=2026-05-01" in first.links
    assert "Rep 25" in assert_page_clean(signed_in.get(f"{at}?page=2")).text
    assert "1 person" in assert_page_clean(signed_in.get(f"{at}?q=rep+08")).text
    assert "Nobody matches" in assert_page_clean(signed_in.get(f"{at}?q=nobody")).text


ROLES = ("manager", "finance", "administrator", "auditor", "participant", "partner_admin")
PAGES = {
    "history/": "200 200 200 200 404 404", "grid/": "200 404 404 404 404 404", "prorate/": "200 404 404 404 404 404",
}  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_every_page_for_every_role(quota, manager, client, role):
    ana = make_participant("Ana", started_on=date(2026, 8, 15))
    set_target(quota, ana, "500", manager)
    client.force_login(make_user(role))
    data = {cell(ana): "9", f"was-{cell(ana)}": "500", "period": "2026-07-01", "ids": str(ana.public_id)}
    for part, row in PAGES.items():
        address, wanted = f"/programs/{quota.public_id}/targets/{part}", int(row.split()[ROLES.index(role)])
        assert client.get(address).status_code == wanted, address
        if wanted == 404:
            assert client.post(address, data).status_code in (404, 405)
    assert TargetChange.objects.count() == 1


def test_query_counts_do_not_grow(signed_in, quota, manager):
    team = make_team()
    parts = ["history/?per=100", "grid/?from=2026-07-01", "prorate/?period=2026-07-01"]

    def queries() -> list[int]:
        found = []
        for part in parts:
            with CaptureQueriesContext(connection) as seen:
                assert signed_in.get(f"/programs/{quota.public_id}/targets/{part}").status_code == 200
            found.append(len(seen))
        return found

    def grow(n: int) -> None:
        for _ in range(n):
            person = make_participant(team=team, started_on=date(2026, 8, 1))
            set_target(quota, person, "100", manager)

    grow(2)
    few = queries()
    grow(12)
    assert queries() == few
