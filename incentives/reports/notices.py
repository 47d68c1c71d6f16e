"""Reminding the recipients of delivered cards: a link to their own page, behind their sign-in; never the claim link."""

from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from incentives.notifications import Content, Item, Reader, kind
from incentives.reports import ageing


def reminder(items: list[Item], reader: Reader) -> Content | None:
    """The cards that are not known to be opened still; None when all were opened meanwhile."""
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
