"""The rules of incentive programs as pure functions: no database, no clock, no input or output.

A definition is parsed once (`parse_definition`), facts become credits (`credits_for`), the credits of one participant
become scorecards (`score`), the scorecards of everybody become a standing (`rank_standings`), and programs that reward
the same activity are reconciled by `stack`. The same functions serve the live program, a simulation and a check.
"""

from .conditions import explain
from .contests import rank_standings
from .crediting import credits_for
from .facts import (
    Credit,
    CreditResult,
    Fact,
    Line,
    Person,
    Place,
    Reason,
    Roster,
    Scorecard,
    Split,
    Standing,
    TargetValue,
)
from .parsing import DefinitionError, Problem, canonical, digest, parse_definition, warnings
from .periods import closes_at, period_end, period_start, window
from .schema import Definition
from .scoring import score
from .stacking import ProgramLine, Stacked, stack
from .timeline import Segment, Timeline

__all__ = [
    "Credit", "CreditResult", "Definition", "DefinitionError", "Fact", "Line", "Person", "Place", "Problem",
    "ProgramLine", "Reason", "Roster", "Scorecard", "Segment", "Split", "Stacked", "Standing", "TargetValue",
    "Timeline", "canonical", "closes_at", "credits_for", "digest", "explain", "parse_definition", "period_end", "period_start",
    "rank_standings", "score", "stack", "warnings", "window",
]  # fmt: skip
