"""Real processes of the application, started by a test and ended with it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.environment import ROOT, process_environment
from tests.support.services import answers, die_with_parent, free_port


class Process:
    """One running process with its output in a file. It and its children form a group of their own."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str]):
        self.command, self.log = command, log
        with log.open("ab") as out:
            self._popen = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=out, stderr=out,
                start_new_session=True, preexec_fn=lambda: die_with_parent(signal.SIGKILL),
            )  # fmt: skip
        self.pid = self._popen.pid

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def wait(self, seconds: float = 30) -> int:
        """The exit status. subprocess.TimeoutExpired after `seconds`."""
        return self._popen.wait(seconds)

    def wait_for(self, ready, seconds: float = 60) -> "Process":
        """Until `ready` (text in the output, or a callable) holds; AssertionError with the output when it never does."""
        holds = ready if callable(ready) else lambda: ready in self.output
        deadline = time.monotonic() + seconds
        while not holds():
            assert self.running, f"{self.command} ended with {self._popen.returncode}:\n{self.output[-4000:]}"
            assert time.monotonic() < deadline, f"{self.command} is not ready after {seconds} s:\n{self.output[-4000:]}"
            time.sleep(0.05)
        return self

    def signal(self, number: int) -> None:
        """To the process alone, for example SIGTERM for a warm shutdown."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to the process and its children: what a crash of the machine looks like."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait(10)

    def stop(self, seconds: float = 10) -> None:
        """Ask, then insist."""
        if self.running:
            self._popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(seconds)
        self.kill()


class Processes:
    """What the `processes` fixture gives: starts processes on the test's database, broker and provider."""

    def __init__(self, folder: Path):
        self.folder, self._running = folder, []

    def start(self, *command: str, name: str = "", **environment: str) -> Process:
        """Any command of the virtual environment; `environment` overrides single variables."""
        name = name or Path(command[-1]).name
        log = self.folder / f"{len(self._running)}-{name}.log"
        process = Process([str(part) for part in command], log, process_environment(**environment))
        self._running.append(process)
        return process

    def manage(self, *arguments: str, **environment: str) -> Process:
        """`manage.py` with these arguments."""
        return self.start(sys.executable, "manage.py", *arguments, name=arguments[0], **environment)

    def celery(self, *arguments: str, **environment: str) -> Process:
        return self.start(sys.executable, "-m", "celery", "-A", "incentives", *arguments, name="celery", **environment)

    def worker(
        self, *, concurrency: int = 2, queues: str = "default,payouts,notify,reports", **environment: str
    ) -> Process:
        """A Celery worker (prefork) that is ready to take tasks."""
        name = f"test{len(self._running)}@%h"
        arguments = [
            "worker",
            "-c",
            str(concurrency),
            "-Q",
            queues,
            "-n",
            name,
            "-l",
            "INFO",
            "--without-mingle",
            "--without-gossip",
        ]
        return self.celery(*arguments, **environment).wait_for(" ready.")

    def server(self, *arguments: str, port: int | None = None, **environment: str) -> Process:
        """`manage.py <arguments> --port N`, listening; the process has `.port` and `.url`."""
        port = port or free_port()
        process = self.manage(*arguments, "--port", str(port), **environment)
        process.port, process.url = port, f"http://127.0.0.1:{port}"
        return process.wait_for(lambda: answers(port))

    def stop(self) -> None:
        for process in reversed(self._running):
            process.stop(2)


def purge_broker() -> None:
    """Drop every message that earlier tests of this xdist worker left on the broker."""
    from incentives.celery import app

    with app.connection_for_write() as connection:
        for queue in ("default", "payouts", "notify"):
            with contextlib.suppress(Exception):  # a queue nobody used yet does not exist
                connection.default_channel.queue_purge(queue)
