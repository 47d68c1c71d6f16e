"""Telling finance and a budget's owner that much of it is used, once per crossing. Called by the sweep.

A threshold is per cent of what was allocated to the budget itself (not to those below it), or an amount that should be
left. It is crossed at most once until money came in: what a released payout gives back and the next takes again tells
nobody anything new. A unique constraint on open alerts makes two sweeps at once write one.
"""

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext

from incentives.accounts.models import User
from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.core.templatetags.laurel import money_text
from incentives.ledger import deposits
from incentives.ledger.errors import BudgetInvalid
from incentives.ledger.kinds import ALERT
from incentives.ledger.models import Budget, BudgetAlert, DepositEntry, Posting
from incentives.ledger.selectors import BudgetFigures, budget_figures
from incentives.notifications import CHATS, notify
from rewards.money import Money

MOST_PERCENTS = 6
SHOWN = 8
DEPOSIT, LEFT = BudgetAlert.DEPOSIT, BudgetAlert.LEFT
STANDING = Q(ended_at__isnull=True, standing=True)


def sweep_once(now: datetime | None = None) -> dict[str, int]:
    """What the sweep calls."""
    now = now or timezone.now()
    return {"alerts": watch_budgets(now) + watch_deposits(now)}


# --- settings of a budget ---------------------------------------------------------------------------------------------------
def set_thresholds(*, budget: Budget, percents: list[int], left: Money | None, actor) -> Budget:
    """When to tell. A repeat changes nothing. Raises NotAllowed, BudgetInvalid."""
    if not actor.can("budgets.fund"):
        raise NotAllowed("Only finance may change when it is told.")
    percents = sorted(set(percents))
    if len(percents) > MOST_PERCENTS or not all(1 <= percent <= 100 for percent in percents):
        raise BudgetInvalid(f"Expected up to {MOST_PERCENTS} whole numbers from 1 to 100, for example 75, 90, 100.")
    if left is not None and (left.currency != budget.currency or left.minor <= 0):
        raise BudgetInvalid(f"Expected an amount above zero in {budget.currency}, or none.")
    with transaction.atomic():
        row = Budget.objects.select_for_update(no_key=True, of=("self",)).get(pk=budget.pk)
        before, after = _told(row.alert_percents, row.alert_left_minor), _told(percents, left.minor if left else None)
        if before != after:
            row.alert_percents, row.alert_left_minor = percents, after["left_minor"]
            row.save(update_fields=["alert_percents", "alert_left_minor"])
            audit.record("budget.thresholds_set", row, actor=actor, before=before, after=after)
    return row


def _told(percents, left_minor) -> dict:
    return {"percents": list(percents), "left_minor": left_minor}


# --- finding ------------------------------------------------------------------------------------------------------------
def crossed(budget: Budget, figures: BudgetFigures) -> list[str]:
    """The thresholds that are crossed now, the least severe first. Nothing allocated crosses none."""
    if not figures.allocated.minor:
        return []
    used, whole = figures.used.minor * 100, figures.allocated.minor
    found = [str(percent) for percent in budget.alert_percents if used >= percent * whole]
    if budget.alert_left_minor is not None and figures.available.minor < budget.alert_left_minor:
        found.append(LEFT)
    return found


def watch_budgets(now: datetime) -> int:
    """Write an alert for each new crossing, end those after a replenishment. Returns how many crossings were new."""
    budgets = list(Budget.objects.filter(is_active=True).select_related("owner"))
    figures = budget_figures(budgets)
    open_ones: dict[int, dict[str, BudgetAlert]] = {budget.pk: {} for budget in budgets}
    for alert in BudgetAlert.objects.filter(budget__in=budgets, ended_at__isnull=True):
        open_ones[alert.budget_id][alert.threshold] = alert
    new = 0
    for budget in budgets:
        now_crossed, known = crossed(budget, figures[budget.pk]), open_ones[budget.pk]
        for threshold, alert in known.items():
            _follow(alert, threshold in now_crossed, _came_in(budget, alert), now)
        new += _tell(budget, figures[budget.pk], [t for t in now_crossed if t not in known], now)
    return new


def _follow(alert: BudgetAlert, standing: bool, replenished, now: datetime) -> None:
    """Whether it is still crossed. One that is not, after money came in, ends, and may be crossed anew."""
    if standing != alert.standing:
        BudgetAlert.objects.filter(pk=alert.pk).update(standing=standing)
    if not standing and replenished():
        BudgetAlert.objects.filter(pk=alert.pk, ended_at__isnull=True).update(ended_at=now)


def _came_in(budget: Budget, alert: BudgetAlert):
    into = Posting.objects.filter(
        destination__budget=budget, kind__in=("allocate", "transfer"), posted_at__gte=alert.at
    )
    gone = alert.threshold != LEFT and alert.threshold not in {str(percent) for percent in budget.alert_percents}
    gone |= alert.threshold == LEFT and budget.alert_left_minor is None
    return lambda: gone or into.exists()


def _tell(budget: Budget, figures: BudgetFigures, thresholds: list[str], now: datetime) -> int:
    """All new crossings of a budget; the mail goes with the most severe and names the state."""
    if not thresholds:
        return 0
    rows = [
        BudgetAlert(
            budget=budget,
            currency=budget.currency,
            threshold=threshold,
            limit_minor=budget.alert_left_minor if threshold == LEFT else None,
            available_minor=figures.available.minor,
            allocated_minor=figures.allocated.minor,
            at=now,
        )
        for threshold in thresholds
    ]
    return _write(rows, recipients(budget))


def _write(rows: list[BudgetAlert], people: list[User]) -> int:
    """Alerts of one subject, the most severe last: the one that is told."""
    try:
        with transaction.atomic():
            for row in rows:
                row.save()
                after = {"threshold": row.threshold, "available": str(row.available)}
                audit.record("budget.alert" if row.budget else "deposit.alert", row.budget or row, after=after)
            worst = rows[-1]
            notify(ALERT, to=people, key=f"alert:{worst.pk}", data={"alert": worst.pk})
            notify(ALERT, to=CHATS, key=f"alert:{worst.pk}", data={"alert": worst.pk})
    except IntegrityError:  # another process told of it in this moment
        return 0
    return len(rows)


def watch_deposits(now: datetime) -> int:
    """The same for the deposit account, per currency with a limit: open until a deposit was entered and it suffices."""
    new = 0
    known = {a.currency: a for a in BudgetAlert.objects.filter(budget__isnull=True, ended_at__isnull=True)}
    limited = {e.currency: e for e in deposits.estimates(only_limited=True)}
    for currency, alert in known.items():
        low = currency in limited and limited[currency].is_low
        entered = DepositEntry.objects.filter(currency=currency, amount_minor__gt=0, entered_at__gte=alert.at)
        _follow(alert, low, lambda currency=currency, entered=entered: currency not in limited or entered.exists(), now)
    for currency, estimate in limited.items():
        if estimate.is_low and currency not in known:
            row = BudgetAlert(
                currency=currency,
                threshold=DEPOSIT,
                limit_minor=estimate.low.minor,
                available_minor=estimate.balance.minor,
                at=now,
            )
            new += _write([row], recipients())
    return new


def recipients(budget: Budget | None = None) -> list[User]:
    """Finance, and whose budget it is; everybody once."""
    from incentives.accounts.permissions import roles_with

    people = Q(role_set__role__in=roles_with("budgets.fund"))
    if budget is not None and budget.owner_id:
        people |= Q(pk=budget.owner_id)
    return list(User.objects.filter(people, is_active=True).distinct().order_by("pk"))


# --- showing ------------------------------------------------------------------------------------------------------------
def words_of(alert: BudgetAlert) -> str:
    """The threshold in a few words."""
    if alert.threshold == DEPOSIT:
        return gettext("Deposit below %(amount)s") % {"amount": money_text(alert.limit)}
    if alert.threshold == LEFT:
        return gettext("Below %(amount)s left") % {"amount": money_text(alert.limit)}
    return gettext("%(n)s %% used") % {"n": alert.threshold}


def standing_alerts(user=None) -> list[tuple[Budget, BudgetFigures, str]]:
    """(budget, its figures, the most severe threshold in words) of the budgets with a crossed one, the newest first; those
    of a person's own programs and budgets when one is given. Three queries at most."""
    found = BudgetAlert.objects.filter(STANDING, budget__is_active=True).select_related("budget")
    if user is not None:
        found = found.filter(Q(budget__owner=user) | Q(budget__programs__owner=user)).distinct()
    latest: dict[int, BudgetAlert] = {}
    for alert in found.order_by("-at", "-pk")[:200]:
        latest.setdefault(alert.budget_id, alert)
    alerts = list(latest.values())[:SHOWN]
    figures = budget_figures([alert.budget for alert in alerts]) if alerts else {}
    return [(alert.budget, figures[alert.budget_id], words_of(alert)) for alert in alerts]
