"""What notifications themselves tell."""

from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from incentives.notifications.models import ChannelEndpoint
from incentives.notifications.registry import Content, Item, Reader, kind


def channel_off(items: list[Item], reader: Reader) -> Content | None:
    """Channels that the other side no longer has and nobody turned on again since."""
    ids = {item.data["channel"] for item in items}
    rows = list(ChannelEndpoint.objects.filter(public_id__in=ids, status=ChannelEndpoint.Status.INACTIVE))
    if not rows:
        return None
    subject = ngettext("A chat channel was turned off", "%(n)s chat channels were turned off", len(rows))
    return Content(
        subject % {"n": len(rows)},
        {"channels": rows},
        link=reverse("notifications:channels"),
        link_label=gettext("Look at the channels"),
    )


kind(
    "notifications.channel_off",
    label=_("A chat channel was turned off"),
    about=_("Slack or Teams say that a channel Laurel writes to does not exist any more."),
    content=channel_off,
    template="channel_off",
    duty=True,
    permission="notifications.edit",
)
