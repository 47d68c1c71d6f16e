"""`make test`: the whole suite on SQLite, then on PostgreSQL + Redis, with a real browser.

    python -m tests.support.run [--quick] [pytest arguments]

Installs by apt what is missing where it may, starts private servers, runs both passes and prints one summed line and one
that names what was exercised. A missing server or browser, and a skip nobody expects, fail the run where CI is set.
`TEST_DATABASE_URL` and `TEST_REDIS_URL` name servers of your own instead of the private ones.
"""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.support import services
from tests.support.environment import ROOT

PACKAGES = {
    "postgresql": services.postgres_folder,
    "redis-server": services.redis_program,
    "chromium": services.chromium_program,
}
EXPECTED_SKIPS = ("needs ../shared/",)
"""Beginnings of the reasons a test may have to skip, even in CI: what lies outside a clone."""
INTERRUPTED = 2
"""pytest's exit status after Ctrl-C."""
TIME_LIMIT = int(os.environ.get("LAUREL_TEST_TIMEOUT", "2100"))
"""Seconds one pass may take before it is ended as failed."""
SLOWEST = ("--durations=25", "--durations-min=5")
"""What to make faster first, when a pass takes long."""


def say(text: str) -> None:
    print(text, flush=True)


def missing_packages() -> list[str]:
    missing = []
    for package, find in PACKAGES.items():
        try:
            find()
        except services.Missing:
            missing.append(package)
    return missing


def install(packages: list[str]) -> None:
    """By apt, as root. Anybody else gets the names; whether to go on without them is the caller's decision."""
    names = " ".join(packages)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        say(
            f"Not on this machine: {names}. Install them (Debian: sudo apt-get install {names}), or set TEST_DATABASE_URL"
        )
        say("and TEST_REDIS_URL to servers of your own, for example two containers started with Docker Compose.")
        return
    say(f"Installing with apt: {names} ...")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            say(f"{' '.join(command)} failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
            return


def run_pass(name: str, arguments: list[str], environment: dict[str, str]) -> dict:
    """One pytest run in a process of its own. Returns the report, with `failed` telling why when there is none."""
    say(f"\n=== {name}")
    with tempfile.TemporaryDirectory(prefix="laurel-test-", ignore_cleanup_errors=True) as folder:
        report = Path(folder) / "report.json"
        own = {"LAUREL_TEST_REPORT": str(report), "LAUREL_TEST_TMP": folder}
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.support.report",
            *SLOWEST,
            *parallel(arguments),
            *arguments,
        ]
        started = time.monotonic()
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment, **own}, preexec_fn=services.die_with_parent
        )
        code = finish(process)
        say(f"=== {name}: {time.monotonic() - started:.0f} s")
        if report.exists():
            found = json.loads(report.read_text())
            return {**found, "exit": code or found["exit"]}
        return {
            "exit": code,
            "passed": 0,
            "failed": [f"{name}: pytest ended with status {code}"],
            "skipped": [],
            "browser": False,
        }


def finish(process: subprocess.Popen) -> int:
    """Wait for pytest; on Ctrl-C it has the signal already and gets time to stop what its tests started."""
    try:
        return process.wait(TIME_LIMIT)
    except subprocess.TimeoutExpired:
        say(f"Ended after {TIME_LIMIT} s: the suite has to be faster, or something hangs.")
        process.send_signal(signal.SIGINT)
    except KeyboardInterrupt:
        say("Stopping ...")
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return INTERRUPTED  # whatever pytest says of itself


def parallel(arguments: list[str]) -> list[str]:
    """Two processes unless the caller chose. Tests of one xdist group stay together: those that kill processes."""
    chosen = any(argument.startswith(("-n", "--pdb", "--numprocesses")) for argument in arguments)
    return [] if chosen else ["-n", os.environ.get("TEST_PROCESSES", "2"), "--dist", "loadgroup"]


def sqlite_pass(arguments: list[str], reports: list[dict], exercised: list[str], *, quick: bool = False) -> None:
    exercised.append(f"SQLite {sqlite3.sqlite_version}")
    environment = {"LAUREL_TEST_PASS": "quick" if quick else "sqlite", "TEST_DATABASE_URL": "", "TEST_REDIS_URL": ""}
    reports.append(run_pass(exercised[0], arguments, environment))


def services_pass(arguments: list[str], reports: list[dict], exercised: list[str]) -> None:
    with contextlib.ExitStack() as stack:
        database = os.environ.get("TEST_DATABASE_URL") or stack.enter_context(services.postgres())
        broker = os.environ.get("TEST_REDIS_URL") or stack.enter_context(services.redis())
        versions = server_versions(database, broker)
        environment = {"TEST_DATABASE_URL": database, "TEST_REDIS_URL": broker, "LAUREL_TEST_PASS": "postgresql"}
        reports.append(run_pass(" + ".join(versions), arguments, environment))
        exercised += versions


def server_versions(database: str, broker: str) -> list[str]:
    import psycopg
    import redis

    with psycopg.connect(database.replace("postgres://", "postgresql://", 1)) as connection:
        number = connection.execute("SHOW server_version").fetchone()[0].split()[0]
    return [f"PostgreSQL {number}", f"Redis {redis.Redis.from_url(broker).info()['redis_version']}"]


def unexpected(skipped: list[list[str]]) -> list[list[str]]:
    return [item for item in skipped if not item[1].startswith(EXPECTED_SKIPS)]


def summarise(reports: list[dict], exercised: list[str], absent: list[str]) -> int:
    """Print skips with reasons, the one summed line and the line of what was exercised. Returns the exit status."""
    passed = sum(report["passed"] for report in reports)
    failed = [name for report in reports for name in report["failed"]]
    skipped = [item for report in reports for item in report["skipped"]]
    strict = os.environ.get("CI", "").lower() not in {"", "0", "false"}
    say("")
    for name, reason in skipped:
        say(f"SKIPPED {name}: {reason}")
    for name in failed:
        say(f"FAILED {name}")
    say(f"\n{passed} passed, {len(failed)} failed, {len(skipped)} skipped")
    say(f"Exercised: {', '.join(exercised) or 'nothing'}" + (f"; not exercised: {', '.join(absent)}" if absent else ""))
    status = 1 if failed or any(report["exit"] not in (0, 5) for report in reports) else 0
    if not status and not passed:
        say("No test ran.")
        status = 5
    if strict and (absent or unexpected(skipped)):
        say("CI is set: everything must be exercised and no test may skip for a reason of its own.")
        status = status or 1
    return status


def ready_services() -> list[str]:
    """Install what is missing and may be installed; returns the packages that are still missing."""
    own = {"postgresql": "TEST_DATABASE_URL", "redis-server": "TEST_REDIS_URL"}

    def needed() -> list[str]:
        return [package for package in missing_packages() if not os.environ.get(own.get(package, ""))]

    if missing := needed():
        install(missing)
    return needed()


def both_passes(arguments: list[str], reports: list[dict], exercised: list[str]) -> list[str]:
    """Run them and note what was done; returns what could not be exercised."""
    absent = ready_services()
    sqlite_pass(arguments, reports, exercised)
    if not {"postgresql", "redis-server"} & set(absent) and reports[0]["exit"] != INTERRUPTED:
        services_pass(arguments, reports, exercised)
    if any(report["browser"] for report in reports):
        exercised.append(f"Chromium {services.version_of(services.chromium_program(), '--version')}")
    elif "chromium" not in absent and not arguments:
        absent.append("a browser")
    return absent


stopped = threading.Event()


def on_signal(*_) -> None:
    """Ctrl-C or SIGTERM. Remembered, because an exception raised at a bad moment is swallowed by Python."""
    stopped.set()
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    quick = "--quick" in arguments
    arguments = [argument for argument in arguments if argument != "--quick"]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    reports: list[dict] = []
    exercised: list[str] = []
    absent: list[str] = []
    try:
        if quick:
            sqlite_pass(arguments, reports, exercised, quick=True)
        else:
            absent = both_passes(arguments, reports, exercised)
    except KeyboardInterrupt:
        say("Stopped.")
        reports.append({"exit": INTERRUPTED, "passed": 0, "failed": [], "skipped": [], "browser": False})
    status = summarise(reports, exercised, absent)
    return status or (INTERRUPTED if stopped.is_set() else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
