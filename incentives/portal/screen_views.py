"""Screens on the wall: the page a screen shows without signing in, and where managers make and take back its address."""

from datetime import timedelta

from django import forms
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.listing import ActionPage, Column, DetailPage, Link, ListPage, Tab
from incentives.core.pages import crumbs
from incentives.earnings.board_names import shown_name
from incentives.earnings.board_views import in_zone
from incentives.earnings.leaderboards import Leaderboard, Shown
from incentives.earnings.wording import prize_words
from incentives.portal import screens
from incentives.portal.models import WallScreen
from incentives.programs.models import Program
from incentives.programs.pages import LIST

SCREENS = (_("Wall screens"), "portal:screens")
LINES = 10
WORDS = {"revoked": _("Taken back"), "active": _("In use"), "new": _("Never opened")}
ENDED = (Program.Status.CLOSED, Program.Status.ARCHIVED)


# --- what hangs on the wall -------------------------------------------------------------------------------------------
class WallPage(View):
    """`/boards/<token>/`: no sign-in; an address nobody made, or that was taken back, is 404. To htmx the part that refreshes."""

    def get(self, request, token: str) -> HttpResponse:
        screen = screens.find(token)
        if screen is None:
            raise Http404
        part = request.headers.get("HX-Target") == "wall"
        response = render(request, "wall/_board.html" if part else "wall/screen.html", context(screen))
        response["Cache-Control"] = "no-store"
        response["Referrer-Policy"] = "no-referrer"
        return response


def context(screen: WallScreen) -> dict:
    now = timezone.now()
    board, turn, turns = screens.board_at(screen, now)
    found = {"screen": screen, "board": board, "turn": turn, "turns": turns, "refresh": min(10, screen.seconds)}
    if board is None:
        return found
    ended = board.sealed is not None or board.program.status in ENDED
    return found | {
        "lines": lines(board),
        "more": max(len(board.rows) - LINES, 0),
        "prizes": prize_words(board)[:5],
        "ended": ended,
        "closes": in_zone(board.closes, board.definition.time_zone),
        "left": "" if ended else time_left(board.closes - now),
        "age": max(now - board.as_of, timedelta(0)) if board.as_of and not ended else None,
    }


def lines(board: Leaderboard) -> list[dict]:
    """The first rows with as much of each name as the program allows."""
    found = []
    for at in range(min(LINES, len(board.rows))):
        row = Shown(board, at)
        name, note = shown_name(row, board.program)
        found.append({"shown": row, "name": name, "note": note})
    return found


def time_left(left: timedelta) -> str:
    """`3 days`, `5 hours`, `12 minutes`; empty when it is over."""
    minutes = int(left.total_seconds()) // 60
    if minutes <= 0:
        return ""
    if minutes < 60:
        return ngettext("%(n)s minute left", "%(n)s minutes left", minutes) % {"n": minutes}
    if minutes < 48 * 60:
        return ngettext("%(n)s hour left", "%(n)s hours left", minutes // 60) % {"n": minutes // 60}
    days = minutes // (24 * 60)
    return ngettext("%(n)s day left", "%(n)s days left", days) % {"n": days}


# --- where it is made -------------------------------------------------------------------------------------------------
class ScreensPage(ListPage):
    permission = "programs.view"
    title = _("Wall screens")
    lead = _("Leaderboards for a screen on the wall: live, without signing in, until you take the address back.")
    search = ("name",)
    search_hint = _("Name")
    default_sort = "name"
    empty_icon, empty_title = "trophy", _("No screen yet")
    empty_text = _("Make an address and open it in the browser of a screen.")
    empty_action = Link(_("New screen"), "portal:screen-new", "programs.edit")
    actions = (Link(_("New screen"), "portal:screen-new", "programs.edit", "plus", primary=True),)
    tabs = (
        Tab("live", _("Live"), lambda _user: screens.Q(revoked_at__isnull=True)),
        Tab("revoked", _("Taken back"), lambda _user: screens.Q(revoked_at__isnull=False)),
    )
    columns = (
        Column("name", _("Name"), sort="name", link=True),
        Column("programs", _("Programs"), lambda row: ", ".join(shown.program.name for shown in row.shown.all())),
        Column("state", _("State"), "status", kind="status", words=WORDS),
        Column("seen_at", _("Last opened"), kind="time", sort="seen_at"),
        Column("created_by", _("Made by"), "created_by", sort="created_by__name"),
        Column("created_at", _("Made"), kind="time", sort="created_at"),
    )

    def get_context(self) -> dict:
        return {"crumbs": crumbs(LIST)}

    def get_queryset(self):
        return WallScreen.objects.select_related("created_by").prefetch_related("shown__program")


class ScreenPage(DetailPage):
    permission = "programs.view"
    template_name = "portal/screen.html"
    parent = SCREENS

    def get_queryset(self):
        return WallScreen.objects.select_related("created_by", "revoked_by").prefetch_related("shown__program")

    def get_context(self, thing) -> dict:
        return {"word": WORDS[thing.status], "crumbs": crumbs(LIST, SCREENS)}


class ScreenForm(forms.Form):
    name = forms.CharField(
        label=_("Name"), max_length=80, help_text=_("Where it hangs, for example Sales floor, Lyon.")
    )
    programs = forms.ModelMultipleChoiceField(
        label=_("Programs"), queryset=Program.objects.none(), widget=forms.CheckboxSelectMultiple,
        help_text=_("Several take turns, and so do several contests of one program."),
    )  # fmt: skip
    seconds = forms.IntegerField(
        label=_("Seconds per board"), min_value=5, max_value=600, initial=20, help_text=_("Where several take turns.")
    )
    look = forms.ChoiceField(label=_("Look"), choices=WallScreen.Look.choices, initial=WallScreen.Look.DARK)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["programs"].queryset = screens.choosable()


class ScreenAction(ActionPage):
    permission = "programs.edit"

    def get_queryset(self):
        return WallScreen.objects.all()

    def get_context(self, thing) -> dict:
        return {"crumbs": crumbs(LIST, SCREENS)}

    def success_url(self, thing) -> str:
        return thing.get_absolute_url() if thing else reverse("portal:screens")


class IssuingAction(ScreenAction):
    """Answers with the address, which is shown this once, instead of a redirect."""

    made: screens.Made | None = None

    def post(self, request, *args, **kwargs):
        response = super().post(request, *args, **kwargs)
        if self.made is None:
            return response
        address = request.build_absolute_uri(reverse("portal:wall", args=[self.made.token]))
        values = {"screen": self.made.screen, "address": address, "crumbs": crumbs(LIST, SCREENS)}
        response = render(request, "portal/screen_made.html", values)
        response["Cache-Control"] = "no-store"
        return response


class NewScreenPage(IssuingAction):
    form_class = ScreenForm
    title, submit = _("New screen"), _("Make the address")

    def perform(self, thing, data: dict) -> str:
        self.made = screens.create_screen(actor=self.request.user, **data | {"programs": list(data["programs"])})
        return ""


class RenewScreenPage(IssuingAction):
    title, submit, danger = _("New address?"), _("Make a new address"), True
    text = _("The present address shows nothing any more at once. Open the new one on the screen.")

    def perform(self, thing, data: dict) -> str:
        self.made = screens.renew_address(screen=thing, actor=self.request.user)
        return ""


class EditScreenPage(ScreenAction):
    form_class = ScreenForm
    title, submit = _("Change the screen"), _("Save")

    def get_form_kwargs(self, thing) -> dict:
        chosen = [shown.program_id for shown in thing.shown.all()]
        return {"initial": {"name": thing.name, "programs": chosen, "seconds": thing.seconds, "look": thing.look}}

    def perform(self, thing, data: dict) -> str:
        screens.change_screen(screen=thing, actor=self.request.user, **data | {"programs": list(data["programs"])})
        return gettext("Saved. The screen shows it with its next refresh.")


class RevokeScreenPage(ScreenAction):
    title, submit, danger = _("Take this address back?"), _("Take it back"), True
    text = _("The screen shows nothing any more. To show boards there again, make a new screen.")

    def perform(self, thing, data: dict) -> str:
        screens.revoke_screen(screen=thing, actor=self.request.user)
        return gettext("Taken back. The address shows nothing any more.")
