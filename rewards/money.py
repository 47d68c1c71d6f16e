"""Money in whole minor units (cents for USD, yen for JPY): the one place that rounds and the one that formats."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

_TWO = (
    "AED ARS AUD BGN BRL CAD CHF CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR KES MAD MXN MYR NGN NOK NZD PEN PHP "
    "PLN QAR RON SAR SEK SGD THB TRY TWD UAH USD UYU ZAR"
)
MINOR_DIGITS = {
    **dict.fromkeys(_TWO.split(), 2),
    **dict.fromkeys("CLP ISK JPY KRW PYG UGX VND XAF XOF".split(), 0),
    **dict.fromkeys("BHD JOD KWD OMR TND".split(), 3),
}
"""Digits after the point per ISO 4217 currency. A currency missing here is refused rather than guessed."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of one currency. Adding or comparing two currencies raises ValueError."""

    minor: int
    currency: str

    @classmethod
    def from_decimal(cls, amount: Decimal, currency: str) -> "Money":
        """Round half up to the currency's smallest unit. The only place that rounds. KeyError: unknown currency."""
        return cls(int(cls.unrounded(amount, currency).quantize(Decimal(1), rounding=ROUND_HALF_UP)), currency)

    @classmethod
    def exact(cls, amount: Decimal, currency: str) -> "Money":
        """As from_decimal, but ValueError when the amount has more digits than the currency."""
        money = cls.from_decimal(amount, currency)
        if money.decimal != Decimal(amount):
            raise ValueError(f"{amount} has more digits than {currency} allows")
        return money

    @staticmethod
    def unrounded(amount: Decimal, currency: str) -> Decimal:
        """The amount in the currency's smallest unit, with whatever is left of it; for sharing it out."""
        return Decimal(amount).scaleb(MINOR_DIGITS[currency])

    @property
    def decimal(self) -> Decimal:
        """The amount in major units with the currency's digits, for example Decimal('12.50')."""
        digits = MINOR_DIGITS[self.currency]
        return Decimal(self.minor).scaleb(-digits).quantize(Decimal(1).scaleb(-digits))

    def _same(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not mix")

    def __add__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __lt__(self, other: "Money") -> bool:
        self._same(other)
        return self.minor < other.minor

    def __le__(self, other: "Money") -> bool:
        self._same(other)
        return self.minor <= other.minor

    def __bool__(self) -> bool:
        return self.minor != 0

    def __str__(self) -> str:
        return f"{self.decimal:,} {self.currency}"
