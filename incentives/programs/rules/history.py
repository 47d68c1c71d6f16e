"""From events in any order to facts as they stand: what the last version of each object says.

- An object (`object.type`, `object.id`) counts as won from its newest `deal.won` on, unless a newer event lost,
  reopened or deleted it. Its data are those of its newest event, its moment of winning that of the newest win.
- `metric.reported` with mode `set` replaces what was reported for participant, metric and period until then; `add` adds.
- An event without an object stands for itself.
Newest is by `object.version` (numbers as numbers, moments as moments, else text), by `occurred_at` where there is no
version, then by the order of the lines.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

from .events import Event
from .facts import Fact

T = TypeVar("T")
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
class State(Generic[T]):
    """One object: its newest event, the newest win and the newest loss, each with its place in time."""

    newest: tuple
    kept: "Fact | T"  # the fact itself only where it is an update, whose moment of winning may still change
    won: tuple | None = None
    won_kind: str = ""
    won_at: datetime | None = None
    lost: tuple | None = None

    def see(self, place: tuple, fact: Fact) -> None:
        if fact.kind in WINS and (self.won is None or place >= self.won):
            self.won, self.won_kind, self.won_at = place, fact.kind, fact.occurred_at
        elif fact.kind in LOSSES and (self.lost is None or place >= self.lost):
            self.lost = place

    @property
    def is_won(self) -> bool:
        return self.won is not None and (self.lost is None or self.won > self.lost)


class History(Generic[T]):
    """Takes events one by one and keeps what `keep` makes of each object's newest fact (a fact is large)."""

    def __init__(self, keep: Callable[[Fact], T]) -> None:
        self.keep = keep
        self.objects: dict[tuple, State[T]] = {}
        self.metrics: dict[tuple, list[tuple[tuple, str, T]]] = {}
        self.count = 0

    def add(self, event: Event) -> None:
        self.count += 1
        fact = event.fact
        if fact.kind == "metric.reported":
            key = (fact.participant, fact.participant_name, fact.metric, event.period)
            place = (fact.occurred_at, self.count)
            self.metrics.setdefault(key, []).append((place, event.mode, self.keep(fact)))
            return
        named = fact.object_id is not None
        key = ("object", fact.object_type, fact.object_id) if named else ("event", fact.external_id)
        place = (version_key(fact.version, fact.occurred_at), self.count)
        state = self.objects.get(key)
        if state is None or place >= state.newest:
            kept = fact if fact.kind == "deal.updated" else self.keep(fact)
            if state is None:
                state = self.objects[key] = State(place, kept)
            state.newest, state.kept = place, kept
        state.see(place, fact)

    def standing(self) -> Iterator[T]:
        """What was kept of every fact that stands, in the order in which the objects were first seen."""
        for state in self.objects.values():
            fact = state.kept
            if not isinstance(fact, Fact):
                yield fact
            elif state.is_won:
                yield self.keep(replace(fact, kind=state.won_kind, occurred_at=state.won_at))
            else:
                yield self.keep(fact)
        for reports in self.metrics.values():
            reports.sort(key=lambda report: report[0])
            last = max((index for index, report in enumerate(reports) if report[1] == "set"), default=0)
            for _, _, kept in reports[last:]:
                yield kept
