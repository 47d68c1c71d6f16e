"""Budgets as a tree: company, region, program. A budget's sums are its own money and that of everything below it."""

from django.db import transaction
from django.db.models import Case, F, OuterRef, Q, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.ledger.accounts import BUCKETS
from incentives.ledger.errors import BudgetInvalid
from incentives.ledger.models import Account, Budget

LEVELS = 5
_UP = ["__".join(["parent"] * n) for n in range(LEVELS)]
"""Paths from a budget to itself, its parent, ... as far as a tree may reach."""
PARENTS = _UP[-1]
"""For select_related: all that `path_of` reads."""


def path_of(budget: Budget) -> list[Budget]:
    """The budgets above it, from the top. Adds no query after `select_related(PARENTS)`."""
    above: list[Budget] = []
    while budget.parent is not None and len(above) < LEVELS:
        budget = budget.parent
        above.insert(0, budget)
    return above


def below(budget: Budget) -> list[Budget]:
    """Everything below a budget, in one query."""
    under = Q()
    for path in _UP[1:]:
        under |= Q(**{path: budget})
    return list(Budget.objects.filter(under))


def in_tree_order(budgets):
    """`budgets` with `tree_1` ... `tree_5`, the names from the top down: ordered by them, children follow their parent."""
    names = [f"{path}__name" if path else "name" for path in _UP]
    return budgets.annotate(**{f"tree_{level}": _name_at(names, level) for level in range(1, LEVELS + 1)})


TREE_ORDER = tuple(f"tree_{level}" for level in range(1, LEVELS + 1))


def _name_at(names: list[str], level: int) -> Case:
    deeper = [
        When(**{f"{names[depth - 1]}__isnull": False}, then=F(names[depth - level]))
        for depth in range(LEVELS, level - 1, -1)
    ]
    return Case(*deeper, default=Value(""))


def with_tree_sums(budgets):
    """Each budget with `available_minor`, `reserved_minor`, `committed_minor`, `spent_minor` and their sum
    `allocated_minor`, of itself and everything below it, all sortable. Adds no query."""
    sums = {f"{bucket}_minor": sum((_sum(bucket, path) for path in _UP[1:]), _sum(bucket, "")) for bucket in BUCKETS}
    return budgets.annotate(**sums).annotate(
        allocated_minor=F("available_minor") + F("reserved_minor") + F("committed_minor") + F("spent_minor")
    )


def _sum(bucket: str, path: str) -> Coalesce:
    owner = f"budget__{path}" if path else "budget"
    rows = Account.objects.filter(**{owner: OuterRef("pk")}, bucket=bucket).order_by().values("bucket")
    return Coalesce(Subquery(rows.annotate(n=Sum("balance_minor")).values("n")), Value(0))


# --- placing ------------------------------------------------------------------------------------------------------------
def place(*, budget: Budget, parent: Budget | None, actor) -> Budget:
    """Put a budget, with all below it, under `parent`, or at the top with None. No money moves. A repeat does nothing.

    Raises NotAllowed, BudgetInvalid (below itself, other currency, more than five levels). All budgets are locked in the
    order of their ids, so that two placings cannot make a circle between them.
    """
    if not actor.can("budgets.fund"):
        raise NotAllowed("Only finance may place budgets.")
    with transaction.atomic():
        all_ = {b.pk: b for b in Budget.objects.select_for_update(of=("self",), no_key=True).order_by("pk")}
        budget, old = all_[budget.pk], all_.get(all_[budget.pk].parent_id)
        parent = all_[parent.pk] if parent else None
        if parent == old:
            return budget
        check_place(budget, parent, all_)
        budget.parent = parent
        budget.save(update_fields=["parent"])
        names = [str(b) if b else "" for b in (old, parent)]
        audit.record("budget.placed", budget, actor=actor, before={"parent": names[0]}, after={"parent": names[1]})
    return budget


def check_place(budget: Budget, parent: Budget | None, all_: dict[int, Budget]) -> None:
    """Raises BudgetInvalid when `budget` cannot stand under `parent`. `all_` is every budget by id."""
    if parent is None:
        return
    if parent.currency != budget.currency:
        raise BudgetInvalid(
            f"{parent.name} is kept in {parent.currency} and {budget.name} in {budget.currency}. "
            "A tree of budgets has one currency; choose another parent."
        )
    above, at = [], parent
    while at is not None:
        if at.pk == budget.pk:
            raise BudgetInvalid(f"{parent.name} is below {budget.name} or the same. Choose a budget outside of it.")
        above.append(at)
        at = all_.get(at.parent_id)
    if len(above) + _height(budget, all_) > LEVELS:
        raise BudgetInvalid(f"That would make more than {LEVELS} levels of budgets. Choose a parent further up.")


def _height(budget: Budget, all_: dict[int, Budget]) -> int:
    """Levels of the tree that begins with `budget`."""
    height, level = 0, {budget.pk}
    while level and height <= LEVELS:
        height += 1
        level = {pk for pk, b in all_.items() if b.parent_id in level}
    return height
