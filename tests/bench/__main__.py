"""Run benchmarks on a private PostgreSQL and Redis, write docs/benchmarks.md and append to docs/benchmarks-history.csv.

    python -m tests.bench [--list] [--small] [name ...]

Each runs in a process of its own on an empty database. Naming some rewrites only their sections.
"""

import argparse
import contextlib
import csv
import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests import bench as registry
from tests.support import services
from tests.support.environment import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
HISTORY = ROOT / "docs" / "benchmarks-history.csv"
COLUMNS = "at commit machine bench what figure unit share of low high note".split()
ORDER = ("intake", "intake_sqlite", "scoring", "simulation", "orders", "delay", "audit")
TIME_LIMIT = 600  # seconds for one benchmark, on a busy machine; all of them together take about ten minutes
INTRODUCTION = """# Benchmarks

Written by `make bench` (`make bench ARGS="intake scoring"` rewrites only those sections); `docs/benchmarks-history.csv` keeps every
run, one line per row of a table.

How to read it: the **share** counts, the figure is noise. Both sides of a share run in one process of measurement and take
turns (A B A B ...), so a slow moment of the machine hits both; each round gives a ratio, the share is the median of at
least five such ratios, and *from - to* is their whole spread (of the figure, where a row has no share). Figures say as much about the
machine and its other users as about Laurel: compare them only within one table. PostgreSQL runs without fsync, for both sides.

No test asserts a time. `tests/bench/test_smoke.py` runs each benchmark with the smallest sizes, so that they stay runnable."""


def load_all() -> None:
    """Import every module of this package, so that each registers what it measures; none may need Django for that."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if not module.name.startswith(("_", "test_")):
            importlib.import_module(f"tests.bench.{module.name}")


def run_here(name: str, *, small: bool) -> None:
    """In the child: an empty database, one benchmark, its rows as JSON in the file BENCH_RESULT names."""
    import django

    django.setup()
    from django.conf import settings
    from django.test.utils import get_runner, setup_test_environment

    from tests.support.processes import Processes

    load_all()
    setup_test_environment()
    runner = get_runner(settings)(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    with tempfile.TemporaryDirectory(prefix="laurel-bench-") as folder:
        run = registry.Run(Processes(Path(folder)), small=small)
        try:
            registry.REGISTRY[name].work(run)
        finally:
            run.processes.stop()
            runner.teardown_databases(databases)
    Path(os.environ["BENCH_RESULT"]).write_text(json.dumps([asdict(row) for row in run.rows]))


def run_apart(name: str, environment: dict[str, str], *, small: bool) -> list[registry.Row] | None:
    """The rows, or None when it failed or took too long; what it says goes to this terminal."""
    with tempfile.NamedTemporaryFile(suffix=".json") as result:
        command = [sys.executable, "-m", "tests.bench", "--child", name, *(["--small"] if small else [])]
        own = {"DJANGO_SETTINGS_MODULE": "tests.support.settings", "BENCH_RESULT": result.name}
        try:
            done = subprocess.run(
                command, cwd=ROOT, env={**os.environ, **environment, **own}, check=False, timeout=TIME_LIMIT
            )
        except subprocess.TimeoutExpired:  # the processes it started die with it
            return None
        text = Path(result.name).read_text()
    return [registry.Row(**row) for row in json.loads(text)] if done.returncode == 0 and text else None


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(row: registry.Row) -> str:
    if row.low is None:
        return ""
    return f"{row.low:.0%} - {row.high:.0%}" if row.share is not None else f"{number(row.low)} - {number(row.high)}"


def section(one: registry.Benchmark, rows: list[registry.Row], where: str) -> str:
    lines = [f"<!-- {one.name} -->", f"## {one.title}", "", where, ""]
    lines += [one.about, ""] if one.about else []
    lines += ["| what | measured | share | from - to | of | note |", "|---|---:|---:|---:|---|---|"]
    for row in rows:
        share = "" if row.share is None else f"**{row.share:.0%}**"
        figure = number(row.figure) + row.unit
        lines.append(f"| {row.what} | {figure} | {share} | {spread(row)} | {row.of} | {row.note} |")
    return "\n".join([*lines, f"<!-- end of {one.name} -->"])


def place(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def write(sections: dict[str, str]) -> None:
    """Replace these sections of the page and keep the others."""
    text = PAGE.read_text() if PAGE.exists() else ""
    old = {found[1]: found[0] for found in re.finditer(r"<!-- (\w+) -->.*?<!-- end of \1 -->", text, re.DOTALL)}
    merged = {**old, **sections}
    PAGE.write_text("\n\n".join([INTRODUCTION, *(merged[name] for name in sorted(merged, key=place))]) + "\n")


def append_history(name: str, rows: list[registry.Row], machine: str) -> None:
    git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    new = not HISTORY.exists()
    with HISTORY.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        for row in rows:
            found = {key: round(v, 4) if isinstance(v, float) else v for key, v in asdict(row).items()}
            at = f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}"
            writer.writerow({"at": at, "commit": commit, "machine": machine, "bench": name, **found})


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GB, Python {sys.version.split()[0]}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--list", action="store_true", help="say what can be measured")
    parser.add_argument("--small", action="store_true", help="the least that runs the code; nothing is written")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_here(options.child, small=options.small)
        return 0
    load_all()
    known = registry.REGISTRY
    if options.list:
        print("\n".join(f"{name:<14} {known[name].title}" for name in sorted(known, key=place)))
        return 0
    if unknown := set(options.names) - set(known):
        parser.error(f"no benchmark named {', '.join(sorted(unknown))}; there are: {', '.join(sorted(known))}")
    return measure([known[name] for name in sorted(options.names or known, key=place)], small=options.small)


def measure(wanted: list[registry.Benchmark], *, small: bool) -> int:
    from tests.support.run import server_versions

    failed, sections, started = [], {}, time.monotonic()
    with contextlib.ExitStack() as stack:
        database = os.environ.get("TEST_DATABASE_URL") or stack.enter_context(services.postgres())
        broker = os.environ.get("TEST_REDIS_URL") or stack.enter_context(services.redis())
        versions = ", ".join(server_versions(database, broker))
        for one in wanted:
            print(f"=== {one.title}", flush=True)
            environment = {"TEST_DATABASE_URL": database, "TEST_REDIS_URL": broker}
            rows = run_apart(one.name, dict.fromkeys(environment, "") if one.embedded else environment, small=small)
            if rows is None:
                failed.append(one.name)
                continue
            where = machine() if one.embedded else f"{machine()}, {versions}"
            sections[one.name] = section(one, rows, f"{datetime.now(UTC):%Y-%m-%d}: {where}.")
            if not small:
                append_history(one.name, rows, where)
            for row in rows:
                share = f"; {row.share:.0%} ({spread(row)}) of {row.of}" if row.share is not None else ""
                print(f"    {row.what}: {number(row.figure)}{row.unit}{share}", flush=True)
    if not small:
        write(sections)
    for name in failed:
        print(f"FAILED {name}")
    print(f"{time.monotonic() - started:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
