"""Credited activities per second: the pure rules alone, and from stored facts to posted earnings and ledger; and whether
the rules' time grows with the number of activities and no faster."""

import itertools
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import perf_counter, process_time

from tests.bench import Median, Run, bench, ratio
from tests.support.environment import ROOT

FACTS, PEOPLE = 2000, 100
YEARS = itertools.count(2000)
ABOUT = """The pure side calls `credits_for` and `score` on facts in memory, once per fact and participant. End to end is `evaluate`
on PostgreSQL in one process: facts read and locked, credits stored, participations scored, earnings and ledger postings
written, balances moved. 100 participants, 20 deals each, 2 % with a cap per deal and a quarterly tier. *Corrected* changes every
amount once more: each difference is posted beside what stands. *One at a time* is what a trickle of deals sees: `evaluate`
after each, with its look for whatever else is due.

*Growth* is the rules alone over more and more activities, each size in processes of its own that take turns: CPU time of
`credits_for`, packing, `score`. The share is the rate at that size as a part of the rate at the smallest, so 100 % is linear (the aim
is 85 % and more). 100 activities a person. The peak is that of the whole process."""


class Round:
    """A program of its own in a year of its own, with facts that only it credits."""

    def __init__(self, facts: int, people: int):
        from incentives.earnings.evaluate import evaluate
        from incentives.programs.models import Program
        from tests.factories import make_connection, make_participant, make_program

        Program.objects.update(status=Program.Status.ARCHIVED)
        self.year = next(YEARS)
        self.connection = make_connection()
        self.people = [make_participant() for _ in range(people)]
        self.program = make_program(
            starts_on=f"{self.year}-01-01", ends_on=f"{self.year}-12-31", period="quarter",
            rewards=[{"type": "percent", "rate": "2"}, {"type": "tiers", "tiers": [{"at": "50000", "amount": "250.00"}]}],
            caps={"deal": "350.00"},
        )  # fmt: skip
        evaluate()  # notices the new version before the clock runs
        self.states = [self.state(n) for n in range(facts)]
        self.cpu = 0.0  # seconds of this process in the last evaluation

    def state(self, n: int):
        from incentives.crm.models import ObjectState

        return ObjectState(
            connection=self.connection, object_type="deal", object_id=f"D-{n}", state="won", kind="deal.won",
            external_id=f"deal:D-{n}:won:1", version="t:1", state_version="t:1", win_ordinal=1, ever_won=True,
            occurred_at=datetime(self.year, 1, 5, tzinfo=UTC) + timedelta(hours=4 * n % 8000),
            participant=self.people[n % len(self.people)], amount=Decimal(1000 + 37 * n % 16000), currency="USD",
            account={"segment": "Mid"}, attributes={"new_logo": True}, changed_seq=1,
        )  # fmt: skip

    def pure(self) -> float:
        """Seconds for the rules alone, over the same facts."""
        from incentives.earnings.facts import fact_of, people_in
        from incentives.programs.rules.crediting import credits_for
        from incentives.programs.rules.scoring import score
        from incentives.programs.versions import definition_of

        people, definition = people_in(self.people), definition_of(self.program.current_version)
        for number, state in enumerate(self.states):
            state.pk = state.pk or -1 - number
        facts = [fact_of(state, people) for state in self.states]
        started = perf_counter()
        credits = {}
        for fact in facts:
            for credit in credits_for(definition, fact, people.roster).credits:
                credits.setdefault(credit.participant, []).append(credit)
        cards = [score(definition, people.roster[key], {}, found) for key, found in credits.items()]
        seconds = perf_counter() - started
        if not cards or sum(map(len, credits.values())) != len(facts):
            raise RuntimeError("the rules credited something else than every fact once")
        return seconds

    def evaluated(self) -> float:
        """Seconds for the same facts through the database."""
        from incentives.crm.models import ObjectState

        for state in self.states:
            state.pk = None
        ObjectState.objects.bulk_create(self.states, batch_size=500)
        return self._evaluate(len(self.states))

    def corrected(self) -> float:
        from django.db.models import F, Value

        from incentives.core.fields import ScaledDecimalField
        from incentives.crm.models import ObjectState

        mine = ObjectState.objects.filter(connection=self.connection)
        less = Value(Decimal(100), output_field=ScaledDecimalField())
        mine.update(amount=F("amount") - less, changed_seq=F("changed_seq") + 1)
        return self._evaluate(len(self.states))

    def _evaluate(self, count: int) -> float:
        from incentives.earnings.evaluate import evaluate

        started, busy = perf_counter(), process_time()
        done = evaluate()
        seconds, self.cpu = perf_counter() - started, process_time() - busy
        if done["credited"] != count or done["earnings"] < count:
            raise RuntimeError(f"expected {count} credited facts and their earnings, found {done}")
        return seconds

    def one_by_one(self, count: int) -> float:
        """Seconds for `count` further facts, each evaluated by itself."""
        from incentives.crm.models import ObjectState

        fresh = [self.state(len(self.states) + n) for n in range(count)]
        seconds = 0.0
        for state in fresh:
            ObjectState.objects.bulk_create([state])
            seconds += self._evaluate(1)
        return seconds


@bench("scoring", "Activities credited", about=ABOUT)
def scoring(run: Run) -> None:
    from tests.support.processes import purge_broker

    facts, people, single = run.size(FACTS, 8), run.size(PEOPLE, 2), run.size(40, 1)
    now: list[Round] = []
    by_cpu: list[float] = []

    def pure() -> float:
        now[:] = [Round(facts, people)]
        return now[0].pure()

    def evaluated() -> float:
        seconds = now[0].evaluated()
        by_cpu.append(facts / now[0].cpu)
        return seconds

    contestants = {
        "pure": pure,
        "evaluated": evaluated,
        "corrected": lambda: now[0].corrected(),
        "one by one": lambda: now[0].one_by_one(single) * facts / single,
    }
    pure_rate, new, corrected, singly = run.alternate(contestants, units=facts, repeats=5)
    run.row("pure rules", pure_rate, "/s")
    run.row("end to end, new deals", new, "/s", share=ratio(new, pure_rate), of="the pure rules")
    run.row("end to end, corrected deals", corrected, "/s", share=ratio(corrected, pure_rate), of="the pure rules")
    run.row("new deals per second of its CPU time", Median(by_cpu), "/s", note="without PostgreSQL's own time")
    run.row("end to end, one at a time", singly, "/s")
    purge_broker()
    growth(run)


def growth(run: Run) -> None:
    sizes = [run.size(10_000, 20), run.size(100_000, 40), run.size(1_000_000, 60)]
    rates, last = {size: [] for size in sizes}, {}
    for _ in range(1 if run.small else 3):
        for size in sizes:
            last[size] = found = _grown(size)
            rates[size].append(size / found["seconds"])
    first = Median(rates[sizes[0]])
    for size in sizes:
        found, rate = last[size], Median(rates[size])
        start = found["peak"] - found["grown"]
        note = f"peak {found['peak'] / 2**20:.0f} MB, {start / 2**20:.0f} MB of it when the process had started"
        run.row(
            f"growth: {size:,} activities", rate, "/s", share=ratio(rate, first), of="the smallest's rate", note=note
        )


def _grown(size: int) -> dict:
    command = [sys.executable, "-m", "tests.bench._growth", str(size)]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), check=True, capture_output=True, text=True)
    return json.loads(done.stdout)
