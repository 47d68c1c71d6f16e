"""What contests tell: that one has begun, that half of it is over with one's own rank, and how it ended."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.earnings.board_access import own_group
from incentives.earnings.leaderboards import Leaderboard, boards_of, leaderboard, ruling
from incentives.notifications import CHATS, Content, Item, Reader, announced, kind, notify, once
from incentives.participants.models import Participant
from incentives.programs.eligibility import eligible_people
from incentives.programs.life import last_definition
from incentives.programs.models import Program, ProgramVersion
from incentives.programs.rules.contests import rank_rewards
from incentives.programs.rules.periods import window
from incentives.programs.rules.schema import Definition
from incentives.programs.versions import definition_of

STARTED, HALFWAY, ENDED = "contests.started", "contests.halfway", "contests.ended"
S = Program.Status
FRESH = timedelta(days=3)
"""What came due longer ago is not announced any more: an installation that was away, or got this later, stays silent."""


# --- who is told and when -------------------------------------------------------------------------------------------------
def announce_due(now: datetime | None = None) -> int:
    """Tell everybody eligible of the contests that began, are half over or were sealed. The sweep calls it.

    Each step of a program is announced once. Returns how many were; a repeat announces none.
    """
    now = now or timezone.now()
    due = [(program, name) for program, name, moment in _steps(now) if moment <= now < moment + FRESH]
    known = announced([f"{name}:{program.public_id}" for program, name in due])
    return sum(_announce(program, name) for program, name in due if f"{name}:{program.public_id}" not in known)


def _steps(now: datetime) -> Iterator[tuple[Program, str, datetime]]:
    """(program, what to announce, when). Two queries for any number of programs."""
    running = ProgramVersion.objects.filter(published_at__isnull=False, program__status=S.ACTIVE).order_by("number")
    newest = {version.program_id: version for version in running.select_related("program").defer("definition")}
    for version in newest.values():
        definition = definition_of(version)
        if rank_rewards(definition):
            first, end = window(definition)
            yield version.program, STARTED, first
            yield version.program, HALFWAY, first + (end - first) / 2
    sealed = Program.objects.filter(contest_seal__contests__gt=0, contest_seal__ranked_seq__gt=0)
    for program in sealed.filter(contest_seal__sealed_at__gt=now - FRESH).select_related("contest_seal"):
        yield program, ENDED, program.contest_seal.sealed_at


def _announce(program: Program, name: str) -> int:
    with transaction.atomic():
        if not once(f"{name}:{program.public_id}"):
            return 0
        people = eligible_people(program, last_definition(program)).filter(active=True).select_related("user")
        told = {"key": str(program.public_id), "data": {"program": str(program.public_id)}}
        notify(name, to=list(people.order_by("pk")), **told)
        notify(name, to=CHATS, program=str(program.public_id), **told)
    return 1


# --- what is said -----------------------------------------------------------------------------------------------------------
def _contests(name: str):
    def render(items: list[Item], reader: Reader) -> Content | None:
        ids = {item.data["program"] for item in items}
        programs = Program.objects.filter(public_id__in=ids).order_by("ends_on", "pk")
        states = (S.CLOSING, S.CLOSED, S.ARCHIVED) if name == ENDED else (S.ACTIVE,)
        shown = [_shown(program, name, reader) for program in programs if program.status in states]
        return _content(name, shown, reader) if shown else None

    return render


def _content(name: str, shown: list[dict], reader: Reader) -> Content:
    subject = _subject(name, shown)
    here = reader.user is not None and reader.user.can("me.view")
    link = reverse("portal:boards") if here else ""
    if reader.chat:
        link = reverse("programs:list")
    summary = "\n".join(" ".join((row["name"], *row["lines"])) for row in shown)
    return Content(subject, {"contests": shown}, summary=summary, link=link, link_label=gettext("Look at the standing"))


def _subject(name: str, shown: list[dict]) -> str:
    words = {"name": shown[0]["name"], "n": len(shown)}
    if len(shown) > 1:
        many = {
            STARTED: gettext("%(n)s contests have begun"),
            HALFWAY: gettext("%(n)s contests are half over"),
            ENDED: gettext("%(n)s contests have ended"),
        }
        return many[name] % words
    one = {
        STARTED: gettext("The contest “%(name)s” has begun"),
        HALFWAY: gettext("Half of the contest “%(name)s” is over"),
        ENDED: gettext("The contest “%(name)s” has ended"),
    }
    return one[name] % words


def _shown(program: Program, name: str, reader: Reader) -> dict:
    definition = ruling(program)
    if name == ENDED:
        lines = [gettext("The standing is final.")]
    else:
        last = date_format(definition.ends_on, gettext("j F Y"))
        lines = [gettext("It runs until %(day)s.") % {"day": last}]
    if not reader.chat and name != STARTED:
        lines += _own_lines(program, definition, reader)
    return {"name": program.name, "lines": lines}


def _own_lines(program: Program, definition: Definition, reader: Reader) -> list[str]:
    """The reader's own place on each contest's board; nothing of others."""
    mine = _participant(reader)
    if mine is None:
        return []
    lines = []
    for board in boards_of(definition):
        if board.is_contest:
            found = leaderboard(program, board, definition)
            lines += _place(found, own_group(program, board, mine))
    return lines


def _participant(reader: Reader) -> Participant | None:
    if reader.user is not None:
        return Participant.objects.filter(user=reader.user).select_related("team", "partner").first()
    ident = reader.ref.removeprefix("participant:")
    return Participant.objects.filter(public_id=ident).select_related("team", "partner").first()


def _place(board: Leaderboard, group: str | None) -> list[str]:
    at = board.position.get(group)
    if at is None:
        return []
    row, count = board.rows[at], len(board.rows)
    words = {"rank": row.rank, "count": count, "prize": board.prize(row)}
    if board.sealed and row.prize_minor and board.board.reward.by == "participant":
        return [gettext("You finished on rank %(rank)s of %(count)s and won %(prize)s.") % words]
    if board.sealed and board.board.reward.by == "participant":
        return [gettext("You finished on rank %(rank)s of %(count)s.") % words]
    if board.sealed:
        return [gettext("Your team finished on rank %(rank)s of %(count)s.") % words]
    if board.board.reward.by == "participant":
        return [gettext("You are on rank %(rank)s of %(count)s now: %(gap)s.") % {**words, "gap": board.gap(at)}]
    return [gettext("Your team is on rank %(rank)s of %(count)s now: %(gap)s.") % {**words, "gap": board.gap(at)}]


ABOUT = {
    STARTED: (_("A contest begins"), _("A contest you can take part in has begun.")),
    HALFWAY: (_("A contest is half over"), _("Half the time of a contest is over, with your place in it.")),
    ENDED: (_("A contest has ended"), _("The final standing of a contest, with your place in it.")),
}
for _name, (_label, _about) in ABOUT.items():
    kind(
        _name,
        label=_label,
        about=_about,
        content=_contests(_name),
        template="contest",
        chat=True,
        permission="me.view",
        expires=timedelta(days=3),
    )
