"""Half a year of deals, relative to today, the same ones every time: what Brightwater's CRM and its partner portal send.

Pure functions: nothing is stored here. An event is the generic one of the public endpoint.
"""

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from incentives.operations.demo_company.people import PARTNER_PERSON, REP, TEAMS, Person, everybody

CRM, PORTAL = "crm", "portal"
SEED = 20_260
PRODUCTS = (  # sku, name, family, unit price, most units of one line
    ("SNT-EDGE", "Sentry Edge firewall", "Security", 1450, 9),
    ("SNT-CLOUD", "Sentry Cloud, per seat", "Security", 90, 140),
    ("RLY-24", "Relay 24 switch", "Network", 2200, 6),
    ("RLY-MESH", "Relay Mesh access point", "Network", 640, 22),
    ("ONBOARD", "Onboarding days", "Services", 1500, 5),
    ("CARE", "Care plan, per year", "Services", 1200, 4),
)
PLACES = (
    "Alder Creek", "Birchfield", "Cobalt Bay", "Dunmore", "Eastgate", "Fernhill", "Granite Pass", "Halloway", "Ironbridge",
    "Juniper Falls", "Kestrel", "Larkspur", "Millbrook", "Norwood", "Oakhaven", "Pinecrest", "Quarry Lane", "Redwater",
    "Silverton", "Thornbury",
)  # fmt: skip
TRADES = (
    ("Foods", "Food"), ("Logistics", "Transport"), ("Health", "Health care"), ("Energy", "Energy"),
    ("Paper Mills", "Manufacturing"), ("Credit Union", "Finance"), ("School District", "Education"), ("Ports", "Transport"),
)  # fmt: skip
SEGMENTS = {
    "enterprise-east": "Enterprise",
    "enterprise-west": "Enterprise",
    "mid-market": "Mid",
    "inside-sales": "SMB",
}
SIZE = {"Enterprise": 3, "Mid": 2, "SMB": 1}  # product lines of a deal, at most
REP_DAYS = (3, 9, 16, 24, 33, 47)
"""Days ago on which the rep of the sign-in page won a deal with security products, so that there is something to see."""
SELLER_DAYS = (4, 12, 20, 38, 52)
RENEWALS_FROM, RENEWALS_TO = 150, 94
FATES = {"": 78, "updated": 10, "late": 3, "reassigned": 3, "reopened": 2, "deleted": 2, "lost": 2}
"""What becomes of a deal, with weights: it stands as won, its amount changes, it arrives late, goes to a colleague, ..."""
GONE = ("reopened", "deleted", "lost")
QUARTER = 91


@dataclass
class Deal:
    """A deal that was won `days` ago, and what became of it."""

    owner: Person
    days: int
    won_at: datetime
    lines: list[dict]
    account: dict
    new_logo: bool
    renewal: bool = False
    splits: list[dict] = field(default_factory=list)
    fate: str = ""  # of FATES
    currency: str = "USD"
    number: int = 0

    @property
    def amount(self) -> Decimal:
        return sum((Decimal(line["total"]) for line in self.lines), Decimal(0))

    @property
    def source(self) -> str:
        return PORTAL if self.owner.type == "partner" else CRM


@dataclass(frozen=True)
class Sent:
    """One event on its way: when it arrives, by which connection, and its content."""

    at: datetime
    source: str
    event: dict


def won_deals(now: datetime) -> list[Deal]:
    """Every deal that was won in the last 150 days, oldest first, numbered."""
    dice = random.Random(SEED)
    deals = [_deal(dice, now, person, days) for person in everybody() for days in _days(dice, person)]
    deals += [
        _deal(dice, now, person, days, renewal=True) for person in everybody() for days in _renewals(dice, person)
    ]
    deals.sort(key=lambda deal: deal.won_at)
    for number, deal in enumerate(deals, start=4001):
        deal.number = number
    return deals


def _days(dice: random.Random, person: Person) -> list[int]:
    if person.name == REP.name:
        return list(REP_DAYS)
    if person.name == PARTNER_PERSON.name:
        return list(SELLER_DAYS)
    count = {"rep": dice.randint(4, 8), "seller": dice.randint(1, 4)}.get(person.job, 0)
    return [round(QUARTER * dice.random() ** 1.25) or 1 for _ in range(count)]  # business is growing


def _renewals(dice: random.Random, person: Person) -> list[int]:
    if person.job != "rep" or person.type != "employee":
        return []
    return [dice.randint(RENEWALS_TO, RENEWALS_FROM) for _ in range(dice.randint(1, 3))]


def _deal(dice: random.Random, now: datetime, owner: Person, days: int, *, renewal: bool = False) -> Deal:
    shown = owner.name in (REP.name, PARTNER_PERSON.name)
    deal = Deal(
        owner=owner,
        days=days,
        won_at=_office_hour(dice, now - timedelta(days=days)),
        lines=_lines(dice, owner, must="SNT-EDGE" if shown else ""),
        account=_account(dice, owner),
        new_logo=dice.random() < 0.4,
        renewal=renewal,
    )
    if owner.team and not renewal and dice.random() < 0.15:
        deal.splits = _splits(dice, owner)
    if not shown and days > 12:
        deal.fate = dice.choices(list(FATES), weights=list(FATES.values()))[0]
    return deal


def _office_hour(dice: random.Random, at: datetime) -> datetime:
    return at.replace(hour=dice.randint(13, 21), minute=dice.randint(0, 59), second=dice.randint(0, 59), microsecond=0)


def _lines(dice: random.Random, owner: Person, must: str = "") -> list[dict]:
    most = SIZE[SEGMENTS.get(owner.team, "Mid")]
    chosen = dice.sample(PRODUCTS, dice.randint(1, most))
    if must and must not in {product[0] for product in chosen}:
        chosen.insert(0, next(product for product in PRODUCTS if product[0] == must))
    return [_line(product, dice.randint(max(1, product[4] // 4), product[4])) for product in chosen]


def _line(product: tuple, quantity: int) -> dict:
    sku, name, family, price, _ = product
    return {
        "sku": sku, "name": name, "family": family, "quantity": str(quantity), "unit_price": f"{price}.00",
        "total": f"{price * quantity}.00",
    }  # fmt: skip


def _account(dice: random.Random, owner: Person) -> dict:
    place, (trade, industry) = dice.randrange(len(PLACES)), dice.choice(TRADES)
    return {
        "id": f"A-{2000 + place * 10 + len(trade)}", "name": f"{PLACES[place]} {trade}", "industry": industry,
        "segment": SEGMENTS.get(owner.team, "Mid"),
    }  # fmt: skip


def _splits(dice: random.Random, owner: Person) -> list[dict]:
    engineer = TEAMS[owner.team][-1][0]
    other = next(person for person in everybody() if person.name == engineer)
    share = dice.choice((20, 25, 30, 40))
    return [
        {"participant": {"external_user_id": who.key}, "percentage": str(percent)}
        for who, percent in ((owner, 100 - share), (other, share))
    ]


# --- events -------------------------------------------------------------------------------------------------------------
def history(now: datetime) -> list[Sent]:
    """Everything the two sources sent until `now`, in the order of arrival."""
    dice = random.Random(SEED + 1)
    sent = [entry for deal in won_deals(now) for entry in _events_of(dice, deal)]
    sent += [entry for n in range(24) for entry in _never_won(dice, now, n)]
    sent.append(_abroad(now))
    return sorted((entry for entry in sent if entry.at < now), key=lambda entry: (entry.at, entry.event["external_id"]))


def _events_of(dice: random.Random, deal: Deal) -> list[Sent]:
    sent = []
    if dice.random() < 0.4:
        sent.append(_sent(deal, "deal.updated", deal.won_at - timedelta(days=dice.randint(5, 20)), stage="Proposal"))
    later = deal.won_at + timedelta(days=dice.randint(2, 9), minutes=dice.randint(0, 300))
    won = _sent(deal, "deal.won", deal.won_at, stage="Closed Won")
    sent.append(replace(won, at=later) if deal.fate == "late" else won)
    if deal.fate == "updated":
        quantity = int(deal.lines[0]["quantity"]) + dice.choice((-1, 1, 2)) or 1
        deal.lines = [_line(_product(deal.lines[0]["sku"]), quantity), *deal.lines[1:]]
        sent.append(_sent(deal, "deal.updated", later, stage="Closed Won"))
    elif deal.fate == "reassigned":
        deal.owner, deal.splits = _colleague(deal.owner), []
        sent.append(_sent(deal, "deal.updated", later, stage="Closed Won"))
    elif deal.fate == "deleted":
        sent.append(_sent(deal, "deal.deleted", later, stage="Closed Won"))
    elif deal.fate in GONE:
        sent.append(_sent(deal, "deal.reopened", later, stage="Negotiation"))
    if deal.fate == "lost":
        sent.append(_sent(deal, "deal.lost", later + timedelta(days=1), stage="Closed Lost"))
    return sent


def _colleague(owner: Person) -> Person:
    """The next one of the same team or partner who sells, whose pages show nothing of their own."""
    others = [
        one for one in everybody()
        if (one.team, one.partner, one.job) == (owner.team, owner.partner, owner.job)
        and one.name not in (REP.name, PARTNER_PERSON.name)
    ]  # fmt: skip
    place = next((n for n, one in enumerate(others) if one.name == owner.name), 0)
    return others[(place + 1) % len(others)]


def _product(sku: str) -> tuple:
    return next(product for product in PRODUCTS if product[0] == sku)


def _never_won(dice: random.Random, now: datetime, n: int) -> list[Sent]:
    """A deal that is still open, or was lost."""
    owner = dice.choice([person for person in everybody() if person.job == "rep"])
    deal = _deal(dice, now, owner, dice.randint(2, 60))
    deal.number, deal.fate = 4900 + n, ""
    sent = [_sent(deal, "deal.updated", deal.won_at, stage="Negotiation")]
    if n % 3 == 0:
        sent.append(_sent(deal, "deal.lost", deal.won_at + timedelta(days=2), stage="Closed Lost"))
    return sent


def _abroad(now: datetime) -> Sent:
    """A deal in Canadian dollars, for which nobody has entered a rate of its day: it waits on the exceptions lists."""
    dice = random.Random(SEED + 3)
    owner = next(person for person in everybody() if person.name == "Liam O'Connor")
    deal = _deal(dice, now, owner, 11)
    deal.number, deal.currency, deal.splits = 4990, "CAD", []
    deal.account |= {"name": "Port of Hamilton Harbour", "industry": "Transport"}
    return _sent(deal, "deal.won", deal.won_at, stage="Closed Won")


def _sent(deal: Deal, kind: str, at: datetime, stage: str) -> Sent:
    arrives = at + timedelta(minutes=2)
    return Sent(arrives, deal.source, event_of(deal, kind, at, stage))


def event_of(deal: Deal, kind: str, at: datetime, stage: str) -> dict:
    """The generic event about this deal at this moment."""
    moment = at.isoformat(timespec="seconds")
    return {
        "external_id": f"D-{deal.number}-{int(at.timestamp())}-{kind.removeprefix('deal.')}",
        "kind": kind,
        "stage": stage,
        "occurred_at": moment,
        "close_date": f"{deal.won_at:%Y-%m-%d}",
        "participant": {"external_user_id": deal.owner.key},
        "amount": f"{deal.amount}",
        "currency": deal.currency,
        "object": {"type": "deal", "id": f"D-{deal.number}", "version": moment},
        "account": deal.account,
        "lines": deal.lines,
        **({"splits": deal.splits} if deal.splits else {}),
        **({"partner": {"code": deal.owner.partner}} if deal.owner.partner else {}),
        "attributes": {"new_logo": deal.new_logo, "renewal": deal.renewal},
    }


def troubled(now: datetime) -> list[Sent]:
    """What waits in quarantine for a person: owners nobody knows, a currency nobody knows, a moment in the future."""
    dice = random.Random(SEED + 2)
    reps = [person for person in everybody() if person.job == "rep"]
    changes = (
        {"participant": {"external_user_id": "U-9204"}},
        {"participant": {"email": "new.hire@example.com"}},
        {"currency": "USX"},
        {"occurred_at": (now + timedelta(days=40)).isoformat(timespec="seconds")},
    )
    found = []
    for n, change in enumerate(changes):
        deal = _deal(dice, now, dice.choice(reps), n + 1)
        deal.number, deal.splits = 4950 + n, []
        entry = _sent(deal, "deal.won", min(deal.won_at, now - timedelta(hours=n + 1)), "Closed Won")
        found.append(Sent(entry.at, CRM, entry.event | change))
    return found


def owned(deals: list[Deal], key: str, days: int) -> Decimal:
    """What this owner won in the last `days` days and still stands, in major units."""
    standing = (deal for deal in deals if deal.owner.key == key and deal.fate not in GONE)
    return sum((deal.amount for deal in standing if deal.days <= days), Decimal(0))


def fresh_deal(dice: random.Random, now: datetime, number: int) -> Deal:
    """A deal that is won this minute, for the live activity."""
    owner = dice.choice([person for person in everybody() if person.job in ("rep", "seller")])
    deal = _deal(dice, now, owner, 0)
    deal.won_at, deal.number = now.replace(microsecond=0), number
    return deal
