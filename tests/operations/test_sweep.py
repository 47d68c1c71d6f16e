"""The sweep: order, isolation, election, heartbeat."""

import signal
import sys
import time

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from incentives.accounts.models import User
from incentives.core import audit
from incentives.core.models import AuditEvent, Heartbeat
from incentives.operations import sweep as operations
from incentives.operations.locks import holding, process_lock
from incentives.operations.tasks import sweep_task

calls: list[str] = []


def first():
    calls.append("first")
    return 2


def broken():
    calls.append("broken")
    raise RuntimeError("claim link https://cards.example/secret")


def last():
    calls.append("last")


@pytest.fixture
def sweepers(monkeypatch):
    """Sweep with three sweepers of this module instead of the real ones."""
    calls.clear()
    monkeypatch.setitem(sys.modules, "sweep_stubs", sys.modules[__name__])
    monkeypatch.setattr("incentives.operations.sweep.find_spec", lambda name: name)
    monkeypatch.setattr(operations, "SWEEPERS", tuple(f"sweep_stubs.{name}" for name in ("first", "broken", "last")))
    return calls


@pytest.mark.pure
def test_every_sweeper_whose_module_exists_can_be_loaded():
    loaded = {path: operations.load(path) for path in operations.SWEEPERS}
    assert loaded["incentives.core.audit.seal"] is audit.seal
    assert all(sweeper is None or callable(sweeper) for sweeper in loaded.values())


@pytest.mark.pure
def test_a_module_that_does_not_exist_is_passed_over():
    assert operations.load("incentives.nowhere.sweep_once") is None
    assert operations.load("incentives.core.nowhere.deeper.sweep_once") is None


@pytest.mark.pure
def test_a_module_that_cannot_be_imported_is_not_hidden(tmp_path, monkeypatch):
    (tmp_path / "half_written.py").write_text("import a_library_nobody_installed\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_library_nobody_installed"):
        operations.load("half_written.sweep_once")
    with pytest.raises(AttributeError):
        operations.load("incentives.core.audit.no_such_function")


@pytest.mark.django_db
def test_sweepers_run_in_order_and_one_failure_stops_no_other(sweepers):
    results = operations.sweep()
    assert sweepers == ["first", "broken", "last"]
    assert results == {
        "sweep_stubs.first": 2,
        "sweep_stubs.broken": "failed: RuntimeError",
        "sweep_stubs.last": None,
    }
    beat = Heartbeat.objects.get(name="sweep")
    assert beat.detail == {"sweep_stubs.first": 2, "sweep_stubs.broken": "failed: RuntimeError"}
    assert (timezone.now() - beat.at).total_seconds() < 10


@pytest.mark.django_db
def test_the_command_fails_when_a_sweeper_fails_and_says_what_was_done(sweepers, capsys):
    with pytest.raises(CommandError, match="A part of the sweep failed"):
        call_command("sweep")
    assert "sweep_stubs.first: 2" in capsys.readouterr().out
    assert sweepers == ["first", "broken", "last"]


@pytest.mark.django_db
def test_every_must_be_positive():
    with pytest.raises(CommandError, match="--every: expected a number of seconds above 0"):
        call_command("sweep", loop=True, every=0)
    assert not Heartbeat.objects.exists()


@pytest.mark.django_db
def test_check_tells_a_silent_sweep_from_a_living_one(sweepers, capsys):
    with pytest.raises(CommandError, match="The sweep is silent: no sweep ran yet"):
        call_command("sweep", check=True)
    operations.sweep()
    sweepers.clear()
    call_command("sweep", check=True)
    assert (capsys.readouterr().out, sweepers) == ("The sweep is alive.\n", [])


@pytest.mark.django_db
def test_two_sweeps_never_run_at_the_same_time(sweepers):
    with holding("sweep") as mine:
        assert mine
        assert operations.sweep() is None
    assert sweepers == []
    assert operations.sweep() is not None


@pytest.mark.django_db
def test_beats_task_sweeps_only_where_no_loop_does(sweepers):
    lock = process_lock("sweep-loop")
    assert lock.acquire()
    sweep_task()
    assert sweepers == []
    lock.release()
    sweep_task()
    assert sweepers == ["first", "broken", "last"]


@pytest.mark.django_db
def test_a_lock_has_one_holder_and_is_free_after_release():
    one, two = process_lock("test"), process_lock("test")
    assert one.acquire()
    assert not two.acquire()
    assert (one.held(), two.held()) == (True, False)
    one.release()
    assert two.acquire()
    two.release()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_released_lock_is_free_before_its_session_has_ended(monkeypatch):
    """The server ends a closed session when it gets to it; here it does not get to it at all."""
    one, two = process_lock("test"), process_lock("test")
    assert one.acquire()
    session = one._session
    monkeypatch.setattr(session, "close", lambda: None)
    one.release()
    assert two.acquire()
    two.release()
    monkeypatch.undo()
    session.close()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_lock_is_lost_with_its_session_and_can_be_taken_again():
    from django.db import connection

    lock = process_lock("test")
    assert lock.acquire()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
    assert not lock.held()
    assert lock.acquire()
    lock.release()


@pytest.mark.django_db(transaction=True)
def test_a_sweep_seals_the_audit_trail():
    with transaction.atomic():
        user = User.objects.create_user("rep@example.com")
        for number in range(3):
            audit.record(f"user.changed_{number}", user)
    assert operations.sweep()["incentives.core.audit.seal"] == 3
    assert list(AuditEvent.objects.order_by("pk").values_list("seq", flat=True)) == [1, 2, 3]
    assert audit.verify() == []


@pytest.mark.django_db(transaction=True)
def test_verify_audit_is_content_with_a_whole_trail(capsys):
    with transaction.atomic():
        audit.record("user.created", User.objects.create_user("rep@example.com"))
    operations.sweep()
    call_command("verify_audit")
    head = AuditEvent.objects.get().chain
    assert (
        capsys.readouterr().out.strip()
        == f"The audit trail is whole: 1 sealed, head {head}; 0 waiting for the next sweep.\n"
        "The books are whole: nothing sealed yet; 0 waiting for the next sweep."
    )


@pytest.mark.django_db(transaction=True)
def test_verify_audit_lists_a_row_whose_link_was_changed(capsys):
    with transaction.atomic():
        audit.record("user.created", User.objects.create_user("rep@example.com"))
    operations.sweep()
    AuditEvent.objects.update(chain="0" * 64)
    with pytest.raises(CommandError, match=r"have 1 problem\(s\)"):
        call_command("verify_audit")
    assert "number 1 does not follow from the row before it" in capsys.readouterr().err


@pytest.mark.chaos
@pytest.mark.django_db(transaction=True)
def test_one_loop_is_elected_a_second_takes_over_when_it_is_killed(processes):
    def beat():
        found = Heartbeat.objects.filter(name="sweep").first()
        return found and found.at

    elected = processes.manage("sweep", "--loop", "--every", "0.3").wait_for(lambda: beat() is not None)
    idle = processes.manage("sweep", "--loop", "--every", "0.3").wait_for("another process sweeps")
    elected.kill()
    killed_at = timezone.now()
    idle.wait_for(lambda: beat() > killed_at)
    idle.signal(signal.SIGTERM)
    assert idle.wait(10) == 0
    silent_since = beat()
    time.sleep(0.7)
    assert beat() == silent_since
