"""What budgets and the provider's deposit tell finance. Whoever finds a threshold crossed calls `budget_alert`."""

from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from incentives.accounts.selectors import people_who_can
from incentives.ledger.models import Budget
from incentives.ledger.selectors import budget_figures
from incentives.notifications import CHATS, Content, Item, Reader, kind, notify

ALERT = "budgets.alert"


def budget_alert(budget: Budget, *, key: str, percent: int, people=None) -> None:
    """Tell finance (or `people`) and the chat channels that `percent` of a budget's money is spoken for; in the transaction
    that notes it. `key` names the crossing (`80:2026-07`): it is told once."""
    told = {"key": f"{budget.public_id}:{key}", "data": {"budget": str(budget.public_id), "percent": percent}}
    notify(ALERT, to=people_who_can("budgets.fund") if people is None else people, **told)
    notify(ALERT, to=CHATS, **told)


def alert(items: list[Item], reader: Reader) -> Content | None:
    """The budgets as they stand now; those that were given up are left out."""
    crossed = {item.data["budget"]: item.data["percent"] for item in items}
    budgets = list(Budget.objects.filter(public_id__in=crossed, is_active=True).order_by("name"))
    if not budgets:
        return None
    figures = budget_figures(budgets)
    rows = [(budget, crossed[str(budget.public_id)], figures[budget.pk]) for budget in budgets]
    subject = ngettext("Budget “%(name)s” is %(percent)s %% used", "%(n)s budgets are nearly used up", len(rows))
    summary = [gettext("%(name)s: %(room)s left") % {"name": b, "room": f.available} for b, _percent, f in rows]
    return Content(
        subject % {"name": rows[0][0], "percent": rows[0][1], "n": len(rows)},
        {"rows": rows},
        summary="\n".join(summary),
        link=reverse("ledger:budgets"),
        link_label=gettext("Look at the budgets"),
    )


kind(
    ALERT,
    label=_("A budget runs low"),
    about=_("A budget passed one of its thresholds."),
    content=alert,
    template="budget_alert",
    duty=True,
    chat=True,
    permission=("budgets.fund", "budgets.view"),
)
