"""A year on somebody else's CRM: twelve monthly closes, corrections across them, tax thresholds crossed and forms that come.

Expected figures come from `year_independent.py`, which reads the same CSV files and shares no code with Laurel.
"""

import csv
import json
import shutil
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from runpy import run_path

import httpx
import pytest
import time_machine
from django.db.models import Sum
from django.utils import timezone

from incentives.core import audit, sealing
from incentives.crm import imports
from incentives.crm.mapping import load_tables
from incentives.earnings import recompute
from incentives.earnings.evaluate import evaluate
from incentives.earnings.models import Earning
from incentives.ledger.selectors import budget_figures
from incentives.participants.models import Participant
from incentives.payouts import services
from incentives.payouts.checks import check_ledger
from incentives.payouts.models import Hold, Payout
from incentives.payouts.month_selectors import by_program
from incentives.payouts.reconcile import reconcile
from incentives.programs import life
from incentives.programs import services as programs
from incentives.programs.services import TargetRow
from incentives.reports import accrual, export_services, journal_services
from incentives.reports.export_writer import VERIFIER
from incentives.reports.journal_models import JournalExport
from incentives.tax import services as tax
from incentives.tax.selectors import year_lines
from rewards import services as rewards
from rewards.models import Product
from rewards.money import Money
from rewards.sweep import sweep_once
from tests.acceptance import independent, year_independent
from tests.acceptance.test_real_input import BONUS, TARGET
from tests.acceptance.year_independent import MONTHS, next_month
from tests.factories import make_connection, make_participant, make_program, make_user, publish

pytestmark = pytest.mark.django_db(transaction=True)

DAYS = {"starts_on": "2026-01-01", "ends_on": "2026-12-31", "payout": {"when": "monthly"}}
ALL_MONTHS = [*MONTHS, next_month(MONTHS[-1])]
TAX = (Hold.Kind.TAX, Hold.Kind.TAX_REVIEW)


class Company:
    """Laurel as one company runs it: `run.month(n)` is one month of the CRM, the payday, the forms and the close."""

    def __init__(self, data: Path, folder: Path, expected: year_independent.Year, clock):
        self.folder, self.expected, self.clock = folder, expected, clock
        self.manager, self.finance, self.second = make_user("manager"), make_user("finance"), make_user("finance")
        self.crm = make_connection("Sample CRM", time_zone="America/Chicago")
        self.people = {agent: self._person(agent) for agent in independent.agents(data)}
        with (folder / "agents.csv").open("w", newline="") as out:
            csv.writer(out).writerows(
                [("sales_agent", "email"), *((agent, one.email) for agent, one in self.people.items())]
            )
        for name in ("products.csv", "accounts.csv"):
            shutil.copy(data / name, folder / name)
        mapping = json.loads((Path(__file__).parent.parent / "crm" / "crm_sales.json").read_text())
        self.mapping = load_tables(mapping, folder)
        self.programs = {
            "bonus": self._launch(BONUS | DAYS),
            "target": self._launch(TARGET | DAYS, self.people.values()),
        }

    def _person(self, agent: str) -> Participant:
        kind = "contractor" if agent in year_independent.CONTRACTORS else "employee"
        return make_participant(agent, type=kind, email=f"{agent.lower().replace(' ', '.')}@example.com")

    def _launch(self, document: dict, targets=()):
        program = make_program(manager=self.manager, funded="400000.00", launched=False, **document)
        quarters = [date(2026, month, 1) for month in (1, 4, 7, 10)]
        rows = [TargetRow(p, quarter, Decimal(independent.TARGET)) for p in targets for quarter in quarters]
        programs.set_targets(program=program, rows=rows, actor=self.manager)
        return publish(program, self.manager)

    # --- what happens ---------------------------------------------------------------------------------------------------
    def go_to(self, day: date, hour: int, minute: int = 0) -> None:
        self.clock.move_to(datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC))

    def payday(self, n: int) -> None:
        """The first of the month: what was earned before it. A minute later each time, so that what waits expired before."""
        self.go_to(ALL_MONTHS[n], 15, n)
        life.advance_by_date()
        services.sweep_once()
        self.deliver()

    def deliver(self) -> None:
        """Finance looks at every risk and approves; the provider issues."""
        for hold in Hold.objects.filter(lifted_at__isnull=True, payout__status="submitted").exclude(kind__in=TAX):
            services.lift_hold(hold_id=hold.pk, actor=self.second, reason="Looked at")
        waiting = Payout.objects.filter(status="submitted").exclude(holds__in=Hold.objects.filter(lifted_at=None))
        seen = list(waiting.values_list("pk", "content_hash"))
        assert all(outcome.ok for outcome in services.approve_many(seen=seen, actor=self.finance))
        for _ in range(30):
            if not Payout.objects.filter(status__in=("approved", "ordered")).exists():
                return
            sweep_once(inline=True, threads=4, seconds=60)
        raise AssertionError("the provider did not issue everything")

    def forms(self, n: int) -> None:
        """The 15th: W-9 forms that came, what waited for them, and awards made elsewhere."""
        day = ALL_MONTHS[n].replace(day=15)
        self.go_to(day, 15)
        for agent, came in year_independent.FORMS.items():
            if came == day:
                values = {"form_kind": "W-9", "form_on_file_since": day}
                tax.save_profile(participant=self.people[agent], actor=self.finance, **values)
        self.deliver()

    def elsewhere(self, n: int) -> None:
        for agent, (day, cents) in year_independent.ELSEWHERE.items():
            if day.replace(day=1) == MONTHS[n]:
                amount = Money(cents, "USD")
                row = tax.AwardRow(self.people[agent], day, amount, "Travel desk", "TRIP-1")
                tax.add_awards(rows=[row], actor=self.finance)

    def facts(self, n: int) -> None:
        """The last day: what the CRM sends."""
        self.go_to(next_month(MONTHS[n]) - timedelta(days=1), 20)
        self.elsewhere(n)
        rows = self.expected.told[n]
        path = self.folder / f"{MONTHS[n]:%Y-%m}.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        assert set(imports.import_file(self.crm, path, self.mapping).counts) <= {"accepted", "unchanged"}
        evaluate()

    def close(self, n: int) -> None:
        """The second of the next month."""
        self.go_to(ALL_MONTHS[n + 1].replace(day=2), 20)
        services.close_month(month=MONTHS[n], actor=self.finance)

    # --- what stands ----------------------------------------------------------------------------------------------------
    def sums(self, rows, by: str = "program") -> dict[tuple[str, str], int]:
        """(program, agent) -> minor units, those that are not zero."""
        names = {program.pk: name for name, program in self.programs.items()}
        person = by.removesuffix("program") + "participant__name"
        found = rows.order_by().values_list(by, person).annotate(n=Sum("amount_minor"))
        return {(names[program], agent): minor for program, agent, minor in found if minor}


@pytest.fixture
def company(shared_data, tmp_path, settings, sandbox, monkeypatch):
    settings.MEDIA_ROOT = tmp_path / "uploads"
    monkeypatch.setattr("rewards.clock.now", timezone.now)  # the database's own clock cannot travel
    httpx.post(f"{sandbox.url}/_sandbox/fund", json={"amount": "1000000"})
    with time_machine.travel(datetime(2026, 2, 20, 12, tzinfo=UTC), tick=True) as clock:
        rewards.refresh_catalogue()
        Product.objects.filter(product_id="STAYWELL").update(allow_cents=True)
        yield Company(shared_data, tmp_path, year_independent.Year(shared_data), clock)


def test_a_year_of_closes_agrees_with_an_independent_calculation_in_every_month(company, sandbox):
    expected = company.expected
    for n, month in enumerate(expected.months):
        company.payday(n)
        held = Payout.objects.filter(status="submitted", holds__kind="tax", holds__lifted_at=None)
        assert company.sums(held) == month.held, f"{month.month}: waiting for a form"
        company.forms(n)
        paid = Payout.objects.filter(order__finished_at__gte=_midnight(month.month))
        assert company.sums(paid) == month.paid, f"{month.month}: delivered"
        company.facts(n)
        company.close(n)
    company.payday(len(MONTHS))

    for month in expected.months:
        booked = Earning.objects.filter(booked_on__gte=month.month, booked_on__lt=next_month(month.month))
        assert company.sums(booked, "participation__program") == month.booked, f"{month.month}: booked"
        figures = {one.program: one for one in by_program(month.month)}
        for name, program in company.programs.items():
            assert figures[program].earned == _of(month.booked, name), (month.month, name)
            assert figures[program].paid == _of(month.paid, name), (month.month, name)

    # Tax: everybody's two years, and the 1099 of those who reached the threshold.
    for year in (2026, 2027):
        lines = {line.participant.name: line for line in year_lines(year)}
        for agent in company.people:
            given, cents = year_independent.ELSEWHERE.get(agent, (date.max, 0))
            outside = cents if given.year == year else 0
            wanted = (expected.by_year[agent, year], outside)
            assert (lines[agent].paid.minor, lines[agent].outside.minor) == wanted, (agent, year)
    made = tax.make_1099_export(year=2026, actor=company.finance)
    assert {row[3]: row[-1] for row in made.rows} == expected.form_1099(2026)

    # The provider's books, the ledger, the recomputation and the audit trail.
    books = httpx.get(f"{sandbox.url}/_sandbox/books").json()
    spent = sum(one.spent.minor for one in budget_figures([p.budget for p in company.programs.values()]).values())
    assert Decimal(str(books["face_value"])) * 100 == spent == sum(expected.paid.values())
    assert reconcile().agrees
    assert check_ledger() == [] and list(recompute.check()) == []
    audit.seal(10**9)
    sealing.seal(10**9)
    assert audit.verify() == sealing.verify() == []

    # The customer's own books, and the files that are checked without Laurel.
    journal_services.use_proposal(actor=company.finance)
    for month in expected.months:
        journal = journal_services.make_journal(month=month.month, actor=company.finance)
        assert _accounts(journal)["6150"] == sum(month.booked.values()), f"{month.month}: expense"
        assert accrual.totals(accrual.by_program(month.month).values())[0].paid == -sum(month.paid.values())
    (end,) = accrual.totals(accrual.by_program(MONTHS[-1]).values())
    booked, paid = (sum(sum(getattr(m, name).values()) for m in expected.months) for name in ("booked", "paid"))
    assert end.closing - end.owed == booked - paid
    export_services.write_zip(company.folder / "everything.zip")
    verifier = run_path(str(VERIFIER))
    assert verifier["verify"](company.folder / "everything.zip")[1] == []


def _accounts(journal: JournalExport) -> dict[str, int]:
    """Account -> debits less credits, in cents."""
    found = defaultdict(int)
    for row in journal_services.typed_rows(journal):
        found[row[2]] += int(100 * ((row[5] or 0) - (row[6] or 0)))
    return found


def _of(sums: dict[tuple[str, str], int], name: str) -> int:
    return sum(cents for (program, _), cents in sums.items() if program == name)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
