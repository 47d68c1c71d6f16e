"""What the pages under one program share: the program, its tabs and the way back."""

from functools import cached_property

from django.shortcuts import get_object_or_404
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

from incentives.core.pages import crumbs
from incentives.programs.models import Program
from incentives.programs.rules.schema import Definition
from incentives.programs.selectors import definition_of, visible_programs

LIST = (_("Programs"), "programs:list")
TABS = (
    ("overview", _("Overview"), "programs:program"),
    ("people", _("Who can earn"), "programs:people"),
    ("leaderboard", _("Leaderboard"), "earnings:leaderboard"),
    ("participants", _("Participants"), "earnings:participants"),
    ("earnings", _("Earnings"), "earnings:earnings"),
    ("targets", _("Targets"), "programs:targets"),
    ("exceptions", _("Exceptions"), "earnings:exceptions"),
    ("terms", _("Terms"), "programs:terms"),
    ("versions", _("Versions"), "programs:versions"),
)


def tabs(program: Program, current: str) -> list[dict]:
    """Links for components/tabs.html. A part whose page does not exist is left out."""
    found = []
    for key, label, name in TABS:
        try:
            url = reverse(name, args=[program.public_id])
        except NoReverseMatch:
            continue
        found.append({"url": url, "label": label, "current": key == current})
    return found


class ProgramPart:
    """Mixin of a page about one part of a program; goes before Guarded. A program one may not see answers 404."""

    permission = "programs.view"
    part = ""
    program_key = "public_id"

    @cached_property
    def program(self) -> Program:
        found = visible_programs(self.request.user).select_related("budget", "owner")
        return get_object_or_404(found, public_id=self.kwargs[self.program_key])

    @cached_property
    def definition(self) -> Definition:
        return definition_of(self.program)

    def frame(self) -> dict:
        own = [(self.program.name, self.program.get_absolute_url())] if self.part != "overview" else []
        return {
            "program": self.program,
            "program_tabs": tabs(self.program, self.part),
            "crumbs": crumbs(LIST, *own),
        }
