"""What budgets and the provider's deposit tell finance, a budget's owner and the chat channels."""

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.ledger.alerts import STANDING, words_of
from incentives.ledger.kinds import ALERT
from incentives.ledger.models import BudgetAlert
from incentives.notifications import Content, Item, Reader, kind


def alert(items: list[Item], reader: Reader) -> Content | None:
    """What is still crossed, each budget and deposit once with its newest threshold; None when money came in meanwhile."""
    found = BudgetAlert.objects.filter(STANDING, pk__in=[item.data["alert"] for item in items]).select_related("budget")
    latest = {(row.budget_id, row.currency): row for row in found.order_by("at", "pk")}
    rows = [(row, words_of(row)) for row in latest.values() if row.budget is None or row.budget.is_active]
    if not rows:
        return None
    names = [f"{row.budget}: {words}" if row.budget else words for row, words in rows]
    subject = names[0] if len(rows) == 1 else gettext("%(n)s budgets run low") % {"n": len(rows)}
    deposits = [row for row, _words in rows if row.budget is None]
    if len(rows) == 1:
        link = reverse("ledger:deposits") if deposits else rows[0][0].budget.get_absolute_url()
    else:
        link = reverse("ledger:budgets")
    return Content(subject, {"rows": rows}, summary="\n".join(names), link=link, link_label=gettext("Look at it"))


kind(
    ALERT,
    label=_("A budget runs low"),
    about=_("A budget passed one of its thresholds, or the deposit at the provider is low."),
    content=alert,
    template="budget_alert",
    duty=True,
    chat=True,
    permission=("budgets.fund", "budgets.view"),
)
