"""What publishing a version would do, before it is done."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from incentives.earnings.facts import fact_of, people_of, targets_of
from incentives.earnings.running import imagined, inputs_for
from incentives.earnings.selectors import facts_near
from incentives.participants.models import Participant
from incentives.programs.models import Program, ProgramVersion
from incentives.programs.selectors import room_of
from rewards.money import Money

LIMIT = 20_000
TOP = 8


@dataclass(frozen=True, slots=True)
class Preview:
    """By the facts received so far. `short`: what the budget lacks for a first launch; `top`: rows for a bar list."""

    looked_at: int
    counting: int
    people: int
    earned: Money
    room: Money | None
    short: Money | None
    exceptions: int
    cut: bool
    top: list[dict] = field(default_factory=list)


def preview(
    program: Program, version: ProgramVersion, *, starts_at: datetime | None = None, limit: int = LIMIT
) -> Preview:
    """Count and score the newest `limit` facts as if `version` were published to start at that moment; writes nothing.
    Prizes of a contest are not known before its close and count as nothing. Constant query count."""
    run = imagined(program, version, starts_at)
    definition = run.definition
    states, cut = facts_near(run, limit)
    known = people_of(states, run.named)
    inputs = inputs_for([run], known)
    roster, ids = known.roster, known.ids
    credits, counting, odd = defaultdict(list), 0, 0
    for state in states:
        result = inputs.credits(run, fact_of(state, known))
        counting += bool(result.credits)
        odd += any(reason.exception for reason in result.reasons)
        for credit in result.credits:
            credits[credit.participant].append(credit)
    targets = targets_of(program.pk, [ids[key] for key in credits])
    worth = {
        key: sum(card.earned_minor for card in run.timeline.score(roster[key], targets[ids[key]], own))
        for key, own in credits.items()
    }
    gaining = {key: minor for key, minor in worth.items() if minor}
    earned = Money(sum(gaining.values()), definition.currency)
    room = room_of(program)
    first = program.launched_at is None and room is not None and room < earned
    return Preview(
        len(states), counting, len(gaining), earned, room, earned - room if first else None, odd, cut,
        _top(gaining, ids, definition.currency),
    )  # fmt: skip


def _top(gaining: dict[str, int], ids: dict[str, int], currency: str) -> list[dict]:
    best = sorted(gaining.items(), key=lambda item: (-item[1], item[0]))[:TOP]
    names = Participant.objects.in_bulk([ids[key] for key, _minor in best])
    return [{"label": names[ids[key]].name, "value": Money(minor, currency)} for key, minor in best]
