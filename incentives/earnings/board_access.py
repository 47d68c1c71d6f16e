"""Who is in a program, so that its boards exist for them, and which row of a board is theirs."""

from collections import defaultdict
from collections.abc import Iterable

from incentives.earnings.facts import people_in
from incentives.earnings.leaderboards import Board
from incentives.earnings.models import ContestSeal, Participation
from incentives.participants.models import Participant
from incentives.programs.models import Enrollment, Program, ProgramVersion
from incentives.programs.rules.crediting import ineligible
from incentives.programs.rules.facts import NOTHING
from incentives.programs.rules.schema import Definition
from incentives.programs.versions import timeline_of


def own_group(program: Program, board: Board, participant: Participant) -> str | None:
    """What `participant` is called on this board; of a sealed team contest, the team at the seal."""
    if board.reward.by == "participant":
        return participant.key
    seal = ContestSeal.objects.filter(program=program).first()
    fixed = (seal.groups if seal else {}).get(str(participant.pk))
    if fixed:
        return fixed[0 if board.reward.by == "team" else 1]
    found = participant.team if board.reward.by == "team" else participant.partner
    return found.code if found else None


def takes_part(program: Program, definition: Definition, participant: Participant) -> bool:
    """Whether somebody is in the program: something of theirs counted, they were invited, or its rule lets them in."""
    if program.status not in Program.SCORED:
        return False
    if program.participations.filter(participant=participant).exists():
        return True
    enrolled = program.enrollments.filter(participant=participant).first()
    return _let_in(definition, participant, enrolled.state if enrolled else "")


def programs_with(participant: Participant, programs: Iterable[Program]) -> list[tuple[Program, Definition]]:
    """Those of `programs` that takes_part says yes to, with their definitions, in their order. Three queries."""
    ruled = rulings(programs)
    ids = [program.pk for program, _definition in ruled]
    counted = set(
        Participation.objects.filter(program__in=ids, participant=participant).values_list("program", flat=True)
    )
    enrolled = dict(Enrollment.objects.filter(program__in=ids, participant=participant).values_list("program", "state"))
    return [
        (program, definition)
        for program, definition in ruled
        if program.pk in counted or _let_in(definition, participant, enrolled.get(program.pk, ""))
    ]


def rulings(programs: Iterable[Program]) -> list[tuple[Program, Definition]]:
    """Those of `programs` that have boards, each with the definition that rules at its end, in their order. One query."""
    programs = [program for program in programs if program.status in Program.SCORED]
    published = ProgramVersion.objects.filter(program__in=programs, published_at__isnull=False)
    by_program: dict[int, list[ProgramVersion]] = defaultdict(list)
    for version in published.defer("definition"):
        by_program[version.program_id].append(version)
    return [(p, timeline_of(by_program[p.pk]).last.definition) for p in programs if p.pk in by_program]


def _let_in(definition: Definition, participant: Participant, enrolled: str) -> bool:
    person = people_in([participant]).roster[participant.key]
    return not ineligible(definition, person, {person.key: enrolled} if enrolled else NOTHING)
