"""verify.py, alone with the files: everything holds, and any one changed, removed or doubled row is named."""

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys

import pytest
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incentives.core import audit, sealing
from incentives.payouts import services
from incentives.reports.export_writer import DIGITS, VERIFIER

pytestmark = pytest.mark.django_db

spec = importlib.util.spec_from_file_location("laurel_verify", VERIFIER)
verifier = importlib.util.module_from_spec(spec)
spec.loader.exec_module(verifier)


@pytest.fixture
def folder(books, tmp_path):
    """An export of books in which everything happened, May closed, everything sealed."""
    from datetime import date

    services.close_month(month=date(2026, 5, 1), actor=books.scene.finance)
    audit.seal()
    sealing.seal()
    call_command("export", out=str(tmp_path / "out"))
    return tmp_path / "out"


def problems(folder, **options) -> list[str]:
    return verifier.verify(folder, **options)[1]


def lines(folder, table) -> list[bytes]:
    return (folder / f"data/{table}.jsonl").read_bytes().splitlines(keepends=True)


def put(folder, table, rows: list[bytes], *, forged: bool) -> None:
    """Write a table's lines. `forged`: with digests and manifest made anew, as somebody careful would."""
    (folder / f"data/{table}.jsonl").write_bytes(b"".join(rows))
    if not forged:
        return
    digests = "".join(f"{json.loads(r)['id']} {hashlib.sha256(r).hexdigest()[:DIGITS]}\n" for r in rows)
    (folder / f"digests/{table}.txt").write_text(digests)
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in (f"data/{table}.jsonl", f"digests/{table}.txt"):
        content = (folder / name).read_bytes()
        manifest["files"][name] |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def line(row: dict) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def test_it_runs_alone_on_a_folder_and_on_a_zip(folder, tmp_path):
    shutil.make_archive(str(tmp_path / "export"), "zip", folder)
    for where in ([], [str(tmp_path / "export.zip")]):
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(folder / "verify.py"), *where], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert done.stdout.endswith("Everything holds.\n") and "postings on" in done.stdout
    kept = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert problems(folder, manifest_sha256=kept) == []
    assert "manifest.json" in problems(folder, manifest_sha256="0" * 64)[0]
    bad = subprocess.run([sys.executable, str(folder / "verify.py"), str(tmp_path)], capture_output=True, check=False)
    assert bad.returncode == 2


MONEY = (
    "ledger.Posting", "ledger.Account", "earnings.Earning", "payouts.Payout", "payouts.PayoutEarning",
    "payouts.Recovery", "payouts.WriteOffLine", "payouts.Approval", "core.AuditEvent", "core.SealedRow",
)  # fmt: skip
AMOUNT = {"ledger.Account": "balance_minor", "payouts.Recovery": "recoverable_minor", "core.AuditEvent": "reason"}
AMOUNT |= {"payouts.Approval": "actor_name", "core.SealedRow": "digest"}


def changed(table: str, row: dict) -> dict:
    name = AMOUNT.get(table, "amount_minor")
    return row | {name: row[name] + 1 if isinstance(row[name], int) else f"{row[name]}x"}


def tamper(rows: list[bytes], table: str, index: int, how: str) -> list[bytes]:
    if how == "removed":
        return rows[:index] + rows[index + 1 :]
    if how == "doubled":
        return rows[: index + 1] + rows[index:]
    return [*rows[:index], line(changed(table, json.loads(rows[index]))), *rows[index + 1 :]]


@pytest.mark.parametrize("table", MONEY)
def test_every_row_that_is_changed_removed_or_doubled_is_named(folder, table):
    rows = lines(folder, table)
    assert rows and problems(folder) == []
    for index in range(len(rows)):
        for how in ("changed", "removed", "doubled"):
            if index not in (0, len(rows) // 2, len(rows) - 1):
                continue
            put(folder, table, tamper(rows, table, index, how), forged=False)
            pk = json.loads(rows[index])["id"]
            words = {"doubled": "is there twice", "changed": "was changed", "removed": "was removed"}[how]
            assert f"{table} row {pk}: {words}" in problems(folder), (index, how)
    put(folder, table, rows, forged=False)
    assert problems(folder) == []


def names(table: str, row: dict) -> list[str]:
    """Words of which one must stand in a problem about this row, when nobody can trust the files' digests any more."""
    found = [f"{table} row {row['id']} ", f"{table} row {row['id']}:"]
    if table == "ledger.Posting":
        ends = row["key"].rpartition(":")
        found += [row["key"], f"recover:{ends[0].split(':')[-1]}", "ledger.Account row"]
    if table == "ledger.Account":
        found += [row["code"], f"_id is {row['id']}, and ledger.Account has no such row"]
    if table == "payouts.Recovery":
        found += ["payouts.Recovery of participation"]
    if table == "payouts.PayoutEarning":
        found += [f"payouts.Payout row {row['payout_id']} "]
    if table == "earnings.Earning":
        found += [f"earn:{row['public_id']}"]
    if table == "payouts.Payout":
        found += [row["public_id"], f"payout {row['id']}"]
    if table == "payouts.WriteOffLine":
        found += ["payouts.Recovery row", f"of participation {row['participation_id']}"]
    if table == "core.AuditEvent":
        found += [f"core.AuditEvent number {row['seq']}", "the chain ends with"]
    if table == "core.SealedRow":
        found += [f"core.SealedRow number {row['id']}", "the chain ends with"]
    return found


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_forged_digests_hide_no_change_of_money_or_trail(folder, data):
    table = data.draw(st.sampled_from(MONEY))
    rows = lines(folder, table)
    index = data.draw(st.integers(0, len(rows) - 1))
    how = data.draw(st.sampled_from(["changed", "removed", "doubled"]))
    keep = (folder / "manifest.json").read_bytes(), (folder / f"digests/{table}.txt").read_bytes()
    try:
        put(folder, table, tamper(rows, table, index, how), forged=True)
        found = problems(folder)
        row = json.loads(rows[index])
        assert any(word in text for text in found for word in names(table, row)), (table, how, row, found)
    finally:
        put(folder, table, rows, forged=False)
        (folder / "manifest.json").write_bytes(keep[0])
        (folder / f"digests/{table}.txt").write_bytes(keep[1])


@pytest.mark.parametrize(
    ("table", "change", "words"),
    [
        ("ledger.Posting", {"source_id": None}, "moves money from or to no account"),
        ("ledger.Posting", {"currency": "EUR"}, "its currency is not that of its accounts"),
        ("ledger.Posting", {"key": "new"}, "is missing"),
        ("ledger.Posting", {"kind": "gift"}, "expected"),
        ("payouts.Payout", {"status": "fulfilled"}, "is missing"),
        ("payouts.Payout", {"order_id": 999_999}, "no such row"),
        ("earnings.Earning", {"participation_id": 999_999}, "no such row"),
        ("earnings.Participation", {"earned_minor": 1}, "its earnings give"),
        ("rewards.RewardOrder", {"state": "failed", "provider_order_id": None}, "is delivered, its order is not completed"),
        ("programs.Program", {"id": 999_999}, "no such row"),
        ("ledger.Posting", {"memo": "forged"}, "is not what was sealed: it was edited"),
        ("payouts.Approval", {"ip_address": "203.0.113.99"}, "is not what was sealed: it was edited"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(folder, table, change, words):
    fits = {
        "ledger.Posting": lambda row: row["key"].startswith("earn:"),
        "payouts.Payout": lambda row: row["status"] == "submitted",
        "rewards.RewardOrder": lambda row: row["state"] == "completed",
    }
    rows = lines(folder, table)
    at = next(i for i, row in enumerate(rows) if fits.get(table, bool)(json.loads(row)))
    put(folder, table, [*rows[:at], line(json.loads(rows[at]) | change), *rows[at + 1 :]], forged=True)
    assert any(words in text for text in problems(folder)), problems(folder)


def test_a_row_put_in_is_named_and_one_that_waits_for_its_seal_is_not(folder):
    rows = lines(folder, "payouts.Approval")
    row = json.loads(rows[-1]) | {"id": 999_999, "step": 77}
    put(folder, "payouts.Approval", [*rows, line(row)], forged=True)
    words = f"payouts.Approval row 999999 ({row['actor_name']}): has no seal and waits for none"
    assert [text for text in problems(folder) if words in text] == problems(folder)
    waits = {"id": 999_999, "table": "payouts.Approval", "row_id": 999_999}
    put(folder, "core.UnsealedRow", [line(waits)], forged=True)
    assert problems(folder) == []
    put(folder, "payouts.Approval", rows, forged=True)
    assert problems(folder) == ["payouts.Approval row 999999: is sealed or waits for its seal, and was removed"]


def test_a_row_booked_into_a_closed_month_afterwards_is_named(folder):
    rows = lines(folder, "ledger.Posting")
    row = json.loads(rows[-1])
    put(folder, "ledger.Posting", [*rows[:-1], line(row | {"booked_on": "2026-05-31", "posted_at": "2026-08-01T00:00:00+00:00"})], forged=True)  # fmt: skip
    assert f"ledger.Posting row {row['id']}: was booked into 2026-05 after it was closed" in problems(folder)


def test_files_that_are_missing_or_new_are_named(folder):
    (folder / "data/ledger.Budget.jsonl").unlink()
    (folder / "data/new.jsonl").write_text("{}\n")
    found = problems(folder)
    assert {"data/ledger.Budget.jsonl: is missing", "data/new.jsonl: is not in the manifest"} <= set(found)
