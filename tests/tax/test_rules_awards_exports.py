"""Rules by year, awards made elsewhere, and the files."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from openpyxl import load_workbook

from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.tax import services as tax
from incentives.tax.errors import AwardInvalid, ExportRefused, IdentifierRefused, RuleInvalid
from incentives.tax.models import OutsideAward, TaxExport, TaxRule
from incentives.tax.services.exports import GrossUp
from incentives.tax.standing import RuleBook
from rewards.money import Money
from tests.factories import make_participant, usd
from tests.tax.world import build, contractor, deliver, w9, wide_products

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def september(db, clock):
    clock.move_to(datetime(2026, 9, 15, 12, tzinfo=UTC))
    wide_products()


def rule(**changes) -> dict:
    values = {
        "country": "US", "classification": "non_employee", "year_from": 2027, "year_to": None, "form_needed": "W-9",
        "threshold_minor": 210_000, "currency": "USD", "report_kind": "1099-MISC", "hold_action": "hold_at_threshold",
        "source": "Rev. Proc. of 2026",
    }  # fmt: skip
    return values | changes


# --- rules --------------------------------------------------------------------------------------------------------------
def test_the_united_states_stand_by_default():
    found = {y: RuleBook(y).of("US", "non_employee").threshold for y in (2025, 2026, 2027)}
    assert found == {2025: usd("600.00"), 2026: usd("2000.00"), 2027: usd("2000.00")}
    assert RuleBook(2026).of("US", "employee").report_kind == "W-2"
    assert RuleBook(2026).of("DE", "foreign").hold_action == "always_review"
    assert RuleBook(2024).of("US", "non_employee") is None


def test_a_later_year_ends_the_open_row_before_it(scene):
    tax.save_rule(actor=scene.finance, **rule())
    found = {y: RuleBook(y).of("US", "non_employee").threshold_minor for y in (2026, 2027, 2030)}
    assert found == {2026: 200_000, 2027: 210_000, 2030: 210_000}
    assert TaxRule.objects.get(country="US", classification="non_employee", year_from=2026).year_to == 2026
    assert AuditEvent.objects.filter(action__in=["tax_rule.added", "tax_rule.changed"]).count() == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"year_from": 2025}, {"year_from": 2024, "year_to": 2025}, {"country": "USA"}, {"currency": "XXX"},
        {"threshold_minor": None}, {"form_needed": ""}, {"threshold_minor": -1}, {"year_to": 2026}, {"hold_action": "x"},
    ],
)  # fmt: skip
def test_a_rule_that_overlaps_or_does_not_fit_is_refused(scene, changes):
    before = list(TaxRule.objects.values())
    with pytest.raises(RuleInvalid):
        tax.save_rule(actor=scene.finance, **rule(**changes))
    assert list(TaxRule.objects.values()) == before


@pytest.mark.parametrize("role", ["manager", "auditor", "administrator", "superuser"])
def test_only_finance_changes_rules(scene, role):
    with pytest.raises(NotAllowed):
        tax.save_rule(actor=scene.users[role], **rule())


# --- awards -------------------------------------------------------------------------------------------------------------
def award(person, amount="10.00", **changes) -> tax.AwardRow:
    money = amount if isinstance(amount, Money) else usd(amount)
    return tax.AwardRow(person, **{"on": date(2026, 3, 1), "amount": money, "source": "Trade show"} | changes)


def test_a_file_twice_adds_nothing_and_two_equal_lines_are_two_awards(scene):
    person = contractor()
    rows = [award(person), award(person), award(person, reference="T-1")]
    assert tax.add_awards(rows=rows, actor=scene.finance) == {"added": 3, "unchanged": 0}
    assert tax.add_awards(rows=rows, actor=scene.finance) == {"added": 0, "unchanged": 3}
    with pytest.raises(AwardInvalid):
        tax.add_awards(rows=[award(person), award(person, "11.00", reference="T-1")], actor=scene.finance)
    assert OutsideAward.objects.count() == 3


@pytest.mark.parametrize(
    "changes", [{"amount": usd("0.00")}, {"on": date(2026, 9, 16)}, {"source": " "}, {"source": "SSN 123-45-6789"}]
)
def test_a_wrong_row_enters_nothing(scene, changes):
    person = contractor()
    with pytest.raises(AwardInvalid):
        tax.add_awards(rows=[award(person), award(person, **changes)], actor=scene.finance)
    assert not OutsideAward.objects.exists()


def test_an_award_is_never_edited_or_removed(scene):
    tax.add_awards(rows=[award(contractor())], actor=scene.finance)
    for sql in ("UPDATE tax_outsideaward SET amount_minor = 1", "DELETE FROM tax_outsideaward"):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    with pytest.raises(IdentifierRefused):
        tax.cancel_award(award=OutsideAward.objects.get(), actor=scene.finance, reason="it was 12-3456789")
    assert OutsideAward.objects.get().cancelled_at is None


# --- exports ------------------------------------------------------------------------------------------------------------
def table(made: TaxExport) -> list[dict]:
    text = b"".join(tax.csv_of(made)).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_the_1099_file_has_who_reached_the_threshold_or_everybody(scene):
    below, at, staff = contractor("Below"), contractor("At", employee_number="C-7"), make_participant("Staff")
    for person in (below, at):
        deliver(scene, build(scene, person, "1999.00"))
    deliver(scene, build(scene, staff, "3000.00"))
    tax.add_awards(rows=[award(at, "1.00"), award(below, "0.99")], actor=scene.finance)
    w9(at, scene.finance)
    (row,) = table(tax.make_1099_export(year=2026, actor=scene.finance))
    assert row == {
        "Year": "2026", "External user id": at.key, "Employee number": "C-7", "Name": "At", "Country": "US",
        "Form on file": "W-9", "Currency": "USD", "Delivered": "1999.00", "Awards made elsewhere": "1.00",
        "Box 3 other income": "2000.00",
    }  # fmt: skip
    everybody = table(tax.make_1099_export(year=2026, everybody=True, actor=scene.finance))
    assert [r["Box 3 other income"] for r in everybody] == ["2000.00", "1999.99"]


def test_an_export_is_the_same_when_fetched_again_whatever_changed_since(scene):
    person = contractor("=cmd|' /C calc'!A0")
    deliver(scene, build(scene, person, "1999.99"))
    tax.add_awards(rows=[award(person, "1.00")], actor=scene.finance)
    made = tax.make_1099_export(year=2026, actor=scene.finance)
    first = b"".join(tax.csv_of(made))
    assert b"'=cmd" in first
    tax.cancel_award(award=OutsideAward.objects.get(), actor=scene.finance, reason="Wrong")
    made = TaxExport.objects.get(pk=made.pk)
    assert b"".join(tax.csv_of(made)) == first
    tax.record_download(made, actor=scene.finance, kind="csv")
    assert AuditEvent.objects.filter(action="tax_export.fetched").count() == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        TaxExport.objects.update(sha256="0" * 64)
    made.rows[0][7] = "1.00"
    with pytest.raises(ExportRefused):
        tax.record_download(made, actor=scene.finance, kind="csv")


def test_an_amount_without_a_rate_stops_the_1099_file(scene):
    tax.add_awards(rows=[award(contractor(), Money(500, "EUR"))], actor=scene.finance)
    with pytest.raises(ExportRefused):
        tax.make_1099_export(year=2026, actor=scene.finance)
    assert not TaxExport.objects.exists()


PUBLISHED = [("100.00", "0", "142.15"), ("500.00", "5", "765.11")]
"""helpdesksuites.com, payroll FAQ; Bloomberg Tax, Payroll in Practice, 2022-12-19."""


@pytest.mark.parametrize(("net", "state", "gross"), PUBLISHED)
def test_the_gross_up_gives_the_published_examples(net, state, gross):
    assert GrossUp(state=Decimal(state)).gross(usd(net)) == usd(gross)


def test_the_w2_file_of_a_period_with_gross_up(scene):
    staff, free = make_participant("Ann", employee_number="E-1"), contractor()
    moments = {"2026-07-31T23:59:59Z": "40.00", "2026-08-01T00:00:00Z": "60.00", "2026-08-31T23:59:59Z": "40.00"}
    for moment, amount in moments.items():
        deliver(scene, build(scene, staff, amount), on=datetime.fromisoformat(moment))
    deliver(scene, build(scene, free, "10.00"), on=datetime(2026, 8, 5, tzinfo=UTC))
    august = {"first": date(2026, 8, 1), "last": date(2026, 8, 31), "actor": scene.finance}
    (row,) = table(tax.make_w2_export(**august, gross_up=GrossUp()))
    assert (row["Employee number"], row["Tax year"], row["Rewards delivered (net)"]) == ("E-1", "2026", "100.00")
    assert (row["Taxable wages (gross)"], row["Withheld"]) == ("142.15", "42.15")
    (plain,) = table(tax.make_w2_export(**august))
    assert "Taxable wages (gross)" not in plain
    first, second = TaxExport.objects.order_by("pk")
    assert first.parameters["formula"].startswith("gross = net / (1 - ") and "formula" not in second.parameters


def test_a_period_over_new_year_is_split_by_year(scene):
    staff = make_participant("Ann")
    for moment in (datetime(2025, 12, 31, 12, tzinfo=UTC), datetime(2026, 1, 1, 12, tzinfo=UTC)):
        deliver(scene, build(scene, staff, "5.00"), on=moment)
    made = tax.make_w2_export(first=date(2025, 12, 25), last=date(2026, 1, 7), actor=scene.finance)
    assert [(r["Tax year"], r["Rewards delivered (net)"]) for r in table(made)] == [("2025", "5.00"), ("2026", "5.00")]


@pytest.mark.parametrize(
    ("first", "last", "rates"),
    [
        (date(2026, 9, 1), date(2026, 9, 15), None), (date(2026, 9, 2), date(2026, 9, 1), None),
        (date(2026, 8, 1), date(2026, 8, 31), GrossUp(federal=Decimal("92.35"))),
        (date(2026, 8, 1), date(2026, 8, 31), GrossUp(state=Decimal("-1"))),
    ],
)  # fmt: skip
def test_a_period_that_is_not_over_and_impossible_rates_are_refused(scene, first, last, rates):
    with pytest.raises(ExportRefused):
        tax.make_w2_export(first=first, last=last, gross_up=rates, actor=scene.finance)
    assert not TaxExport.objects.exists()


def test_the_excel_file_has_numbers_for_money(scene, as_user):
    person = contractor()
    deliver(scene, build(scene, person, "1500.50"))
    tax.add_awards(rows=[award(person, "499.50")], actor=scene.finance)
    made = tax.make_1099_export(year=2026, actor=scene.finance)
    answer = as_user(scene.finance).get(f"/reports/tax/exports/{made.public_id}/xlsx/")
    sheet = load_workbook(io.BytesIO(b"".join(answer.streaming_content))).active
    assert [cell.value for cell in sheet[2]][-3:] == [1500.5, 499.5, 2000]
