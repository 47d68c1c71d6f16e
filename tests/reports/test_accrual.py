"""Earned and not paid, at the end of any month, is what the participants' accounts hold."""

from collections import defaultdict
from datetime import date

import pytest
from django.urls import reverse

from incentives.earnings.models import Participation
from incentives.ledger.models import Account, Posting
from incentives.reports import accrual
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
MAY, JUNE, JULY = date(2026, 5, 1), date(2026, 6, 1), date(2026, 7, 1)


def shown(figures) -> dict:
    return {name: getattr(figures, name) for name in accrual.FIGURES if getattr(figures, name)}


def test_each_month_of_a_program(books):
    """As in test_journal: 40.00 of May's 100.00 are taken back, 15.00 are written off and 25.00 withheld."""
    months = {month: shown(accrual.by_program(month)[books.bonus.pk]) for month in (MAY, JUNE, JULY)}
    assert months == {
        MAY: {"earned": 10_000, "corrected": -4_000, "paid": -10_000, "closing": -4_000},
        JUNE: {"opening": -4_000, "earned": 4_000, "paid": -1_500, "aside": 1_500, "written_off": -1_500},
        JULY: {"earned": 1_400, "closing": 1_400},
    }
    assert shown(accrual.by_program(MAY)[books.euro.pk]) == {"earned": 5_000, "closing": 5_000}


def test_closing_is_the_sum_of_the_participants_accounts(books):
    """earned - paid + recoverable + written off, of every participation, from the stored balances."""
    held = defaultdict(int)
    sign = {"earned": 1, "paid": -1, "recoverable": 1}
    for account in Account.objects.filter(book="participant", tracked=True):
        held[account.code.split(":")[1]] += sign[account.bucket] * account.balance_minor
    for posting in Posting.objects.filter(kind__in=("written_off", "write_off_undone")):
        ours = posting.source if posting.kind == "written_off" else posting.destination
        held[ours.code.split(":")[1]] += posting.amount_minor * (1 if posting.kind == "written_off" else -1)
    people = accrual.by_participation(JULY)
    closing = {str(p): people[p].closing for p in people}
    assert closing == {code: minor for code, minor in held.items() if code in closing}
    assert all(minor >= 0 for minor in closing.values()) and sum(closing.values()) == 1_400 + 3_000 + 5_000
    for part in Participation.objects.all():
        recoverable = Account.objects.get(code=f"participant:{part.public_id}:recoverable").balance_minor
        assert recoverable == (people[part.public_id].owed if part.public_id in people else 0)


def test_each_month_begins_where_the_one_before_ended_and_adds_up(books):
    before = {}
    for month in (MAY, JUNE, JULY):
        people = accrual.by_participation(month)
        for public_id, row in people.items():
            assert (
                row.opening == before.get(public_id, (0, 0))[0] and row.owed_before == before.get(public_id, (0, 0))[1]
            )
            assert row.closing == row.opening + row.earned + row.corrected + row.paid + row.aside
            assert row.owed == row.owed_before + row.aside + row.written_off
            before[public_id] = (row.closing, row.owed)


def test_the_pages_show_a_month_and_its_people(books, as_user, django_assert_max_num_queries):
    client, address = as_user(books.scene.finance), reverse("reports:accrual")
    with django_assert_max_num_queries(16):
        page = client.get(address, {"month": "2026-05"})
    assert_page_clean(page)
    assert [row["object"].label for row in page.context["rows"]] == ["Spiff", "Euro", "Bonus"]
    assert client.get(address, {"month": "2026-05", "q": "bon"}).context["total"] == 1
    assert client.get(address, {"month": "2019-01"}).context["total"] == 0
    people = client.get(reverse("reports:accrual-people", args=[books.spiff.public_id]), {"sort": "label"})
    assert_page_clean(people)
    assert [row["object"].label for row in people.context["rows"]] == ["Ana Ruiz", "Bo Tan"]
    text = b"".join(client.get(address, {"month": "2026-05", "export": "csv"}).streaming_content).decode()
    assert "Euro,0.00,EUR,50.00,EUR,0.00,EUR,0.00,EUR,0.00,EUR,50.00,EUR" in text
    assert client.get(address, {"export": "xlsx"}).status_code == 200
