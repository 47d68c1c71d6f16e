"""The twelve programs of docs/programs over a year of somebody else's CRM, against a calculation that shares no code.

Twice: as `manage.py simulate` computes them from files, and as the application earns them, all twelve running on the same
facts. The expected figures come from `gallery_independent.py`. A document is adapted to the data in two ways only: its
years, and the values of `CHANGES` (families, sectors and levels that fit a seller of hardware with deals of 50 to 30,000).
"""

import functools
import io
import json
import random
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import F, Sum

from incentives.crm import intake
from incentives.crm.ingest import process_deliveries
from incentives.crm.models import ObjectState
from incentives.earnings import recompute
from incentives.earnings.contests import seal_due
from incentives.earnings.evaluate import evaluate
from incentives.earnings.models import Earning, Scorecard
from incentives.programs import services as programs
from incentives.programs.life import advance_by_date
from incentives.programs.services import TargetRow
from tests.acceptance import gallery_independent as independent
from tests.factories import (
    make_budget,
    make_connection,
    make_participant,
    make_partner,
    make_team,
    make_user,
    publish,
)

GALLERY = Path(__file__).parents[2] / "docs" / "programs"
CHANGES: dict[str, dict[str, Any]] = {
    "per-seat-spiff": {"measure.lines.value": ["GTX"]},
    "deal-bonus-bands": {
        "rewards.0.bands.0.from": "500", "rewards.0.bands.1.from": "4000", "rewards.0.bands.2.from": "20000",
        "caps.deal": "120.00",
    },
    "new-logo-bonus": {"qualifies.all.2.value": "1000", "qualifies.all.3.not.value": "employment", "caps.period": "1500.00"},
    "presidents-club": {"rewards.0.minimum": "300000"},
    "reseller-claims": {"caps.deal": "150.00", "caps.period": "700.00"},
    "manager-overlay": {"qualifies.all.1.value": "retail", "caps.deal": "45.00", "caps.participant": "500.00"},
}  # fmt: skip
TOTALS = {
    "flat-spiff": 13_700_00, "per-seat-spiff": 51_850_00, "deal-bonus-bands": 250_473_62, "new-logo-bonus": 43_379_16,
    "quota-accelerators": 479_505_59, "quarterly-target-tiers": 65_500_00, "fastest-start": 7_850_00,
    "individual-contest": 2_100_00, "team-contest": 2_800_00, "presidents-club": 22_500_00,
    "reseller-claims": 25_795_00, "manager-overlay": 11_106_35,
}  # fmt: skip
"""Cents over the whole year, so that neither side can become empty unnoticed."""
CONTESTS = {"individual-contest", "team-contest", "presidents-club"}
WITH_TARGETS = {"quota-accelerators", "quarterly-target-tiers"}


def document_of(name: str) -> dict:
    """The document with its years moved to the data's and the values of CHANGES."""
    document = json.loads((GALLERY / f"{name}.json").read_text())
    for key in ("starts_on", "ends_on"):
        document[key] = document[key].replace("2026", "2017")
    for path, value in CHANGES.get(name, {}).items():
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
        place = functools.reduce(lambda found, key: found[key], parents, document)
        assert last in place, f"{name} has no {path}"
        place[last] = value
    return document


# --- the same facts for everybody ----------------------------------------------------------------------------------------


def event_of(deal: independent.Deal, version: int = 1) -> dict:
    lines = [{"name": deal.product, "family": deal.series, "quantity": str(deal.seats), "total": str(deal.value)}]
    if deal.care:
        lines.append({"name": "Care", "family": "Care", "quantity": "2", "total": "0"})
    return {
        "external_id": f"deal:{deal.id}", "kind": "deal.won" if deal.won else "deal.lost",
        "occurred_at": deal.moment.isoformat(), "close_date": str(deal.closed_on),
        "participant": {"external_user_id": deal.agent}, "amount": str(deal.value), "currency": "USD",
        "object": {"type": "deal", "id": deal.id, "version": str(version)}, "account": {"name": deal.account, "segment": deal.sector},
        "lines": lines, "attributes": {"new_logo": deal.new_logo},
        "splits": [
            {"participant": {"external_user_id": name}, "percentage": f"{share // 100}.{share % 100:02d}"}
            for name, share in deal.shares
        ],
    }  # fmt: skip


def correction_of(deal: independent.Deal) -> dict:
    """The deal's second version, three days after the first: the win stays in its period."""
    later = (deal.moment + timedelta(days=3)).isoformat()
    kind = "deal.updated" if deal.won else "deal.reopened"
    return event_of(deal, 2) | {"external_id": f"deal:{deal.id}:2", "kind": kind, "occurred_at": later}


def claim_of(deal: independent.Deal) -> dict:
    """What a partner's person files for a deal: LX units where it was of the GTX series, and something that is not."""
    sku = "LX-" if deal.series == "GTX" else "OLD-"
    units = f"{float(deal.claimed):.1f}"
    return {
        "external_id": f"claim:{deal.id}", "kind": "claim.submitted", "occurred_at": deal.moment.isoformat(),
        "participant": {"external_user_id": deal.agent},
        "lines": [{"sku": sku + deal.product.replace(" ", ""), "quantity": units}, {"sku": "BOX", "quantity": "50"}],
    }  # fmt: skip


def events_of(data: independent.Data) -> list[dict]:
    claims = [claim_of(deal) for deal in data.deals if deal.won and data.people[deal.agent].partner]
    return [*map(event_of, data.deals), *claims]


def target_rows(name: str, data: independent.Data) -> list[tuple[str, date, int]]:
    rows = [(agent, quarter) for agent in data.people for quarter in independent.quarters()]
    goals = [(agent, quarter, independent.target(name, agent, quarter)) for agent, quarter in rows]
    return [row for row in goals if row[2]] if name in WITH_TARGETS else []


@pytest.fixture
def data(shared_data) -> independent.Data:
    return independent.Data(independent.deals(shared_data), independent.people(shared_data))


# --- from files ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(data, tmp_path):
    """Writes lines to a file, and gives the options of `simulate` for a program over some activities."""

    def write(name: str, rows) -> str:
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(tmp_path / name)

    def options(name: str, activities: str) -> dict[str, str]:
        (tmp_path / f"{name}.json").write_text(json.dumps(document_of(name)))
        given = {"program": str(tmp_path / f"{name}.json"), "activities": activities, "participants": people}
        if rows := target_rows(name, data):
            keys = ("participant", "period_start", "value")
            given["targets"] = write(f"{name}.targets", (dict(zip(keys, map(str, row), strict=True)) for row in rows))
        return given

    people = write("people.jsonl", (person_of(agent) for agent in data.people.values()))
    options.write = write
    return options


def person_of(agent: independent.Agent) -> dict:
    return {
        "external_user_id": agent.name, "name": agent.name, "type": agent.type, "team": agent.team,
        "manager": agent.manager, "partner": agent.partner, "partner_tier": agent.tier, "region": agent.office,
    }  # fmt: skip


def simulated(options: dict[str, str]) -> tuple[independent.Paid, dict]:
    """(person, period) -> cents, and the whole document."""
    out = io.StringIO()
    call_command("simulate", **options, json=True, stdout=out)
    document = json.loads(out.getvalue())
    paid = {
        (row["external_user_id"], date.fromisoformat(period["period_start"])): cents(period["amount"])
        for row in document["participants"]
        for period in row["periods"]
    }
    return {key: amount for key, amount in paid.items() if amount}, document


def cents(text: str) -> int:
    return int(Decimal(text) * 100)


def test_simulated_from_files_every_program_pays_what_the_independent_calculation_says(files, data):
    assert sorted(independent.PROGRAMS) == sorted(path.stem for path in GALLERY.glob("*.json"))
    assert (len(data.deals), sum(deal.won for deal in data.deals)) == (6711, 4238)
    activities = files.write("activities.jsonl", events_of(data))
    for name, calculate in independent.PROGRAMS.items():
        expected = calculate(data)
        assert_simulated(files(name, activities), name, expected)
        assert sum(expected.values()) == TOTALS[name], name


def test_simulated_over_a_history_with_corrections_in_any_order_only_the_last_versions_count(files, data):
    after, changed = data.corrected()
    history = events_of(data) + [correction_of(deal) for deal in changed]
    random.Random(7).shuffle(history)
    activities = files.write("activities.jsonl", history)
    for name, calculate in independent.PROGRAMS.items():
        assert_simulated(files(name, activities), name, calculate(after))


def assert_simulated(options: dict[str, str], name: str, expected: independent.Paid) -> None:
    paid, document = simulated(options)
    assert paid == expected, name
    assert cents(document["total"]) == sum(expected.values()), name
    prizes = {row["external_user_id"]: cents(row["prize"]) for row in document["standing"] if cents(row["prize"])}
    assert prizes == (by_person(expected) if name in CONTESTS else {}), name
    assert {row["code"] for row in document["exceptions"]} <= {"no_target"}, name


def by_person(paid: independent.Paid) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for (name, _), amount in paid.items():
        found[name] += amount
    return dict(found)


# --- in the application --------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_twelve_programs_running_on_the_same_facts_earn_what_the_independent_calculation_says(data):
    people = participants(data)
    manager, finance = make_user("manager"), make_user("finance")
    running = {name: launched(name, data, people, manager, finance) for name in independent.PROGRAMS}
    crm = make_connection("Sample CRM")
    receive(crm, events_of(data))
    approve_all_claims()
    evaluate()
    contests = {name: running.pop(name) for name in CONTESTS}
    for name, program in running.items():
        assert earned(program) == independent.PROGRAMS[name](data), name
    for name, program in contests.items():  # still running
        assert (earned(program), measures(program)) == ({}, expected_measures(name, data)), name

    # The year's corrections change exactly what they should.
    after, changed = data.corrected()
    assert len(changed) > 100
    receive(crm, map(correction_of, changed))
    evaluate()
    for name, program in running.items():
        assert earned(program) == independent.PROGRAMS[name](after), name

    # The contests close, and their sealed standings pay.
    advance_by_date()
    assert seal_due() == len(running) + len(contests)
    evaluate()
    for name, program in contests.items():
        assert earned(program) == independent.PROGRAMS[name](after), name
    assert list(recompute.check()) == []


def receive(crm, events) -> None:
    """Each event reaches us a minute after it happened, so before its contest closes."""
    moments = [(event, datetime.fromisoformat(event["occurred_at"]) + timedelta(minutes=1)) for event in events]
    intake.receive_many(crm, [intake.prepare(event, received_at=at) for event, at in moments])
    while process_deliveries():
        pass


def participants(data: independent.Data) -> dict:
    """Managers before the people they manage, as the file has them."""
    found: dict = {}
    teams = {name: make_team(name) for name in {agent.team for agent in data.people.values()} - {""}}
    partners = {code: make_partner(code, tier=tier) for code, tier in independent.TIERS.items()}
    for agent in data.people.values():
        found[agent.name] = make_participant(
            agent.name, external_user_id=agent.name, type=agent.type, team=teams.get(agent.team),
            partner=partners.get(agent.partner), manager=found.get(agent.manager),
        )  # fmt: skip
    return found


def launched(name: str, data: independent.Data, people: dict, manager, finance):
    document = document_of(name)
    budget = make_budget(name=name, funded="900000.00", currency=document["currency"], finance=finance)
    program = programs.create_program(document=document, actor=manager, budget=budget)
    rows = [TargetRow(people[who], quarter, Decimal(value)) for who, quarter, value in target_rows(name, data)]
    if rows:
        programs.set_targets(program=program, rows=rows, actor=manager)
    return publish(program, manager)


def approve_all_claims() -> None:
    waiting = ObjectState.objects.filter(object_type="claim", state=ObjectState.State.PENDING)
    assert waiting.update(state="", changed_seq=F("changed_seq") + 1) > 100


def earned(program) -> independent.Paid:
    """(person, period) -> cents, as the earnings stand."""
    rows = Earning.objects.filter(participation__program=program).order_by()
    sums = rows.values_list("participation__participant__name", "period_start").annotate(total=Sum("amount_minor"))
    return {(name, start): total for name, start, total in sums if total}


def measures(program) -> dict[str, Decimal]:
    """Of those who can win."""
    cards = Scorecard.objects.filter(participation__program=program, measure__gt=0)
    return dict(cards.values_list("participation__participant__name", "measure"))


def expected_measures(name: str, data: independent.Data) -> dict[str, Decimal]:
    if name == "team-contest":
        found: dict[str, int] = defaultdict(int)
        for deal in data.won("2017-04-01", "2017-06-30"):
            found[deal.agent] += 1
        return {who: Decimal(count) for who, count in found.items()}
    days = ("2017-04-01", "2017-06-30") if name == "individual-contest" else ("2017-01-01", "2017-12-31")
    return {who: Decimal(sold).scaleb(-2) for who, sold in independent.sums_by_split(data, *days).items()}
