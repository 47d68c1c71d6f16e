"""Amounts of several currencies brought into one, by the ledger's exchange rates, to the cent."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from incentives.ledger.rates import Rates, RateTable
from incentives.tax.sources import Amount
from rewards.money import MINOR_DIGITS, Money


@dataclass(slots=True)
class Total:
    """A sum in `currency` (minor units), and what no rate could bring into it."""

    currency: str
    minor: int = 0
    unknown: dict[str, int] = field(default_factory=dict)
    """Minor units by currency."""

    @property
    def money(self) -> Money:
        return Money(self.minor, self.currency)

    @property
    def missing(self) -> list[Money]:
        return [Money(minor, currency) for currency, minor in sorted(self.unknown.items())]

    def add(self, amount: Amount, rates: Rates) -> None:
        """By the rate of the amount's day, rounded half up; without a rate it is kept apart as unknown."""
        converted = convert(amount, rates)
        if converted is None:
            money = amount.money
            self.unknown[money.currency] = self.unknown.get(money.currency, 0) + money.minor
        else:
            self.minor += converted.minor


def convert(amount: Amount, rates: Rates) -> Money | None:
    money = amount.money
    if money.currency == rates.to_currency:
        return money
    rate = rates.get((money.currency, amount.on))
    if rate is None:
        return None
    return Money.from_decimal(Decimal(money.minor).scaleb(-MINOR_DIGITS[money.currency]) * rate, rates.to_currency)


def total_of(amounts: Iterable[Amount], currency: str, table: RateTable) -> Total:
    total, rates = Total(currency), table.to(currency)
    for amount in amounts:
        total.add(amount, rates)
    return total
