"""Measurements: `make bench`. A module here registers its measurements with `@bench`; __main__.py runs them.
Import Django and the application inside the functions: listing must not need them.

    @bench("intake", "Events accepted per second")
    def intake(run: Run) -> None:
        bare, ours = run.alternate({"bare insert": insert_rows, "POST /hooks": post_events}, units=1000)
        run.row("single posts", f"{ours:.0f}/s", share=ours / bare, of="a bare view that inserts the same rows")

Ratios are taken within one run, alternating, and are medians of at least five.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

REPEATS = 5


@dataclass
class Row:
    what: str
    value: str
    share: float | None = None
    of: str = ""
    note: str = ""


@dataclass
class Run:
    """One benchmark at work. `processes` starts real processes of the application (tests/support/processes.py)."""

    processes: object
    rows: list[Row] = field(default_factory=list)

    def row(self, what: str, value: str, *, share: float | None = None, of: str = "", note: str = "") -> None:
        """Add one line to the result: `share` is the value as a part of what `of` names (1 = all of it)."""
        self.rows.append(Row(what, value, share, of, note))

    def alternate(
        self, contestants: dict[str, Callable[[], object]], *, units: int, repeats: int = REPEATS
    ) -> list[float]:
        """Median rate of each contestant in units per second; they take turns, so that a slow moment hits all."""
        rates: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(max(repeats, REPEATS)):
            for name, work in contestants.items():
                started = time.perf_counter()
                work()
                rates[name].append(units / (time.perf_counter() - started))
        return [statistics.median(found) for found in rates.values()]

    def peak_memory(self, process) -> int:
        """Bytes: the highest resident set of a process so far, its children's highest included (Linux)."""
        import psutil

        whole = psutil.Process(process.pid)
        return sum(_high_water(one.pid) for one in [whole, *whole.children(recursive=True)])


def _high_water(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
    except (FileNotFoundError, ProcessLookupError, StopIteration):
        return 0
    return int(line.split()[1]) * 1024


@dataclass(frozen=True)
class Benchmark:
    name: str
    title: str
    work: Callable[[Run], None]


REGISTRY: dict[str, Benchmark] = {}


def bench(name: str, title: str) -> Callable:
    """Register a benchmark under a name that `make bench ARGS=<name>` takes."""

    def register(work: Callable[[Run], None]) -> Callable[[Run], None]:
        if name in REGISTRY:
            raise ValueError(f"there are two benchmarks named {name}")
        REGISTRY[name] = Benchmark(name, title, work)
        return work

    return register
