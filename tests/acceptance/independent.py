"""What the year of CRM opportunities must earn, computed from the CSV files alone, with nothing of Laurel's code.

Two programs, described in words in test_real_input.py: a deal bonus (2 % of each won deal of the GTX series, at most
100.00 a deal) and a quarterly target (tiers of the target on everything an agent won in the quarter). Amounts are cents.
"""

import csv
from collections import defaultdict
from pathlib import Path

TARGET = 80_000
"""Every agent's target per quarter, in dollars."""
TIERS = ((100, 250_00), (125, 500_00), (150, 900_00))
"""(per cent of the target, cents): the highest tier reached pays."""


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "sales_pipeline.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def series(folder: Path) -> dict[str, str]:
    with (folder / "products.csv").open(newline="") as file:
        named = {row["product"]: row["series"] for row in csv.DictReader(file)}
    return named | {"GTXPro": named["GTX Pro"]}


def agents(folder: Path) -> dict[str, str]:
    """agent -> manager"""
    with (folder / "sales_teams.csv").open(newline="") as file:
        return {row["sales_agent"]: row["manager"] for row in csv.DictReader(file)}


def deal_bonus(pipeline, series_of) -> dict[str, int]:
    """agent -> cents. A close value is whole dollars, so 2 % of it is exactly twice as many cents."""
    earned: dict[str, int] = defaultdict(int)
    for row in pipeline:
        if row["deal_stage"] == "Won" and series_of[row["product"]] == "GTX":
            earned[row["sales_agent"]] += min(2 * int(row["close_value"]), 100_00)
    return {agent: cents for agent, cents in earned.items() if cents}


def quarterly_target(pipeline) -> dict[str, int]:
    """agent -> cents, all quarters together."""
    sold: dict[tuple[str, str], int] = defaultdict(int)
    for row in pipeline:
        if row["deal_stage"] == "Won":
            year, month, _ = row["close_date"].split("-")
            sold[row["sales_agent"], f"{year}Q{(int(month) + 2) // 3}"] += int(row["close_value"])
    earned: dict[str, int] = defaultdict(int)
    for (agent, _), value in sold.items():
        reached = [cents for level, cents in TIERS if value * 100 >= level * TARGET]
        earned[agent] += max(reached, default=0)
    return {agent: cents for agent, cents in earned.items() if cents}
