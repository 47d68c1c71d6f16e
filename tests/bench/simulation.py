"""A simulation as the browser starts it: from stored facts to the result's rows, in a worker of the queue `reports`."""

import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from tests.bench import Run, bench

ABOUT = """One candidate beside the version that runs, over a year: each fact is read once and credited twice, everybody is scored
three times by each (as it was, wins 20 % down and up), and a row per person with all explanation lines is written. 100
activities a person. The figure is the run's own time in one worker process; *wait* is from the start in the browser to the
result. Memory is the worker's peak, what it needs before the first run included."""


@bench("simulation", "Simulations", about=ABOUT)
def simulation(run: Run) -> None:
    from tests.support.processes import purge_broker

    purge_broker()
    worker = run.processes.worker(concurrency=1, queues="reports")
    run.memory_row("peak memory of the worker before", worker)
    first = None
    for number, count in enumerate((run.size(10_000, 20), run.size(100_000, 60))):
        seconds, waited = _simulated(count, 2020 + number)
        rate = count / seconds
        first = first or rate
        note = f"{seconds:.1f} s, wait {waited:.1f} s"
        run.row(f"{count:,} activities", rate, "/s", share=rate / first, of="the rate of the smallest", note=note)
        run.memory_row(f"peak memory of the worker, {count:,}", worker)
    purge_broker()


def _simulated(count: int, year: int) -> tuple[float, float]:
    """(seconds of the run, seconds until a page would show it)"""
    from incentives.programs import services as programs
    from incentives.simulations import services
    from incentives.simulations.services import Source
    from tests.factories import definition, make_program, make_user

    manager, window = make_user("manager"), (date(year, 1, 1), date(year, 12, 31))
    days = {"starts_on": str(window[0]), "ends_on": str(window[1])}
    program = make_program(manager=manager, period="quarter", caps={"deal": "350.00"}, **days)
    tiers = [{"type": "percent", "rate": "2"}, {"type": "tiers", "tiers": [{"at": "50000", "amount": "250.00"}]}]
    draft = programs.edit_draft(
        program=program, document=definition(period="quarter", rewards=tiers, **days), actor=manager
    )
    _facts(count, year)
    started = time.monotonic()
    simulation = services.start(
        actor=manager, candidates=[Source.of(draft)], baseline=Source.of(program.current_version),
        first=window[0], last=window[1],
    )  # fmt: skip
    while simulation.is_open:
        time.sleep(0.05)
        simulation.refresh_from_db()
    if simulation.status != "done" or not simulation.candidates.get(position=1).total_minor:
        raise RuntimeError(f"the simulation ended as {simulation.status}: {simulation.error}")
    return simulation.took.total_seconds(), time.monotonic() - started


def _facts(count: int, year: int) -> None:
    from incentives.crm.models import ObjectState
    from tests.factories import make_connection, make_participant

    crm, people = make_connection(), [make_participant() for _ in range(max(count // 100, 2))]
    first = datetime(year, 1, 5, tzinfo=UTC)

    def state(n: int):
        return ObjectState(
            connection=crm, object_type="deal", object_id=f"D-{n}", state="won", kind="deal.won", ever_won=True,
            external_id=f"deal:D-{n}:won:1", version="t:1", state_version="t:1", win_ordinal=1,
            occurred_at=first + timedelta(minutes=37 * n % 500_000), participant=people[n % len(people)],
            amount=Decimal(1000 + 37 * n % 16_000), currency="USD", account={"segment": "Mid"},
            attributes={"new_logo": True},
        )  # fmt: skip

    for start in range(0, count, 5000):
        rows = [state(n) for n in range(start, min(start + 5000, count))]
        ObjectState.objects.bulk_create(rows, batch_size=500)
