"""What can go wrong when money moves."""

from incentives.core.errors import DomainError
from rewards.money import Money


class InsufficientFunds(DomainError):
    """A bucket does not hold what should leave it."""

    code = "insufficient_funds"
    status = 409

    def __init__(self, account, wanted: Money, has: Money | None = None):
        of = f"budget {account.budget.name}" if account.budget_id else account.code
        left = f" has {has} {account.bucket}" if has is not None else " has too little"
        super().__init__(
            f"{of[0].upper()}{of[1:]}{left}, {wanted} is needed. Ask finance to fund it or choose fewer payouts."
        )


class KeyReused(DomainError):
    """A posting key was used again with other values: a programming error or tampering, never to be ignored."""

    code = "posting_key_reused"
    status = 409

    def __init__(self, key: str):
        super().__init__(f"The posting {key} exists with other values. Nothing was changed; tell an administrator.")


class BudgetInvalid(DomainError):
    code = "budget_invalid"


class RateInvalid(DomainError):
    code = "rate_invalid"


class MonthClosed(DomainError):
    """Something would be booked into a closed month."""

    code = "month_closed"

    def __init__(self, month, key: str):
        self.key = key
        when = f"{month:%B %Y}" if month else "The month"
        super().__init__(
            f"{when} is closed, so nothing is booked into it any more. Book it today, or open the month again."
        )


class SameHands(DomainError):
    """Somebody would decide what they proposed themselves (promise 6)."""

    code = "same_hands"
    status = 403


class SecondPersonNeeded(DomainError):
    """More than one person may fund alone; propose it, and another person of finance confirms."""

    code = "second_person_needed"
    status = 403


class DepositInvalid(DomainError):
    code = "deposit_invalid"
