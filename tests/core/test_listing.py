"""Every list page: who sees it, search, filters, sorting, paging, what it says when empty, exports."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal

import openpyxl
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incentives.accounts.models import User
from incentives.core import exports
from incentives.core.models import AuditEvent
from tests.factories import make_user
from tests.support.html import assert_page_clean

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.sample_list")]


@pytest.fixture
def admin(client):
    user = make_user("administrator", name="Zoe Admin")
    client.force_login(user)
    return user


def add(*names: str, **fields) -> list[User]:
    return [
        make_user(name=name, email=f"s{i}-{name.lower()[:20]}@sample.test".replace(" ", "."), **fields)
        for i, name in enumerate(names)
    ]


def shown(response) -> list[str]:
    return [row["object"].name for row in response.context["rows"]]


def listed(client, query: str = "") -> list[str]:
    return shown(client.get(f"/sample/{query}"))


# --- who --------------------------------------------------------------------------------------------------------------
def test_a_visitor_is_sent_to_sign_in_and_comes_back(client):
    response = client.get("/sample/?q=x")
    assert (response.status_code, response.headers["Location"]) == (302, "/accounts/login/?next=/sample/%3Fq%3Dx")


def test_a_refreshed_part_of_a_visitors_page_leaves_the_page(client):
    response = client.get("/sample/", headers={"HX-Request": "true", "HX-Target": "results"})
    assert response.headers["HX-Redirect"] == "/accounts/login/?next=/sample/"


def test_who_may_not_see_the_list_gets_404(client):
    client.force_login(make_user("finance"))
    assert client.get("/sample/").status_code == 404
    assert client.get("/sample/?export=csv").status_code == 404
    assert not AuditEvent.objects.exists()


def test_pages_are_not_kept_by_shared_caches(client, admin):
    response = client.get("/sample/")
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert "HX-Request" in response.headers["Vary"]


# --- finding ------------------------------------------------------------------------------------------------------------
def test_search_wants_every_word_in_any_field(client, admin):
    add("Ann Smith", "Ann Jones", "Bob Smith")
    assert listed(client, "?q=smith+ann") == ["Ann Smith"]
    assert listed(client, "?q=SMITH") == ["Ann Smith", "Bob Smith"]
    assert listed(client, "?q=sample.test+jones") == ["Ann Jones"]
    assert listed(client, "?q=%25") == []


def test_a_nul_byte_in_search_or_filter_is_harmless(client, admin):
    add("Ann Smith")
    assert listed(client, "?q=smi%00th") == ["Ann Smith"]
    assert client.get("/sample/?language=%00en&since=%00").status_code == 200


def test_a_filter_shows_a_chip_that_takes_it_away(client, admin):
    add("Ann", language="fr")
    add("Bob")
    response = client.get("/sample/?language=fr&q=sample&sort=-name")
    assert shown(response) == ["Ann"]
    assert response.context["chips"] == [
        {"label": "Language", "value": "French", "url": "/sample/?q=sample&sort=-name"}
    ]


def test_a_wrong_filter_value_says_which_and_matches_nothing(client, admin):
    add("Ann")
    page = assert_page_clean(client.get("/sample/?since=yesterday"))
    assert "From: Enter a valid date." in page.text
    assert listed(client, "?since=yesterday") == []


def test_a_day_filter_begins_at_midnight_of_the_persons_zone(client, admin):
    User.objects.filter(pk=admin.pk).update(time_zone="America/New_York")
    late, early = add("Late", "Early")
    User.objects.filter(pk=late.pk).update(created_at=datetime(2026, 7, 2, 4, 0, tzinfo=UTC))
    User.objects.filter(pk=early.pk).update(created_at=datetime(2026, 7, 2, 3, 59, tzinfo=UTC))
    assert listed(client, "?since=2026-07-02") == ["Late"]


def test_tabs_count_and_narrow(client, admin):
    add("Ann", "Bea", language="fr")
    add("Bob")
    response = client.get("/sample/?tab=french")
    assert shown(response) == ["Ann", "Bea"]
    assert [(tab["count"], tab["current"]) for tab in response.context["tab_links"]] == [(3, False), (2, True)]
    assert listed(client, "?tab=nonsense") == ["Ann", "Bea", "Bob"]


# --- order and pages --------------------------------------------------------------------------------------------------
def test_sorting_follows_the_header_and_ignores_what_is_not_offered(client, admin):
    add("Bob", "Ann")
    assert listed(client, "?sort=name") == ["Ann", "Bob"]
    assert listed(client, "?sort=-name") == ["Bob", "Ann"]
    assert listed(client, "?sort=password") == ["Ann", "Bob"]
    assert listed(client, "?sort=-amount") == ["Ann", "Bob"]


def test_empty_values_come_last_in_both_directions(client, admin):
    for user, day in zip(add("One", "Two", "Never"), (1, 2), strict=False):
        User.objects.filter(pk=user.pk).update(last_login=datetime(2026, 7, day, tzinfo=UTC))
    assert listed(client, "?sort=last_login") == ["One", "Two", "Never"]
    assert listed(client, "?sort=-last_login") == ["Two", "One", "Never"]


def test_pages_do_not_overlap_when_everything_sorts_alike(client, admin):
    add(*[f"P{n:02}" for n in range(60)])
    pages = [listed(client, f"?sort=language&page={n}") for n in (1, 2, 3)]
    assert [len(page) for page in pages] == [25, 25, 10]
    assert sorted(name for page in pages for name in page) == [f"P{n:02}" for n in range(60)]


@pytest.mark.parametrize(
    ("query", "first", "size"),
    [
        ("?page=99", "P50", 10),
        ("?page=x", "P00", 25),
        ("?page=-1", "P50", 10),
        ("?per=50", "P00", 50),
        ("?per=7", "P00", 25),
    ],
)
def test_nonsense_pages_show_a_page_that_exists(client, admin, query, first, size):
    add(*[f"P{n:02}" for n in range(60)])
    rows = listed(client, query)
    assert (rows[0], len(rows)) == (first, size)


def test_the_pager_counts_and_keeps_the_search(client, admin):
    add(*[f"P{n:02}" for n in range(30)])
    page = assert_page_clean(client.get("/sample/?q=sample"))
    assert "1–25 of 30" in page.text
    assert "?q=sample&page=2" in page.links


def test_htmx_gets_the_results_alone_and_history_the_whole_page(client, admin):
    headers = {"HX-Request": "true", "HX-Target": "results"}
    part = client.get("/sample/", headers=headers).content.decode()
    assert part.startswith('\n<div class="list" id="results"') and "<html" not in part
    assert "<html" in client.get("/sample/", headers=headers | {"HX-History-Restore-Request": "true"}).content.decode()


@pytest.mark.parametrize("address", ["/sample/?per=100", "/people/?per=100", "/audit/?per=100"])
def test_the_number_of_queries_does_not_grow_with_the_rows(client, admin, address):
    from incentives.accounts import services

    def queries() -> int:
        client.get(address)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert client.get(address).status_code == 200
        return len(captured)

    for n in range(10):
        services.invite(email=f"a{n}@sample.test", name=f"A{n}", roles={"finance"}, actor=admin)
    few = queries()
    for n in range(190):
        services.invite(email=f"b{n}@sample.test", name=f"B{n}", roles={"finance", "auditor"}, actor=admin)
    assert queries() == few <= 10


# --- nothing to show --------------------------------------------------------------------------------------------------
def test_nothing_yet_and_nothing_matches_are_told_apart(client, admin):
    assert "No samples yet" in assert_page_clean(client.get("/sample/")).text
    page = assert_page_clean(client.get("/sample/?q=nobody"))
    assert "Nothing matches" in page.text and "/sample/" in page.links
    assert "No samples yet" not in page.text


def test_rows_can_be_ticked_for_a_plain_form(client, admin):
    (ann,) = add("Ann")
    html = client.get("/sample/").content.decode()
    assert f'name="ids" value="{ann.public_id}"' in html
    assert 'data-minor="123450" data-currency="USD" data-digits="2"' in html
    assert '<button type="submit" name="action" value="approve" class="primary">Approve</button>' in html


# --- exports ------------------------------------------------------------------------------------------------------------
def csv_rows(response) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(response.streaming_content).decode("utf-8-sig"), newline="")))


def test_csv_has_exactly_the_matching_rows_in_order(client, admin, monkeypatch):
    monkeypatch.setattr(exports, "CHUNK", 2)
    people = add("Cleo", "Ann", "Bob", "Dan", "Eve")
    add("Zed", language="fr")
    User.objects.filter(pk=people[1].pk).update(last_login=datetime(2026, 7, 2, 3, 59, tzinfo=UTC))
    User.objects.filter(pk=admin.pk).update(time_zone="America/New_York")
    rows = csv_rows(client.get("/sample/?language=en&export=csv&page=2&per=25"))
    assert rows[0] == ["Name", "'=Amount", "'=Amount currency", "Seen (America/New_York)", "Language", "Number"]
    assert [row[0] for row in rows[1:]] == ["Ann", "Bob", "Cleo", "Dan", "Eve"]
    assert rows[1] == ["Ann", "1234.50", "USD", "2026-07-01T23:59:00-04:00", "en", str(people[1].pk)]
    event = AuditEvent.objects.get(action="list.exported")
    assert (event.actor_id, event.after) == (admin.pk, {"list": "sample", "format": "csv"})


DANGEROUS = [
    "=1+1",
    "+1 555 0100",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "\x00=1",
    "\x01\x00@x",
    "|cmd",
    "＝1",
]


@pytest.mark.parametrize("text", DANGEROUS)
def test_text_that_looks_like_a_formula_stays_text_in_csv(text):
    for cell in (
        exports.safe_text(text),
        *next(csv.reader(io.StringIO(b"".join(exports.csv_chunks([text], [])).decode("utf-8-sig"), newline=""))),
    ):
        assert cell.startswith("'") and "\x00" not in cell


def test_numbers_stay_numbers_in_csv():
    line = b"".join(exports.csv_chunks(["a"], [[[-150, Decimal("-1.50"), Decimal("1E+3"), None, "plain, text"]]]))
    assert line == b'\xef\xbb\xbfa\r\n-150,-1.50,1000,,"plain, text"\r\n'


def test_xlsx_keeps_text_as_text_and_numbers_as_numbers(client, admin):
    bad, _ = add("=HYPERLINK(1)", "-Minus")
    User.objects.filter(pk=bad.pk).update(last_login=datetime(2026, 7, 2, 3, 59, tzinfo=UTC))
    response = client.get("/sample/?export=xlsx")
    assert response.headers["Content-Disposition"].endswith('.xlsx"')
    sheet = openpyxl.load_workbook(io.BytesIO(b"".join(response.streaming_content))).active
    rows = list(sheet.iter_rows())
    assert [cell.value for cell in rows[0]] == [
        "Name",
        "=Amount",
        "=Amount currency",
        "Seen (UTC)",
        "Language",
        "Number",
    ]
    assert {cell.data_type for cell in rows[0]} == {"s"}
    assert [[cell.value for cell in row][:4] for row in rows[1:]] == [
        ["-Minus", -1.5, "USD", None],
        ["=HYPERLINK(1)", 1234.5, "USD", datetime(2026, 7, 2, 3, 59)],  # noqa: DTZ001 (spreadsheets have no zones)
    ]
    assert [cell.data_type for cell in rows[2]] == ["s", "n", "s", "d", "s", "n"]
    assert rows[2][0].quotePrefix and rows[1][0].quotePrefix and not rows[2][4].quotePrefix


@pytest.mark.parametrize("text", DANGEROUS)
def test_xlsx_has_no_formula_in_any_cell_or_header(text):
    file = exports.xlsx_file("=[Sheet]", [text], [[[text, text * 2]]])
    sheet = openpyxl.load_workbook(file).active
    cells = [cell for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert len(cells) == 3 and {cell.data_type for cell in cells} == {"s"}


@pytest.mark.parametrize("query", ["?export=pdf", "?export=csv&since=nonsense", "?export=xlsx&since=nonsense"])
def test_an_export_that_cannot_be_leaves_nothing(client, admin, query):
    add("Ann")
    response = client.get(f"/sample/{query}")
    assert response.status_code == 302 and "export" not in response.headers["Location"]
    page = client.get(response.headers["Location"])
    assert "exported" in assert_page_clean(page).text
    assert not AuditEvent.objects.filter(action="list.exported").exists()


def test_too_many_rows_for_a_spreadsheet_are_refused_with_a_way_out(client, admin, monkeypatch):
    monkeypatch.setattr(exports, "XLSX_ROWS", 1)
    add("Ann", "Bob")
    page = assert_page_clean(client.get("/sample/?export=xlsx", follow=True))
    assert "An Excel file holds at most 1 rows here. Narrow the list, or take the CSV." in page.text
