"""A statement adds up to the cent in every period, on the page and in the PDF, and shows nothing that is somebody else's."""

import io
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from incentives.core.models import AuditEvent
from incentives.earnings.models import Earning
from incentives.ledger.models import PeriodClose
from incentives.payouts import services
from incentives.payouts.models import Payout, WriteOffLine
from incentives.reports.periods import period_of, periods
from incentives.reports.statement import statement_of
from incentives.reports.statement_pdf import BOX, statement_pdf
from rewards.models import RewardOrder
from tests.factories import deal, make_participant, make_user, send, usd
from tests.payouts.scene import ANSWER, LINK, LINKS
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
TODAY = date(2026, 12, 31)


def period(key: str):
    return period_of(key, TODAY)


def text_of(pdf: bytes) -> str:
    return " ".join("\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())


# --- periods ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("key", "first", "last"),
    [
        ("2026", "2026-01-01", "2026-12-31"),
        ("2026-Q1", "2026-01-01", "2026-03-31"),
        ("2026-Q4", "2026-10-01", "2026-12-31"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2026-12", "2026-12-01", "2026-12-31"),
    ],
)
def test_a_period_has_its_days(key, first, last):
    found = period(key)
    assert (str(found.first), str(found.last), found.key) == (first, last, key)


@pytest.mark.parametrize("key", ["", "0999", "2026-13", "2026-Q5", "2026-1", "२०२६", "9999999999", "x", "2026-Q1 "])
def test_anything_else_is_no_period(key):
    assert period(key) is None


def test_periods_to_choose_from_are_those_with_days_since_then():
    keys = [found.key for found in periods(date(2025, 12, 24), date(2026, 2, 3))]
    assert keys == ["all", "2026", "2026-Q1", "2026-02", "2026-01", "2025", "2025-Q4", "2025-12"]


# --- one history by hand -----------------------------------------------------------------------------------------------------
@pytest.fixture
def history(scene):
    """February: 100.00 earned and delivered in March. April: that deal shrinks by 40.00, another earns 60.00, of which the
    next card withholds the 40.00. May: 10.00 earned, nothing paid. Everything by Laurel's own services."""
    program = scene.program()

    def won(number, amount, day, version=1):
        fact = deal(number, scene.rep, amount, version=version, occurred_at=day, attributes={"for": program.name})
        send(scene.crm, fact)

    won("A", "5000.00", "2026-02-03T10:00:00Z")
    with time_machine.travel(datetime(2026, 3, 1, tzinfo=UTC)):
        (first,) = services.build_payouts(program=program).payouts
    scene.issue(scene.approve(first))
    won("A", "3000.00", "2026-02-03T10:00:00Z", 2)
    won("B", "3000.00", "2026-04-05T10:00:00Z")
    services.follow_up()
    with time_machine.travel(datetime(2026, 4, 29, tzinfo=UTC)):
        (second,) = services.build_payouts(program=program).payouts
    scene.issue(scene.approve(second))
    won("C", "500.00", "2026-05-01T10:00:00Z")
    assert (first.amount, second.amount) == (usd("100.00"), usd("20.00"))
    for payout, issued in ((first, (3, 31)), (second, (5, 2))):
        RewardOrder.objects.filter(payout=payout).update(finished_at=datetime(2026, *issued, 23, 59, 59, tzinfo=UTC))
    return scene.rep


def figures(statement) -> tuple:
    (b,) = statement.balances
    return b.opening, b.earned, b.corrected, b.delivered, b.closing, b.on_its_way, b.carried, b.ahead


def test_a_history_adds_up_month_by_month(history):
    months = {f"2026-{n:02d}": figures(statement_of(history, period(f"2026-{n:02d}"))) for n in range(2, 7)}
    assert months == {  # the correction of A is booked in February, where A counts: no month is closed
        "2026-02": (0, 10000, -4000, 0, 6000, 0, 6000, 0),
        "2026-03": (6000, 0, 0, 10000, -4000, 0, 0, 4000),
        "2026-04": (-4000, 6000, 0, 0, 2000, 2000, 0, 0),
        "2026-05": (2000, 1000, 0, 2000, 1000, 0, 1000, 0),
        "2026-06": (1000, 0, 0, 0, 1000, 0, 1000, 0),
    }
    assert figures(statement_of(history, period("2026"))) == (0, 17000, -4000, 12000, 1000, 0, 1000, 0)
    may = statement_of(history, period("2026-05"))
    assert [(line.amount, line.recovered) for line in may.delivered] == [(usd("20.00"), usd("40.00"))]
    assert [(line.payout.amount, line.on) for line in statement_of(history, period("2026-04")).under_way] == [
        (usd("20.00"), date(2026, 4, 29))
    ]
    assert statement_of(history, period("2026-01")).is_empty


def test_a_statement_is_final_when_finance_closed_its_months(history, scene):
    for month in (2, 3):
        PeriodClose.objects.create(month=date(2026, month, 1), closed_at=timezone.now(), closed_by=scene.finance)
    assert [statement_of(history, period(key)).final for key in ("2026-02", "2026-04", "2026-Q1", "all")] == [
        True, False, False, False,
    ]  # fmt: skip


def test_a_rejected_payout_is_due_again_and_a_withdrawn_one_is_not_shown(scene):
    program = scene.program()
    rejected = scene.payout(program=program)
    services.reject_payout(payout_id=rejected.pk, actor=scene.finance, reason="no")
    (withdrawn,) = services.build_payouts(program=program).payouts
    services.cancel_payout(payout_id=withdrawn.pk, actor=scene.manager, reason="early")
    statement = statement_of(scene.rep, period_of("all", timezone.now().date()))
    assert [line.payout for line in statement.not_sent] == [rejected] and statement.under_way == []
    assert figures(statement) == (0, 10000, 0, 0, 10000, 0, 10000, 0)


# --- any history ------------------------------------------------------------------------------------------------------------
DAYS = st.integers(0, 180)
MOVES = st.one_of(
    st.tuples(st.just("earn"), DAYS, st.integers(-9000, 9000).filter(bool), st.sampled_from("ab")),
    st.tuples(st.just("earn"), DAYS, st.integers(1, 9000), st.sampled_from("ab")),
    st.tuples(st.just("off"), DAYS, st.integers(-500, 3000).filter(bool), st.sampled_from("ab")),
    st.tuples(st.just("card"), DAYS, st.integers(1, 9000), st.sampled_from("ab")),
    st.tuples(st.just("open"), DAYS, st.integers(1, 9000), st.sampled_from("ab")),
)


class Raw:
    """Rows on any day, beside the services: only reading is under test here."""

    def __init__(self, scene):
        self.rep = scene.rep
        self.payout = {name: scene.issue(scene.payout("500.00", program=program, approve=True)) for name, program in
                       (("a", scene.program()), ("b", scene.program(funded="500.00")))}  # fmt: skip
        self.model = {name: p.allocations.get().earning for name, p in self.payout.items()}
        self.n = 100

    def add(self, kind, day, minor, name):
        at, self.n = datetime(2027, 1, 1, 12, tzinfo=UTC) + timedelta(days=day), self.n + 1
        like, participation = self.model[name], self.payout[name].participation
        if kind == "earn":
            Earning.objects.create(
                participation=participation, version=like.version, period_start=like.period_start, line_key="x", n=self.n,
                amount_minor=minor, currency="USD", explanation="x", booked_on=at.date(),
            )  # fmt: skip
        elif kind == "off":
            with time_machine.travel(at):
                WriteOffLine.objects.create(
                    participation=participation, n=self.n, period_start=at.date(), amount_minor=minor
                )
        else:
            self._card(kind == "card", at, minor, self.payout[name])

    def _card(self, delivered, at, minor, like):
        order = None
        if delivered:
            order = RewardOrder.objects.get(pk=like.order_id)
            order.pk = None
            for field in ("reference", "po_number", "provider_order_id", "hook_hash"):
                setattr(order, field, f"{field}-{self.n}")
            order.public_id, order.finished_at = Payout._meta.get_field("public_id").get_default(), at
            order.save(force_insert=True)
        payout = Payout.objects.get(pk=like.pk)
        payout.pk, payout.n, payout.order, payout.amount_minor = None, self.n, order, minor
        payout.public_id = Payout._meta.get_field("public_id").get_default()
        payout.status = "fulfilled" if delivered else "submitted"
        with time_machine.travel(at - timedelta(days=3 if delivered else 0)):
            payout.save(force_insert=True)


def test_opening_and_movements_are_the_closing_balance_of_any_history(scene):
    raw = Raw(scene)
    start = statement_of(raw.rep, period_of("all", date(2026, 12, 31))).balances[0]

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(moves=st.lists(MOVES, max_size=14))
    def adds_up(moves):
        with transaction.atomic():
            for move in moves:
                raw.add(*move)
            check(raw.rep, moves, start.closing)
            transaction.set_rollback(True)

    adds_up()


def check(rep, moves, opening: int) -> None:
    """Every month, quarter and half of 2027 against sums over what was drawn."""
    signs = {"earn": 1, "off": 1, "card": -1, "open": 0}
    standing = {}
    for key in ("2027-01", "2027-02", "2027-03", "2027-04", "2027-05", "2027-06", "2027-Q1", "2027-Q2", "2027"):
        found = period_of(key, date(2027, 12, 31))
        days = [(date(2027, 1, 1) + timedelta(days=day), kind, minor) for kind, day, minor, _ in moves]
        before = opening + sum(signs[kind] * minor for day, kind, minor in days if day < found.first)
        after = opening + sum(signs[kind] * minor for day, kind, minor in days if day < found.end)
        statement = statement_of(rep, found)
        (b,) = statement.balances or [None]
        standing[key] = b and b.closing
        if b is None:
            assert before == after == 0
            continue
        assert (b.opening, b.closing) == (before, after)
        assert b.opening + b.earned + b.corrected + b.written_off - b.delivered == b.closing
        assert b.closing == b.on_its_way + b.carried - b.ahead
        assert sum(x.amount.minor for x in statement.earned) == b.earned
        assert sum(x.amount.minor for x in statement.corrections) == b.corrected
        assert sum(x.amount.minor for x in statement.write_offs) == b.written_off
        assert sum(x.amount.minor for x in statement.delivered) == b.delivered
        assert sum(x.amount.minor for x in statement.under_way) == b.on_its_way
    assert standing["2027-Q1"] == standing["2027-03"] and standing["2027-Q2"] == standing["2027-06"]


def test_a_program_in_yen_is_an_account_of_its_own(scene):
    scene.payout()
    yen = scene.program(currency="JPY", funded="0")
    send(scene.crm, deal("Y", scene.rep, "50000", currency="JPY", attributes={"for": yen.name}))
    found = statement_of(scene.rep, period_of("all", timezone.now().date()))
    assert [(b.currency, b.closing) for b in found.balances] == [("JPY", 1000), ("USD", 10000)]
    assert "1,000 JPY" in text_of(statement_pdf(found)).replace("\xa0", " ")


# --- PDF --------------------------------------------------------------------------------------------------------------------
def test_the_pdf_says_what_the_page_says_and_is_the_same_every_time(history):
    statement = statement_of(history, period("2026"))
    pdf = statement_pdf(statement)
    words = text_of(pdf)
    for text in (
        "Statement 2026",
        "Ana Ruiz",
        "Preliminary",
        "170.00",
        "−40.00",
        "−120.00",
        "10.00",
        "Closing balance",
    ):
        assert text in words, text
    assert pdf == statement_pdf(statement_of(history, period("2026")))
    assert pdf != statement_pdf(statement_of(history, period("2026-Q2")))


@pytest.mark.parametrize(
    ("name", "shown", "replaced"),
    [
        ("Zoë Ångström-Łukasz Çelik", "Zoë Ångström-Łukasz Çelik", False),
        ("Жанна Ελένη Ğ", "Жанна Ελένη Ğ", False),
        ("Անահիտ", "Անահիտ", False),
        ("山田 太郎", f"{BOX * 2} {BOX * 2}", True),
        ("Ana ก Ruiz\u202e", f"Ana {BOX} Ruiz", True),
    ],
)
def test_a_name_in_any_script_never_breaks_the_pdf(scene, name, shown, replaced):
    scene.rep.name = name
    words = text_of(statement_pdf(statement_of(scene.rep, period("2026"))))
    assert shown in words
    assert ("stands for a character" in words) == replaced


def test_right_to_left_names_stand_in_their_visual_order(scene):
    from incentives.reports.statement_pdf import _visual

    assert _visual("Dan שלום") == "Dan םולש"
    scene.rep.name = "שלום مرحبا"
    assert statement_pdf(statement_of(scene.rep, period("2026"))).startswith(b"%PDF")


def test_many_lines_go_over_several_pages(scene):
    program = scene.program()
    for _ in range(3):
        scene.earn("500.00", program=program)
    statement = statement_of(scene.rep, period_of("all", timezone.now().date()))
    statement.earned *= 40
    assert len(PdfReader(io.BytesIO(statement_pdf(statement))).pages) > 2


# --- pages --------------------------------------------------------------------------------------------------------------------
def test_a_statement_has_neither_addresses_nor_claim_links(scene, as_user):
    scene.issue(scene.payout(program=scene.program(delivery=LINKS), approve=True))
    scene.issue(scene.payout("700.00", approve=True))
    client = as_user(scene.rep_user)
    page, pdf = client.get("/me/statement/?period=all"), client.get("/me/statement.pdf?period=all")
    assert pdf["Content-Type"] == "application/pdf" and "no-store" in pdf["Cache-Control"]
    main = page.content.decode().split("<main", 1)[1]
    for text in (LINK, ANSWER, "ana@example.com", "claims.example.test"):
        assert text not in main and text not in text_of(pdf.content)
    assert "114.00" in main and "114.00" in text_of(pdf.content)
    assert "Tax year" not in main and "Tax year" not in text_of(pdf.content)


def test_finance_alone_sees_the_tax_year_and_fetching_is_on_record(history, scene, as_user):
    address = f"/reports/statements/{history.public_id}"
    for role, sees in (("finance", True), ("manager", False), ("auditor", False)):
        client = as_user(scene.users[role])
        assert ("Tax year" in assert_page_clean(client.get(f"{address}/?period=2026")).text) == sees
        assert ("Tax year" in text_of(client.get(f"{address}.pdf?period=2026").content)) == sees
    events = AuditEvent.objects.filter(action="statement.exported").order_by("pk")
    assert [(e.actor_name, e.target_id, e.after) for e in events] == [
        (str(scene.users[role]), str(history.public_id), {"period": "2026", "format": "pdf"})
        for role in ("finance", "manager", "auditor")
    ]


def test_nobody_gets_the_statement_of_somebody_else(history, scene, as_user):
    stranger = make_user("participant")
    make_participant("Stranger", user=stranger)
    client = as_user(stranger)
    assert "100.00" not in text_of(client.get("/me/statement.pdf?period=all").content)
    for end in ("/", ".pdf"):
        assert client.get(f"/reports/statements/{history.public_id}{end}").status_code == 404
    assert not AuditEvent.objects.filter(action="statement.exported").exists()


def test_the_list_shows_what_the_statements_say(history, scene, as_user):
    make_participant("Nobody Yet")
    client = as_user(scene.finance)
    for key in ("2026-02", "2026-03", "2026-04", "2026-05", "2026-Q2", "2026", "all"):
        page = client.get(f"/reports/statements/?period={key}")
        assert_page_clean(page)
        rows = [[getattr(c["value"], "minor", c["value"]) for c in row["cells"]] for row in page.context["rows"]]
        b = statement_of(history, period_of(key, timezone.now().date())).balances[0]
        assert rows == [["Ana Ruiz", b.opening, b.earned, b.corrected, b.written_off, b.delivered, b.closing]], key
        assert [sum.minor for _l, sum in page.context["totals"]] == rows[0][1:]
    everybody = client.get("/reports/statements/?tab=all").context
    assert everybody["total"] == 3 and everybody["chips"] == []
    file = b"".join(client.get("/reports/statements/?period=2026&export=csv").streaming_content).decode()
    assert "Ana Ruiz,U-" in file and ",170.00,USD,-40.00,USD,0.00,USD,120.00,USD,10.00,USD" in file


def test_the_statement_and_the_list_ask_as_often_for_much_as_for_little(scene, as_user):
    client = as_user(scene.finance)
    addresses = [f"/reports/statements/{scene.rep.public_id}/?period=all", "/reports/statements/?period=all"]

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            for address in addresses:
                assert client.get(address).status_code == 200
        return len(found)

    program = scene.program(funded="90000.00")
    scene.issue(scene.payout("700.00", program=program, approve=True))
    services.reject_payout(payout_id=scene.payout(program=program).pk, actor=scene.finance, reason="no")
    few = queries()
    for number in range(5):
        scene.issue(scene.payout("700.00", program=program, rep=make_participant(f"Rep {number}"), approve=True))
        scene.earn("600.00", program=scene.program())
        scene.earn("500.00", program=program)
    assert queries() == few
