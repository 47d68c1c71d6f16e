"""Private PostgreSQL and Redis servers on free loopback ports, for one test run.

Both die with the process that started them, even when that is killed. Their data is in a temporary folder.
"""

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

START_SECONDS = 30
STOP_SECONDS = 15


class Missing(Exception):
    """A program the tests need is not on this machine."""


def free_port() -> int:
    """A TCP port nobody listens on. Another process may take it before use: callers check that their server started."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port: int) -> bool:
    """Whether somebody accepts connections on this loopback port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def die_with_parent(by: int = signal.SIGTERM) -> None:
    """For `preexec_fn`: Linux ends this process when its parent is gone (PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(1, by)


def postgres_folder() -> Path:
    """The newest folder with both `initdb` and `postgres`. Raises Missing."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    if found := shutil.which("postgres"):
        candidates.append(Path(found).resolve().parent)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise Missing("postgresql")


def redis_program() -> str:
    if found := shutil.which("redis-server") or shutil.which("valkey-server"):
        return found
    raise Missing("redis-server")


def chromium_program() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    for found in filter(None, (shutil.which(name) for name in names)):
        return found
    raise Missing("chromium")


def version_of(*command: str) -> str:
    """The version a program gives of itself, for example '15.18'; the first word with a digit and a point."""
    text = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
    words = [word.removeprefix("v=").strip("(),") for word in text.split()]
    return next((word for word in words if word[:1].isdigit() and "." in word), "unknown version")


def _unprivileged() -> dict:
    """subprocess arguments that drop root, which PostgreSQL refuses; nothing for anybody else."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise Missing("a user named postgres or nobody")


def _stop(process: subprocess.Popen, by: int) -> None:
    if process.poll() is None:
        process.send_signal(by)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(ready, process: subprocess.Popen, log: Path) -> None:
    """Until `ready()`; RuntimeError with the server's own words when it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"{process.args[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Run a server; gives its URL, `postgres://postgres@127.0.0.1:PORT/postgres`. Durability is off: tests only."""
    programs, drop = postgres_folder(), _unprivileged()
    with tempfile.TemporaryDirectory(prefix="laurel-pg-", dir="/tmp", ignore_cleanup_errors=True) as base:
        data, log, port = Path(base) / "data", Path(base) / "log", free_port()
        if drop:
            os.chown(base, drop["user"], drop["group"])
        init = [
            programs / "initdb",
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-N",
            "-D",
            data,
        ]
        done = subprocess.run(init, capture_output=True, text=True, cwd=base, check=False, **drop)
        if done.returncode:
            raise RuntimeError(f"initdb failed:\n{done.stdout}{done.stderr}")
        values = {
            "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": base, "fsync": "off",
            "synchronous_commit": "off", "full_page_writes": "off", "max_connections": 200, "shared_buffers": "128MB",
        }  # fmt: skip
        command = [programs / "postgres", "-D", data, *(f"--{name}={value}" for name, value in values.items())]
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=base, stdout=out, stderr=out, start_new_session=True,
                preexec_fn=lambda: die_with_parent(signal.SIGQUIT), **drop,
            )  # fmt: skip
        try:
            _wait(lambda: _postgres_ready(data), process, log)
            yield f"postgres://postgres@127.0.0.1:{port}/postgres"
        finally:
            _stop(process, signal.SIGINT)


def _postgres_ready(data: Path) -> bool:
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[7].strip() == "ready"


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """Run a server without persistence, evicting nothing; gives its URL without a database number."""
    with tempfile.TemporaryDirectory(prefix="laurel-redis-", ignore_cleanup_errors=True) as base:
        log, port = Path(base) / "log", free_port()
        command = [
            redis_program(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--maxmemory-policy", "noeviction", "--daemonize", "no", "--dir", base,
        ]  # fmt: skip
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, stdout=out, stderr=out, start_new_session=True, preexec_fn=die_with_parent
            )
        try:
            _wait(lambda: answers(port), process, log)
            yield f"redis://127.0.0.1:{port}"
        finally:
            _stop(process, signal.SIGTERM)
