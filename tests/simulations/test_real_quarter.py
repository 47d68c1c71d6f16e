"""A quarter of the public CRM sample through the service, as interactive as a page needs it, and the same from files."""

import csv
import io
import json
import shutil
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import call_command

from incentives.crm import imports
from incentives.crm.ingest import process_deliveries
from incentives.crm.mapping import load_tables
from incentives.crm.models import ObjectState
from tests.acceptance import independent
from tests.acceptance.test_real_input import BONUS
from tests.factories import make_connection, make_participant, make_user
from tests.simulations.scene import candidate, earned, simulate, source

pytestmark = pytest.mark.django_db(transaction=True)
QUARTER = (date(2017, 7, 1), date(2017, 9, 30))
RANKED = {
    "rewards": [
        {"type": "percent", "rate": "2"},
        {"type": "rank", "prizes": [{"ranks": "1", "amount": "1000.00"}, {"ranks": "2-3", "amount": "300.00"}]},
    ]
}


@pytest.fixture
def rows(shared_data, tmp_path, settings) -> list[dict]:
    """The third quarter's won deals, imported as a file of the CRM is."""
    settings.MEDIA_ROOT = tmp_path / "uploads"
    wanted = [
        row for row in independent.rows(shared_data) if row["close_date"][:7] in ("2017-07", "2017-08", "2017-09")
    ]
    with (tmp_path / "agents.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["sales_agent", "email"])
        for agent in independent.agents(shared_data):
            email = f"{agent.lower().replace(' ', '.')}@example.com"
            make_participant(agent, email=email, external_user_id=agent)
            writer.writerow([agent, email])
    for name in ("products.csv", "accounts.csv"):
        shutil.copy(shared_data / name, tmp_path / name)
    mapping = json.loads((Path(__file__).parent.parent / "crm" / "crm_sales.json").read_text())
    path = tmp_path / "opportunities.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, wanted[0].keys())
        writer.writeheader()
        writer.writerows(wanted)
    crm = make_connection("Sample CRM", time_zone="America/Chicago")
    imports.import_file(crm, path, load_tables(mapping, tmp_path))
    while process_deliveries():
        pass
    return wanted


def from_files(folder: Path, document: dict) -> dict:
    """The same facts as files, written from what is stored, through the command."""
    names = {p.pk: p.external_user_id for p in ObjectState._meta.get_field("participant").related_model.objects.all()}
    files = {"program": [document | {"starts_on": str(QUARTER[0]), "ends_on": str(QUARTER[1])}], "activities": []}
    files["participants"] = [{"external_user_id": name} for name in names.values()]
    for state in ObjectState.objects.filter(kind="deal.won"):
        files["activities"].append(
            {
                "external_id": state.object_id, "kind": state.kind, "occurred_at": state.occurred_at.isoformat(),
                "participant": {"external_user_id": names[state.participant_id]}, "amount": str(state.amount),
                "currency": state.currency, "close_date": str(state.close_date), "lines": state.lines,
            }
        )  # fmt: skip
    for name, lines in files.items():
        (folder / name).write_text("\n".join(json.dumps(line) for line in lines))
    out = io.StringIO()
    call_command("simulate", json=True, stdout=out, **{name: str(folder / name) for name in files})
    return json.loads(out.getvalue())


def test_a_quarter_in_the_browser_equals_the_command_and_an_independent_calculation(rows, shared_data, tmp_path):
    document = BONUS | RANKED | {"currency": "USD"}
    done = simulate(make_user("manager"), source(document), window=QUARTER)
    found = {name: minor for name, minor in earned(done).items() if minor}
    printed = from_files(tmp_path, document)
    assert found == {p["external_user_id"]: int(Decimal(p["total"]) * 100) for p in printed["participants"] if p["total"] != "0.00"}  # fmt: skip
    assert candidate(done).result["total_minor"] == int(Decimal(printed["total"]) * 100)
    bonus, sold = independent.deal_bonus(rows, independent.series(shared_data)), defaultdict(int)
    for row in rows:
        if row["deal_stage"] == "Won" and independent.series(shared_data)[row["product"]] == "GTX":
            sold[row["sales_agent"]] += int(row["close_value"])
    best = sorted(sold, key=lambda name: -sold[name])
    for name, prize in zip(best, (100_000, 30_000, 30_000), strict=False):
        bonus[name] += prize
    assert found == bonus
    assert candidate(done).result["won_minor"] == sum(sold.values()) * 100
    assert [place[2] for place in candidate(done).result["standings"][0]["places"][:3]] == best[:3]
