"""What the twelve programs of docs/programs must pay over the year of CRM opportunities: plain Python over the CSV files.

Shares no code with Laurel. The rules are taken from the words of docs/program-definition.md and written here once more,
each program by hand, with whole cents and exact fractions. What a CRM export does not say (the hour, seats, splits, targets,
partner tiers) is derived from the opportunity's id by a hash, so that it is the same on every machine.
"""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

NEW_YORK, MADRID = ZoneInfo("America/New_York"), ZoneInfo("Europe/Madrid")
RESELLERS = "Summer Sewald"
"""The manager whose agents are treated as people of four partner organisations."""
PARTNERS = ("alpha", "beta", "gamma", "delta")
TIERS = {"alpha": "platinum", "beta": "gold", "gamma": "silver", "delta": "bronze"}
CONTRACTORS = ("Carol Thompson", "Hayden Neloms")

Paid = dict[tuple[str, date], int]
"""(person, first day of the period) -> cents; nobody with nothing."""


def dice(text: str, salt: str) -> int:
    return int(hashlib.sha256(f"{salt}:{text}".encode()).hexdigest()[:12], 16)


# --- the data --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Agent:
    name: str
    manager: str  # "" for the heads of the offices
    office: str
    type: str = "employee"
    team: str = ""
    partner: str = ""

    @property
    def tier(self) -> str:
        return TIERS.get(self.partner, "")


@dataclass(frozen=True)
class Deal:
    """A closed opportunity with what was derived for it. `value` in whole dollars; `shares` in hundredths of a per cent."""

    id: str
    agent: str
    series: str
    product: str
    account: str
    sector: str
    won: bool
    closed_on: date
    moment: datetime
    value: int
    seats: int
    care: bool
    shares: tuple[tuple[str, int], ...]
    new_logo: bool

    @property
    def claimed(self) -> Fraction:
        """Units on the claim that a partner's person files for this deal."""
        return Fraction(2 * self.seats + (dice(self.id, "half") % 3 == 0), 2)


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


def people(folder: Path) -> dict[str, Agent]:
    """The 35 agents, their six managers and a head of each office, by name."""
    found: dict[str, Agent] = {}
    for row in table(folder, "sales_teams.csv"):
        name, manager, office = row["sales_agent"], row["manager"], row["regional_office"]
        found.setdefault(f"Head of {office}", Agent(f"Head of {office}", "", office))
        found.setdefault(manager, Agent(manager, f"Head of {office}", office))
        if manager == RESELLERS:
            count = sum(bool(agent.partner) for agent in found.values())
            found[name] = Agent(name, manager, office, "partner", partner=PARTNERS[count % len(PARTNERS)])
        else:
            kind = "contractor" if name in CONTRACTORS else "employee"
            found[name] = Agent(name, manager, office, kind, team=manager)
    return found


def deals(folder: Path) -> list[Deal]:
    """Every opportunity that was won or lost, in the order of the file."""
    series = {row["product"]: row["series"] for row in table(folder, "products.csv")}
    sector = {row["account"]: row["sector"] for row in table(folder, "accounts.csv")}
    names = sorted(row["sales_agent"] for row in table(folder, "sales_teams.csv"))
    rows = [row for row in table(folder, "sales_pipeline.csv") if row["deal_stage"] in ("Won", "Lost")]
    first = _first_of_their_kind(rows)
    found = []
    for row in rows:
        id, product = row["opportunity_id"], row["product"].replace("GTXPro", "GTX Pro")
        day = date.fromisoformat(row["close_date"])
        minutes = dice(id, "minute") % (24 * 60)
        found.append(
            Deal(
                id=id, agent=row["sales_agent"], series=series[product], product=product, account=row["account"],
                sector=sector[row["account"]], won=row["deal_stage"] == "Won", closed_on=day,
                moment=datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes),
                value=int(row["close_value"]), seats=1 + dice(id, "seats") % 12, care=dice(id, "care") % 4 == 0,
                shares=_shares(id, row["sales_agent"], names), new_logo=id in first,
            )
        )  # fmt: skip
    return found


def _first_of_their_kind(rows: list[dict[str, str]]) -> set[str]:
    """The first deal an account won with a product: a new logo for that product."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    for row in rows:
        if row["deal_stage"] == "Won":
            key, mark = (row["account"], row["product"]), (row["close_date"], row["opportunity_id"])
            first[key] = min(first.get(key, mark), mark)
    return {id for _, id in first.values()}


def _shares(id: str, owner: str, names: list[str]) -> tuple[tuple[str, int], ...]:
    """One deal in ten each is shared 60 to 40, in thirds, or 75 to 25, with any colleague."""
    others = [name for name in names if name != owner]
    start = dice(id, "colleague") % len(others)
    second, third = others[start], others[(start + 7) % len(others)]
    return {
        0: ((owner, 6000), (second, 4000)),
        1: ((owner, 3334), (second, 3333), (third, 3333)),
        2: ((owner, 2500), (second, 7500)),
    }.get(dice(id, "split") % 10, ())


def target(program: str, name: str, quarter: date) -> int:
    """Dollars; 0 where somebody has none for that quarter."""
    drawn = dice(f"{name} {quarter}", program)
    return 0 if drawn % 9 == 0 else 20_000 + 5_000 * (drawn // 9 % 17)


def quarters() -> list[date]:
    return [date(2017, month, 1) for month in (1, 4, 7, 10)]


# --- arithmetic ------------------------------------------------------------------------------------------------------


def half_up(exact: Fraction) -> int:
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)


def shared(total: int, shares: tuple[tuple[str, int], ...]) -> dict[str, int]:
    """`total` whole parts by share: everybody their whole parts, then one each to the largest remainders.

    Among equal remainders the larger share goes first, then the name.
    """
    exact = {name: Fraction(total * share, 10_000) for name, share in shares}
    share_of = dict(shares)
    parts = {name: int(value) for name, value in exact.items()}
    order = sorted(exact, key=lambda name: (parts[name] - exact[name], -share_of[name], name))
    for name in order[: total - sum(parts.values())]:
        parts[name] += 1
    return parts


def capped(lines: Iterator[tuple[date, datetime, str, int]], *, period: int | None, participant: int | None) -> Paid:
    """(period, moment, person, cents), oldest first, as far as the caps per period and per participant reach."""
    paid: Paid = defaultdict(int)
    total: dict[str, int] = defaultdict(int)
    for start, _, name, cents in sorted(lines):
        if period is not None:
            cents = min(cents, period - paid[name, start])
        if participant is not None:
            cents = min(cents, participant - total[name])
        paid[name, start] += cents
        total[name] += cents
    return {key: cents for key, cents in paid.items() if cents}


def local(deal: Deal, zone: ZoneInfo = NEW_YORK) -> date:
    return deal.moment.astimezone(zone).date()


def quarter_of(day: date) -> date:
    return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)


def month_of(day: date) -> date:
    return day.replace(day=1)


def credit(deal: Deal, total: int) -> dict[str, int]:
    """Whose part of a total is how much: by the splits, or the owner's."""
    return shared(total, deal.shares) if deal.shares else {deal.agent: total}


@dataclass
class Data:
    deals: list[Deal]
    people: dict[str, Agent]

    def won(self, first: str, last: str, day: Callable[[Deal], date] = local) -> Iterator[Deal]:
        """Deals won from `first` to `last`, both included, by the program's own days."""
        start, end = date.fromisoformat(first), date.fromisoformat(last)
        return (deal for deal in self.deals if deal.won and start <= day(deal) <= end)

    def corrected(self) -> tuple["Data", list[Deal]]:
        """The data after the year's corrections, and the deals that differ: reopened, worth more, given to somebody else.

        Deals of partners' people stay as they are, because their claims were filed already.
        """
        own = sorted(name for name, agent in self.people.items() if agent.team)
        changed: dict[str, Deal] = {}
        for deal in self.deals:
            kind = dice(deal.id, "correction") % 100
            if not deal.won or deal.agent not in own or kind > 3:
                continue
            changed[deal.id] = (
                replace(deal, won=False),
                replace(deal, value=deal.value + 17),
                replace(deal, value=deal.value + 4000),
                replace(deal, agent=own[dice(deal.id, "owner") % len(own)], shares=()),
            )[kind]
        return Data([changed.get(deal.id, deal) for deal in self.deals], self.people), list(changed.values())

    def employed(self, name: str) -> bool:
        return self.people[name].type == "employee"


# --- the twelve programs ---------------------------------------------------------------------------------------------


def flat_spiff(data: Data) -> Paid:
    """July: 100 for each deal from 1,000 on, employees, at most 2,000 each."""
    start = date(2017, 7, 1)
    lines = (
        (start, deal.moment, deal.agent, 100_00)
        for deal in data.won("2017-07-01", "2017-07-31")
        if deal.value >= 1000 and data.employed(deal.agent)
    )
    return capped(lines, period=None, participant=2000_00)


def per_seat_spiff(data: Data) -> Paid:
    """July to September: 50 per whole seat of the GTX family by split, employees; 500 a deal and 2,000 in all.

    Parts of a seat wait for the next deal. A seat has ten thousand parts, as quantities have four digits.
    """
    start = date(2017, 7, 1)
    running: dict[str, int] = defaultdict(int)
    lines = []
    for deal in sorted(data.won("2017-07-01", "2017-09-30"), key=lambda deal: (deal.moment, deal.id)):
        if deal.series != "GTX":
            continue
        for name, parts in credit(deal, deal.seats * 10_000).items():
            before, running[name] = running[name], running[name] + parts
            whole = running[name] // 10_000 - before // 10_000
            if data.employed(name):
                lines.append((start, deal.moment, name, min(whole * 50_00, 500_00)))
    return capped(iter(lines), period=2000_00, participant=None)


def deal_bonus_bands(data: Data) -> Paid:
    """All year, by quarter: 50 for a share of 500 on, 150 from 4,000, 0.5 % from 20,000; 120 a deal at most."""
    lines = []
    for deal in data.won("2017-01-01", "2017-12-31"):
        for name, cents in credit(deal, deal.value * 100).items():
            bonus = 0
            if cents >= 20_000_00:
                bonus = half_up(Fraction(cents * 5, 1000))
            elif cents >= 4_000_00:
                bonus = 150_00
            elif cents >= 500_00:
                bonus = 50_00
            lines.append((quarter_of(local(deal)), deal.moment, name, min(bonus, 120_00)))
    return capped(iter(lines), period=None, participant=None)


def new_logo_bonus(data: Data) -> Paid:
    """January to June: 250 by split for a new logo from 1,000 on, not in the sector `employment`; 1,500 each at most."""
    start = date(2017, 1, 1)
    lines = (
        (start, deal.moment, name, cents)
        for deal in data.won("2017-01-01", "2017-06-30")
        if deal.new_logo and deal.value >= 1000 and deal.sector != "employment"
        for name, cents in credit(deal, 250_00).items()
    )
    return capped(lines, period=1500_00, participant=None)


def quota_accelerators(data: Data) -> Paid:
    """By quarter and split: 5 % up to the target, 6 % from there to 125 %, 7 % above. No target, nothing."""
    sold: Paid = defaultdict(int)
    for deal in data.won("2017-01-01", "2017-12-31"):
        for name, cents in credit(deal, deal.value * 100).items():
            sold[name, quarter_of(local(deal))] += cents
    paid = {}
    for (name, quarter), cents in sold.items():
        if goal := target("quota-accelerators", name, quarter) * 100:
            upper = goal * 5 // 4
            slices = (min(cents, goal), max(0, min(cents, upper) - goal), max(0, cents - upper))
            paid[name, quarter] = sum(
                half_up(Fraction(part * rate, 100)) for part, rate in zip(slices, (5, 6, 7), strict=True)
            )
    return {key: cents for key, cents in paid.items() if cents}


def quarterly_target_tiers(data: Data) -> Paid:
    """By close date, whole deals of the owner: 250 at 90 % of the target, 500 at 100, 1,000 at 120."""
    sold: dict[tuple[str, date], int] = defaultdict(int)
    for deal in data.won("2017-01-01", "2017-12-31", lambda deal: deal.closed_on):
        sold[deal.agent, quarter_of(deal.closed_on)] += deal.value
    paid = {}
    for (name, quarter), dollars in sold.items():
        if goal := target("quarterly-target-tiers", name, quarter):
            steps = ((90, 250_00), (100, 500_00), (120, 1000_00))
            paid[name, quarter] = max((cents for at, cents in steps if dollars * 100 >= at * goal), default=0)
    return {key: cents for key, cents in paid.items() if cents}


def fastest_start(data: Data) -> Paid:
    """5 January to 31 March: 50 for the first deal from 2,500 on, 150 for the fifth, 400 for the tenth."""
    count: dict[str, int] = defaultdict(int)
    for deal in data.won("2017-01-05", "2017-03-31"):
        count[deal.agent] += deal.value >= 2500
    steps = ((1, 50_00), (5, 150_00), (10, 400_00))
    found = {(name, date(2017, 1, 5)): sum(c for at, c in steps if number >= at) for name, number in count.items()}
    return {key: cents for key, cents in found.items() if cents}


def sums_by_split(data: Data, first: str, last: str) -> dict[str, int]:
    """person -> cents sold, employees alone."""
    sold: dict[str, int] = defaultdict(int)
    for deal in data.won(first, last):
        for name, cents in credit(deal, deal.value * 100).items():
            if data.employed(name):
                sold[name] += cents
    return {name: cents for name, cents in sold.items() if cents}


def ranked(measures: dict[str, int]) -> list[tuple[int, list[str]]]:
    """(rank, those who share it), best first; after a tie the rank goes on counting."""
    found, rank = [], 1
    ordered = sorted(measures, key=lambda name: (-measures[name], name))
    for _, tied in groupby(ordered, key=lambda name: measures[name]):
        names = list(tied)
        found.append((rank, names))
        rank += len(names)
    return found


def individual_contest(data: Data) -> Paid:
    """April to June, employees, by split: 1,000, 500 and three times 200. People who tie share the prizes they occupy."""
    prizes = {1: 1000_00, 2: 500_00, 3: 200_00, 4: 200_00, 5: 200_00}
    paid = {}
    for rank, names in ranked(sums_by_split(data, "2017-04-01", "2017-06-30")):
        pot = sum(prizes.get(rank + n, 0) for n in range(len(names)))
        for n, name in enumerate(names):
            paid[name, date(2017, 4, 1)] = pot // len(names) + (n < pot % len(names))
    return {key: cents for key, cents in paid.items() if cents}


def presidents_club(data: Data) -> Paid:
    """The year's ten best employees with 300,000 or more: 2,500 each; who ties for a place is in."""
    sold = sums_by_split(data, "2017-01-01", "2017-12-31")
    return {
        (name, date(2017, 1, 1)): 2500_00
        for rank, names in ranked(sold)
        for name in names
        if rank <= 10 and sold[name] >= 300_000_00
    }


def team_contest(data: Data) -> Paid:
    """April to June by number of deals: 2,000 and 800 for teams of five deals or more, equally among those who sold.

    Of teams with as many deals the one that got there first wins. A prize that does not divide gives its last cents to
    the first names.
    """
    number: dict[str, int] = defaultdict(int)
    reached: dict[str, datetime] = {}
    sellers: dict[str, set[str]] = defaultdict(set)
    for deal in data.won("2017-04-01", "2017-06-30"):
        if team := data.people[deal.agent].team:
            number[team] += 1
            reached[team] = max(reached.get(team, deal.moment), deal.moment)
            sellers[team].add(deal.agent)
    paid = {}
    order = sorted(number, key=lambda team: (-number[team], reached[team]))
    for team, prize in zip(order, (2000_00, 800_00), strict=False):
        names = sorted(sellers[team])
        for n, name in enumerate(names):
            if number[team] >= 5:
                paid[name, date(2017, 4, 1)] = prize // len(names) + (n < prize % len(names))
    return paid


def reseller_claims(data: Data) -> Paid:
    """All year, by month in Madrid: 10 euros per whole LX unit on claims of partners from silver on, times 1.25 for gold
    and 1.5 for platinum; 150 a claim and 700 a month at most. Halves of a unit wait for the next claim of the month."""
    factor = {"silver": Fraction(1), "gold": Fraction(5, 4), "platinum": Fraction(3, 2)}
    running: dict[tuple[str, date], Fraction] = defaultdict(Fraction)
    lines = []
    for deal in sorted(
        data.won("2017-01-01", "2017-12-31", lambda deal: local(deal, MADRID)), key=lambda d: (d.moment, d.id)
    ):
        tier = data.people[deal.agent].tier
        if deal.series != "GTX" or tier not in factor:
            continue
        month = month_of(local(deal, MADRID))
        before = running[deal.agent, month]
        running[deal.agent, month] = after = before + deal.claimed
        cents = half_up((int(after) - int(before)) * 10_00 * factor[tier])
        lines.append((month, deal.moment, deal.agent, min(cents, 150_00)))
    return capped(iter(lines), period=700_00, participant=None)


def manager_overlay(data: Data) -> Paid:
    """July to December by month, sector `retail`: 1 % by split; a manager on 10 % of each share, the manager's manager on
    2.5 %; 45 a deal and 500 in all per person."""
    lines = []
    for deal in data.won("2017-07-01", "2017-12-31"):
        if deal.sector != "retail":
            continue
        own = credit(deal, deal.value * 100)
        over: dict[str, Fraction] = defaultdict(Fraction)
        for name, cents in own.items():
            manager = data.people[name].manager
            over[manager] += Fraction(cents, 10)
            over[data.people[manager].manager] += Fraction(cents * 25, 1000)
        measures = own | {name: half_up(exact) for name, exact in over.items()}
        for name, cents in measures.items():
            bonus = min(half_up(Fraction(cents, 100)), 45_00)
            lines.append((month_of(local(deal)), deal.moment, name, bonus))
    return capped(iter(lines), period=None, participant=500_00)


PROGRAMS: dict[str, Callable[[Data], Paid]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        flat_spiff, per_seat_spiff, deal_bonus_bands, new_logo_bonus, quota_accelerators, quarterly_target_tiers,
        fastest_start, individual_contest, team_contest, presidents_club, reseller_claims, manager_overlay,
    )
}  # fmt: skip
