"""`make test` itself: what it adds up, what it refuses, and that it leaves no server behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.support import run, services
from tests.support.environment import ROOT

pytestmark = pytest.mark.pure
GOOD = {"exit": 0, "passed": 3, "failed": [], "skipped": [], "browser": True}
ALL = ["SQLite 3.40", "PostgreSQL 15.18", "Redis 7.0", "Chromium 156"]


def _lines(capsys) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if line]


@pytest.fixture(params=["", "true"])
def ci(request, monkeypatch) -> bool:
    monkeypatch.setenv("CI", request.param)
    return bool(request.param)


def test_two_passes_are_one_plain_line(ci, capsys):
    assert run.summarise([GOOD, {**GOOD, "passed": 2}], ALL, []) == 0
    assert _lines(capsys) == [
        "5 passed, 0 failed, 0 skipped",
        "Exercised: SQLite 3.40, PostgreSQL 15.18, Redis 7.0, Chromium 156",
    ]


def test_a_failure_is_named_and_fails_the_run(ci, capsys):
    assert run.summarise([GOOD, {**GOOD, "exit": 1, "failed": ["tests/x.py::test_y"]}], ALL, []) == 1
    assert "FAILED tests/x.py::test_y" in (lines := _lines(capsys))
    assert "6 passed, 1 failed, 0 skipped" in lines


def test_a_pass_that_broke_off_fails_the_run(ci):
    assert run.summarise([GOOD, {**GOOD, "exit": 3}], ALL, []) == 1


def test_a_run_without_a_test_is_no_success(ci):
    assert run.summarise([{**GOOD, "exit": 5, "passed": 0}], ALL, []) == 5


def test_a_missing_browser_is_said_and_fails_ci(ci, capsys):
    assert run.summarise([GOOD], ALL[:3], ["chromium"]) == (1 if ci else 0)
    assert "Exercised: SQLite 3.40, PostgreSQL 15.18, Redis 7.0; not exercised: chromium" in _lines(capsys)


@pytest.mark.parametrize(
    ("reason", "expected"), [("needs ../shared/data/crm-sales, and it is away", True), ("no time for this", False)]
)
def test_skips_are_listed_and_unexpected_ones_fail_ci(ci, capsys, reason, expected):
    status = run.summarise([{**GOOD, "skipped": [["tests/x.py::test_y", reason]]}], ALL, [])
    assert status == (1 if ci and not expected else 0)
    lines = _lines(capsys)
    assert f"SKIPPED tests/x.py::test_y: {reason}" in lines
    assert "3 passed, 0 failed, 1 skipped" in lines


def test_who_is_not_root_is_told_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: pytest.fail("nothing may be installed"))
    run.install(["postgresql", "chromium"])
    out = capsys.readouterr().out
    assert "Not on this machine: postgresql chromium." in out
    assert "sudo apt-get install postgresql chromium" in out


def test_what_is_missing_is_found(monkeypatch):
    def missing():
        raise services.Missing("redis-server")

    monkeypatch.setitem(run.PACKAGES, "redis-server", missing)
    assert "redis-server" in run.missing_packages()


def test_servers_die_with_a_run_that_is_killed(tmp_path):
    note = tmp_path / "pids"
    code = (
        "import psutil, sys, time; from tests.support import services\n"
        "with services.postgres() as database, services.redis() as broker:\n"
        f"    open({str(note)!r}, 'w').write(' '.join(str(p.pid) for p in psutil.Process().children(recursive=True)))\n"
        "    time.sleep(60)\n"
    )
    started = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    deadline = time.monotonic() + 30
    while not (note.exists() and note.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    pids = [int(pid) for pid in Path(note).read_text().split()]
    assert len(pids) > 3
    started.send_signal(signal.SIGKILL)
    started.wait(10)
    servers = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    assert psutil.wait_procs(servers, timeout=10)[1] == []


@pytest.mark.chaos
def test_a_stopped_run_stops_its_servers_and_says_how_far_it_came():
    command = [sys.executable, "-m", "tests.support.run", "-n0", "-k", "test_every_package_with_code_is_an_installed_app or "
               "test_postgres_tests_run_on_postgresql"]  # fmt: skip
    fresh = {name: value for name, value in os.environ.items() if not name.startswith(("LAUREL_", "PYTEST_", "TEST_"))}
    process = subprocess.Popen(command, cwd=ROOT, env=fresh, stdout=subprocess.PIPE, text=True, start_new_session=True)
    for line in process.stdout:
        if line.startswith("=== PostgreSQL"):
            break
    family = psutil.Process(process.pid).children(recursive=True)
    assert any("postgres" in one.name() for one in family)
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "1 passed," in rest
    assert psutil.wait_procs(family, timeout=10)[1] == []
