"""Which activities a candidate would pay for that other programs have paid for as well."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Sum

from incentives.earnings.models import Earning
from incentives.programs.models import Program
from incentives.programs.rules.schema import Definition
from incentives.programs.rules.stacking import ProgramLine, stack
from incentives.programs.selectors import definition_of
from incentives.simulations import inputs
from incentives.simulations.models import Candidate, Overlap

ROWS = 5000
"""So many rows are kept, those first met; all are counted."""
LAST = 2**62
"""The number of a program that does not exist yet: among those that start on one day it is the last."""


@dataclass(slots=True)
class Sums:
    """What one other program has paid for the same activities. `n` pairs of activity and person."""

    program: Program
    n: int = 0
    own_minor: int = 0
    other_minor: int = 0
    other_cut_minor: int = 0


@dataclass
class Overlaps:
    """Collects what one candidate shares with others; `own` are the programs that do not count as others."""

    candidate: Candidate
    written: Definition
    definition: Definition
    own: set[int]
    rows: list[Overlap] = field(default_factory=list)
    programs: dict[int, Sums] = field(default_factory=dict)
    facts: set[int] = field(default_factory=set)
    people: set[int] = field(default_factory=set)
    total_minor: int = 0
    cut_minor: int = 0
    _others: dict[int, ProgramLine] = field(default_factory=dict)

    def look(self, paid: dict[int, dict[int, int]]) -> None:
        """`paid`: participant id -> fact id -> what the candidate pays. One query for all of them."""
        for (participant, fact), others in self._posted(paid).items():
            self._add(participant, fact, paid[participant][fact], others)

    def _posted(self, paid) -> dict[tuple[int, int], list[tuple[int, int]]]:
        """(participant id, fact id) -> [(program id, minor units that stand there)]"""
        near = inputs.near(self.definition.starts_on, self.definition.ends_on, "object__")
        rows = Earning.objects.filter(near, participation__participant__in=paid)
        rows = rows.exclude(participation__program__in=self.own)
        keys = ("participation__participant", "object", "participation__program")
        found: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        for participant, fact, program, minor in rows.values_list(*keys).annotate(sum=Sum("amount_minor")).order_by(*keys):  # fmt: skip
            if minor > 0 and fact in paid[participant]:
                found[participant, fact].append((program, minor))
        return found

    def _add(self, participant: int, fact: int, own: int, others: Iterable[tuple[int, int]]) -> None:
        lines = [self._own_line(participant, fact, own)]
        lines += [self._line(program)._replace(participant=str(participant), fact_id=str(fact), amount_minor=minor)
                  for program, minor in others]  # fmt: skip
        kept = _stacked(lines)
        self.facts.add(fact)
        self.people.add(participant)
        self.total_minor += own
        self.cut_minor += own - kept[0]
        for line, left in zip(lines[1:], kept[1:], strict=True):
            sums = self.programs[line.program]
            sums.n += 1
            sums.own_minor += own
            sums.other_minor += line.amount_minor
            sums.other_cut_minor += line.amount_minor - left
            if len(self.rows) < ROWS:
                self.rows.append(
                    Overlap(
                        candidate=self.candidate, participant_id=participant, object_id=fact, program=sums.program,
                        own_minor=own, kept_minor=kept[0], other_minor=line.amount_minor, other_kept_minor=left,
                    )
                )  # fmt: skip

    def _own_line(self, participant: int, fact: int, minor: int) -> ProgramLine:
        number = self.candidate.program_id or LAST
        return _line(number, self.written)._replace(participant=str(participant), fact_id=str(fact), amount_minor=minor)

    def _line(self, program_id: int) -> ProgramLine:
        if program_id not in self._others:
            program = Program.objects.get(pk=program_id)
            self.programs[program_id] = Sums(program)
            self._others[program_id] = _line(program_id, definition_of(program))
        return self._others[program_id]

    def document(self) -> dict:
        """For Candidate.result: `n` activities of `people` people are paid twice, `own_minor` by the candidate."""
        programs = [
            {
                "id": str(sums.program.public_id), "name": sums.program.name, "currency": sums.program.currency,
                "n": sums.n, "own_minor": sums.own_minor, "other_minor": sums.other_minor,
                "other_cut_minor": sums.other_cut_minor,
            }
            for sums in sorted(self.programs.values(), key=lambda sums: (-sums.own_minor, sums.program.pk))
        ]  # fmt: skip
        return {
            "n": len(self.facts), "people": len(self.people), "own_minor": self.total_minor,
            "cut_minor": self.cut_minor, "programs": programs,
        }  # fmt: skip


def _line(number: int, definition: Definition) -> ProgramLine:
    group, rule = (definition.stacking.group, definition.stacking.rule) if definition.stacking else (None, "all")
    return ProgramLine(number, definition.name, definition.starts_on, definition.currency, group, rule, "", "", "", 0)


def _stacked(lines: list[ProgramLine]) -> list[int]:
    """What stacking leaves of each; everything where one group pays in two currencies, which does not compare."""
    try:
        return [item.amount_minor for item in stack(lines)]
    except ValueError:
        return [line.amount_minor for line in lines]
