"""Programs of one stacking group that reward the same activity for the same participant."""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple


class ProgramLine(NamedTuple):
    """An earning line of one program about one activity, as it stands before stacking."""

    program: str  # id; orders programs that start on the same day
    program_name: str
    starts_on: date
    group: str | None
    rule: str
    participant: str
    fact_id: str | None
    key: str
    amount_minor: int


class Stacked(NamedTuple):
    line: ProgramLine
    amount_minor: int  # the line's amount, or 0 where another program's line takes its place
    explanation: str  # empty where nothing changed


def stack(lines: Iterable[ProgramLine]) -> list[Stacked]:
    """What each line is worth beside the others, in the order given."""
    raise NotImplementedError
