"""A year of somebody else's CRM: from the file to the provider's books, to the cent, and exactly corrected afterwards.

The expected figures come from `independent.py`, which reads the same CSV files and shares no code with Laurel.
"""

import csv
import json
import random
import shutil
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from django.core.management import call_command

from incentives.core import audit
from incentives.crm import imports
from incentives.crm.mapping import load_tables
from incentives.crm.models import Activity, Delivery
from incentives.earnings import recompute
from incentives.earnings.evaluate import evaluate
from incentives.earnings.models import Earning, Participation
from incentives.ledger.models import Account, Posting
from incentives.ledger.selectors import budget_figures
from incentives.payouts import services
from incentives.payouts.checks import check_ledger
from incentives.payouts.models import Payout
from incentives.payouts.reconcile import reconcile
from incentives.programs import services as programs
from incentives.programs.services import TargetRow
from rewards import services as rewards
from rewards.models import Product, RewardOrder
from rewards.sweep import sweep_once
from tests.acceptance import independent
from tests.factories import make_connection, make_participant, make_program, make_team, make_user, publish

pytestmark = pytest.mark.django_db(transaction=True)

BONUS = {
    "name": "GTX deal bonus",
    "time_zone": "America/Chicago",
    "starts_on": "2017-01-01",
    "ends_on": "2017-12-31",
    "counts_by": "close_date",
    "measure": {"metric": "amount", "lines": {"field": "line.family", "op": "eq", "value": "GTX"}},
    "rewards": [{"type": "percent", "rate": "2"}],
    "caps": {"deal": "100.00"},
    "delivery": {"type": "DigitalDelivery", "channel": "email", "products": ["STAYWELL"]},
}
TARGET = BONUS | {
    "name": "Quarterly target",
    "template": "quota",
    "period": "quarter",
    "measure": {"metric": "amount"},
    "caps": {},
    "rewards": [
        {
            "type": "tiers",
            "of": "target",
            "mode": "highest",
            "tiers": [{"at": str(at), "amount": f"{cents // 100}.00"} for at, cents in independent.TIERS],
        }
    ],
}


@pytest.fixture
def company(shared_data, tmp_path, settings):
    """The 35 agents under their managers, the mapping, and a connection."""

    class Company:
        folder, data = tmp_path, shared_data
        crm = make_connection("Sample CRM", time_zone="America/Chicago")
        manager, finance = make_user("manager"), make_user("finance")
        agents = {}

    teams = {}
    with (tmp_path / "agents.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["sales_agent", "email"])
        for agent, boss in independent.agents(shared_data).items():
            team = teams[boss] = teams.get(boss) or make_team(name=boss)
            email = f"{agent.lower().replace(' ', '.')}@example.com"
            Company.agents[agent] = make_participant(agent, email=email, team=team)
            writer.writerow([agent, email])
    for name in ("products.csv", "accounts.csv"):
        shutil.copy(shared_data / name, tmp_path / name)
    mapping = json.loads((Path(__file__).parent.parent / "crm" / "crm_sales.json").read_text())
    Company.mapping = load_tables(mapping, tmp_path)
    settings.MEDIA_ROOT = tmp_path / "uploads"
    return Company


def import_rows(company, rows: list[dict], **more) -> dict:
    path = company.folder / "opportunities.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return imports.import_file(company.crm, path, company.mapping, **more).counts


def earned(program) -> dict[str, int]:
    rows = Participation.objects.filter(program=program, earned_minor__gt=0)
    return dict(rows.values_list("participant__name", "earned_minor"))


def nothing_to_correct() -> bool:
    return list(recompute.check()) == [] and check_ledger() == []


def counts() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Delivery, Activity, Earning, Posting, Payout, RewardOrder))


def launch(company, document: dict, agents=()):
    program = make_program(manager=company.manager, funded="400000.00", launched=False, **document)
    quarters = [date(2017, month, 1) for month in (1, 4, 7, 10)]
    targets = [TargetRow(p, quarter, Decimal(independent.TARGET)) for p in agents for quarter in quarters]
    programs.set_targets(program=program, rows=targets, actor=company.manager)
    return publish(program, company.manager)


def pay_everything(company, *all_programs) -> None:
    """Build, approve and order until nothing is due that a card can hold."""
    for program in all_programs:
        while payouts := services.build_payouts(program=program, actor=company.manager).payouts:
            seen = [(payout.pk, payout.content_hash) for payout in payouts]
            assert all(outcome.ok for outcome in services.approve_many(seen=seen, actor=company.finance))
    for _ in range(30):
        sweep_once(inline=True, threads=4, seconds=60)
        if not Payout.objects.exclude(status="fulfilled").exists():
            return


def test_from_the_file_to_the_providers_books_to_the_cent_and_back_by_exact_differences(company, sandbox):
    rows = independent.rows(company.data)
    series = independent.series(company.data)
    won = [row for row in rows if row["deal_stage"] == "Won"]
    assert (len(rows), len(won), sum(int(row["close_value"]) for row in won)) == (8800, 4238, 10_005_534)
    httpx.post(f"{sandbox.url}/_sandbox/fund", json={"amount": "1000000"})
    rewards.refresh_catalogue()
    Product.objects.filter(product_id="STAYWELL").update(allow_cents=True)
    bonus = launch(company, BONUS)
    target = launch(company, TARGET, company.agents.values())

    # The file, scored.
    assert import_rows(company, rows) == {"accepted": 8800}
    evaluate()
    assert earned(bonus) == independent.deal_bonus(rows, series)
    assert earned(target) == independent.quarterly_target(rows)
    total = sum(earned(bonus).values()) + sum(earned(target).values())
    assert nothing_to_correct()

    # Paid: earned = ordered + what no card can hold; ordered = spent = the provider's books.
    pay_everything(company, bonus, target)
    assert set(Payout.objects.values_list("status", flat=True)) == {"fulfilled"}
    books = httpx.get(f"{sandbox.url}/_sandbox/books").json()
    ordered = sum(Payout.objects.values_list("amount_minor", flat=True))
    spent = sum(f.spent.minor for f in budget_figures([bonus.budget, target.budget]).values())
    assert Decimal(str(books["face_value"])) * 100 == ordered == spent
    assert books["orders"] == books["cards"] == Payout.objects.count()
    carried = {p.pk: p.earned_minor - sum(p.payouts.values_list("amount_minor", flat=True)) for p in _participations()}
    assert sum(carried.values()) == total - ordered
    assert all(0 <= cents < 5_000 for cents in carried.values()), "STAYWELL cards start at 50.00"
    assert nothing_to_correct()
    report = reconcile()
    assert (report.agrees, report.orders, report.ours_minor, report.theirs_minor) == (
        True,
        books["orders"],
        spent,
        spent,
    )

    # The same file again, shuffled: nothing changes.
    before = counts()
    shuffled = random.Random(11).sample(rows, len(rows))
    assert import_rows(company, shuffled) == {"unchanged": 8800}
    assert evaluate()["earnings"] == 0
    assert counts() == before

    # 200 amounts changed, 100 deals reopened, 50 deleted: the difference is exact.
    changed = _changed(rows)
    assert import_rows(company, changed, full=True, confirm_missing=50)["unchanged"] == 8800 - 350
    evaluate()
    services.follow_up()
    assert earned(bonus) == independent.deal_bonus(changed, series)
    assert earned(target) == independent.quarterly_target(changed)
    for participation in _participations():
        recoverable = Account.objects.filter(code=f"participant:{participation.public_id}:recoverable").first()
        assert _paid_too_much(participation) == (recoverable.balance_minor if recoverable else 0)
    assert nothing_to_correct()
    call_command("recompute", "--check")
    audit.seal(10**9)
    assert audit.verify() == []


def _participations():
    return Participation.objects.filter(earned_minor__gt=0)


def _paid_too_much(participation) -> int:
    """Fact by fact (period by period where there is none): what was paid beyond what it is worth now."""
    over = Counter()
    for earning in participation.earnings.prefetch_related("allocations"):
        paid = sum(allocation.amount_minor for allocation in earning.allocations.all())
        over[earning.object_id or earning.period_start] += paid - earning.amount_minor
    assert (
        sum(over.values())
        == sum(participation.payouts.values_list("amount_minor", flat=True)) - participation.earned_minor
    )
    return sum(minor for minor in over.values() if minor > 0)


def _changed(rows: list[dict]) -> list[dict]:
    """The file as it would be after 350 corrections in the CRM."""
    dice = random.Random(23)
    won = [n for n, row in enumerate(rows) if row["deal_stage"] == "Won"]
    picked = dice.sample(won, 350)
    amounts, reopened, deleted = picked[:200], picked[200:300], set(picked[300:])
    new = [dict(row) for row in rows]
    for n in amounts:
        new[n]["close_value"] = str(int(new[n]["close_value"]) + dice.choice([-30, 1, 17, 250, 4000]))
    for n in reopened:
        new[n] |= {"deal_stage": "Engaging", "close_date": "", "close_value": ""}
    return [row for n, row in enumerate(new) if n not in deleted]
