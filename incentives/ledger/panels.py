"""What apps below add to budgets: parts of a budget's page, and what its cards cost.

The ledger stands above programs and payouts and may not import them, so payouts hands in its side: `connect(...)` in its
AppConfig.ready.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from incentives.ledger.models import Budget
from rewards.money import Money


@dataclass(frozen=True, slots=True)
class Costs:
    """What the cards of a budget are worth and what they cost, from the cash book. cost = face - discount + fee + shipping."""

    face: Money
    discount: Money
    fee: Money
    shipping: Money
    expected: Money
    """What the committed cards should cost."""

    @property
    def cost(self) -> Money:
        return self.face - self.discount + self.fee + self.shipping

    def __add__(self, other: "Costs") -> "Costs":
        return Costs(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a budget's page: a template and what it is given as `panel`."""

    template: str
    content: object


_panels: list[Callable[[Budget], Panel | None]] = []
_costs: list[Callable[[Iterable[Budget]], dict[int, Costs]]] = []


def connect(panels: Iterable[Callable], costs: Callable) -> None:
    """Called by the layer below when it starts. A repeat replaces."""
    _panels[:], _costs[:] = panels, [costs]


def of(budget: Budget) -> list[Panel]:
    return [panel for make in _panels if (panel := make(budget))]


def costs_of(budgets: Iterable[Budget]) -> dict[int, Costs]:
    """By budget id, of each budget alone."""
    return _costs[0](budgets)


def costs_with_children(budgets: Iterable[Budget]) -> dict[int, Costs]:
    """By budget id, of each with everything below it that is among `budgets`."""
    budgets = list(budgets)
    own, parents = costs_of(budgets), {budget.pk: budget.parent_id for budget in budgets}
    sums = dict(own)
    for pk, costs in own.items():
        above = parents[pk]
        while above in sums:
            sums[above] = sums[above] + costs
            above = parents[above]
    return sums
