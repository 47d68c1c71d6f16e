"""What programs cost and moved, against figures worked out by hand."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incentives.ledger.models import ExchangeRate
from incentives.payouts import services
from incentives.reports.results import governing, results_of
from incentives.reports.results_compare import compare, spans
from incentives.reports.results_detail import dearest, over_time
from tests.factories import deal, make_participant, send
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def autumn():
    """The 25th of November 2026, so that the third quarter is over and its equally long after is not."""
    with time_machine.travel(datetime(2026, 11, 25, 12, tzinfo=UTC)):
        yield


QUARTER = {"starts_on": "2026-07-01", "ends_on": "2026-09-30", "eligible": {"types": ["employee"]}}


@pytest.fixture
def quarter(scene):
    """2 % of deals in Q3. Ana wins 5,000 in July and 1,000 in August, shares 3,000 with Ben in September (60:40); Ben wins
    2,000 in August; Cy wins nothing. Before: Ana 4,000, Cy 900 (never credited). After: Ben 500.
    Won 11,000; cost 220.00: Ana 100 + 20 + 36 = 156.00, Ben 24 + 40 = 64.00."""
    program = scene.program(name="Q3", credit={"to": "splits"}, **QUARTER)
    ben, cy = make_participant("Ben"), make_participant("Cy")
    make_participant("Partner Pat", type="partner", partner=scene.partner)
    own = {"attributes": {"for": "Q3"}}
    split = [
        {"participant": {"external_user_id": scene.rep.external_user_id}, "percentage": "60"},
        {"participant": {"external_user_id": ben.external_user_id}, "percentage": "40"},
    ]
    for number, who, amount, day, more in (
        ("JUL", scene.rep, "5000.00", "2026-07-06", {}),
        ("AUG", scene.rep, "1000.00", "2026-08-10", {}),
        ("BEN", ben, "2000.00", "2026-08-11", {}),
        ("SEP", scene.rep, "3000.00", "2026-09-14", {"splits": split}),
        ("BEFORE", scene.rep, "4000.00", "2026-05-20", {}),
        ("CY", cy, "900.00", "2026-05-21", {}),
        ("AFTER", ben, "500.00", "2026-10-02", {}),
    ):
        send(scene.crm, deal(number, who, amount, occurred_at=f"{day}T10:00:00Z", **own, **more))
    return program


def result(program):
    return results_of([program])[program.pk]


def test_the_figures_of_one_program(quarter, scene):
    r = result(quarter)
    assert (r.won.minor, r.cost.minor, r.activities, r.unpriced) == (1_100_000, 22_000, 4, 0)
    assert r.per_won == Decimal("0.02")
    assert (r.eligible, r.credited, r.earning, r.paid) == (3, 2, 2, 0)  # Ana, Ben and Cy; not the partner's two people
    assert (r.average.minor, r.median.minor, sorted(r.earned)) == (11_000, 11_000, [6_400, 15_600])
    assert r.top_share.quantize(Decimal("0.0001")) == Decimal("0.7090")  # 156 of 220
    payout, *_others = services.build_payouts(program=quarter).payouts
    scene.issue(scene.approve(payout))
    assert (result(quarter).paid, result(quarter).delivered) == (1, payout.amount)


def test_a_correction_is_taken_off_and_a_lost_deal_counts_nowhere(quarter, scene):
    send(scene.crm, deal("JUL", scene.rep, None, version=2, kind="deal.lost", attributes={"for": "Q3"}))
    r = result(quarter)
    assert (r.won.minor, r.cost.minor, r.activities) == (600_000, 12_000, 3)


def test_another_currency_counts_by_the_rate_of_its_day_or_is_named(quarter, scene):
    quantity = scene.program(name="Units", rewards=[{"type": "per_deal", "amount": "10.00"}],
                             measure={"metric": "deals"}, **QUARTER)  # fmt: skip
    ExchangeRate.objects.create(
        currency="EUR", to_currency="USD", starts_on=date(2026, 7, 1), ends_on=date(2026, 7, 31), rate=Decimal("1.25")
    )
    for number, day in (("E1", "2026-07-10"), ("E2", "2026-08-10")):
        fact = deal(
            number, scene.rep, "100.00", currency="EUR", occurred_at=f"{day}T10:00:00Z", attributes={"for": "Units"}
        )
        send(scene.crm, fact)
    r = result(quantity)
    assert (r.won.minor, r.activities, r.unpriced, r.cost.minor) == (12_500, 2, 1, 2_000)
    assert sum(step.won.minor for step in over_time(quantity, definition_of(quantity), date(2026, 11, 25))) == 12_500


def definition_of(program):
    return governing([program])[program.pk]


def test_the_course_over_time_adds_up(quarter):
    steps = over_time(quarter, definition_of(quarter), date(2026, 11, 25))
    assert steps[0].first == date(2026, 6, 29) and all(step.first.weekday() == 0 for step in steps)
    busy = [(str(s.first), s.won.minor, s.cost.minor) for s in steps if s.won.minor or s.cost.minor]
    assert busy == [
        ("2026-07-06", 500_000, 10_000), ("2026-08-10", 300_000, 6_000), ("2026-09-14", 300_000, 6_000),
    ]  # fmt: skip


def test_before_during_and_after_of_the_same_people(quarter):
    found = compare(quarter, definition_of(quarter), date(2026, 11, 25))
    assert (found.people, found.length) == (2, 92)
    shown = [
        (w.name, str(w.first), str(w.last), w.whole, w.won.minor, w.activities, w.people) for w in found.windows
    ]  # fmt: skip
    assert shown == [
        ("before", "2026-03-31", "2026-06-30", True, 400_000, 1, 1),
        ("during", "2026-07-01", "2026-09-30", True, 1_100_000, 4, 2),
        ("after", "2026-10-01", "2026-11-25", False, 50_000, 1, 1),
    ]
    assert [found.change(w) for w in found.windows] == [None, Decimal("1.75"), None]


def test_windows_are_as_long_as_the_program_has_run():
    first, last = date(2026, 7, 1), date(2026, 9, 30)
    running = spans(first, last, date(2026, 7, 10))
    assert [(n, str(a), str(b)) for n, a, b, _ in running] == [
        ("before", "2026-06-21", "2026-06-30"), ("during", "2026-07-01", "2026-07-10"),
    ]  # fmt: skip
    over = spans(first, last, date(2027, 1, 31))
    assert [(n, str(a), str(b), str(c)) for n, a, b, c in over][2] == (
        "after",
        "2026-10-01",
        "2026-12-31",
        "2026-12-31",
    )


def test_what_cost_most(quarter):
    assert [(d.object.object_id, d.cost.minor, d.people, d.amount.minor) for d in dearest(quarter)] == [
        ("JUL", 10_000, 1, 500_000), ("SEP", 6_000, 2, 300_000), ("BEN", 4_000, 1, 200_000), ("AUG", 2_000, 1, 100_000),
    ]  # fmt: skip


# --- pages --------------------------------------------------------------------------------------------------------------
def test_the_list_sorts_and_filters_by_what_it_computes(quarter, scene, as_user):
    dear = scene.program(name="Dear", template="spiff", rewards=[{"type": "percent", "rate": "10"}], **QUARTER)
    fact = deal("D", scene.rep, "100.00", occurred_at="2026-07-06T10:00:00Z", attributes={"for": "Dear"})
    send(scene.crm, fact)
    scene.program(name="Empty", currency="EUR", starts_on="2026-01-01", ends_on="2026-03-31")
    scene.program(name="Draft", launched=False)
    client = as_user(scene.finance)

    def names(query: str) -> list[str]:
        return [row["object"].name for row in client.get(f"/reports/results/{query}").context["rows"]]

    assert names("?sort=-per_won") == ["Dear", "Q3", "Empty"] and names("?sort=per_won") == ["Q3", "Dear", "Empty"]
    assert names("?sort=-cost") == ["Q3", "Dear", "Empty"] and names("?sort=name") == ["Dear", "Empty", "Q3"]
    assert names("?currency=EUR") == ["Empty"] and names("?template=spiff") == ["Dear"] and names("?q=q3") == ["Q3"]
    assert names("?until=2026-04-01") == ["Empty"] and names("?tab=scheduled") == []
    page = client.get("/reports/results/")
    assert_page_clean(page)
    assert [(bar["label"], bar["text"]) for bar in page.context["bars"]] == [("Dear", "10%"), ("Q3", "2%")]
    assert result(dear).per_won == Decimal("0.1")
    file = b"".join(client.get("/reports/results/?export=csv&sort=-cost").streaming_content).decode()
    q3 = file.splitlines()[1]
    assert q3.startswith("Q3,Deal bonus,") and ",11000.00,USD,220.00,USD,0.00,USD,0.02," in q3
    assert client.get("/reports/results/?export=xlsx").status_code == 200


def test_one_program_says_it_all_and_gives_each_table_as_a_file(quarter, scene, as_user):
    client, address = as_user(scene.finance), f"/reports/results/{quarter.public_id}/"
    page = client.get(address)
    text = assert_page_clean(page).text
    for words in (
        "2 earned, of 3 who could",
        "A difference is no proof",
        "2%",
        "175%",
        "what meets the program's conditions",
    ):
        assert words in text, words

    def lines(table: str) -> list[str]:
        return b"".join(client.get(f"{address}?table={table}&export=csv").streaming_content).decode().splitlines()[1:]

    assert lines("people") == ["Could earn,3", "Credited,2", "Earned,2", "Paid,0"]
    assert lines("distribution") == [
        "0.00,20.00,0", "20.00,40.00,0", "40.00,60.00,0", "60.00,80.00,1", "80.00,100.00,0", "100.00,120.00,0",
        "120.00,140.00,0", "140.00,160.00,1",
    ]  # fmt: skip
    assert "2026-07-06,5000.00,100.00,2.00,USD" in lines("time")
    assert lines("comparison")[:2] == [
        "Before,2026-03-31,2026-06-30,4000.00,USD,1,1,", "During,2026-07-01,2026-09-30,11000.00,USD,4,2,175.00",
    ]  # fmt: skip
    assert lines("deals")[0] == "deal JUL,Ana Ruiz,5000.00,USD,100.00,USD,1"
    assert client.get(f"{address}?table=deals&export=xlsx").status_code == 200
    assert client.get(f"{address}?table=nothing&export=csv")["Content-Type"].startswith("text/html")


def test_a_program_without_anything_says_so(scene, as_user):
    program = scene.program(starts_on="2026-12-01", ends_on="2026-12-31")
    text = assert_page_clean(as_user(scene.finance).get(f"/reports/results/{program.public_id}/")).text
    for words in ("Nothing has counted yet.", "There is nothing to compare", "Nobody has earned."):
        assert words in text, words
    draft = scene.program(launched=False)
    assert as_user(scene.finance).get(f"/reports/results/{draft.public_id}/").status_code == 404


def test_the_pages_ask_as_often_for_many_programs_and_people(quarter, scene, as_user):
    client = as_user(scene.finance)

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            for address in ("/reports/results/", f"/reports/results/{quarter.public_id}/"):
                assert client.get(address).status_code == 200
        return len(found)

    queries()
    few = queries()
    for number in range(4):
        rep = make_participant(f"More {number}")
        send(scene.crm, deal(f"M{number}", rep, "700.00", occurred_at="2026-07-07T10:00:00Z", attributes={"for": "Q3"}))
        scene.program(name=f"Another {number}", **QUARTER)
    assert queries() == few
