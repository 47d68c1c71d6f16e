"""Postings, earnings and approvals are sealed: whoever edits, removes, swaps or puts in a row is found, and the row is named."""

import json
import threading
import uuid
from contextlib import contextmanager
from datetime import UTC, date, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, models, transaction
from django.test.utils import CaptureQueriesContext

from incentives.core import audit, chains, sealing
from incentives.core.models import AuditEvent, ChainHead, SealedRow, UnsealedRow
from incentives.core.seal_trigger import seal_rows
from incentives.earnings.models import Earning
from incentives.ledger.models import Posting
from incentives.operations import sweep as operations
from incentives.payouts.models import Approval
from tests.factories import make_budget
from tests.payouts.conftest import scene  # noqa: F401
from tests.reports.books import Books

TABLES = (Posting, Earning, Approval)
COLUMNS = [(model, field) for model in TABLES for field in model._meta.concrete_fields]


class _Undo(Exception):
    pass


@pytest.fixture
def tampering():
    """`with tampering():` what somebody with all rights on the database may do; undone afterwards."""

    @contextmanager
    def undone():
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    if connection.vendor == "postgresql":
                        cursor.execute("SET LOCAL session_replication_role = replica")
                    else:
                        for (name,) in cursor.execute(
                            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
                        ).fetchall():
                            cursor.execute(f'DROP TRIGGER "{name}"')
                yield
                raise _Undo
        except _Undo:
            pass
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL session_replication_role = origin")

    return undone


@pytest.fixture
def sealed(db, scene, clock):  # noqa: F811
    """Books in which everything happened, sealed."""
    books = Books(scene, clock)
    audit.seal()
    sealing.seal()
    assert sealing.verify() == []
    return books


@pytest.fixture
def few(db):
    """A dozen postings, sealed."""
    for _ in range(12):
        make_budget(funded="10.00")
    audit.seal()
    assert sealing.seal() == 12 and sealing.verify() == []


def sql(statement: str, *values) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def named(problems) -> set[tuple[str, int | None, str]]:
    return {(p.table, p.row, p.what) for p in problems}


def middle(model) -> models.Model:
    rows = list(model._base_manager.order_by("pk"))
    assert len(rows) >= 4
    return rows[len(rows) // 2]


def forged(field: models.Field, value):
    """Another value of the same kind."""
    if isinstance(field, models.UUIDField):
        return uuid.UUID(int=7)
    if isinstance(field, models.DateTimeField):
        return datetime(2020, 1, 1, tzinfo=UTC)
    if isinstance(field, models.DateField):
        return date(2020, 1, 1)
    if isinstance(field, models.JSONField):
        return {**(value or {}), "forged": 1}
    if isinstance(field, models.GenericIPAddressField):
        return "203.0.113.99"
    if field.is_relation or isinstance(field, models.IntegerField):
        return (value or 0) + 100_000
    return f"{value}x"[-(field.max_length or 99) :] if value != "USD" else "EUR"


# --- finding ----------------------------------------------------------------------------------------------------------------
def test_an_edit_of_any_column_is_found_and_the_row_named(sealed, tampering):
    for model, field in COLUMNS:
        row, label = middle(model), model._meta.label
        with tampering():
            model._base_manager.filter(pk=row.pk).update(**{field.attname: forged(field, getattr(row, field.attname))})
            found = sealing.verify()
            if field.primary_key:
                assert named(found) == {(label, row.pk, "removed"), (label, row.pk + 100_000, "inserted")}
            else:
                assert [(p.table, p.row, p.what) for p in found] == [(label, row.pk, "edited")], field
                assert str(found[0]).startswith(f"{label} row {row.pk} (")
    assert sealing.verify() == []
    assert len(COLUMNS) > 35


def test_emptying_a_column_or_filling_an_empty_one_is_found(sealed, tampering):
    tried = set()
    for model, field in COLUMNS:
        for empty in (False, True):
            row = model._base_manager.filter(**{f"{field.attname}__isnull": empty}).first()
            if row is None or not field.null:
                continue
            with tampering():
                model._base_manager.filter(pk=row.pk).update(**{field.attname: forged(field, None) if empty else None})
                assert named(sealing.verify()) == {(model._meta.label, row.pk, "edited")}, field
            tried.add((field.attname, empty))
    assert {("actor_id", True), ("actor_id", False), ("booked_on", False), ("object_id", False)} <= tried


def test_a_removed_row_is_named_wherever_it_stood(sealed, tampering):
    for model in TABLES:
        rows = model._base_manager.order_by("pk")
        for row in (rows.first(), middle(model), rows.last()):
            with tampering():
                sql(f"DELETE FROM {model._meta.db_table} WHERE id = %s", row.pk)
                (problem,) = sealing.verify()
                assert (problem.table, problem.row, problem.what) == (model._meta.label, row.pk, "removed")


def test_two_rows_that_changed_places_are_both_named(sealed, tampering):
    for model in TABLES:
        one, two = model._base_manager.order_by("pk")[1:3]
        table, label = model._meta.db_table, model._meta.label
        with tampering():
            for old, new in ((one.pk, -1), (two.pk, one.pk), (-1, two.pk)):
                sql(f"UPDATE {table} SET id = %s WHERE id = %s", new, old)
            assert named(sealing.verify()) == {(label, one.pk, "edited"), (label, two.pk, "edited")}


def test_a_row_put_in_past_the_application_is_named_at_once(sealed, tampering):
    unique = {"key": "forged", "public_id": uuid.uuid4(), "n": 99, "step": 99, "actor_id": None}
    for model in TABLES:
        row = middle(model)
        with tampering():
            row.pk = 900_000
            for name, value in unique.items():
                if hasattr(row, name):
                    setattr(row, name, value)
            row.save(force_insert=True)
            assert named(sealing.verify()) == {(model._meta.label, 900_000, "inserted")}


# --- the seals themselves ------------------------------------------------------------------------------------------------------
def seals_of(*numbers: int) -> list[SealedRow]:
    return [SealedRow.objects.get(pk=number) for number in numbers]


def test_tampering_with_a_seal_is_found_too(few, tampering):
    (seal, other) = seals_of(5, 9)
    where = (seal.table, seal.row_id)
    with tampering():
        SealedRow.objects.filter(pk=5).update(digest="0" * 64)
        assert named(sealing.verify()) == {(*where, "edited"), (*where, "reordered")}
    with tampering():
        SealedRow.objects.filter(pk=5).update(chain="0" * 64)
        assert (*where, "reordered") in named(sealing.verify())
    with tampering():
        SealedRow.objects.filter(pk=5).delete()
        assert named(sealing.verify()) == {("core.SealedRow", 5, "removed"), (*where, "inserted")}
    with tampering():  # two seals change places, with links made to look right in themselves
        for number, new in ((5, 900_000), (9, 5), (900_000, 9)):
            sql("UPDATE core_sealedrow SET id = %s WHERE id = %s", new, number)
        assert {(other.table, other.row_id, "reordered"), (*where, "reordered")} <= named(sealing.verify())


def test_a_row_removed_together_with_its_seal_leaves_a_gap(few, tampering):
    (seal,) = seals_of(5)
    with tampering():
        sql(f"DELETE FROM {sealing._tables[seal.table].model._meta.db_table} WHERE id = %s", seal.row_id)
        SealedRow.objects.filter(pk=5).delete()
        assert named(sealing.verify()) == {("core.SealedRow", 5, "removed")}


def test_a_removed_tail_is_found_by_the_head(few, tampering):
    last = SealedRow.objects.order_by("-pk").first()
    with tampering():
        sql(f"DELETE FROM {sealing._tables[last.table].model._meta.db_table} WHERE id = %s", last.row_id)
        SealedRow.objects.filter(pk=last.pk).delete()
        (problem,) = sealing.verify()
        assert str(problem) == (
            f"the chain books ends with number {last.pk - 1}, its head says {last.pk}: the last were removed"
        )
    with tampering():
        ChainHead.objects.filter(name="books").delete()
        assert "is missing" in str(*sealing.verify())


def test_a_removed_last_audit_event_is_found_by_the_head(few, tampering):
    last = AuditEvent.objects.order_by("-seq").first()
    with tampering():
        AuditEvent.objects.filter(pk=last.pk).delete()
        assert audit.verify() == [
            f"the chain audit ends with number {last.seq - 1}, its head says {last.seq}: the last were removed"
        ]


def remake() -> None:
    """All seals made anew over the rows as they are now, head included: what somebody with every right can do."""
    chain = chains.GENESIS
    for seal in SealedRow.objects.order_by("pk"):
        table = sealing._tables[seal.table]
        _pk, *values = table.rows().get(pk=seal.row_id)
        seal.digest = sealing.digest_of(seal.table, table.columns, values)
        seal.chain = chain = sealing._link(chain, seal.pk, seal.table, seal.row_id, seal.digest)
        seal.save()
    ChainHead.objects.filter(name="books").update(chain=chain)


def test_a_whole_chain_made_anew_shows_only_against_a_head_that_was_kept(few, tampering, capsys):
    number, chain = chains.heads()["books"]
    call_command("verify_audit", kept=[f"books:{number}:{chain}"])
    with tampering():
        Posting.objects.filter(pk=middle(Posting).pk).update(memo="forged")
        remake()
        assert sealing.verify() == []
        with pytest.raises(CommandError, match=r"1 problem\(s\)"):
            call_command("verify_audit", kept=[f"books:{number}:{chain}"])
        assert f"the chain books has another link at number {number} than was kept" in capsys.readouterr().err
    with pytest.raises(CommandError, match=r"1 problem\(s\)"):
        call_command("verify_audit", kept=[f"books:{number + 1}:{chain}"])
    for wrong in ("books:1", "cash:1:" + "0" * 64, "books:x:" + "0" * 64):
        with pytest.raises(CommandError, match="expected for example"):
            call_command("verify_audit", kept=[wrong])


# --- what waits -----------------------------------------------------------------------------------------------------------------
def test_what_happens_to_rows_before_they_are_sealed(few, tampering):
    """An edit of a row that waits is sealed as it is; its removal is not forgotten."""
    make_budget(funded="10.00")
    young = Posting.objects.get(pk=UnsealedRow.objects.get(table="ledger.Posting").row_id)
    assert sealing.verify() == []
    with tampering():
        sql("DELETE FROM ledger_posting WHERE id = %s", young.pk)
        assert named(sealing.verify()) == {("ledger.Posting", young.pk, "removed")}
        assert sealing.seal() == 1
        (problem,) = sealing.verify()
        assert str(problem).startswith(f"ledger.Posting row {young.pk} was removed before it was sealed (seal ")
    with tampering():
        Posting.objects.filter(pk=young.pk).update(memo="before the seal")
        sealing.seal()
        assert sealing.verify() == []


def test_a_row_put_back_in_another_form_is_named_and_sealing_goes_on(few, tampering):
    row = middle(Posting)
    with tampering():
        UnsealedRow.objects.create(table="ledger.Posting", row_id=row.pk)
        Posting.objects.filter(pk=row.pk).update(memo="forged")
        assert sealing.seal() == 1
        assert named(sealing.verify()) == {("ledger.Posting", row.pk, "edited")}


# --- sealing --------------------------------------------------------------------------------------------------------------------
def test_every_sealed_table_is_noted_by_the_database_and_sealed_once(sealed):
    total = sum(model._base_manager.count() for model in TABLES)
    assert [table.label for table in sealing.tables()] == ["earnings.Earning", "ledger.Posting", "payouts.Approval"]
    assert list(SealedRow.objects.order_by("pk").values_list("pk", flat=True)) == list(range(1, total + 1))
    head = ChainHead.objects.get(name="books")
    assert (head.number, head.chain) == (total, SealedRow.objects.get(pk=total).chain)
    assert sealing.seal() == 0 and not UnsealedRow.objects.exists()
    assert ChainHead.objects.get(name="books").chain == head.chain


def test_batches_of_any_size_give_the_same_chain(db, scene, clock, monkeypatch):  # noqa: F811
    Books(scene, clock)
    waiting = UnsealedRow.objects.count()
    with transaction.atomic():
        sealing.seal()
        whole = chains.heads()["books"]
        transaction.set_rollback(True)
    for batch in (2, 7):
        monkeypatch.setattr(sealing, "BATCH", batch)
        with transaction.atomic():
            assert sealing.seal(limit=5) == 5
            assert sealing.seal() == waiting - 5
            assert chains.heads()["books"] == whole and sealing.verify() == []
            transaction.set_rollback(True)


def test_an_interrupted_batch_leaves_nothing_and_is_repeated(few, monkeypatch):
    make_budget(funded="10.00")
    before = chains.heads()["books"]

    def broken(*args):
        raise OSError("the machine went down")

    with monkeypatch.context() as patch:
        patch.setattr(sealing, "move_head", broken)
        with pytest.raises(OSError):
            sealing.seal()
    assert chains.heads()["books"] == before and UnsealedRow.objects.count() == 1
    assert sealing.verify() == []
    assert sealing.seal() == 1 and sealing.verify() == []


def test_a_batch_takes_as_many_queries_however_many_rows(few):
    budget = make_budget()

    def queries(rows: int) -> int:
        accounts = list(budget.accounts.order_by("pk")[:2])
        Posting.objects.bulk_create(
            Posting(
                key=f"x{rows}:{n}", source=accounts[0], destination=accounts[1], amount_minor=1, currency="USD",
                kind="t", cause="t", booked_on=date(2026, 7, 20),
            )
            for n in range(rows)
        )  # fmt: skip
        with CaptureQueriesContext(connection) as found:
            assert sealing.seal() == rows
        return len(found)

    assert queries(1) == queries(150)
    with CaptureQueriesContext(connection) as idle:
        assert sealing.seal() == 0
    assert len(idle) == 1


def test_json_gives_heads_and_problems(few, tampering, capsys):
    call_command("verify_audit", json=True)
    told = json.loads(capsys.readouterr().out)
    number, chain = chains.heads()["books"]
    assert told["books"] == {"sealed": number, "head": chain, "waiting": 0} and told["problems"] == []
    row = middle(Posting)
    with tampering():
        Posting.objects.filter(pk=row.pk).update(amount_minor=1)
        with pytest.raises(CommandError):
            call_command("verify_audit", json=True)
    (text,) = json.loads(capsys.readouterr().out)["problems"]
    assert text.startswith(f"ledger.Posting row {row.pk} ({row.key}) was edited")


def test_the_database_refuses_to_change_or_remove_a_seal(few):
    for statement in ("UPDATE core_sealedrow SET digest = 'x'", "DELETE FROM core_sealedrow"):
        with pytest.raises(Exception, match="append-only"), transaction.atomic():
            sql(statement)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_row_that_commits_late_under_a_lower_number_is_not_missed():
    """A transaction takes its number, another one after it is committed and sealed, and only then the first commits."""
    budget = make_budget(funded="10.00")
    accounts = list(budget.accounts.order_by("pk")[:2])
    took, may_commit = threading.Event(), threading.Event()

    def posting(key: str) -> Posting:
        return Posting.objects.create(
            key=key, source=accounts[0], destination=accounts[1], amount_minor=1, currency="USD", kind="t", cause="t"
        )

    def late() -> None:
        try:
            with transaction.atomic():
                posting("late")
                took.set()
                assert may_commit.wait(60)
        finally:
            connection.close()

    thread = threading.Thread(target=late)
    thread.start()
    assert took.wait(60)
    early = posting("early")
    assert sealing.seal() == 2 and sealing.verify() == []
    may_commit.set()
    thread.join(60)
    assert Posting.objects.get(key="late").pk < early.pk
    assert sealing.verify() == []
    assert sealing.seal() == 1
    assert SealedRow.objects.order_by("-pk").first().row_id == Posting.objects.get(key="late").pk
    assert sealing.verify() == []


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_sealers_at_once_make_one_chain():
    for _ in range(6):
        make_budget(funded="10.00")
    barrier, done, failed = threading.Barrier(2), [], []

    def sealer() -> None:
        try:
            barrier.wait(60)
            done.append(sealing.seal())
        except Exception as exc:
            failed.append(exc)
        finally:
            connection.close()

    threads = [threading.Thread(target=sealer) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed and sum(done) == 6
    assert list(SealedRow.objects.order_by("pk").values_list("pk", flat=True)) == [1, 2, 3, 4, 5, 6]
    assert sealing.verify() == []


@pytest.mark.django_db(transaction=True)
def test_rows_from_before_are_noted_by_the_migration_and_sealed_by_the_sweep():
    """A repeat, as after a rebuilt table, notes nothing twice."""
    make_budget(funded="10.00")
    sealing.seal()
    make_budget(funded="10.00")
    make_budget(funded="10.00")
    UnsealedRow.objects.order_by("-pk").first().delete()  # as if it had been there before the trigger
    for _ in range(2):
        with connection.schema_editor() as editor:
            seal_rows("ledger_posting", "ledger.Posting").code(None, editor)
    assert UnsealedRow.objects.count() == 2 and sealing.verify() == []
    assert operations.sweep()["incentives.core.sealing.seal"] == 2
    assert SealedRow.objects.count() == 3 and sealing.verify() == []
    make_budget(funded="10.00")
    assert UnsealedRow.objects.count() == 1
