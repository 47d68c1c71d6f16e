"""Reading the ledger: budget figures, balances from postings, and the checks."""

from dataclasses import dataclass

from django.db.models import F, OuterRef, Q, Subquery, Sum

from incentives.ledger.accounts import BUCKETS
from incentives.ledger.models import Account, Budget, Posting
from rewards.money import Money


@dataclass(frozen=True, slots=True)
class BudgetFigures:
    """A budget's buckets. allocated = available + reserved + committed + spent, always."""

    available: Money
    reserved: Money
    committed: Money
    spent: Money

    @property
    def allocated(self) -> Money:
        return self.available + self.reserved + self.committed + self.spent

    @property
    def used(self) -> Money:
        """What is no longer available: reserved, committed and spent."""
        return self.reserved + self.committed + self.spent

    @property
    def tone(self) -> str:
        """How a bar of it looks: `warn` from 90 % used on, `danger` when nothing is left."""
        if self.allocated and not self.available:
            return "danger"
        return "warn" if self.used.minor * 10 >= self.allocated.minor * 9 and self.allocated else ""

    def share(self, bucket: str) -> int:
        """Per cent of what was allocated, whole numbers, for a bar."""
        whole = self.allocated.minor
        return round(getattr(self, bucket).minor * 100 / whole) if whole else 0


def budget_figures(budgets) -> dict[int, BudgetFigures]:
    """Figures by budget id, in one query for any number of budgets."""
    budgets = list(budgets)
    balances = {budget.pk: {} for budget in budgets}
    for account in Account.objects.filter(budget__in=budgets):
        balances[account.budget_id][account.bucket] = account.balance
    return {pk: BudgetFigures(**buckets) for pk, buckets in balances.items()}


def visible_budgets(user):
    """What this person may see: everything or nothing."""
    return Budget.objects.all() if user.can("budgets.view") else Budget.objects.none()


def with_buckets(budgets):
    """Each budget with `available_minor`, `reserved_minor`, `committed_minor`, `spent_minor` and their sum
    `allocated_minor`, all sortable. Adds no query."""
    sums = {f"{bucket}_minor": _bucket(bucket) for bucket in BUCKETS}
    return budgets.annotate(**sums).annotate(
        allocated_minor=F("available_minor") + F("reserved_minor") + F("committed_minor") + F("spent_minor")
    )


def _bucket(name: str) -> Subquery:
    return Subquery(Account.objects.filter(budget=OuterRef("pk"), bucket=name).values("balance_minor")[:1])


def postings_of(budget: Budget):
    """Everything that moved in or out of a budget's buckets, in one query."""
    own = Account.objects.filter(budget=budget).values("pk")
    rows = Posting.objects.filter(Q(source__in=own) | Q(destination__in=own))
    return rows.select_related("source__budget", "destination__budget", "actor")


def derived_balances() -> dict[int, int]:
    """The balance of every account from its postings alone, in minor units."""
    balances: dict[int, int] = dict.fromkeys(Account.objects.values_list("pk", flat=True), 0)
    for pk, total in Posting.objects.values_list("destination").annotate(total=Sum("amount_minor")).order_by():
        balances[pk] += total
    for pk, total in Posting.objects.values_list("source").annotate(total=Sum("amount_minor")).order_by():
        balances[pk] -= total
    return balances


def check_postings() -> list[str]:
    """Invariants I1 to I4 in words; empty when all hold."""
    problems = []
    derived = derived_balances()
    books: dict[tuple[str, str], int] = {}
    for account in Account.objects.order_by("pk").iterator():
        value = derived[account.pk]
        books[account.book, account.currency] = books.get((account.book, account.currency), 0) + value
        if account.tracked and account.balance_minor != value:
            problems.append(f"{account.code}: balance {account.balance_minor}, but its postings give {value}")
        if account.tracked and value < 0:
            problems.append(f"{account.code}: below zero ({value})")
    problems += [f"book {book} {currency} does not balance: {v}" for (book, currency), v in books.items() if v]
    crossing = Posting.objects.exclude(source__book=F("destination__book"))
    problems += [f"{posting.key}: moves money between two books" for posting in crossing[:20]]
    mixed = Posting.objects.filter(~Q(source__currency=F("currency")) | ~Q(destination__currency=F("currency")))
    problems += [f"{posting.key}: currency differs from its accounts" for posting in mixed[:20]]
    return problems
