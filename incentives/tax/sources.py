"""Where the amounts come from that count towards a year, and who keeps the payouts that wait.

Tax stands above payouts and may not import it, so payouts hands in its side: `connect(amounts, holds)` in its AppConfig.ready.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from rewards.money import Money


@dataclass(frozen=True, slots=True)
class Amount:
    """Money for one participant on one day (UTC); several of a day may come as one."""

    participant_id: int
    on: date
    money: Money


@dataclass(frozen=True, slots=True)
class Held:
    """How many payouts of a participant wait for a tax reason, and their money by currency."""

    count: int
    sums: tuple[Money, ...]


class Amounts(Protocol):
    def delivered(self, first: date, last: date, participants: Collection[int] | None = None) -> Iterable[Amount]:
        """What was delivered on the days from first to last, both included, by the UTC date."""

    def in_flight(
        self, participants: Collection[int] | None = None, *, but: Collection[int] = (), today: date
    ) -> Iterable[Amount]:
        """What may still be delivered: proposed, approved or ordered, dated `today`. `but`: payout ids left out."""

    def held(self, participants: Collection[int] | None = None) -> dict[int, Held]:
        """What waits for a tax reason, by participant."""


class Holds(Protocol):
    def lock(self, participant_id: int) -> None:
        """Lock the person's payouts that await approval, before the tax profile: every door takes that order."""

    def follow(self, participant, *, actor, lower: bool) -> tuple[int, int]:
        """Hold what must wait now and, with `lower`, lift what need not any more. Returns (placed, lifted)."""

    def release(self, participant, *, actor, reason: str) -> int:
        """Lift every open hold for review of the person. Returns how many."""


_amounts: list[Amounts] = []
_holds: list[Holds] = []


def connect(amounts: Amounts, holds: Holds) -> None:
    """Called by the layer below when it starts. A repeat replaces."""
    _amounts[:], _holds[:] = [amounts], [holds]


def source() -> Amounts:
    return _amounts[0]


def waiting() -> Holds:
    return _holds[0]
