"""From events in any order to facts as they stand: what the last version of each object says.

- An object (`object.type`, `object.id`) counts as won from its newest `deal.won` on, unless a newer event lost,
  reopened or deleted it. Its data are those of its newest event, its moment of winning that of the newest win.
- `metric.reported` with mode `set` replaces what was reported for participant, metric and period until then; `add` adds.
- An event without an object stands for itself.
Newest is by `object.version` (numbers as numbers, moments as moments, else text), by `occurred_at` where there is no
version, then by the order of the lines.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from .events import Event
from .facts import Fact

WINS = ("deal.won", "claim.submitted")
LOSSES = ("deal.lost", "deal.reopened", "deal.deleted")


def version_key(version: str | None, occurred_at: datetime) -> tuple[int, Any]:
    """A sortable form of a change mark."""
    if version is None:
        return 1, occurred_at
    if version.isascii() and version.isdigit():
        return 0, Decimal(version)
    try:
        found = datetime.fromisoformat(version)
    except ValueError:
        return 2, version
    return 1, found if found.tzinfo else found.replace(tzinfo=UTC)


@dataclass(slots=True)
class State:
    """One object: the newest event, the newest win and the newest loss, each with its place in time."""

    newest: tuple
    fact: Fact
    won: tuple | None = None
    won_kind: str = ""
    won_at: datetime | None = None
    lost: tuple | None = None

    def see(self, place: tuple, fact: Fact) -> None:
        if place >= self.newest:
            self.newest, self.fact = place, fact
        if fact.kind in WINS and (self.won is None or place >= self.won):
            self.won, self.won_kind, self.won_at = place, fact.kind, fact.occurred_at
        elif fact.kind in LOSSES and (self.lost is None or place >= self.lost):
            self.lost = place

    def standing(self) -> Fact:
        fact = self.fact
        if fact.kind == "deal.updated" and self.won is not None and (self.lost is None or self.won > self.lost):
            return replace(fact, kind=self.won_kind, occurred_at=self.won_at)
        return fact


class History:
    """Takes events one by one; `facts` gives what stands in the order in which the objects were first seen."""

    def __init__(self) -> None:
        self.objects: dict[tuple, State] = {}
        self.metrics: dict[tuple, list[tuple[tuple, str, Fact]]] = {}
        self.count = 0

    def add(self, event: Event) -> None:
        self.count += 1
        fact = event.fact
        if fact.kind == "metric.reported":
            key = (fact.participant, fact.participant_name, fact.metric, event.period)
            place = (fact.occurred_at, self.count)
            self.metrics.setdefault(key, []).append((place, event.mode, fact))
            return
        named = fact.object_id is not None
        key = ("object", fact.object_type, fact.object_id) if named else ("event", fact.external_id)
        place = (version_key(fact.version, fact.occurred_at), self.count)
        state = self.objects.get(key)
        if state is None:
            state = self.objects[key] = State(place, fact)
        state.see(place, fact)

    def facts(self) -> Iterator[Fact]:
        for state in self.objects.values():
            yield state.standing()
        for reports in self.metrics.values():
            reports.sort(key=lambda report: report[0])
            last = max((index for index, report in enumerate(reports) if report[1] == "set"), default=0)
            for _, _, fact in reports[last:]:
                yield fact
