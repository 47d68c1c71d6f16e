"""Screens on the wall: made, changed and taken back by managers; found by the token of their address."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import DomainError, NotAllowed
from incentives.earnings.board_access import rulings
from incentives.earnings.leaderboards import Leaderboard, boards_of, leaderboard
from incentives.portal.models import WallScreen, WallScreenProgram
from incentives.programs.models import Program

S = Program.Status
SHOWN = (S.SCHEDULED, S.ACTIVE, S.PAUSED, S.CLOSING, S.CLOSED)
MOST_PROGRAMS = 12
SEEN_EVERY = timedelta(minutes=1)


class ScreenInvalid(DomainError):
    status = 400
    code = "screen_invalid"


@dataclass(frozen=True, slots=True)
class Made:
    """A screen and its token in clear, which is stored nowhere."""

    screen: WallScreen
    token: str = field(repr=False)


def create_screen(*, actor, name: str, programs: Sequence[Program], seconds: int = 20, look: str = "dark") -> Made:
    """Raises NotAllowed, ScreenInvalid (no program, too many)."""
    _require(actor)
    token, screen = secrets.token_urlsafe(24), WallScreen(created_by=actor)
    _assign(screen, name, programs, seconds, look)
    screen.token_hash = _hash(token)
    with transaction.atomic():
        screen.save(force_insert=True)
        _show(screen, programs)
        audit.record("screen.created", screen, actor=actor, after=_values(screen, programs))
    return Made(screen, token)


def change_screen(
    *, screen: WallScreen, actor, name: str, programs: Sequence[Program], seconds: int, look: str
) -> None:
    """Its address stays. A repeat writes nothing. Raises NotAllowed, ScreenInvalid (also for one that was taken back)."""
    _require(actor)
    with transaction.atomic():
        screen = _locked(screen)
        before = _values(screen, [shown.program for shown in screen.shown.select_related("program")])
        _assign(screen, name, programs, seconds, look)
        if before == (after := _values(screen, programs)):
            return
        screen.save()
        screen.shown.all().delete()
        _show(screen, programs)
        audit.record("screen.changed", screen, actor=actor, before=before, after=after)


def renew_address(*, screen: WallScreen, actor) -> Made:
    """A new address; the one before shows nothing any more. Raises NotAllowed, ScreenInvalid (it was taken back)."""
    _require(actor)
    token = secrets.token_urlsafe(24)
    with transaction.atomic():
        screen = _locked(screen)
        screen.token_hash, screen.seen_at = _hash(token), None
        screen.save(update_fields=["token_hash", "seen_at"])
        audit.record("screen.address_changed", screen, actor=actor)
    return Made(screen, token)


def revoke_screen(*, screen: WallScreen, actor) -> None:
    """Its address shows nothing from now on. A repeat does nothing. Raises NotAllowed."""
    _require(actor)
    with transaction.atomic():
        live = WallScreen.objects.filter(pk=screen.pk, revoked_at__isnull=True)
        if live.update(revoked_at=timezone.now(), revoked_by=actor):
            audit.record("screen.revoked", screen, actor=actor)


def find(token: str) -> WallScreen | None:
    """The live screen at this address. Notes that it was seen, at most once a minute."""
    screen = WallScreen.objects.filter(token_hash=_hash(token), revoked_at__isnull=True).first()
    if screen is not None:
        now = timezone.now()
        lately = Q(seen_at__isnull=True) | Q(seen_at__lt=now - SEEN_EVERY)
        if screen.seen_at is None or screen.seen_at < now - SEEN_EVERY:
            WallScreen.objects.filter(lately, pk=screen.pk).update(seen_at=now)
    return screen


def board_at(screen: WallScreen, now: datetime) -> tuple[Leaderboard | None, int, int]:
    """(the board whose turn it is, its number from 1, how many take turns), the same for every screen at this address.

    None while none of its programs has started or all were put away.
    """
    programs = [shown.program for shown in screen.shown.select_related("program") if shown.program.status in SHOWN]
    turns = [
        (program, definition, board) for program, definition in rulings(programs) for board in boards_of(definition)
    ]
    if not turns:
        return None, 0, 0
    at = int(now.timestamp()) // screen.seconds % len(turns)
    program, definition, board = turns[at]
    return leaderboard(program, board, definition), at + 1, len(turns)


def choosable():
    """Programs that may be put on a screen."""
    return Program.objects.filter(status__in=SHOWN).order_by("name", "pk")


def _assign(screen: WallScreen, name: str, programs: Sequence[Program], seconds: int, look: str) -> None:
    if not name.strip():
        raise ScreenInvalid("name: say where the screen hangs.")
    if not 1 <= len(programs) <= MOST_PROGRAMS:
        raise ScreenInvalid(f"programs: choose 1 to {MOST_PROGRAMS} programs.")
    if not 5 <= seconds <= 600:
        raise ScreenInvalid("seconds: 5 to 600 seconds per board.")
    if look not in WallScreen.Look.values:
        raise ScreenInvalid("look: dark or light.")
    if any(program.status not in SHOWN for program in programs):
        raise ScreenInvalid("programs: a draft has no board yet, and one that was put away has none any more.")
    screen.name, screen.seconds, screen.look = name.strip()[:80], seconds, look


def _show(screen: WallScreen, programs: Sequence[Program]) -> None:
    rows = [WallScreenProgram(screen=screen, program=program, position=n) for n, program in enumerate(programs)]
    WallScreenProgram.objects.bulk_create(rows)


def _values(screen: WallScreen, programs: Sequence[Program]) -> dict:
    names = [str(program.public_id) for program in programs]
    return {"name": screen.name, "seconds": screen.seconds, "look": screen.look, "programs": names}


def _locked(screen: WallScreen) -> WallScreen:
    found = WallScreen.objects.select_for_update(of=("self",)).get(pk=screen.pk)
    if found.revoked_at:
        raise ScreenInvalid("This screen was taken back. Make a new one.")
    return found


def _require(actor) -> None:
    if not actor.can("programs.edit"):
        raise NotAllowed("Only program managers may put boards on a screen.")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
