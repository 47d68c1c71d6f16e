"""What the provider answers, as frozen values. Every field but an id may be missing there, so most are optional here."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum


class Progress(StrEnum):
    """How far an order is (contract section 7)."""

    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Token:
    value: str = field(repr=False)
    expires_in: int


@dataclass(frozen=True, slots=True)
class ClaimData:
    """As good as money: never in a repr or a log."""

    id: str = ""
    link: str = field(default="", repr=False)
    answer: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class OrderLine:
    product_id: str = ""
    value: Decimal | None = None
    quantity: int | None = None
    cost: Decimal | None = None
    status: str = ""
    recipient: str = field(default="", repr=False)
    id: str = ""
    external_id: str = ""
    progress: Progress = Progress.UNKNOWN
    """By the line's own word; without one, by the order's."""
    claims: tuple[ClaimData, ...] = ()


@dataclass(frozen=True, slots=True)
class ProviderOrder:
    id: str
    status: str = ""
    po_number: str = ""
    type: str = ""
    lines: tuple[OrderLine, ...] = ()
    progress: Progress = Progress.UNKNOWN
    word: Progress = Progress.UNKNOWN
    """By the order's own status alone."""

    @property
    def partly_issued(self) -> bool:
        """Whether it is over, and of its lines, each by its own word, some are issued and some failed."""
        fared = {line.progress for line in self.lines}
        over = self.word not in (Progress.IN_PROGRESS, Progress.FAILURE)
        return over and fared == {Progress.SUCCESS, Progress.FAILURE}

    @property
    def claims(self) -> tuple[ClaimData, ...]:
        return tuple(claim for line in self.lines for claim in line.claims)


@dataclass(frozen=True, slots=True)
class CatalogueProduct:
    id: str
    name: str
    kind: str = ""
    denomination_type: str = ""
    denominations: tuple[Decimal, ...] = ()
    delivery_types: tuple[str, ...] = ()
    currency: str = ""
    fee: Decimal = Decimal(0)
    discount_percent: Decimal = Decimal(0)
    description: str = ""
    terms: str = ""
    redemption_note: str = ""
    image_url: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A branding or a shipping method."""

    id: str
    name: str = ""
    price: Decimal | None = None
