"""The pages of exchange rates: who may open them, the list, and a file with its preview."""

import io
from decimal import Decimal

import pytest
from openpyxl import Workbook

from incentives.ledger.models import ExchangeRate
from tests.factories import make_user
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
ROLES = ["manager", "finance", "administrator", "auditor", "participant", "partner_admin"]
ONE = {
    "currency": "EUR",
    "to_currency": "USD",
    "rate": "1.0825",
    "starts_on": "2026-07-01",
    "ends_on": "2026-07-31",
    "source": "ECB",
}
FILE = """currency;to_currency;starts_on;ends_on;rate;source
EUR;USD;2026-07-01;2026-07-31;1.09;ECB
gbp;USD;2026-07-01;;1.27;
"""


@pytest.fixture
def signed_in(client):
    client.force_login(make_user("finance", name="Fay"))
    return client


def rates() -> list[tuple]:
    return list(ExchangeRate.objects.values_list("currency", "ends_on", "rate"))


@pytest.mark.parametrize("role", ROLES)
def test_each_role_opens_what_it_may_and_finds_nothing_else(client, signed_in, role):
    signed_in.post("/reports/rates/new/", ONE)
    found = ExchangeRate.objects.get()
    client.force_login(make_user(role))
    assert client.get("/reports/rates/").status_code == (200 if role in {"manager", "finance", "auditor"} else 404)
    for path in ("new/", "import/", f"{found.pk}/", f"{found.pk}/remove/"):
        assert client.get(f"/reports/rates/{path}").status_code == (200 if role == "finance" else 404), path
        if role != "finance":
            assert (
                client.post(f"/reports/rates/{path}", ONE | {"rate": "9", "text": FILE, "action": "apply"}).status_code
                == 404
            )
    assert ExchangeRate.objects.get().rate == Decimal("1.0825")


def test_nobody_signed_in_goes_to_the_sign_in_page(client):
    for path in ("", "new/", "import/", "1/", "1/remove/"):
        assert client.get(f"/reports/rates/{path}")["Location"].startswith("/accounts/login/")


def test_the_list_shows_filters_and_exports_rates(signed_in, django_assert_max_num_queries):
    for month in (7, 8):
        signed_in.post(
            "/reports/rates/new/", ONE | {"starts_on": f"2026-{month:02}-01", "ends_on": f"2026-{month:02}-31"}
        )
    with django_assert_max_num_queries(12):
        page = assert_page_clean(signed_in.get("/reports/rates/?on=2026-07-15"))
    assert "EUR → USD" in page.text and "1.0825" in page.text and "ECB" in page.text
    assert page.text.count("EUR → USD") == 1
    text = b"".join(signed_in.get("/reports/rates/?export=csv").streaming_content).decode("utf-8-sig")
    assert "EUR,USD,2026-08-01,2026-08-31,1.0825,ECB" in text
    assert "No exchange rate" not in page.text


def test_one_rate_is_changed_and_removed(signed_in):
    signed_in.post("/reports/rates/new/", ONE)
    at = f"/reports/rates/{ExchangeRate.objects.get().pk}/"
    page = assert_page_clean(signed_in.get(at))
    assert signed_in.get(at).context["form"].initial["rate"] == "1.0825" and "Remove" in page.text
    assert signed_in.post(at, ONE | {"rate": "0"}).status_code == 400
    assert signed_in.post(at, ONE | {"rate": "1.2"})["Location"] == "/reports/rates/"
    assert rates()[0][2] == Decimal("1.2")
    answer = signed_in.post("/reports/rates/new/", ONE | {"starts_on": "2026-07-31"})
    assert answer.status_code == 400 and "overlaps the rate that stands" in answer.content.decode()
    assert_page_clean(signed_in.get(f"{at}remove/"))
    signed_in.post(f"{at}remove/", {"reason": "Wrong"})
    assert rates() == []


def test_a_file_is_shown_before_it_is_set(signed_in):
    signed_in.post("/reports/rates/new/", ONE)
    page = assert_page_clean(signed_in.post("/reports/rates/import/", {"text": FILE}))
    assert "2 rows can be set" in page.text and "Replaced" in page.text and "New" in page.text
    assert len(rates()) == 1
    answer = signed_in.post("/reports/rates/import/", {"text": FILE, "action": "apply"}, follow=True)
    assert "1 rate is added. 1 rate is changed." in answer.content.decode()
    assert [(code, rate) for code, _, rate in rates()] == [("EUR", Decimal("1.09")), ("GBP", Decimal("1.27"))]


def test_a_spreadsheet_is_read_and_comes_back_from_the_preview(signed_in):
    book = Workbook()
    for row in (["Currency", "To currency", "Starts on", "Rate"], ["JPY", "USD", "2026-07-01", 0.0067]):
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    file.seek(0)
    file.name = "rates.xlsx"
    answer = signed_in.post("/reports/rates/import/", {"file": file})
    text = answer.context["source"]
    signed_in.post("/reports/rates/import/", {"text": text, "action": "apply"})
    assert [rate for _, _, rate in rates()] == [Decimal("0.0067")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("currency,rate\nEUR,1\n", "missing: to_currency, starts_on"),
        ("currency,to_currency,starts_on,rate\n", "no rows under its first line"),
        ("currency,to_currency,starts_on,rate\nEUR,USD,July,1\n", "“July” is no day"),
        ("currency,to_currency,starts_on,rate\nEUR,USD,2026-07-01,one\n", "“one” is no number"),
        ("currency,to_currency,starts_on,rate\nEUR,USD,2026-07-01,1\nEUR,USD,2026-07-01,2\n", "overlaps row 2"),
        ("currency,to_currency,starts_on,rate\nEUR,USD,2026-07-01,-1\n", "expected a number above zero"),
        ("", "Choose a file, or paste its lines"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_and_nothing_is_set(signed_in, text, words):
    answer = signed_in.post("/reports/rates/import/", {"text": text, "action": "apply"})
    assert answer.status_code == 400
    assert words in assert_page_clean(answer).text
    assert rates() == []
