"""Makes rows for tests: `make_user("finance")`, `make_budget(funded="100.00")`, ... Every value may be overridden."""

import itertools
from decimal import Decimal

from incentives.accounts.models import Role, User, UserRole
from incentives.ledger import services as ledger
from incentives.participants.models import Participant, Partner, Team
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
        ledger.fund(budget=budget, amount=money, reference=f"DOC-{next(_n)}", actor=finance)
    return budget
