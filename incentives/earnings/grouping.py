"""Programs of one stacking group: what each pays for an activity beside the others (rules/stacking.py has the rule).

A participant's lines in all stacking programs are computed together, but each participation posts only its own. So whatever
makes one of them due makes the others due as well, in the same transaction (`dirty.mark_dirty`).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from incentives.earnings.models import Participation
from incentives.earnings.running import Running
from incentives.programs.rules.facts import Line, Scorecard
from incentives.programs.rules.stacking import ProgramLine, stack

Scored = tuple[Running, Sequence[Scorecard]]


def siblings_of(participations: Iterable[Participation]) -> list[Participation]:
    """The other participations of these people in programs that stack, with their program. One query; none without
    stacking."""
    participations = list(participations)
    people = {p.participant_id for p in participations if p.program.stacks}
    if not people:
        return []
    rows = Participation.objects.filter(program__stacks=True, participant__in=people)
    return list(rows.exclude(pk__in=[p.pk for p in participations]).select_related("program").order_by("pk"))


def stacked(scored: list[Scored]) -> list[tuple[Scorecard, ...]]:
    """The scorecards of one participant in several programs, each line as it is beside the others', in the order given."""
    lines: dict[str, list[tuple[tuple[int, int, int], ProgramLine]]] = defaultdict(list)
    for at, (running, cards) in enumerate(scored):
        for card_at, card in enumerate(cards):
            for line_at, line in enumerate(card.lines):
                if line.fact_id is not None:
                    found = _program_line(running, card, line)
                    lines[found.currency].append(((at, card_at, line_at), found))
    changed: dict[tuple[int, int, int], Line] = {}
    for placed in lines.values():  # only one currency compares; publishing keeps others out of a group
        for (place, _), found in zip(placed, stack(line for _, line in placed), strict=True):
            if found.explanation:
                line = scored[place[0]][1][place[1]].lines[place[2]]
                words = f"{line.explanation}. {found.explanation}"
                changed[place] = line._replace(amount_minor=found.amount_minor, explanation=words)
    return [_with(at, cards, changed) for at, (_, cards) in enumerate(scored)]


def _program_line(running: Running, card: Scorecard, line: Line) -> ProgramLine:
    definition = running.definition_of(line.version)
    group, rule = (definition.stacking.group, definition.stacking.rule) if definition.stacking else (None, "all")
    return ProgramLine(
        running.program.pk, definition.name, definition.starts_on, definition.currency, group, rule, card.participant,
        line.fact_id, line.key, line.amount_minor,
    )  # fmt: skip


def _with(at: int, cards: Sequence[Scorecard], changed: dict) -> tuple[Scorecard, ...]:
    if not any(place[0] == at for place in changed):
        return tuple(cards)
    return tuple(
        replace(card, lines=tuple(changed.get((at, card_at, n), line) for n, line in enumerate(card.lines)))
        for card_at, card in enumerate(cards)
    )
