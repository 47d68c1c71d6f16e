"""Makes rows for tests: `make_user("finance")`, `make_budget(funded="100.00")`, ... Every value may be overridden."""

import hashlib
import itertools
from decimal import Decimal

from django.utils import timezone

from incentives.accounts.models import Role, User, UserRole
from incentives.crm import intake
from incentives.crm.ingest import process_deliveries
from incentives.crm.models import Connection
from incentives.earnings.evaluate import evaluate as run_evaluation
from incentives.ledger import funding, transfers
from incentives.ledger import services as ledger
from incentives.participants.models import Participant, Partner, Team
from incentives.programs import review, review_limits
from incentives.programs import services as programs
from rewards.models import Product
from rewards.money import Money

_n = itertools.count(1)


def make_user(*roles: str, email: str | None = None, name: str = "", password: str | None = None, **fields) -> User:
    """Somebody who signs in. Without a password nobody can sign in as them, which is quick."""
    number = next(_n)
    user = User.objects.create_user(
        email=email or f"{roles[0] if roles else 'nobody'}{number}@example.com",
        password=password,
        name=name or f"{roles[0] if roles else 'nobody'} {number}".title(),
        **fields,
    )
    UserRole.objects.bulk_create([UserRole(user=user, role=Role(role)) for role in roles])
    return user


def make_team(code: str | None = None, **fields) -> Team:
    code = code or f"team-{next(_n)}"
    return Team.objects.create(code=code, name=fields.pop("name", code.title()), **fields)


def make_partner(code: str | None = None, **fields) -> Partner:
    code = code or f"partner-{next(_n)}"
    return Partner.objects.create(code=code, name=fields.pop("name", code.title()), **fields)


def make_participant(name: str | None = None, **fields) -> Participant:
    number = next(_n)
    name = name or f"Rep {number}"
    fields.setdefault("email", f"rep{number}@example.com")
    fields.setdefault("external_user_id", f"U-{number}")
    return Participant.objects.create(name=name, **fields)


def usd(amount: str) -> Money:
    return Money.exact(Decimal(amount), "USD")


def make_budget(*, funded: str = "0", finance: User | None = None, currency: str = "USD", name: str | None = None):
    finance = finance or make_user("finance")
    budget = ledger.create_budget(name=name or f"Budget {next(_n)}", currency=currency, actor=finance)
    if Decimal(funded):
        money = Money.exact(Decimal(funded), currency)
        fund(budget, money, finance)
    return budget


def fund(budget, money: Money, finance: User, reference: str = "") -> None:
    """By one person, and by a second one where it is more than one may fund alone."""
    reference = reference or f"DOC-{next(_n)}"
    if not funding.needs_second(finance, money):
        ledger.fund(budget=budget, amount=money, reference=reference, actor=finance)
        return
    asked = transfers.propose_funding(budget=budget, amount=money, reference=reference, actor=finance)
    transfers.approve(transfer=asked, actor=make_user("finance"))


def make_connection(name: str | None = None, **fields) -> Connection:
    """A source of facts. Its URL token is `token-<name>`."""
    name = name or f"crm-{next(_n)}"
    fields.setdefault("currency", "USD")
    return Connection.objects.create(
        name=name, token_hash=hashlib.sha256(f"token-{name}".encode()).hexdigest(), **fields
    )


def deal(object_id: str, rep: Participant | str, amount: str | None, *, version: int = 1, **fields) -> dict:
    """A generic event about a deal, won unless `kind` says otherwise; each version is an event of its own."""
    fields.setdefault("kind", "deal.won")
    fields.setdefault("occurred_at", "2026-08-03T10:00:00Z")
    fields.setdefault("currency", "USD")
    if amount is not None:
        fields["amount"] = amount
    return {
        "external_id": f"{object_id}-{version}",
        "participant": {"external_user_id": getattr(rep, "external_user_id", rep)},
        "object": {"type": "deal", "id": object_id, "version": f"2026-01-01T00:00:{version:02d}Z"},
        **fields,
    }


def send(connection: Connection, *facts: dict, evaluate: bool = True) -> None:
    """Receive facts as the endpoint does, derive their activities and (unless told not to) the earnings."""
    intake.receive_many(connection, [intake.prepare(fact) for fact in facts])
    while process_deliveries():
        pass
    if evaluate:
        run_evaluation()


def definition(**changes) -> dict:
    """A program document: 2 % of won deals in 2026, paid by e-mailed card; `changes` replace its keys, None removes one."""
    document = {
        "name": f"Program {next(_n)}",
        "template": "deal_bonus",
        "currency": "USD",
        "starts_on": "2026-01-01",
        "ends_on": "2026-12-31",
        "rewards": [{"type": "percent", "rate": "2"}],
        "payout": {"when": "at_close"},
        "delivery": {"type": "DigitalDelivery", "channel": "email", "products": "any"},
    }
    document |= changes
    return {key: value for key, value in document.items() if value is not None}


def make_program(*, budget=None, manager: User | None = None, launched: bool = True, funded: str = "0", **changes):
    """A program by `definition(**changes)`, launched by its manager with a budget of its own. A second manager publishes
    it where its budget asks for one."""
    manager = manager or make_user("manager")
    document = definition(**changes)
    budget = budget or make_budget(funded=funded, currency=document["currency"])
    program = programs.create_program(document=document, actor=manager, budget=budget)
    return publish(program, manager) if launched else program


def publish(program, manager: User, **start):
    """Publish the draft version as its manager, by a review of somebody else's where the budget asks for one."""
    if not review_limits.asks(program.budget, manager):
        return programs.launch(program=program, actor=manager, **start)
    draft = review.request_review(program=program, actor=manager, **start)
    return review.confirm_review(program=program, actor=make_user("manager"), seen_digest=draft.digest)


def make_product(product_id: str = "DEMO", *, values=(500, 25_000), **fields) -> Product:
    """A card of the catalogue in USD: any amount to the cent from 5.00 to 250.00 unless told otherwise."""
    fields.setdefault("denomination_type", Product.DenominationType.VARIABLE)
    fields.setdefault("allow_cents", True)
    return Product.objects.create(
        product_id=product_id,
        name=fields.pop("name", product_id.title()),
        kind="Digital",
        denominations=list(values),
        delivery_types=fields.pop("delivery_types", ["DigitalDelivery", "Links"]),
        currency=fields.pop("currency", "USD"),
        refreshed_at=timezone.now(),
        **fields,
    )
