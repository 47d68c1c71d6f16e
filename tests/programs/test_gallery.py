"""Every document of docs/programs is valid, ready to launch, and pays what its name promises."""

from decimal import Decimal
from pathlib import Path

import pytest

from incentives.programs.rules import canonical, parse_definition, warnings
from incentives.programs.rules.simulation import Simulation

GALLERY = Path(__file__).parents[2] / "docs" / "programs"
DOCUMENTS = sorted(GALLERY.glob("*.json"))
PEOPLE = [
    {"external_user_id": "A", "name": "Ana", "team": "East", "manager": "M"},
    {"external_user_id": "B", "name": "Bo", "team": "East", "manager": "M"},
    {"external_user_id": "C", "name": "Cy", "team": "West", "manager": "M"},
    {"external_user_id": "M", "name": "Max", "team": "Lead", "manager": "V"},
    {"external_user_id": "V", "name": "Vi", "team": "Lead"},
    {"external_user_id": "S", "name": "Sam", "type": "partner", "partner": "P1", "partner_tier": "silver"},
    {"external_user_id": "G", "name": "Gil", "type": "partner", "partner": "P2", "partner_tier": "gold"},
    {"external_user_id": "Z", "name": "Zoe", "type": "partner", "partner": "P3", "partner_tier": "bronze"},
]


def deal(who: str, amount: str, when: str, **parts) -> dict:
    return {
        "kind": "deal.won", "occurred_at": f"{when}T15:00:00Z", "participant": {"external_user_id": who},
        "amount": amount, "currency": "USD", **parts,
    }  # fmt: skip


def claim(who: str, quantity: str, sku: str = "LX-5") -> dict:
    lines = [{"sku": sku, "quantity": quantity}, {"sku": "OTHER", "quantity": "50"}]
    return deal(who, "100", "2026-03-02", kind="claim.submitted", lines=lines)


SEATS = [{"family": "Security", "quantity": "4"}, {"family": "Storage", "quantity": "9"}]
SIXTY_FORTY = [
    {"participant": {"external_user_id": who}, "percentage": part} for who, part in [("A", "60"), ("B", "40")]
]

HISTORIES = {
    "flat-spiff": (
        [deal("A", "1000", "2026-07-01"), deal("A", "999.99", "2026-07-02"), deal("B", "5000", "2026-07-31"),
         deal("B", "5000", "2026-08-02")] + [deal("C", "2000", "2026-07-09")] * 21,
        {"A": "100.00", "B": "100.00", "C": "2000.00"},
    ),
    "per-seat-spiff": (
        [deal("A", "1", "2026-07-02", lines=SEATS), deal("A", "1", "2026-07-03", lines=[{**SEATS[0], "quantity": "40"}]),
         deal("B", "1", "2026-07-03", lines=SEATS[1:])],
        {"A": "700.00"},
    ),
    "deal-bonus-bands": (
        [deal("A", "4999.99", "2026-02-02"), deal("A", "5000", "2026-02-02"), deal("A", "25000", "2026-02-02"),
         deal("B", "120000", "2026-02-02"), deal("B", "900000", "2026-05-02")],
        {"A": "200.00", "B": "1600.00"},
    ),
    "new-logo-bonus": (
        [deal("A", "10000", "2026-02-02", attributes={"new_logo": True}, splits=SIXTY_FORTY),
         deal("C", "10000", "2026-02-02", attributes={"new_logo": "true"}, account={"segment": "Internal"}),
         deal("C", "10000", "2026-02-02", attributes={"new_logo": False})],
        {"A": "150.00", "B": "100.00"},
    ),
    "quota-accelerators": ([deal("A", "150000", "2026-02-02")], {"A": "8250.00"}),
    "quarterly-target-tiers": (
        [deal("A", "95000", "2026-02-02", close_date="2026-03-31"), deal("B", "120000", "2026-04-02", close_date="2026-03-30")],
        {"A": "250.00", "B": "1000.00"},
    ),
    "fastest-start": ([deal("A", "2500", f"2026-01-{day:02d}") for day in range(6, 11)] + [deal("B", "1", "2026-02-01")],
                      {"A": "200.00"}),
    "individual-contest": (
        [deal("A", "500", "2026-04-02"), deal("B", "400", "2026-04-02"), deal("C", "400", "2026-06-30"),
         deal("M", "1", "2026-05-01"), deal("G", "999", "2026-05-01")],
        {"A": "1000.00", "B": "350.00", "C": "350.00", "M": "200.00"},
    ),
    "team-contest": (
        [deal(who, "1", f"2026-04-0{day}") for day in range(2, 8) for who in "AC"] + [deal("B", "1", "2026-04-09")]
        + [deal("M", "1", "2026-04-09")] * 4,
        {"A": "1000.00", "B": "1000.00", "C": "800.00"},
    ),
    "presidents-club": (
        [deal("A", "1000000", "2026-04-02"), deal("B", "2000000", "2026-04-02", splits=SIXTY_FORTY), deal("C", "1", "2026-04-02")],
        {"A": "2500.00"},
    ),
    "reseller-claims": (
        [claim("S", "3"), claim("G", "3"), claim("Z", "3"), claim("S", "3", sku="ZZ-1")], {"S": "30.00", "G": "37.50"},
    ),
    "manager-overlay": (
        [deal("A", "50000", "2026-07-02", account={"segment": "Enterprise"}, splits=SIXTY_FORTY)],
        {"A": "300.00", "B": "200.00", "M": "50.00", "V": "12.50"},
    ),
}  # fmt: skip

WITH_TARGETS = ("quota-accelerators", "quarterly-target-tiers")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_a_gallery_program_is_valid_and_ready_to_launch(path):
    definition = parse_definition(path.read_bytes())
    assert parse_definition(canonical(definition)) == definition
    assert {problem.path for problem in warnings(definition)} <= {"rewards[0].of"}
    assert path.name in (GALLERY / "README.md").read_text()


@pytest.mark.parametrize("name", HISTORIES)
def test_a_gallery_program_pays_what_it_promises(name):
    definition = parse_definition((GALLERY / f"{name}.json").read_bytes())
    history, expected = HISTORIES[name]
    simulation = Simulation(definition)
    for person in PEOPLE:
        simulation.add_person(person)
        if name in WITH_TARGETS:
            simulation.add_target(
                {"participant": person["external_user_id"], "period_start": "2026-01-01", "value": "100000"}
            )
    for index, activity in enumerate(history):
        simulation.add_activity({"external_id": str(index), **activity})
    document = simulation.run().document()
    paid = {row["external_user_id"]: row["total"] for row in document["participants"]}
    assert {who: total for who, total in paid.items() if Decimal(total)} == expected
    assert Decimal(document["total"]) == sum(Decimal(total) for total in expected.values())
    assert document["exceptions"] == []


def test_the_gallery_is_complete():
    assert [path.stem for path in DOCUMENTS] == sorted(HISTORIES)
    assert len(DOCUMENTS) == 12
