"""What disputes tell the participant: that somebody answered, or asks something back."""

from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from incentives.disputes.models import Dispute
from incentives.notifications import Content, Item, Reader, kind

ANSWERED = "disputes.answered"
SHOWN = 20


def answered(items: list[Item], reader: Reader) -> Content | None:
    """Questions whose answer the participant has not opened yet. What was written is read in Laurel."""
    ids = [item.data["dispute"] for item in items]
    rows = Dispute.objects.filter(public_id__in=ids, participant__user=reader.user).order_by("pk")
    disputes = [row for row in rows if row.unread]
    if reader.user is None or not disputes:
        return None
    asked = [row for row in disputes if row.status == Dispute.Status.WAITING]
    if len(asked) == len(disputes):
        subject = ngettext(
            "Somebody asks you something back", "%(n)s of your questions need a word from you", len(asked)
        )
    else:
        subject = ngettext("Your question was answered", "%(n)s of your questions were answered", len(disputes))
    one = len(disputes) == 1
    return Content(
        subject % {"n": len(disputes)},
        {"disputes": disputes[:SHOWN], "more": max(0, len(disputes) - SHOWN)},
        link=disputes[0].own_url if one else reverse("disputes:mine"),
        link_label=gettext("Read the answer") if one else gettext("Look at my questions"),
    )


kind(
    ANSWERED,
    label=_("A question of mine was answered"),
    about=_("Somebody answered a question you asked about what you earned, or asks you something back."),
    content=answered,
    template="disputes_answered",
    permission="disputes.raise",
)
