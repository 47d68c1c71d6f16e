"""Parts of a budget's page that need programs and payouts: burn-down with forecast, and face value against cost."""

from collections.abc import Iterable

from django.db.models import OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from incentives.core.charts import Point
from incentives.ledger import burndown, tree
from incentives.ledger.models import Account, Budget, Posting
from incentives.ledger.panels import Costs, Panel, costs_with_children
from incentives.payouts.forecast import forecast
from incentives.payouts.models import Payout
from rewards.money import Money

PART_OF = {"card": "face", "discount": "discount", "fee": "fee", "shipping": "shipping"}
"""What a posting of the cash book says about a card, by its kind."""


def outlook(budget: Budget) -> Panel | None:
    """The burn-down of what is available, and whether it lasts. None while nothing was ever posted."""
    today = timezone.now().date()
    past = burndown.series(budget, today)
    if not past:
        return None
    ahead = forecast(budget, today)

    def points(rows, *, dashed: bool) -> list[Point]:
        return [Point(day, Money(minor, budget.currency), dashed) for day, minor in rows]

    future = points(ahead.series()[1:], dashed=True) if ahead.lines else []
    return Panel(
        "payouts/_budget_outlook.html",
        {"points": points(past, dashed=False) + future, "forecast": ahead, "today": today},
    )


def cost_panel(budget: Budget) -> Panel | None:
    """Face value against cost, of the budget and together with those below it. None while there is no card."""
    below = tree.below(budget)
    own = costs_of([budget])[budget.pk]
    costs = costs_with_children([budget, *below])[budget.pk] if below else None
    if not any(part.face or part.expected for part in (own, costs) if part):
        return None
    return Panel("payouts/_budget_costs.html", {"own": own, "together": costs})


PANELS = (outlook, cost_panel)


def costs_of(budgets: Iterable[Budget]) -> dict[int, Costs]:
    """By budget id. A card belongs to the budget its payout was settled from; two queries for any number of budgets."""
    budgets = list(budgets)
    minors = {budget.pk: dict.fromkeys((*PART_OF.values(), "expected"), 0) for budget in budgets}
    settled = Posting.objects.filter(kind="settle", source__budget__in=budgets)
    owner = Subquery(settled.filter(cause=OuterRef("cause")).values("source__budget")[:1])
    cash = Posting.objects.filter(source__book=Account.Book.CASH, kind__in=PART_OF, cause__in=settled.values("cause"))
    for budget_id, kind, total in (
        cash.annotate(owner=owner).order_by().values_list("owner", "kind").annotate(n=Sum("amount_minor"))
    ):
        minors[budget_id][PART_OF[kind]] += total
    for budget_id, total in _committed(budgets):
        minors[budget_id]["expected"] += total
    return {b.pk: Costs(**{name: Money(n, b.currency) for name, n in minors[b.pk].items()}) for b in budgets}


def _committed(budgets: list[Budget]):
    """(budget id, what its approved and not yet issued cards should cost)."""
    rows = Payout.objects.filter(budget__in=budgets, status__in=(Payout.Status.APPROVED, Payout.Status.ORDERED))
    cost = Coalesce("order__expected_cost_minor", "amount_minor")
    return rows.order_by().values_list("budget").annotate(n=Sum(cost))
