"""Whom publishing a further version would change: everybody's earnings under the versions that govern now and under those
that would, from the same stored facts."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from incentives.crm.models import ObjectState
from incentives.earnings.facts import People, counts, fact_of, people_of, targets_of
from incentives.earnings.running import Inputs, Running, imagined, inputs_for, running_of
from incentives.participants.models import Participant
from incentives.programs.models import Program, ProgramVersion
from incentives.programs.selectors import room_of
from rewards.money import Money

LIMIT = 20_000
"""Facts looked at, newest first. More would keep a page waiting; a simulation looks at all of them."""
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Changed:
    """One participant's earnings in the program before and after."""

    name: str
    before: Money
    after: Money

    @property
    def difference(self) -> Money:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class ChangePreview:
    """`gain`, `lose` and `same` count people with earnings before or after; `rows` are those who change most. `cut`: there
    are older facts than the `looked_at` newest ones, so that amounts show the direction and not the cent."""

    looked_at: int
    cut: bool
    before: Money
    after: Money
    gain: int
    lose: int
    same: int
    rows: list[Changed]
    room: Money | None

    @property
    def difference(self) -> Money:
        return self.after - self.before

    @property
    def short(self) -> Money | None:
        """What the budget lacks for the difference, where it lacks something."""
        if self.room is None or not self.room < self.difference:
            return None
        return self.difference - self.room


def change_preview(
    program: Program, draft: ProgramVersion, starts_at: datetime | None = None, *, limit: int = LIMIT
) -> ChangePreview:
    """Compare what the published versions earn with what they would with `draft` published to start at that moment.

    Computed from facts, roster and targets alone; writes nothing. Prizes of a contest are not known before its close and
    count as nothing on both sides. Constant query count. Source: promise 2.
    """
    now, then = running_of(program), imagined(program, draft, starts_at)
    states, cut = _facts(now, then, limit)
    people = people_of(states, [*now.named, *then.named])
    inputs = inputs_for([now], people)
    before, after = (_worth(run, states, people, inputs) for run in (now, then))
    pairs = {key: (before.get(key, 0), after.get(key, 0)) for key in {*before, *after}}
    pairs = {key: pair for key, pair in pairs.items() if any(pair)}
    currency = then.definition.currency
    return ChangePreview(
        looked_at=len(states),
        cut=cut,
        before=Money(sum(pair[0] for pair in pairs.values()), currency),
        after=Money(sum(pair[1] for pair in pairs.values()), currency),
        gain=sum(new > old for old, new in pairs.values()),
        lose=sum(new < old for old, new in pairs.values()),
        same=sum(new == old for old, new in pairs.values()),
        rows=_most_changed(pairs, people, currency),
        room=room_of(program),
    )


def _facts(now: Running, then: Running, limit: int) -> tuple[list[ObjectState], bool]:
    near = ObjectState.objects.filter(now.near() | then.near())
    states = list(near.order_by(F("occurred_at").desc(nulls_last=True), "-pk")[: limit + 1])
    return [state for state in states[:limit] if counts(state)], len(states) > limit


def _worth(run: Running, states: list[ObjectState], people: People, inputs: Inputs) -> dict[str, int]:
    """Participant key -> minor units earned in the program."""
    credits = defaultdict(list)
    for state in states:
        if run.may_count(state):
            for credit in inputs.credits(run, fact_of(state, people)).credits:
                credits[credit.participant].append(credit)
    targets = targets_of(run.program.pk, [people.ids[key] for key in credits])
    return {
        key: sum(card.earned_minor for card in run.timeline.score(people.roster[key], targets[people.ids[key]], own))
        for key, own in credits.items()
    }


def _most_changed(pairs: dict[str, tuple[int, int]], people: People, currency: str) -> list[Changed]:
    changed = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
    most = sorted(changed, key=lambda key: (-abs(changed[key][1] - changed[key][0]), key))[:SHOWN]
    names = Participant.objects.in_bulk([people.ids[key] for key in most])
    return [Changed(names[people.ids[key]].name, *(Money(minor, currency) for minor in changed[key])) for key in most]
