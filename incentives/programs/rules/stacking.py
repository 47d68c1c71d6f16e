"""Programs of one stacking group that reward the same activity for the same participant."""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple


class ProgramLine(NamedTuple):
    """An earning line of one program about one activity, as it stands before stacking (after caps)."""

    program: int | str  # id; orders programs that start on the same day
    program_name: str
    starts_on: date
    currency: str
    group: str | None
    rule: str  # all, highest or first
    participant: str
    fact_id: str | None
    key: str
    amount_minor: int


class Stacked(NamedTuple):
    line: ProgramLine
    amount_minor: int  # the line's amount, or 0 where another program's takes its place
    explanation: str  # empty where nothing changed


def stack(lines: Iterable[ProgramLine]) -> list[Stacked]:
    """What each line is worth beside the others, in the order given. Repeating it on the same lines changes nothing.

    Lines compete when group, participant and activity are the same. All lines of one program about the activity stand
    or fall together. The rule is that of the program that started first (then by id): `all` keeps everything, `first`
    keeps that program, `highest` the one that pays most for the activity (the first of equals). A program that pays
    nothing for the activity does not compete. Lines without a group or an activity (tiers, prizes) are never touched.
    ValueError when the programs of one group pay in different currencies, because those do not compare.
    """
    lines = list(lines)
    contests: dict[tuple, list[ProgramLine]] = {}
    for line in lines:
        if line.group is not None and line.fact_id is not None:
            contests.setdefault((line.group, line.participant, line.fact_id), []).append(line)
    winners = {key: _winner(found) for key, found in contests.items()}
    return [_stacked(line, winners.get((line.group, line.participant, line.fact_id))) for line in lines]


def _winner(lines: list[ProgramLine]) -> ProgramLine | None:
    """A line of the program whose lines stand alone, or None where all stand."""
    programs: dict[int | str, list[ProgramLine]] = {}
    for line in lines:
        programs.setdefault(line.program, []).append(line)
    sums = {program: sum(line.amount_minor for line in own) for program, own in programs.items()}
    order = sorted((own[0] for own in programs.values() if sums[own[0].program]), key=_start)
    if len(order) < 2 or order[0].rule == "all":
        return None
    if order[0].rule == "first":
        return order[0]
    if len({line.currency for line in order}) > 1:
        raise ValueError(f"the programs of group {order[0].group} pay in different currencies")
    return max(order, key=lambda line: sums[line.program])


def _start(line: ProgramLine) -> tuple[date, int | str]:
    return line.starts_on, line.program


def _stacked(line: ProgramLine, winner: ProgramLine | None) -> Stacked:
    if winner is None or winner.program == line.program or not line.amount_minor:
        return Stacked(line, line.amount_minor, "")
    return Stacked(line, 0, f"Paid by {winner.program_name} instead (stacking group {line.group}).")
