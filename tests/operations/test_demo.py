"""`make demo`, as a user starts and stops it."""

import contextlib
import os
import signal
import sqlite3
import sys
import urllib.request

import environ
import psutil
import pytest

from incentives.operations import demo as program
from tests.support.processes import Process
from tests.support.services import free_port

pytestmark = [pytest.mark.chaos, pytest.mark.pure]


@pytest.fixture
def demo(tmp_path):
    """Starts the demo in a shell whose environment would lead it elsewhere; stops what a failed test left."""
    started = []

    def start(*arguments):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "LAUREL_DEMO_DIR": str(tmp_path / "demo"),
            "DATABASE_URL": "postgres://nobody@127.0.0.1:9/production",
            "REDIS_URL": "redis://127.0.0.1:9/0",
            "BASE_URL": "https://rewards.example.com",
        }
        command = [sys.executable, "-m", "incentives.operations.demo", "--port", str(free_port()), *arguments]
        process = Process(command, tmp_path / f"{len(started)}.log", environment)
        started.append(process)
        return process

    yield start
    for process in started:
        for child in _family(process):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        process.kill()


def _family(process) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _address(process) -> str:
    return next(line.split()[-1] for line in process.output.splitlines() if "Laurel is running at" in line)


def _stop(process, number=signal.SIGINT) -> tuple[int, list]:
    """Exit status, and what outlived it."""
    family = _family(process)
    assert len(family) >= 8  # four programs and what honcho puts before each
    process.signal(number)
    status = process.wait(30)
    return status, [one for one in psutil.wait_procs(family, timeout=10)[1] if one.status() != psutil.STATUS_ZOMBIE]


def test_mail_of_the_demo_stays_in_its_own_folder(monkeypatch, tmp_path):
    """A path that lost its first slash would be made again inside the project, where it may be committed."""
    monkeypatch.setattr(program, "FOLDER", tmp_path)
    url = program.environment(8000, 8010)["EMAIL_URL"]
    assert environ.Env.email_url_config(url)["EMAIL_FILE_PATH"] == str(tmp_path / "mail")


def test_the_demo_starts_with_no_environment_keeps_its_data_and_leaves_nothing_running(demo, tmp_path):
    first = demo().wait_for("Ctrl-C stops everything", seconds=240)
    with urllib.request.urlopen(f"{_address(first)}/accounts/login/", timeout=10) as response:
        assert response.status == 200
    second = demo()
    assert second.wait(60) == 1
    assert f"The demo is running already: {_address(first)}" in second.output
    assert _stop(first) == (0, [])
    secret = (tmp_path / "demo" / "secret_key.txt").read_text()

    again = demo().wait_for("Ctrl-C stops everything", seconds=240)
    assert (tmp_path / "demo" / "secret_key.txt").read_text() == secret
    assert _stop(again, signal.SIGHUP)[1] == []


def test_a_reset_throws_the_data_away_and_an_interrupted_start_begins_anew(demo, tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "secret_key.txt").write_text("of an earlier demo")
    (tmp_path / "demo" / "seeded").touch()
    process = demo("--reset").wait_for("Building an example company", seconds=240)
    assert (tmp_path / "demo" / "secret_key.txt").read_text() != "of an earlier demo"
    assert "Keeping the company" not in process.output

    process.wait_for(lambda: _people(tmp_path / "demo" / "laurel.sqlite3") > 0, seconds=240)
    family = _family(process)
    process.signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert "The next start begins anew." in process.output and "Traceback" not in process.output
    assert psutil.wait_procs(family, timeout=10)[1] == []

    again = demo("--quiet").wait_for("Starting web, worker", seconds=240)
    assert "ledger, earnings and audit trail checked" in again.output
    assert _people(tmp_path / "demo" / "laurel.sqlite3") == 11


def _people(database) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT COUNT(*) FROM accounts_user").fetchone()[0]
