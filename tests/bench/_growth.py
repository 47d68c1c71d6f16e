"""Scores so many made-up activities in a process of its own and prints {"seconds", "peak", "total"} as JSON.

    python -m tests.bench._growth 100000

Facts are made as they are needed and their credits packed as a simulation does it, so the peak is what scoring needs. The
clock runs only while the rules work. Everybody has 100 activities; the program pays 2 % with a cap per deal and a
quarterly tier.
"""

import json
import resource
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import process_time

EACH = 100
CHUNK = 1000


def main(count: int) -> dict:
    import django

    django.setup()
    from incentives.core.memory import no_cyclic_garbage
    from incentives.programs.rules import Person, credits_for, parse_definition, score
    from incentives.simulations.store import Store

    definition = parse_definition(
        {
            "name": "Growth", "currency": "USD", "starts_on": "2026-01-01", "ends_on": "2026-12-31", "period": "quarter",
            "rewards": [{"type": "percent", "rate": "2"}, {"type": "tiers", "tiers": [{"at": "50000", "amount": "250.00"}]}],
            "caps": {"deal": "350.00"},
        }
    )  # fmt: skip
    roster = {str(n): Person(str(n)) for n in range(max(count // EACH, 1))}
    store, seconds, total = Store(), 0.0, 0
    before = peak()
    with no_cyclic_garbage():
        for facts in made(count, len(roster)):
            started = process_time()
            for fact in facts:
                store.add(credits_for(definition, fact, roster, words=False).credits)
            seconds += process_time() - started
        started = process_time()
        for key in store.participants():
            total += sum(card.earned_minor for card in score(definition, roster[key], {}, store.of(key)))
        seconds += process_time() - started
    return {"seconds": seconds, "peak": peak(), "grown": peak() - before, "total": total}


def made(count: int, people: int) -> Iterator[list]:
    from incentives.programs.rules import Fact

    first = datetime(2026, 1, 5, tzinfo=UTC)
    for start in range(0, count, CHUNK):
        yield [
            Fact(
                id=str(n), kind="deal.won", occurred_at=first + timedelta(minutes=37 * n % 500_000),
                participant=str(n % people), amount=Decimal(1000 + 37 * n % 16_000), currency="USD",
                account={"segment": "Mid"}, attributes={"new_logo": True},
            )
            for n in range(start, min(start + CHUNK, count))
        ]  # fmt: skip


def peak() -> int:
    """Bytes this process has had resident at most (Linux counts kilobytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
