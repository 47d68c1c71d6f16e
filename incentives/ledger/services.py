"""What finance does with budgets."""

from decimal import Decimal

from django.db import transaction

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.ledger import accounts, funding
from incentives.ledger.errors import BudgetInvalid, SecondPersonNeeded
from incentives.ledger.models import Account, Budget, Posting
from incentives.ledger.posting import post
from rewards.money import MINOR_DIGITS, Money

MOST = Decimal("1000000000")
"""A single movement above this many major units is a typing mistake."""
REFERENCE_LENGTH = 70


def create_budget(*, name: str, currency: str, actor, note: str = "") -> Budget:
    """A new, empty budget. Raises NotAllowed, BudgetInvalid (no name, name taken, unknown currency)."""
    _require(actor)
    name = " ".join(name.split())
    if not name:
        raise BudgetInvalid("Give the budget a name, for example Q3 Security SPIFF.")
    if currency not in MINOR_DIGITS:
        raise BudgetInvalid(f"{currency!r} is not a currency Laurel knows; expected a code such as USD.")
    if Budget.objects.filter(name__iexact=name).exists():
        raise BudgetInvalid(f"There is a budget named {name} already. Choose another name or fund that one.")
    with transaction.atomic():
        budget = Budget.objects.create(name=name, currency=currency, owner=actor, note=note)
        accounts.create_budget_accounts(budget)
        audit.record("budget.created", budget, actor=actor, after={"name": name, "currency": currency})
    return budget


def fund(*, budget: Budget, amount: Money, reference: str, actor, memo: str = "") -> Posting:
    """Allocate `amount` (minor units) to the budget. `reference` names finance's document and makes a repeat harmless.

    Raises: NotAllowed, BudgetInvalid (amount not positive, absurd or in another currency; no reference), KeyReused (the
    reference was used for another amount), SecondPersonNeeded (more than one person may fund alone, see funding.py:
    `transfers.propose_funding` asks for it).
    """
    _require(actor)
    check_movement(budget, amount, reference)
    key = f"alloc:{budget.public_id}:{reference.strip()}"
    with transaction.atomic():
        funding.hold_still(actor)
        repeat = Posting.objects.filter(key=key).exists()
        if not repeat and funding.needs_second(actor, amount):
            raise SecondPersonNeeded(
                f"One person funds up to {funding.limit_for(budget.currency)} in 24 hours alone. Propose this funding; "
                "another person of finance confirms it."
            )
        posting = post(
            key,
            amount,
            accounts.world("funding", budget.currency, book=Account.Book.BUDGET),
            accounts.budget_accounts(budget)[accounts.AVAILABLE],
            kind="allocate",
            cause=f"{funding.ALONE}{budget.public_id}",
            actor=actor,
            memo=memo or reference,
        )
        if not repeat:
            audit.record("budget.funded", budget, actor=actor, after={"amount": str(amount), "reference": reference})
    return posting


def withdraw(*, budget: Budget, amount: Money, reference: str, actor, memo: str = "") -> Posting:
    """Return `amount` from what is available. Raises as `fund`, and InsufficientFunds."""
    _require(actor)
    check_movement(budget, amount, reference)
    key = f"unalloc:{budget.public_id}:{reference.strip()}"
    with transaction.atomic():
        repeat = Posting.objects.filter(key=key).exists()
        posting = post(
            key,
            amount,
            accounts.budget_accounts(budget)[accounts.AVAILABLE],
            accounts.world("funding", budget.currency, book=Account.Book.BUDGET),
            kind="return",
            cause=f"budget:{budget.public_id}",
            actor=actor,
            memo=memo or reference,
        )
        if not repeat:
            audit.record("budget.withdrawn", budget, actor=actor, after={"amount": str(amount), "reference": reference})
    return posting


def _require(actor) -> None:
    if not actor.can("budgets.fund"):
        raise NotAllowed("Only finance may create and fund budgets.")


def check_movement(budget: Budget, amount: Money, reference: str) -> None:
    """Raises BudgetInvalid when this cannot be a movement into or out of the budget."""
    if amount.currency != budget.currency:
        raise BudgetInvalid(f"{budget.name} is kept in {budget.currency}; the amount is in {amount.currency}.")
    if amount.minor <= 0:
        raise BudgetInvalid("Give an amount above zero.")
    if amount.decimal > MOST:
        raise BudgetInvalid(f"{amount} is more than one movement may carry ({MOST:,}). Check the number.")
    if not reference.strip():
        raise BudgetInvalid("Give the reference of the document that releases this money; it makes a repeat harmless.")
    if len(reference.strip()) > REFERENCE_LENGTH:  # the key must hold all of it, or two documents would be one
        raise BudgetInvalid(f"The reference has more than {REFERENCE_LENGTH} characters; give a shorter one.")
