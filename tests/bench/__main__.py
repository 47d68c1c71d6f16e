"""Run benchmarks on a private PostgreSQL and Redis and write docs/benchmarks.md.

    python -m tests.bench [--list] [name ...]

Each runs in a process of its own on an empty database. Naming some rewrites only their sections.
"""

import argparse
import contextlib
import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests import bench as registry
from tests.support import services
from tests.support.environment import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
INTRODUCTION = """# Benchmarks

Written by `make bench`. Ratios are taken within one run, contestants taking turns, and are medians of at least five; absolute
numbers say as much about the machine. PostgreSQL runs without fsync here, for what is compared as well as for what it is compared with.
"""


def load_all() -> None:
    """Import every module of this package, so that each registers what it measures; none may need Django for that."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if not module.name.startswith("_"):
            importlib.import_module(f"tests.bench.{module.name}")


def run_here(name: str) -> None:
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
        run = registry.Run(Processes(Path(folder)))
        try:
            registry.REGISTRY[name].work(run)
        finally:
            run.processes.stop()
            runner.teardown_databases(databases)
    Path(os.environ["BENCH_RESULT"]).write_text(json.dumps([asdict(row) for row in run.rows]))


def run_apart(name: str, environment: dict[str, str]) -> list[registry.Row] | None:
    with tempfile.NamedTemporaryFile(suffix=".json") as result:
        command = [sys.executable, "-m", "tests.bench", "--child", name]
        own = {"DJANGO_SETTINGS_MODULE": "tests.support.settings", "BENCH_RESULT": result.name}
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment, **own}, check=False)
        text = Path(result.name).read_text()
    return [registry.Row(**row) for row in json.loads(text)] if done.returncode == 0 and text else None


def section(name: str, title: str, rows: list[registry.Row], where: str) -> str:
    lines = [
        f"<!-- {name} -->",
        f"## {title}",
        "",
        where,
        "",
        "| what | measured | share | of | note |",
        "|---|---:|---:|---|---|",
    ]
    for row in rows:
        share = "" if row.share is None else f"{row.share:.0%}"
        lines.append(f"| {row.what} | {row.value} | {share} | {row.of} | {row.note} |")
    return "\n".join([*lines, f"<!-- end of {name} -->"])


def write(sections: dict[str, str]) -> None:
    """Replace these sections of the page, keep the others, in alphabetical order."""
    text = PAGE.read_text() if PAGE.exists() else ""
    old = {found[1]: found[0] for found in re.finditer(r"<!-- (\w+) -->.*?<!-- end of \1 -->", text, re.DOTALL)}
    merged = {**old, **sections}
    PAGE.write_text("\n\n".join([INTRODUCTION.strip(), *(merged[name] for name in sorted(merged))]) + "\n")


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GB, Python {sys.version.split()[0]}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--list", action="store_true", help="say what can be measured")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_here(options.child)
        return 0
    load_all()
    titles = {name: one.title for name, one in registry.REGISTRY.items()}
    if options.list:
        print("\n".join(f"{name:<12} {title}" for name, title in sorted(titles.items())))
        return 0
    if unknown := set(options.names) - set(titles):
        parser.error(f"no benchmark named {', '.join(sorted(unknown))}; there are: {', '.join(sorted(titles))}")
    return measure({name: titles[name] for name in sorted(options.names or titles)})


def measure(titles: dict[str, str]) -> int:
    from tests.support.run import server_versions

    failed, sections = [], {}
    with contextlib.ExitStack() as stack:
        database = os.environ.get("TEST_DATABASE_URL") or stack.enter_context(services.postgres())
        broker = os.environ.get("TEST_REDIS_URL") or stack.enter_context(services.redis())
        where = f"{datetime.now(UTC):%Y-%m-%d}: {machine()}, {', '.join(server_versions(database, broker))}."
        for name, title in titles.items():
            print(f"=== {title}", flush=True)
            rows = run_apart(name, {"TEST_DATABASE_URL": database, "TEST_REDIS_URL": broker})
            if rows is None:
                failed.append(name)
                continue
            sections[name] = section(name, title, rows, where)
            for row in rows:
                print(f"    {row.what}: {row.value}" + (f" ({row.share:.0%} of {row.of})" if row.share else ""))
    write(sections)
    for name in failed:
        print(f"FAILED {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
