"""How much of a competitor's name others see: what the program allows (`Program.board_names`)."""

from incentives.earnings.leaderboards import Shown
from incentives.programs.models import Program

NOBODY = object()
"""The reader of a screen on the wall: of no organisation."""


def shown_name(row: Shown, program: Program, reader_partner: int | object | None = NOBODY) -> tuple[str, str]:
    """(name, note) of a competitor for somebody else. Teams and organisations are named; people of another partner organisation
    than the reader's by that organisation alone, unless the program shows names in full; the rest as the program says."""
    if row.person is None:
        return row.name, row.note
    if program.board_names == Program.Names.FULL:
        return row.name, row.note
    if row.partner is not None and row.partner[0] != reader_partner:
        return row.partner[1], ""
    if program.board_names == Program.Names.HIDDEN:
        return row.note or "–", ""
    return short_name(row.name), row.note


def short_name(name: str) -> str:
    """`Ana-Luc\u00eda F.`"""
    first, *rest = name.split() or [name]
    return f"{first} {rest[-1][0]}." if rest else first
