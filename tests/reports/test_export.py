"""Everything the customer owns: what is in the file, what is not, who gets it, and for how long."""

import io
import json
import zipfile
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from incentives.core import audit, sealing
from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.ledger.models import Posting
from incentives.operations.sweep import SWEEPERS
from incentives.reports import export_services
from incentives.reports.export_dictionary import all_models, exported_fields
from incentives.reports.export_models import FullExport
from incentives.reports.export_tables import FIELDS_LEFT_OUT, LEFT_OUT, TABLES
from tests.factories import make_user
from tests.payouts.scene import ANSWER, LINK
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
S = FullExport.Status


@pytest.fixture(autouse=True)
def store(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "uploads"
    return settings.MEDIA_ROOT


@pytest.fixture
def made(books):
    export = export_services.request_export(actor=books.scene.finance)
    assert export_services.carry_on() == 1
    export.refresh_from_db()
    return export


def archive_of(export) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(export_services.path_of(export).read_bytes()))


def rows(archive, label) -> list[dict]:
    return [json.loads(line) for line in archive.read(f"data/{label}.jsonl").splitlines()]


# --- what is in it ----------------------------------------------------------------------------------------------------------
def test_every_model_is_exported_or_left_out_with_a_reason():
    known = set(all_models())
    assert known - set(TABLES) - set(LEFT_OUT) == set(), "name each new model in reports/export_tables.py"
    assert set(TABLES) & set(LEFT_OUT) == set() and (set(TABLES) | set(LEFT_OUT)) - known == set()
    assert len(TABLES) == len(set(TABLES)) and all(LEFT_OUT.values())


def test_a_field_that_may_hold_a_secret_is_left_out_with_a_reason():
    fields = {f"{m._meta.label}.{f.name}" for m in all_models().values() for f in m._meta.concrete_fields}
    assert set(FIELDS_LEFT_OUT) - fields == set()
    told = ("password", "secret", "sealed", "token", "hook", "key_hash", "session")
    found = {
        f"{label}.{field.name}"
        for label in TABLES
        for field in exported_fields(all_models()[label])
        if any(word in field.name for word in told) and not field.name.endswith("_at")
    }
    assert found == set(), "leave these out in reports/export_tables.py, or name them otherwise"


def test_every_row_is_there_and_no_secret(made, books):
    archive = archive_of(made)
    for label in TABLES:
        model = all_models()[label]
        late = {"core.AuditEvent": 1}.get(label, 0)  # the event that says that it is made
        assert len(rows(archive, label)) == model._base_manager.count() - late, label
    posting = Posting.objects.order_by("pk").first()
    assert rows(archive, "ledger.Posting")[0] == {
        "id": posting.pk, "key": posting.key, "source_id": posting.source_id, "destination_id": posting.destination_id,
        "amount_minor": posting.amount_minor, "currency": "USD", "kind": posting.kind, "cause": posting.cause,
        "memo": posting.memo, "actor_id": posting.actor_id, "posted_at": posting.posted_at.isoformat(),
        "booked_on": posting.booked_on.isoformat(),
    }  # fmt: skip
    everything = b"".join(archive.read(name) for name in archive.namelist())
    password = books.scene.finance.password
    assert books.scene.rep.email.encode() in everything  # addresses are the customer's data
    for secret in (LINK, ANSWER, password, "/hooks/rewards/"):
        assert secret.encode() not in everything.replace(archive.read("verify.py"), b""), secret


def test_the_dictionary_and_the_manifest_say_what_is_there(made):
    archive = archive_of(made)
    words = json.loads(archive.read("dictionary.json"))
    assert list(words["tables"]) == TABLES and words["left_out"] == LEFT_OUT
    posting = words["tables"]["ledger.Posting"]
    assert posting["fields"]["source_id"] == {"type": "id", "to": "ledger.Account"}
    assert "cannot fail to balance" in posting["about"]
    manifest = json.loads(archive.read("manifest.json"))
    assert set(manifest["files"]) | {"manifest.json"} == set(archive.namelist())
    assert manifest["files"]["data/ledger.Posting.jsonl"]["rows"] == Posting.objects.count()
    assert {"README.txt", "verify.py", "dictionary.md"} <= set(archive.namelist())


def test_docs_name_what_is_left_out(settings):
    text = (settings.BASE_DIR / "docs" / "export.md").read_text()
    assert [name for name in (*LEFT_OUT, *FIELDS_LEFT_OUT) if f"`{name}`" not in text] == []


# --- who gets it ------------------------------------------------------------------------------------------------------------
def test_asking_twice_makes_one_and_only_finance_asks(books):
    scene = books.scene
    first = export_services.request_export(actor=scene.finance)
    assert export_services.request_export(actor=scene.finance).pk == first.pk
    assert export_services.request_export(actor=scene.other).pk != first.pk
    for role in ("manager", "auditor", "administrator", "participant"):
        with pytest.raises(NotAllowed):
            export_services.request_export(actor=make_user(role, is_superuser=True))
    assert AuditEvent.objects.filter(action="export.requested").count() == FullExport.objects.count() == 2


def test_the_one_who_asked_fetches_it_and_is_recorded(made, books, as_user):
    scene, address = books.scene, reverse("reports:export-fetch", args=[made.public_id])
    client = as_user(scene.finance)
    answer = client.get(address)
    assert b"".join(answer.streaming_content) == export_services.path_of(made).read_bytes()
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("application/zip", "private, no-store")
    event = AuditEvent.objects.get(action="export.fetched")
    assert (event.actor, event.after["sha256"]) == (scene.finance, made.sha256)
    assert as_user(scene.other).get(address).status_code == 404
    with pytest.raises(NotAllowed):
        export_services.open_file(export=made, actor=scene.other)
    assert AuditEvent.objects.filter(action="export.fetched").count() == 1
    mode = export_services.path_of(made).stat().st_mode & 0o777
    assert mode == 0o600


def test_it_is_removed_after_seven_days(made, books, as_user, clock):
    assert "incentives.reports.export_services.sweep_once" in SWEEPERS
    assert export_services.sweep_once() == 0
    clock.shift(timedelta(days=7).total_seconds() + 1)
    client = as_user(books.scene.finance)
    fetched = client.get(reverse("reports:export-fetch", args=[made.public_id]), follow=True)
    assert "removed after 7 days" in fetched.content.decode()
    assert (export_services.sweep_once(), export_services.sweep_once()) == (1, 0)
    made.refresh_from_db()
    assert made.status == S.EXPIRED and not export_services.path_of(made).exists()
    assert_page_clean(client.get(made.get_absolute_url()))
    assert AuditEvent.objects.filter(action="export.removed").count() == 1


# --- the worker ---------------------------------------------------------------------------------------------------------------
def test_a_worker_that_ended_is_followed_by_another_and_three_are_enough(books, clock):
    export = export_services.request_export(actor=books.scene.finance)
    for _ in range(3):
        assert export_services._claim().pk == export.pk
        assert export_services._claim() is None
        clock.shift(121)
    assert export_services._claim() is None
    export.refresh_from_db()
    assert export.status == S.FAILED and "3 times" in export.error


def test_a_failure_is_told_and_leaves_no_file(books, monkeypatch, store, as_user):
    def broken(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("incentives.reports.export_writer.Writer.manifest", broken)
    export = export_services.request_export(actor=books.scene.finance)
    export_services.carry_on()
    export.refresh_from_db()
    assert (export.status, "OSError" in export.error, list((store / "exports").iterdir())) == (S.FAILED, True, [])
    assert_page_clean(as_user(books.scene.finance).get(export.get_absolute_url()))


def test_a_worker_whose_export_was_taken_over_puts_nothing_in_its_place(books, monkeypatch):
    export = export_services.request_export(actor=books.scene.finance)

    def meanwhile(self, made_at):
        FullExport.objects.filter(pk=export.pk).update(attempt=2, lease_until=timezone.now() + timedelta(hours=1))
        return "x" * 64

    monkeypatch.setattr("incentives.reports.export_writer.Writer.manifest", meanwhile)
    export_services.carry_on()
    export.refresh_from_db()
    assert (export.status, export.attempt, export.sha256) == (S.RUNNING, 2, "")
    assert not export_services.path_of(export).exists()


def test_the_pages_ask_and_show_the_progress(books, as_user):
    client = as_user(books.scene.finance)
    assert_page_clean(client.get(reverse("reports:export")))
    asked = client.get(reverse("reports:export-new"))
    assert_page_clean(asked)
    assert "names, addresses and tax status" in asked.content.decode()
    page = client.post(reverse("reports:export-new"), follow=True)
    assert "waits for a worker" in page.content.decode()
    FullExport.objects.update(status=S.RUNNING, done=50, total=200)
    assert "50 of 200" in client.get(FullExport.objects.get().get_absolute_url()).content.decode()
    assert_page_clean(client.get(reverse("reports:export")))


# --- the command ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["out", "all.zip"])
def test_the_command_writes_a_folder_or_a_zip_and_overwrites_nothing(books, tmp_path, name, capsys):
    audit.seal()
    sealing.seal()
    call_command("export", out=str(tmp_path / name))
    assert "SHA-256 of its manifest" in capsys.readouterr().out
    assert AuditEvent.objects.filter(action="export.made").count() == 1
    with pytest.raises(CommandError):
        call_command("export", out=str(tmp_path / name))
    call_command("export", dictionary=True)
    assert "## data/ledger.Posting.jsonl" in capsys.readouterr().out
