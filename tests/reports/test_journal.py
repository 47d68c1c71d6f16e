"""The journal in the customer's accounts: balanced, traceable, in step with the months, and final once a month is closed."""

import csv
import io
from collections import defaultdict
from datetime import date
from decimal import Decimal

import pytest
from django.db import DatabaseError, transaction
from django.urls import reverse

from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.ledger.models import Posting
from incentives.payouts import month_selectors, services
from incentives.reports import journal, journal_services
from incentives.reports.journal_errors import AccountInvalid, JournalRefused
from incentives.reports.journal_models import JournalAccount, JournalExport
from incentives.reports.journal_rules import PROPOSAL, ROLES, sides
from tests.factories import make_user
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
MAY, JUNE, JULY = date(2026, 5, 1), date(2026, 6, 1), date(2026, 7, 1)


@pytest.fixture
def mapped(books):
    journal_services.use_proposal(actor=books.scene.finance)
    return books


def close(scene, *months):
    for month in months:
        services.close_month(month=month, actor=scene.finance)


def lines_of(export) -> list[dict]:
    return list(csv.DictReader(io.StringIO(journal_services.csv_of(export).decode("utf-8-sig"))))


def by_account(export) -> dict[tuple[str, str], Decimal]:
    """(account, currency) -> debits less credits."""
    found = defaultdict(Decimal)
    for line in lines_of(export):
        found[line["Account"], line["Currency"]] += Decimal(line["Debit"] or 0) - Decimal(line["Credit"] or 0)
    return {key: total for key, total in found.items() if total}


def test_the_rules_cover_every_kind_that_happened(books):
    kinds = set(Posting.objects.values_list("source__book", "kind", "source__bucket", "destination__bucket"))
    assert len({kind for _book, kind, *_ in kinds}) >= 14
    for kind in kinds:
        pair = sides(*kind)
        assert pair is None if kind[0] == "budget" else set(pair) <= set(ROLES), kind


def test_each_month_in_the_accounts(mapped):
    """May: earned 100.00 + 60.00 and 50.00 EUR, a card of 100.00 that cost 101.50. June: 40.00 taken back and 40.00 earned,
    15.00 written off, 25.00 withheld, a card of 15.00. July: a card of 60.00 that cost 58.80, and 30.00 + 14.00 earned."""
    close(mapped.scene, MAY, JUNE)
    may = journal_services.make_journal(month=MAY, actor=mapped.scene.finance)
    assert by_account(may) == {
        ("6150", "USD"): Decimal("120.00"),  # A1's correction became known in June, before May was closed
        ("6150", "EUR"): Decimal("50.00"),
        ("2150", "USD"): Decimal("-20.00"),
        ("2150", "EUR"): Decimal("-50.00"),
        ("1190", "USD"): Decimal("-101.50"),
        ("6160", "USD"): Decimal("1.50"),
    }
    june = journal_services.make_journal(month=JUNE, actor=mapped.scene.finance)
    assert by_account(june) == {
        ("6150", "USD"): Decimal("40.00"),
        ("2150", "USD"): Decimal("-40.00"),
        ("1190", "USD"): Decimal("-15.00"),
        ("6155", "USD"): Decimal("15.00"),
    }


def test_the_example_of_the_documentation(mapped):
    """docs/finance.md, "The books": Ana's bonus until the end of June, and the step by step beside it."""
    found, steps = defaultdict(int), []
    rows = journal.lines().filter(journal.REAL, journal.of_program(mapped.bonus), booked_on__lt=JULY)
    for posting in rows.order_by("posted_at", "pk"):
        found[posting.line.debit.number] += posting.amount_minor
        found[posting.line.credit.number] -= posting.amount_minor
        steps.append((posting.line.debit.number, posting.line.credit.number, posting.amount_minor))
    left = {number: minor for number, minor in found.items() if minor}
    assert left == {"6150": 10_000, "6155": 1_500, "6160": 150, "1190": -11_650}
    assert sorted(steps) == sorted(
        [
            ("6150", "2150", 10_000), ("2150", "1195", 10_000), ("1195", "1190", 10_000), ("6160", "1190", 150),
            ("2150", "6150", 4_000), ("1290", "2150", 4_000), ("6155", "1290", 1_500), ("6150", "2150", 4_000),
            ("2150", "1195", 1_500), ("1195", "1190", 1_500), ("2150", "1290", 2_500),
        ]
    )  # fmt: skip


def test_every_line_is_balanced_and_traceable(mapped):
    close(mapped.scene, MAY)
    export = journal_services.make_journal(month=MAY, actor=mapped.scene.finance)
    lines = lines_of(export)
    pairs = defaultdict(list)
    for line in lines:
        pairs[line["Posting"]].append(line)
    real = Posting.objects.filter(journal.REAL, booked_on__gte=MAY, booked_on__lt=JUNE)
    assert set(pairs) == set(real.values_list("key", flat=True))
    for key, (debit, credit) in pairs.items():
        posting = Posting.objects.get(key=key)
        assert (
            debit["Debit"] == credit["Credit"] == str(posting.amount.decimal) and not debit["Credit"] + credit["Debit"]
        )
        assert debit["Account"] and credit["Account"] and debit["Account"] != credit["Account"]
        assert (debit["Month"], debit["Cause"], debit["Kind"]) == ("2026-05", posting.cause, posting.kind)
        assert debit["Page"].startswith("http") and debit["Program"] and debit["Participant"] and debit["Budget"]
    assert [line["Line"] for line in lines] == [str(n) for n in range(1, export.line_count + 1)]
    assert export.totals == {"EUR": 5_000, "USD": 10_000 + 6_000 + 4_000 + 10_000 + 10_000 + 150}


def test_the_journal_agrees_with_the_list_of_months(mapped):
    for month in (MAY, JUNE, JULY):
        made = journal_services._Journal(month)
        made.content()
        made.check()
        figures = month_selectors.by_program(month)
        for currency in ("USD", "EUR"):
            own = [f for f in figures if f.program.currency == currency]
            net = made.kinds["earn", currency] - made.kinds["unearn", currency]
            assert (net, made.kinds["paid", currency]) == (sum(f.earned for f in own), sum(f.paid for f in own))


def test_a_final_journal_is_the_same_to_the_byte_whatever_changes_later(mapped):
    scene = mapped.scene
    close(scene, MAY)
    export = journal_services.make_journal(month=MAY, actor=scene.finance)
    content = journal_services.csv_of(export)
    account = JournalAccount.objects.get(role="expense")
    journal_services.set_account(role="expense", number="9999", actor=scene.finance, account=account)
    scene.rep.external_user_id = "renamed"
    scene.rep.save()
    again = journal_services.make_journal(month=MAY, actor=scene.other)
    assert (again.pk, journal_services.csv_of(again), again.created_by) == (export.pk, content, scene.finance)
    assert AuditEvent.objects.filter(action="journal.made").count() == 1
    with pytest.raises(DatabaseError), transaction.atomic():
        JournalExport.objects.filter(pk=export.pk).update(line_count=0)


def test_opening_and_closing_makes_the_next_number_with_the_differences(mapped):
    scene = mapped.scene
    close(scene, MAY)
    first = journal_services.make_journal(month=MAY, actor=scene.finance)
    assert journal_services.differences(first) is None
    services.reopen_month(month=MAY, actor=scene.finance, reason="Late file")
    with pytest.raises(JournalRefused, match="May 2026 is open"):
        journal_services.make_journal(month=MAY, actor=scene.finance)
    mapped.won("A9", "1000.00", mapped.spiff, mapped.bo, day="2026-05-30")
    account = JournalAccount.objects.get(role="fees")
    journal_services.set_account(role="fees", number="6161", name="Fees", actor=scene.finance, account=account)
    close(scene, MAY)
    second = journal_services.make_journal(month=MAY, actor=scene.finance)
    assert (second.number, str(second)) == (2, "2026-05/2")
    found = journal_services.differences(second)
    assert [row[8] for row in found["added"]] == ["Earned · Spiff"] * 2 and not found["gone"]
    assert [(old[2], new[2]) for old, new in found["changed"] if old[2] != new[2]] == [("6160", "6161")]
    assert journal_services.csv_of(first) != journal_services.csv_of(second)


def test_what_has_no_account_is_named_and_refuses_the_final_journal(books):
    scene = books.scene
    close(scene, MAY)
    for role in ("expense", "liability", "cards"):
        journal_services.set_account(role=role, number=PROPOSAL[role][0], actor=scene.finance)
    with pytest.raises(JournalRefused, match=r"Deposit at the provider \(2\), Provider fees \(1\)"):
        journal_services.make_journal(month=MAY, actor=scene.finance)
    assert not JournalExport.objects.exists()
    for role in ("deposit", "fees"):
        journal_services.set_account(role=role, number="1", actor=scene.finance, program=books.bonus)
    assert journal_services.make_journal(month=MAY, actor=scene.finance).number == 1


def test_a_program_s_account_goes_before_its_budget_s_and_both_before_the_rest(mapped):
    finance = mapped.scene.finance
    journal_services.set_account(role="expense", number="B", budget=mapped.spiff.budget, cost_centre="7", actor=finance)
    journal_services.set_account(role="expense", number="P", program=mapped.bonus, actor=finance)
    found = {(p.line.program.name, p.line.debit.number) for p in journal.lines().filter(kind="earn")}
    assert found == {("Bonus", "P"), ("Spiff", "B"), ("Euro", "6150")}


def test_the_mapping_is_audited_and_refuses_what_is_wrong(books):
    finance = books.scene.finance
    account = journal_services.set_account(role="bank", number=" 1000 ", actor=finance)
    changed = journal_services.set_account(role="bank", number="1001", actor=finance, account=account)
    journal_services.set_account(role="bank", number="1001", actor=finance, account=account)  # a repeat
    assert (changed.pk, changed.number) == (account.pk, "1001")
    events = AuditEvent.objects.filter(action="journal_account.set").order_by("pk")
    assert [(e.before.get("number"), e.after["number"]) for e in events] == [(None, "1000"), ("1000", "1001")]
    for wrong in (
        {"role": "bank", "number": "2"},
        {"role": "fees", "number": " "},
        {"role": "fees", "number": "1", "budget": books.bonus.budget, "program": books.bonus},
    ):
        with pytest.raises(AccountInvalid):
            journal_services.set_account(actor=finance, **wrong)
    with pytest.raises(NotAllowed):
        journal_services.set_account(role="fees", number="1", actor=make_user("auditor"))
    assert (JournalAccount.objects.count(), events.count()) == (1, 2)
    assert len(journal_services.use_proposal(actor=finance)) == len(ROLES) - 1
    assert journal_services.use_proposal(actor=finance) == []
    journal_services.remove_account(account=account, actor=finance)
    journal_services.remove_account(account=account, actor=finance)
    assert AuditEvent.objects.filter(action="journal_account.removed").count() == 1


def test_the_pages_filter_export_and_make(mapped, as_user, django_assert_max_num_queries):
    scene = mapped.scene
    client, address = as_user(scene.finance), reverse("reports:journal")
    with django_assert_max_num_queries(20):
        page = client.get(address, {"per": 100})
    assert_page_clean(page)
    count = lambda **q: client.get(address, q).context["total"]  # noqa: E731
    real = Posting.objects.filter(journal.REAL)
    memo = Posting.objects.exclude(journal.REAL)
    assert (count(), count(tab="memo"), count(tab="all")) == (real.count(), memo.count(), Posting.objects.count())
    assert count(month="2026-05", currency="eur") == 1
    assert count(program=mapped.euro.public_id) == count(budget=mapped.euro.budget.public_id) == 1
    assert count(kind="written_off") == 1 and count(since="2026-07-01", kind="card") == 1
    bonus, spiff = (count(program=p.public_id) for p in (mapped.bonus, mapped.spiff))
    assert bonus + spiff + 1 == real.count()
    text = b"".join(client.get(address, {"export": "csv", "kind": "written_off"}).streaming_content).decode()
    assert "6155 Sales incentives written off" in text and "15.00,USD" in text
    close(scene, MAY)
    made = client.post(reverse("reports:journal-make"), {"month": "2026-05"}, follow=True)
    assert_page_clean(made)
    export = JournalExport.objects.get()
    fetch = lambda kind: client.get(reverse("reports:journal-fetch", args=[export.public_id, kind]))  # noqa: E731
    assert fetch("csv").content == journal_services.csv_of(export)
    assert fetch("xlsx").status_code == 200 and fetch("pdf").status_code == 404
    assert AuditEvent.objects.filter(action="journal.fetched").count() == 2
    assert client.post(reverse("reports:journal-make"), {"month": "2026-06"}).status_code == 400


def test_no_cell_of_the_file_is_a_formula(mapped):
    scene = mapped.scene
    journal_services.set_account(
        role="expense",
        number="=1+1",
        name="@x",
        actor=scene.finance,
        account=JournalAccount.objects.get(role="expense"),
    )
    close(scene, MAY)
    export = journal_services.make_journal(month=MAY, actor=scene.finance)
    assert {line["Account"] for line in lines_of(export) if line["Account name"] == "'@x"} == {"'=1+1"}
