"""Slack and Teams channels for administrators."""

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import ActionPage, Column, Link, ListPage
from incentives.core.pages import crumbs
from incentives.notifications import channels, registry
from incentives.notifications.forms import ChannelForm
from incentives.notifications.models import ChannelEndpoint
from incentives.notifications.views import PARENT

HERE = (_("Chat channels"), "notifications:channels")


def kind_names(endpoint: ChannelEndpoint) -> str:
    found = [registry.find(name) for name in endpoint.kinds]
    return ", ".join(str(one.label) for one in found if one)


def scope(endpoint: ChannelEndpoint) -> str:
    count = len(endpoint.programs)
    return gettext("%(n)s programs") % {"n": count} if count else gettext("Every program")


class ChannelsPage(ListPage):
    permission = "notifications.view"
    title = _("Chat channels")
    lead = _("Slack and Microsoft Teams channels that Laurel writes to, each through an incoming webhook of its own.")
    search = ("name", "host")
    default_sort = "name"
    export_name = "chat-channels"
    actions = (Link(_("New channel"), "notifications:channel-new", channels.PERMISSION, "plus", primary=True),)
    empty_icon, empty_title = "message", _("No channels yet")
    empty_text = _(
        "Make an incoming webhook in Slack, or a workflow for webhook requests in Teams, and enter its address."
    )
    columns = (
        Column("name", _("Name"), sort="name", link=lambda e: e.get_absolute_url()),
        Column("channel", _("Chat"), lambda e: e.get_channel_display(), sort="channel", note="host"),
        Column("kinds", _("What is told there"), kind_names, note=scope),
        Column("status", _("State"), kind="status", sort="status", note="reason"),
        Column("last_ok_at", _("Last taken"), kind="time", sort="last_ok_at"),
        Column("last_error", _("Last error")),
    )

    def get_queryset(self):
        return ChannelEndpoint.objects.all()

    def get_context(self) -> dict:
        return {"crumbs": crumbs(PARENT)}


class ChannelAction(ActionPage):
    permission = channels.PERMISSION
    model = ChannelEndpoint

    def get_queryset(self):
        return ChannelEndpoint.objects.all()

    def get_object(self):
        return super().get_object() if self.kwargs else None

    def get_context(self, thing) -> dict:
        return {"crumbs": crumbs(PARENT, HERE)}

    def success_url(self, thing) -> str:
        return thing.get_absolute_url() if thing else reverse("notifications:channels")


class ChannelEditPage(ChannelAction):
    template_name = "notifications/channel.html"
    form_class = ChannelForm
    submit = _("Save")

    def get_form_kwargs(self, thing) -> dict:
        if thing is None:
            return {"initial": {"language": self.request.user.language}}
        names = ("name", "channel", "kinds", "programs", "language")
        return {"known": True, "initial": {name: getattr(thing, name) for name in names}}

    def get_context(self, thing) -> dict:
        return super().get_context(thing) | {"title": thing.name if thing else gettext("New channel"), "channel": thing}

    def success_url(self, thing) -> str:
        return reverse("notifications:channels")

    def perform(self, thing, data: dict) -> str:
        channels.save_channel(actor=self.request.user, endpoint=thing, **data)
        return gettext("Saved. Send a test to see whether it arrives.")


class TestPage(ChannelAction):
    title, submit = _("Send a test message?"), _("Send the test")
    text = _("Everybody in the channel will see it.")

    def perform(self, thing, data: dict) -> str:
        channels.try_channel(actor=self.request.user, endpoint=thing)
        return gettext("The chat took the test message.")


class OffPage(ChannelAction):
    title, submit = _("Turn this channel off?"), _("Turn it off")
    text = _("Nothing goes there any more. What waits for it is left out.")
    danger = True

    def perform(self, thing, data: dict) -> str:
        channels.set_active(actor=self.request.user, endpoint=thing, active=False)
        return gettext("Turned off.")


class OnPage(ChannelAction):
    title, submit = _("Turn this channel on?"), _("Turn it on")

    def perform(self, thing, data: dict) -> str:
        channels.set_active(actor=self.request.user, endpoint=thing, active=True)
        return gettext("Turned on.")
