"""What reports tell: recipients of cards they have not opened, and finance where the provider's list differs from ours."""

from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from incentives.notifications import Content, Item, Reader, kind
from incentives.reports import ageing
from incentives.reports.comparison_models import ProviderDifference
from incentives.reports.comparisons import DIFFERS

SHOWN = 20


def reminder(items: list[Item], reader: Reader) -> Content | None:
    """The cards that are not known to be opened still; None when all were opened meanwhile. A link to the recipient's own
    page, behind their sign-in; never the claim link."""
    asked = ageing.delivered_cards().filter(public_id__in=[item.data["payout"] for item in items])
    cards = list(asked.exclude(opening=ageing.OPENED).select_related("program").order_by("pk"))
    if not cards:
        return None
    subject = ngettext("A reward waits for you", "%(n)s rewards wait for you", len(cards)) % {"n": len(cards)}
    context = {"cards": cards, "mailed": any(card.opening == ageing.UNKNOWN for card in cards)}
    return Content(subject, context, link=reverse("portal:rewards"), link_label=gettext("Look at my rewards"))


kind(
    ageing.KIND,
    label=_("A reward of mine is not opened"),
    about=_("A reminder of rewards that were sent and not opened."),
    content=reminder,
    template="reward_reminder",
)


def differs(items: list[Item], reader: Reader) -> Content | None:
    """The differences by their numbers and words; what they say stays true, whatever was found out since."""
    rows = ProviderDifference.objects.filter(public_id__in=[item.data["difference"] for item in items]).order_by("pk")
    count = rows.count()
    if not count:
        return None
    shown = list(rows[:SHOWN])
    subject = ngettext(
        "The provider's list differs from ours: %(n)s difference", "The provider's list differs from ours: %(n)s differences", count
    )  # fmt: skip
    return Content(
        subject % {"n": count},
        {"rows": shown, "more": max(0, count - SHOWN)},
        summary="\n".join(f"{row.reference}: {row.message}" for row in shown),
        link=reverse("reports:comparisons"),
        link_label=gettext("Look at the comparisons"),
    )


kind(
    DIFFERS,
    label=_("The provider's list differs from ours"),
    about=_("The daily comparison found a difference that was not there before."),
    content=differs,
    template="provider_differs",
    duty=True,
    chat=True,
    permission="reconciliation.edit",
)
