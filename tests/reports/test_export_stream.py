"""The export reads one moment of the database while others write, and needs the same memory for many rows as for few."""

import json
import threading
import tracemalloc
import zipfile
from contextlib import contextmanager

import pytest
from django.db import connection

from incentives.core import audit, sealing
from incentives.core.models import AuditEvent
from incentives.core.snapshot import snapshot
from incentives.ledger import services
from incentives.ledger.models import Posting
from incentives.reports import export_services
from incentives.reports.export_models import FullExport
from incentives.reports.export_writer import Target, Writer
from tests.factories import make_budget, make_user, usd
from tests.reports.test_export_verify import problems


class Nowhere(Target):
    @contextmanager
    def open(self, name):
        yield self

    def write(self, data):
        return len(data)

    def close(self):
        pass


@pytest.mark.django_db
def test_memory_stays_flat_however_many_rows(scene):
    def peak() -> int:
        tracemalloc.start()
        with snapshot():
            Writer(Nowhere()).everything()
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    def add(count: int) -> None:
        text = "x" * 500
        AuditEvent.objects.bulk_create([audit.build("note.made", scene.finance, reason=text) for _ in range(count)])

    add(5_000)
    peak()  # what is imported and cached once
    few = peak()
    add(10_000)
    assert peak() < few * 1.3


def in_another_thread(act) -> None:
    failed = []

    def work():
        try:
            act()
        except Exception as exc:
            failed.append(exc)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert not failed and not thread.is_alive()


@pytest.mark.django_db(transaction=True)
def test_it_shows_one_moment_while_others_write_and_tells_its_progress(settings, tmp_path, monkeypatch):
    settings.MEDIA_ROOT = tmp_path
    finance = make_user("finance")
    budget = make_budget(funded="100.00", finance=finance)
    audit.seal()
    sealing.seal()
    before, table, told = Posting.objects.count(), Writer.table, []

    def meanwhile(self, label, model):
        table(self, label, model)
        if label == "ledger.Account":  # its balance is written, its postings are not yet
            in_another_thread(lambda: services.fund(budget=budget, amount=usd("7.00"), reference="late", actor=finance))
            in_another_thread(lambda: told.append(FullExport.objects.get().total))

    monkeypatch.setattr(Writer, "table", meanwhile)
    export = export_services.request_export(actor=finance)
    assert export_services.carry_on() == 1
    export.refresh_from_db()
    assert (export.status, export.done == export.total > 0, told[0] > 0) == ("done", True, True), export.error
    assert Posting.objects.count() == before + 1  # nobody waited
    assert problems(export_services.path_of(export)) == []

    with zipfile.ZipFile(export_services.path_of(export)) as archive:
        keys = [json.loads(line)["key"] for line in archive.read("data/ledger.Posting.jsonl").splitlines()]
    assert len(keys) == before and not any(key.endswith(":late") for key in keys)
