"""Earned, approved, ordered, issued, delivered by program and day: exact figures, and reasons that add up to the cent."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from openpyxl import load_workbook

from incentives.core.models import AuditEvent
from incentives.earnings.models import Earning
from incentives.ledger.models import Posting
from incentives.payouts import services
from incentives.payouts.models import Hold, Payout, PayoutEarning
from incentives.payouts.services.sweep import expire_waiting
from incentives.programs.models import Program
from incentives.reports import costs, flow
from rewards import services as rewards
from rewards.models import Card, RewardOrder
from rewards.orders import cancel_order, change_state
from tests.factories import deal, make_participant, send, usd
from tests.payouts.scene import LINKS
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
MAY, JUNE, JULY = date(2026, 5, 20), date(2026, 6, 20), date(2026, 7, 20)


def figures(line: flow.Line) -> list[int]:
    return [line.minors[stage] for stage in flow.STAGES]


def reasons(line: flow.Line) -> dict[str, tuple[int, int]]:
    return {code: tuple(found) for code, found in line.reasons.items()}


def checked(scope: flow.Scope | None = None) -> list[flow.Line]:
    """Every line, its reasons added up: nothing is unexplained, and the rows behind each line give the same sums."""
    found = flow.lines(scope or flow.Scope())
    for line in found:
        assert line.open_gaps == [], (line, line.open_gaps)
        sums: dict[str, list[int]] = {}
        for item in flow.items(Program.objects.get(pk=line.program_id), line.day):
            one = sums.setdefault(item.code, [0, 0])
            one[0] += item.minor
            one[1] += 1
        assert {code: tuple(one) for code, one in sums.items()} == reasons(line)
    assert sum(line.minors["earned"] for line in found) == sum(e.amount_minor for e in Earning.objects.all()) or scope
    return found


def only(program: Program) -> flow.Line:
    """The program's single line."""
    (line,) = checked(flow.Scope(Program.objects.filter(pk=program.pk)))
    return line


# --- exact values -------------------------------------------------------------------------------------------------------
def test_a_year_of_everything_stands_on_the_days_it_was_earned(books):
    """As in test_journal. Bonus in May: 100.00 earned and issued, 40.00 taken back, 15.00 of it written off."""
    by_day = {(line.program_id, line.day): line for line in checked()}
    bonus = {day: by_day[books.bonus.pk, day] for day in (MAY, JUNE, JULY)}
    assert figures(bonus[MAY]) == [6_000, 7_500, 7_500, 7_500, 0]
    assert reasons(bonus[MAY]) == {"written_off": (-1_500, 1), "unopened": (7_500, 2)}
    assert figures(bonus[JUNE]) == [4_000, 4_000, 4_000, 4_000, 0]
    assert reasons(bonus[JUNE]) == {"unopened": (4_000, 1)}
    assert figures(bonus[JULY]) == [1_400, 0, 0, 0, 0]
    assert reasons(bonus[JULY]) == {"waiting": (1_400, 1)}
    spiff = {day: by_day[books.spiff.pk, day] for day in (MAY, JULY)}
    assert figures(spiff[MAY]) == [6_000, 18_000, 12_000, 6_000, 6_000]
    assert reasons(spiff[MAY]) == {"approved_again": (-12_000, 2), "cancelled": (6_000, 1), "refused": (6_000, 1)}
    assert figures(spiff[JULY]) == [3_000, 3_000, 0, 0, 0]
    assert reasons(spiff[JULY]) == {"in_flight": (3_000, 1)}
    euro = by_day[books.euro.pk, MAY]
    assert (euro.currency, figures(euro), reasons(euro)) == ("EUR", [5_000, 0, 0, 0, 0], {"cannot_build": (5_000, 1)})
    assert len(by_day) == 6
    usd_sum, eur_sum = reversed(flow.totals(by_day.values()))
    assert (usd_sum.currency, figures(usd_sum)) == ("USD", [20_400, 32_500, 23_500, 17_500, 6_000])
    assert (eur_sum.currency, figures(eur_sum)) == ("EUR", [5_000, 0, 0, 0, 0])


def test_all_that_was_earned_and_opened_agrees(scene):
    payout = scene.issue(scene.payout(program=scene.program(delivery=LINKS), approve=True))
    line = only(payout.program)
    assert (line.status, figures(line), reasons(line)) == (
        "explained", [10_000] * 4 + [0], {"unopened": (10_000, 1)},
    )  # fmt: skip
    rewards.reveal_card(payout.order.cards.get().pk, actor_name="Ana", actor_ref="ana")
    line = only(payout.program)
    assert (line.status, figures(line), reasons(line)) == ("agrees", [10_000] * 5, {})


def test_an_issued_card_without_its_link_is_named(scene, monkeypatch):
    monkeypatch.setattr(Card.objects, "create", lambda **values: None)
    payout = scene.issue(scene.payout(program=scene.program(delivery=LINKS), approve=True))
    assert reasons(only(payout.program)) == {"no_link": (10_000, 1)}


@transaction.atomic
def move(order: RewardOrder, *states: str) -> None:
    for state in states:
        also = {"provider_order_id": f"ord-{order.pk}"} if state == "pending" else {}
        change_state(order, state, now=timezone.now(), reason="Because", last_problem="Because", **also)


@pytest.mark.parametrize(
    ("states", "reached", "why"),
    [
        ([], "approved", {"queued": (10_000, 1)}),
        (["review"], "approved", {"review_unsent": (10_000, 1)}),
        (["sent"], "approved", {"in_flight": (10_000, 1)}),
        (["sent", "unfunded"], "approved", {"unfunded": (10_000, 1)}),
        (["sent", "pending"], "ordered", {"pending": (10_000, 1)}),
        (["sent", "review"], "ordered", {"review": (10_000, 1)}),
        (["sent", "rejected"], "ordered", {"refused": (10_000, 1), "approved_again": (-10_000, 1), "due_again": (10_000, 1)}),
        (["sent", "review", "failed"], "ordered", {"failed": (10_000, 1), "approved_again": (-10_000, 1), "due_again": (10_000, 1)}),
        (["cancelled"], "approved", {"cancelled": (10_000, 1), "approved_again": (-10_000, 1), "due_again": (10_000, 1)}),
    ],
)  # fmt: skip
def test_each_state_of_an_order_has_its_reason(scene, states, reached, why):
    payout = scene.payout(approve=True)
    if states[:1] == ["sent"]:
        scene.sent(payout.order)
        move(payout.order, *states[1:])
    elif states == ["cancelled"]:
        cancel_order(payout.order_id, actor_name="Finance", reason="Again")
    else:
        move(payout.order, *states)
    line = only(payout.program)
    upto = flow.STAGES.index(reached)
    assert figures(line) == [10_000] * (upto + 1) + [0] * (4 - upto)
    assert reasons(line) == why


@pytest.mark.parametrize("kind", list(Hold.Kind))
def test_each_hold_is_named_by_its_kind(scene, kind):
    payout = scene.payout()
    Hold.objects.create(payout=payout, kind=kind, reason="Because")
    assert reasons(only(payout.program)) == {f"held_{kind}": (10_000, 1)}


def test_of_two_holds_the_older_one_counts_and_a_lifted_one_does_not(scene):
    payout = scene.payout()
    first = Hold.objects.create(payout=payout, kind="tax", reason="Form")
    Hold.objects.create(payout=payout, kind="review", reason="Look")
    assert reasons(only(payout.program)) == {"held_tax": (10_000, 1)}
    Hold.objects.filter(pk=first.pk).update(lifted_at=timezone.now())
    assert reasons(only(payout.program)) == {"held_review": (10_000, 1)}


def test_what_ended_before_its_approval_is_due_again_and_says_why(scene):
    ends = {
        "rejected": lambda p: services.reject_payout(payout_id=p.pk, actor=scene.finance, reason="No"),
        "withdrawn": lambda p: services.cancel_payout(payout_id=p.pk, actor=scene.finance, reason="No"),
    }
    for code, end in ends.items():
        payout = scene.payout()
        end(payout)
        assert reasons(only(payout.program)) == {code: (10_000, 1)}
        services.build_payouts(program=payout.program)
        assert reasons(only(payout.program)) == {"waiting": (10_000, 1)}
    payout = scene.payout()
    Payout.objects.filter(pk=payout.pk).update(expires_at=timezone.now() - timedelta(days=1))
    expire_waiting()
    assert reasons(only(payout.program)) == {"expired": (10_000, 1)}


def test_what_no_payout_takes_yet_says_why(scene):
    plain = scene.program()
    scene.earn("1000.00", program=plain)
    assert reasons(only(plain)) == {"to_build": (2_000, 1)}
    cases = {
        "below_smallest_card": ("30.00", {}, 60),
        "below_minimum": ("1000.00", {"payout": {"when": "at_close", "minimum": "50.00"}}, 2_000),
        "not_due_yet": ("1000.00", {"payout": {"when": "at_close", "hold_days": 3}}, 2_000),
    }
    for code, (amount, changes, minor) in cases.items():
        program = scene.program(**changes)
        scene.earn(amount, program=program)
        assert reasons(only(program)) == {code: (minor, 1)}
    gone = make_participant("Gone")
    lost = scene.program()
    scene.earn("1000.00", gone, program=lost)
    type(gone).objects.filter(pk=gone.pk).update(active=False)
    assert reasons(only(lost)) == {"inactive": (2_000, 1)}
    quiet = make_participant("Quiet", email="")
    mute = scene.program()
    scene.earn("1000.00", quiet, program=mute)
    assert reasons(only(mute)) == {"to_build": (2_000, 1)}
    services.build_payouts(program=mute)
    assert reasons(only(mute)) == {"held_contact": (2_000, 1)}
    Program.objects.filter(pk=plain.pk).update(status="paused")
    assert reasons(only(plain)) == {"cannot_build": (2_000, 1)}


def test_corrections_before_and_after_the_card(scene, clock):
    clock.move_to(datetime(2026, 7, 15, 12, tzinfo=UTC))
    program = scene.program()

    def won(number: str, amount: str, version: int = 1):
        fact = deal(number, scene.rep, amount, version=version, occurred_at="2026-07-15T10:00:00Z")
        send(scene.crm, fact | {"attributes": {"for": program.name}})

    def sums() -> dict:
        return reasons(flow.totals(checked())[0])

    won("A", "2000.00")
    won("A", "500.00", 2)  # 40.00 became 10.00 before anything was paid
    won("B", "1000.00")
    assert sums() == {"netted": (0, 2), "to_build": (3_000, 2)}
    (payout,) = services.build_payouts(program=program).payouts
    scene.issue(scene.approve(payout))
    assert sums() == {}
    won("B", "200.00", 2)  # 20.00 became 4.00 after the card
    services.follow_up()
    assert sums() == {"recoverable": (-1_600, 1)}
    won("C", "500.00")  # 10.00, all of it kept
    services.follow_up()
    assert sums() == {"recoverable": (-1_600, 1), "withheld": (1_000, 1)}
    proposal = services.propose_write_off(
        participation=payout.participation, amount=usd("6.00"), reason="Small", actor=scene.manager
    )
    services.approve_write_off(write_off=proposal, actor=scene.finance)
    assert sums() == {"recoverable": (-1_000, 1), "withheld": (1_000, 1), "written_off": (-600, 1)}
    won("D", "5000.00")
    (rest,) = services.build_payouts(program=program).payouts
    assert rest.amount_minor == 10_000
    scene.approve(rest)
    assert sums() == {"queued": (10_000, 1), "written_off": (-600, 1)}


# --- what cannot be explained -------------------------------------------------------------------------------------------
def unexplained(program: Program) -> dict[str, int]:
    (line,) = flow.lines(flow.Scope(Program.objects.filter(pk=program.pk)))
    rows = [item for item in flow.items(program, line.day) if item.code == flow.UNEXPLAINED]
    found = {gap: line.unexplained(gap) for gap in line.open_gaps}
    assert {item.gap: item.minor for item in rows} == found and line.status == ("unexplained" if found else line.status)
    return found


def test_where_payout_order_and_ledger_disagree_nothing_is_made_up(scene):
    def fresh(**changes):
        return scene.payout(approve=True, **changes)

    spent = scene.issue(fresh())
    assert unexplained(spent.program) == {}
    approved = fresh()
    Payout.objects.filter(pk=approved.pk).update(order=None)
    assert unexplained(approved.program) == {"approved": 10_000}
    waiting = fresh()
    RewardOrder.objects.filter(pk=waiting.order_id).update(state="completed", provider_order_id="x-1")
    assert unexplained(waiting.program) == {"issued": 10_000, "delivered": -10_000}


def test_a_payout_that_takes_another_amount_than_it_pays_is_not_explained(scene):
    payout = scene.issue(scene.payout(approve=True))
    scene.earn("1000.00", program=payout.program)
    other = Earning.objects.latest("pk")
    PayoutEarning.objects.create(payout=payout, earning=other, amount_minor=1)
    earned, made = flow.lines(flow.Scope(Program.objects.filter(pk=payout.program_id)))
    assert (figures(earned), reasons(earned)) == ([12_000] + [10_001] * 4, {"to_build": (1_999, 1)})
    assert made.day == payout.created_at.astimezone(UTC).date() and figures(made) == [0, -1, -1, -1, -1]
    assert (made.open_gaps, made.unexplained("approved")) == (["approved"], 1)
    (row,) = flow.items(payout.program, made.day)
    assert (row.code, row.gap, row.minor, row.payout_id) == ("unexplained", "approved", 1, payout.pk)


# --- the page -----------------------------------------------------------------------------------------------------------
def page_rows(answer) -> list[tuple]:
    return [(row["object"].program.name, row["object"].day, row["object"].status) for row in answer.context["rows"]]


def test_filters_sorting_paging_and_totals(books, as_user):
    client = as_user(books.scene.finance)
    answer = client.get("/reports/reconciliation/")
    assert_page_clean(answer)
    assert answer.context["total"] == 6 and answer.context["unexplained"] == 0
    assert [part["currency"] for part in answer.context["sums"]] == ["EUR", "USD"]
    assert [money.minor for _label, money in answer.context["sums"][1]["stages"]] == [
        20_400,
        32_500,
        23_500,
        17_500,
        6_000,
    ]

    def shown(query: str) -> list[tuple]:
        return page_rows(client.get(f"/reports/reconciliation/?{query}"))

    assert shown("currency=EUR") == [("Euro", MAY, "explained")]
    assert shown(f"program={books.spiff.public_id}&sort=day") == [
        ("Spiff", MAY, "explained"),
        ("Spiff", JULY, "explained"),
    ]
    assert shown("since=2026-06-01&until=2026-06-30") == [("Bonus", JUNE, "explained")]
    assert shown("q=bon&sort=-earned") == [("Bonus", day, "explained") for day in (MAY, JUNE, JULY)]
    assert shown("show=unexplained") == [] and len(shown("show=differences")) == 6
    assert shown("since=nonsense") == []
    assert len(shown("per=25&page=9")) == 6
    Payout.objects.filter(pk=books.waiting.pk).update(status="approved", reserved=True)
    answer = client.get("/reports/reconciliation/?show=unexplained")
    assert page_rows(answer) == [("Bonus", JULY, "unexplained")] and answer.context["unexplained"] == 1
    assert "1 difference is not explained" in answer.content.decode()


def test_a_day_leads_to_its_rows(books, as_user):
    client = as_user(books.scene.users["auditor"])
    address = f"/reports/reconciliation/{books.spiff.public_id}/2026-05-20/"
    answer = client.get(address)
    assert_page_clean(answer)
    found = [
        (r["object"].item.code, r["object"].item.minor, r["object"].get_absolute_url()) for r in answer.context["rows"]
    ]
    first, second = Payout.objects.filter(program=books.spiff, status__in=["failed", "cancelled"]).order_by("pk")
    assert sorted(found) == sorted([
        ("approved_again", -6_000, first.get_absolute_url()),
        ("approved_again", -6_000, second.get_absolute_url()),
        ("cancelled", 6_000, second.get_absolute_url()),
        ("refused", 6_000, first.get_absolute_url()),
    ])  # fmt: skip
    assert [r["object"].item.code for r in client.get(f"{address}?reason=refused").context["rows"]] == ["refused"]
    assert client.get(f"/reports/reconciliation/{books.spiff.public_id}/2026-02-30/").status_code == 404
    empty = client.get(f"/reports/reconciliation/{books.spiff.public_id}/2026-01-30/")
    assert empty.status_code == 200 and "All that was earned on this day is delivered." in empty.content.decode()


def test_exports_hold_what_the_page_shows(books, as_user):
    client = as_user(books.scene.users["auditor"])
    answer = client.get("/reports/reconciliation/?export=csv&currency=EUR")
    lines = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()
    assert lines[0].startswith("Day,Program,Earned,Earned currency,Approved") and len(lines) == 2
    assert lines[1].startswith("2026-05-20,Euro,50.00,EUR,0.00,EUR") and "Program cannot pay now: 50.00" in lines[1]
    answer = client.get("/reports/reconciliation/?export=xlsx&sort=-earned")
    sheet = load_workbook(BytesIO(b"".join(answer.streaming_content))).active
    rows = list(sheet.iter_rows(values_only=True))
    assert len(rows) == 7 and [Decimal(str(row[2])) for row in rows[1:]] == [60, 60, 50, 40, 30, 14]
    day = client.get(f"/reports/reconciliation/{books.spiff.public_id}/2026-05-20/?export=csv")
    assert len(b"".join(day.streaming_content).decode().splitlines()) == 5
    assert AuditEvent.objects.filter(action="list.exported").count() == 3


def test_the_page_asks_as_often_for_two_hundred_days(scene, as_user):
    """10 days and 2 programs, then 200 days and 12 programs."""
    client = as_user(scene.finance)

    def earn(days: range, programs: int) -> None:
        for number in range(programs):
            scene.earn("100.00", make_participant(f"Rep {days.start} {number}"), program=scene.program())
        pattern = Earning.objects.first()
        rows = [
            Earning(
                participation_id=pattern.participation_id, version_id=pattern.version_id, period_start=pattern.period_start,
                line_key=f"more:{n}", n=1, amount_minor=100 + n, currency="USD", explanation="More",
                booked_on=date(2025, 1, 1) + timedelta(days=n),
            )
            for n in days
        ]  # fmt: skip
        Earning.objects.bulk_create(rows)

    def queries(address: str) -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get(address).status_code == 200
        return len(found)

    earn(range(10), 2)
    one = Earning.objects.first().participation.program
    addresses = ["/reports/reconciliation/?per=100", f"/reports/reconciliation/{one.public_id}/2025-01-03/"]
    few = [queries(address) for address in addresses]
    earn(range(10, 200), 10)
    assert [queries(address) for address in addresses] == few
    assert client.get(addresses[0]).context["total"] > 200


# --- cost against estimate -------------------------------------------------------------------------------------------------
def test_cost_of_each_month_against_what_the_orders_expected(books, as_user):
    """May: a card of 100.00 with a fee of 1.50. July: 60.00 at 2 per cent off. All as expected."""
    found = costs.cost_lines()
    spent = {(line.program_id, line.month.month): line for line in found}
    shown = {
        key: (line.cards, line.expected, line.posted, line.face, line.discount, line.fee) for key, line in spent.items()
    }
    assert shown == {
        (books.bonus.pk, 5): (1, 10_150, 10_150, 10_000, 0, 150),
        (books.bonus.pk, 6): (1, 1_500, 1_500, 1_500, 0, 0),
        (books.spiff.pk, 7): (1, 5_880, 5_880, 6_000, 120, 0),
    }
    assert all(line.reasons == {} for line in found)
    answer = as_user(books.scene.finance).get("/reports/reconciliation/costs/")
    assert_page_clean(answer)
    assert [row["object"].program.name for row in answer.context["rows"]] == ["Spiff", "Bonus", "Bonus"]
    months = as_user(books.scene.finance).get("/reports/reconciliation/costs/?month=2026-05")
    assert [row["object"].line.posted for row in months.context["rows"]] == [10_150]


def test_what_the_provider_charged_otherwise_is_the_reason(scene, as_user):
    def issue(program, expected: int | None, cost: int | None):
        payout = scene.payout(program=program, approve=True)
        RewardOrder.objects.filter(pk=payout.order_id).update(expected_cost_minor=expected)
        payout.order.refresh_from_db()
        with transaction.atomic():
            scene.sent(payout.order)
            change_state(
                payout.order, "completed", now=timezone.now(), provider_order_id=f"c-{payout.pk}", known_since=timezone.now(),
                cost_minor=cost,
            )  # fmt: skip
        return payout

    program = scene.program()
    issue(program, 10_000, 10_300)
    issue(program, 10_000, 9_900)
    issue(program, None, 9_800)
    issue(program, 9_950, None)
    (line,) = costs.cost_lines()
    assert (line.cards, line.expected, line.posted, line.difference) == (4, 39_950, 39_950, 0)
    assert line.reasons == {"charged_more": [300, 1], "charged_less": [-100, 1], "no_estimate": [-200, 1]}
    assert sum(minor for minor, _cards in line.reasons.values()) == line.difference
    page = as_user(scene.finance).get("/reports/reconciliation/costs/?show=differences")
    assert page.context["total"] == 1 and "The provider charged more than expected" in page.content.decode()
    file = b"".join(as_user(scene.finance).get("/reports/reconciliation/costs/?export=csv").streaming_content).decode()
    assert "399.50" in file and "charged less than expected" in file


def test_a_card_without_its_postings_and_one_with_another_posting_are_found(scene):
    payout = scene.issue(scene.payout(approve=True))
    other = scene.payout(program=payout.program, approve=True)
    Payout.objects.filter(pk=other.pk).update(status="fulfilled")
    RewardOrder.objects.filter(pk=other.order_id).update(
        state="completed", provider_order_id="x-2", finished_at=timezone.now(), expected_cost_minor=10_000
    )
    (line,) = costs.cost_lines()
    assert (line.cards, line.expected, line.posted, line.reasons) == (2, 20_000, 10_000, {"not_posted": [-10_000, 1]})
    Posting.objects.bulk_create([
        Posting(key="odd", source=p.source, destination=p.destination, amount_minor=7, currency="USD", kind="fee", cause=p.cause)
        for p in Posting.objects.filter(key=f"cash:{payout.public_id}")
    ])  # fmt: skip
    (line,) = costs.cost_lines()
    assert line.reasons == {"not_posted": [-10_000, 1], "unexplained": [7, 1]} and line.difference == -9_993
