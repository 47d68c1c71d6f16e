"""Measurements: `make bench`. A module here registers its measurements with `@bench`; __main__.py runs them.
Import Django and the application inside the functions: listing must not need them.

    @bench("intake", "Events accepted")
    def intake(run: Run) -> None:
        bare, ours = run.alternate({"bare": insert_rows, "POST /hooks": post_events}, units=1000)
        run.row("single posts", ours, "/s", share=ratio(ours, bare), of="a bare view that inserts the same rows")

Contestants take turns within one run (A B A B ...); a rate is the median of at least five rounds, a share the median of
the rounds' own ratios. `run.small` is the smoke test's: every benchmark then does the least that still runs its code.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

REPEATS = 5


class Median(float):
    """A median that remembers its rounds."""

    rounds: tuple[float, ...]

    def __new__(cls, rounds: Sequence[float]):
        self = super().__new__(cls, statistics.median(rounds))
        self.rounds = tuple(rounds)
        return self

    @property
    def low(self) -> float:
        return min(self.rounds)

    @property
    def high(self) -> float:
        return max(self.rounds)


def ratio(ours: Median, other: Median) -> Median:
    """Round by round, so that a slow moment of the machine weighs on both sides."""
    return Median([a / b for a, b in zip(ours.rounds, other.rounds, strict=True)])


@dataclass
class Row:
    """One line of a table. `low` and `high` are the spread of the share, or of the figure where there is none."""

    what: str
    figure: float
    unit: str
    share: float | None = None
    of: str = ""
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass
class Run:
    """One benchmark at work. `processes` starts real processes of the application (tests/support/processes.py)."""

    processes: object
    small: bool = False
    rows: list[Row] = field(default_factory=list)

    def size(self, full: int, small: int) -> int:
        """How many: `full` for a measurement, `small` for the smoke test."""
        return small if self.small else full

    def row(
        self, what: str, figure: float, unit: str, *, share: Median | float | None = None, of: str = "", note: str = ""
    ) -> None:
        """Add one line to the result: `share` is the figure as a part of what `of` names (1 = all of it)."""
        spread = figure if share is None else share
        low, high = (spread.low, spread.high) if isinstance(spread, Median) else (None, None)
        self.rows.append(Row(what, float(figure), unit, None if share is None else float(share), of, low, high, note))

    def alternate(
        self, contestants: dict[str, Callable[[], float | None]], *, units: int, repeats: int = 9, seconds: float = 25
    ) -> list[Median]:
        """Units per second of each contestant, after one round that warms up. Many short rounds beat a few long ones.

        A contestant that has something to prepare in each round returns the seconds that count, a float; else the call is
        timed. After `seconds` no round begins, once there were REPEATS.
        """
        rates: dict[str, list[float]] = {name: [] for name in contestants}
        least, end = (1, 0) if self.small else (REPEATS, time.monotonic() + seconds)
        if not self.small:
            self._round(contestants, units)
        for number in range(max(least, repeats)):
            if number >= least and time.monotonic() > end:
                break
            for name, rate in self._round(contestants, units).items():
                rates[name].append(rate)
        return [Median(found) for found in rates.values()]

    def _round(self, contestants: dict[str, Callable[[], float | None]], units: int) -> dict[str, float]:
        found = {}
        for name, work in contestants.items():
            started = time.perf_counter()
            own = work()
            found[name] = units / (own if isinstance(own, float) else time.perf_counter() - started)
        return found

    def memory_row(self, what: str, *processes) -> None:
        """Add the peak memory of these processes and their children: all of them together, and the largest."""
        import psutil

        peaks = []
        for process in processes:
            whole = psutil.Process(process.pid)
            peaks += [_high_water(one.pid) for one in [whole, *whole.children(recursive=True)]]
        note = f"{len(peaks)} processes, the largest {max(peaks) / 2**20:.0f} MB; shared pages count in each"
        self.row(what, sum(peaks) / 2**20, " MB", note=note)


def _high_water(pid: int) -> int:
    """Bytes: the highest resident set of a process so far (Linux)."""
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
    embedded: bool = False
    about: str = ""


REGISTRY: dict[str, Benchmark] = {}


def bench(name: str, title: str, *, embedded: bool = False, about: str = "") -> Callable:
    """Register a benchmark under a name that `make bench ARGS=<name>` takes. `about`: how to read its table.

    `embedded`: on SQLite and the file-system broker instead of the private PostgreSQL and Redis.
    """

    def register(work: Callable[[Run], None]) -> Callable[[Run], None]:
        if name in REGISTRY:
            raise ValueError(f"there are two benchmarks named {name}")
        REGISTRY[name] = Benchmark(name, title, work, embedded, about)
        return work

    return register
