"""Files: mapping, row errors, repetition, corrections, full mode, limits; and the public sample of 8,800 rows."""

import csv
import json
import random
import shutil
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db.models import Sum

from incentives.core import tables
from incentives.core.tables import BadFile
from incentives.crm import imports, services
from incentives.crm.errors import BadMapping
from incentives.crm.mapping import load_tables
from incentives.crm.models import Activity, Connection, Delivery, ImportJob, ObjectState
from tests.crm.conftest import in_parallel, process
from tests.factories import make_participant, make_team

pytestmark = pytest.mark.django_db
MAPPING = {
    "object_id": "id",
    "stage": "stage",
    "stages": {"Won": "won", "Lost": "lost", "*": "open"},
    "occurred_at": "closed",
    "close_date": "closed",
    "participant": {"external_user_id": "owner"},
    "amount": "value",
    "currency": {"value": "USD"},
    "lines": [
        {
            "name": {"column": "product", "aliases": {"GTXPro": "GTX Pro"}},
            "family": {
                "column": "product",
                "aliases": {"GTXPro": "GTX Pro"},
                "table": {"GTX Pro": "GTX"},
                "default": "",
            },
            "total": "value",
        }
    ],
}
HEADER = "id,stage,closed,owner,value,product"
ROWS = [
    "A1,Won,2026-03-01,E-1009,100.10,GTXPro",
    "A2,Lost,2026-03-02,E-1009,0,MG",
    "A3,Engaging,,E-1012,,MG",
    "A4,Won,2026-03-03,E-1012,200.20,GTX Pro",
]


@pytest.fixture
def feed(db):
    return services.create_connection(name="Feed", kind="file", currency="USD", time_zone="America/New_York").connection


@pytest.fixture
def people(ana, ben):
    return ana, ben


@pytest.fixture(autouse=True)
def private_folder(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def write(tmp_path):
    def write(rows=ROWS, name="deals.csv", header=HEADER) -> Path:
        path = tmp_path / name
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    return write


def results(job) -> list[list[str]]:
    with open(job.result_path, newline="") as file:
        return list(csv.reader(file))[1:]


def standing() -> dict[str, tuple]:
    return {s.object_id: (s.state, s.amount) for s in ObjectState.objects.exclude(state="deleted")}


def test_rows_become_facts_through_the_same_pipeline(feed, people, write):
    job = imports.import_file(feed, write(), MAPPING)
    assert (job.status, job.counts) == ("done", {"accepted": 4})
    won = ObjectState.objects.get(object_id="A1")
    assert (won.kind, won.amount, won.participant.name) == ("deal.won", Decimal("100.10"), "Ana Silva")
    assert won.lines == [{"name": "GTX Pro", "family": "GTX", "total": "100.1"}]
    assert won.occurred_at == datetime(2026, 3, 1, 5, tzinfo=UTC)  # midnight in New York
    assert won.close_date.isoformat() == "2026-03-01"
    assert standing()["A3"] == ("open", None)
    assert json.loads(Delivery.objects.get(object_id="A2").raw)["stage"] == "Lost"


def test_the_same_file_again_shuffled_changes_nothing(feed, people, write):
    imports.import_file(feed, write(), MAPPING)
    before = list(ObjectState.objects.order_by("pk").values())
    counts = (Delivery.objects.count(), Activity.objects.count())
    job = imports.import_file(feed, write([ROWS[2], ROWS[0], ROWS[3], ROWS[1]], name="again.csv"), MAPPING)
    assert job.counts == {"unchanged": 4}
    assert list(ObjectState.objects.order_by("pk").values()) == before
    assert (Delivery.objects.count(), Activity.objects.count()) == counts


def test_the_newest_import_wins_even_when_a_value_comes_back(feed, people, write):
    changed = ["A1,Won,2026-03-01,E-1009,50,GTXPro", *ROWS[1:]]
    for rows, amount in ((ROWS, "100.10"), (changed, "50"), (ROWS, "100.10"), (changed, "50")):
        job = imports.import_file(feed, write(rows), MAPPING)
        assert standing()["A1"] == ("won", Decimal(amount))
    assert job.counts == {"accepted": 1, "unchanged": 3}
    assert Activity.objects.filter(kind="deal.won").count() == 2


def test_bad_rows_are_named_and_stop_no_good_ones(feed, people, write):
    rows = [
        ROWS[0],
        "B1,Won,2026-03-01,E-1009,1.234,xx",
        "B2,Won,01/03/2026,E-1009,5,MG",
        ",Won,2026-03-01,E-1009,5,MG",
        "B4,Won,,E-1009,5,MG",
        "B5,Won,2026-03-01,E-1009,=1+1,MG",
        "B6,Won,2026-03-01,nobody,5,MG",
        "B7,Won,2026-03-01,E-1009,-5,MG",
        "B8,Won,2026-03-01,E-1009,5,MG",
        "B8,Won,2026-03-01,E-1009,6,MG",
        "B9,Won,2026-03-01,E-1009,5,MG",
        "B9,Won,2026-03-01,E-1009,5,MG",
    ]
    job = imports.import_file(feed, write(rows), {**MAPPING, "numbers": "1,234.50"})
    found = [tuple(line[:5]) for line in results(job)]
    assert found == [
        ("2", "A1", "accepted", "", ""),
        ("3", "B1", "accepted", "", ""),
        ("4", "", "rejected", "closed", "01/03/2026"),
        ("5", "", "rejected", "id", ""),
        ("6", "", "rejected", "closed", ""),
        ("7", "", "rejected", "value", "'=1+1"),
        ("8", "B6", "quarantined", "", ""),
        ("9", "B7", "quarantined", "", ""),
        ("10", "B8", "rejected", "(row)", "B8"),
        ("11", "B8", "rejected", "(row)", "B8"),
        ("12", "B9", "accepted", "", ""),
        ("13", "B9", "duplicate", "", ""),
    ]
    assert set(standing()) == {"A1", "B1", "B9"}
    assert "nobody" in results(job)[6][5]


def test_a_row_that_waited_gets_another_chance_with_the_next_import(feed, write):
    imports.import_file(feed, write(), MAPPING)
    assert Delivery.objects.filter(status="quarantined").count() == 4
    for number in ("E-1009", "E-1012"):
        make_participant(external_user_id=number)
    job = imports.import_file(feed, write(), MAPPING)
    assert job.counts == {"accepted": 4}
    assert (Delivery.objects.count(), Delivery.objects.filter(status="processed").count()) == (4, 3)
    assert len(standing()) == 4


@pytest.mark.parametrize(
    ("numbers", "text", "amount"),
    [
        ("1,234.50", '"1,234.50"', "1234.50"),
        ("1.234,50", '"1.234,50"', "1234.50"),
        ("1 234,50", '"1 234,50"', "1234.50"),
        ("1234.50", '"1,234.50"', None),
        ("1,234.50", '"12,34.50"', None),
        ("1.234,50", '"1234.50"', None),
    ],
)
def test_numbers_are_read_as_the_mapping_says_and_never_guessed(feed, people, write, numbers, text, amount):
    job = imports.import_file(feed, write([f"A1,Won,2026-03-01,E-1009,{text},MG"]), {**MAPPING, "numbers": numbers})
    assert standing() == ({"A1": ("won", Decimal(amount))} if amount else {})
    assert job.counts == {"accepted" if amount else "rejected": 1}


def test_a_version_column_decides_instead_of_the_order_of_import(feed, people, write):
    mapping, header = {**MAPPING, "version": "rev"}, HEADER + ",rev"
    imports.import_file(feed, write([ROWS[0] + ",2"], header=header), mapping)
    imports.import_file(feed, write(["A1,Won,2026-03-01,E-1009,1,GTXPro,1"], header=header), mapping)
    assert standing()["A1"] == ("won", Decimal("100.10"))


def test_full_mode_deletes_what_is_missing_only_when_the_number_was_confirmed(feed, people, write):
    imports.import_file(feed, write(), MAPPING)
    smaller = write(ROWS[1:])
    assert imports.preview(feed, smaller, MAPPING, full=True).missing == 1
    for confirmed in (None, 2):
        with pytest.raises(BadMapping, match="1 records"):
            imports.import_file(feed, smaller, MAPPING, full=True, confirm_missing=confirmed)
    assert ImportJob.objects.count() == 1 and len(standing()) == 4
    job = imports.import_file(feed, smaller, MAPPING, full=True, confirm_missing=1)
    assert job.counts == {"unchanged": 3, "deleted": 1}
    assert ObjectState.objects.get(object_id="A1").kind == "deal.deleted"
    assert Activity.objects.filter(kind="deal.deleted").count() == 1
    imports.import_file(feed, smaller, MAPPING, full=True)
    assert Activity.objects.filter(kind="deal.deleted").count() == 1
    imports.import_file(feed, write(), MAPPING, full=True)
    assert standing()["A1"] == ("won", Decimal("100.10"))


def test_a_dry_run_stores_nothing_and_counts_the_same(feed, people, write, tmp_path):
    job = imports.import_file(feed, write(), MAPPING, dry_run=True, result_path=tmp_path / "r.csv")
    assert job.counts == {"accepted": 4}
    assert not Delivery.objects.exists() and not ImportJob.objects.exists()
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 5


def test_the_preview_says_what_each_row_would_become(feed, people, write):
    imports.import_file(feed, write(ROWS[:1]), MAPPING)
    seen = imports.preview(feed, write([*ROWS, "B1,Won,bad,E-1009,1,MG", "B2,Won,2026-03-01,who,1,MG"]), MAPPING)
    assert [line.status for line in seen.lines] == [
        "unchanged",
        "accepted",
        "accepted",
        "accepted",
        "rejected",
        "quarantined",
    ]
    assert [line.event.get("kind") for line in seen.lines[:3]] == ["deal.won", "deal.lost", "deal.updated"]
    assert Delivery.objects.count() == 1


def test_reported_figures_come_from_files_too(feed, people, write):
    mapping = {
        "kind": "metric.reported", "metric": {"value": "units"}, "value": "units", "occurred_at": "day",
        "period_start": "from", "period_end": "to", "participant": {"external_user_id": "owner"},
    }  # fmt: skip
    header = "owner,units,day,from,to"
    imports.import_file(feed, write(["E-1009,5,2026-03-31,2026-03-01,2026-03-31"], header=header), mapping)
    imports.import_file(feed, write(["E-1009,7,2026-03-31,2026-03-01,2026-03-31"], header=header), mapping)
    job = imports.import_file(feed, write(["E-1009,7,2026-03-31,2026-03-01,2026-03-31"], header=header), mapping)
    assert job.counts == {"unchanged": 1}
    assert ObjectState.objects.get().value == Decimal(7)


# --- formats and limits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters_are_recognised(tmp_path, encoding, delimiter):
    path = tmp_path / "x.csv"
    path.write_text(delimiter.join(["näme", "note"]) + "\r\n" + delimiter.join(["Zoë", '"a b"']) + "\r\n", encoding)
    with tables.open_table(path) as table:
        assert (table.columns, list(table.rows)) == (["näme", "note"], [(2, {"näme": "Zoë", "note": "a b"})])


def test_a_spreadsheet_with_typed_cells_is_read(feed, people, tmp_path):
    book = openpyxl.Workbook()
    book.active.append(HEADER.split(","))
    book.active.append(["A1", "Won", date(2026, 3, 1), "E-1009", 0.1 + 0.2, "GTXPro"])
    book.active.append(["A2", "Won", "2026-03-02", "E-1009", 12, "=1+1"])
    book.save(tmp_path / "deals.xlsx")
    imports.import_file(feed, tmp_path / "deals.xlsx", MAPPING)
    assert standing() == {"A1": ("won", Decimal("0.3")), "A2": ("won", Decimal(12))}


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\x01\x02\x03" * 50, b"PK\x03\x04broken", b"a,b,a\n1,2,3\n", b"\n1,2\n", b",".join([b"c"] * 300)],
)
def test_unreadable_files_are_refused(feed, tmp_path, content, administrator):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(BadFile):
        imports.import_file(feed, path, MAPPING)
    with pytest.raises(BadFile):
        imports.upload(feed, SimpleUploadedFile("bad.csv", content), actor=administrator)
    assert not ImportJob.objects.exists() and not Delivery.objects.exists()
    assert not list(Path(tmp_path / "media" / "imports").glob("*.upload"))


def test_a_file_beyond_the_limit_is_refused(feed, write, settings):
    settings.MAX_IMPORT_BYTES = 50
    with pytest.raises(BadFile, match="larger"):
        imports.import_file(feed, write(), MAPPING)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"amount": "price"}, "no column 'price'"),
        ({"amont": "value"}, "amont"),
        ({"stages": {"Won": "closed"}}, "stages"),
        ({"amount": {"column": "value", "value": "1"}}, "amount"),
        ({"amount": ["value"]}, "amount"),
        ({"participant": {"name": "owner"}}, "participant"),
        ({"participant": None}, "participant"),
        ({"kind": "deal.won"}, "kind"),
        ({"numbers": "1'234"}, "numbers"),
        ({"lines": "product"}, "lines"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused_by_key(feed, write, change, words):
    with pytest.raises(BadMapping, match=words):
        imports.import_file(feed, write(), {**MAPPING, **change})
    assert not ImportJob.objects.exists() and not Delivery.objects.exists()


# --- jobs of the browser --------------------------------------------------------------------------------------------------


def test_an_uploaded_file_is_carried_on_by_workers_and_survives_one_that_dies(
    feed, people, write, administrator, monkeypatch
):
    rows = [f"N{n},Won,2026-03-01,E-1009,{n},MG" for n in range(25)]
    job = imports.upload(feed, SimpleUploadedFile("../evil/deals.csv", write(rows).read_bytes()), actor=administrator)
    assert (job.file_name, job.status) == ("deals.csv", "uploaded")
    imports.start(job, MAPPING, actor=administrator)
    monkeypatch.setattr(imports, "CHUNK", 10)
    store, calls = imports.Run._store, []

    def dies(self, chunk):
        store(self, chunk)
        calls.append(len(chunk))
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(imports.Run, "_store", dies)
    with pytest.raises(KeyboardInterrupt):
        imports.carry_on()
    assert imports.carry_on() == 0  # its lease still runs
    ImportJob.objects.update(lease_until=None)
    assert imports.carry_on() == 1
    process()
    job.refresh_from_db()
    assert (job.status, job.counts, job.progress) == ("done", {"accepted": 25}, 25)
    assert [line[0] for line in results(job)] == [str(n) for n in range(2, 27)]
    assert (len(standing()), calls) == (25, [10, 10, 5])
    assert imports.carry_on() == 0
    assert Connection.objects.get(pk=feed.pk).field_map == MAPPING


def test_a_job_whose_file_is_gone_fails_with_words(feed, people, write, administrator):
    job = imports.upload(feed, SimpleUploadedFile("deals.csv", write().read_bytes()), actor=administrator)
    imports.start(job, MAPPING, actor=administrator)
    Path(job.path).unlink()
    imports.carry_on()
    job.refresh_from_db()
    assert (job.status, job.error) == ("failed", "The uploaded file cannot be read any more. Upload it again.")


@pytest.mark.django_db(transaction=True)
def test_one_file_imported_by_three_people_at_once_is_stored_once(feed, people, write, tmp_path):
    path = write([f"N{n},Won,2026-03-01,E-1009,{n},MG" for n in range(40)])

    def run(n):
        return imports.import_file(feed, path, MAPPING, result_path=tmp_path / f"{n}.csv", process=False).counts

    counts = in_parallel(3, run)
    assert sum(c.get("accepted", 0) for c in counts) == 40
    assert sum(c.get("unchanged", 0) for c in counts) == 80
    process()
    assert (Delivery.objects.count(), ObjectState.objects.count(), Activity.objects.count()) == (40, 40, 40)


# --- the public sample ------------------------------------------------------------------------------------------------------


@pytest.fixture
def sample(shared_data, tmp_path, db) -> Path:
    """The sample beside a mapping and made-up addresses; its 35 people with their teams."""
    for name in ("sales_pipeline.csv", "products.csv", "accounts.csv"):
        shutil.copy(shared_data / name, tmp_path / name)
    shutil.copy(Path(__file__).parent / "crm_sales.json", tmp_path / "mapping.json")
    teams = {}
    with (shared_data / "sales_teams.csv").open() as file, (tmp_path / "agents.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["sales_agent", "email"])
        for row in csv.DictReader(file):
            email = row["sales_agent"].lower().replace(" ", ".") + "@example.com"
            team = teams.setdefault(row["manager"], None) or make_team(name=row["manager"])
            teams[row["manager"]] = team
            make_participant(row["sales_agent"], email=email, team=team)
            writer.writerow([row["sales_agent"], email])
    return tmp_path


def test_the_sample_of_8800_rows_is_imported_and_again_changes_nothing(feed, sample, shared_data):
    began, out = time.monotonic(), StringIO()
    arguments = [str(sample / "sales_pipeline.csv"), "--connection", "Feed", "--mapping", str(sample / "mapping.json")]
    call_command("import_activities", *arguments, "--result", str(sample / "result.csv"), stdout=out)
    seconds = time.monotonic() - began
    print(f"8,800 rows in {seconds:.1f} s")
    assert "8800 rows stored: 8800 accepted" in out.getvalue()
    assert "0 of them wait" in out.getvalue()
    won = ObjectState.objects.filter(kind="deal.won")
    assert (won.count(), won.aggregate(total=Sum("amount"))["total"]) == (4238, Decimal(10_005_534))
    with (shared_data / "sales_pipeline.csv").open() as file:
        rows = list(csv.DictReader(file))
    gtx = sum(int(r["close_value"]) for r in rows if r["deal_stage"] == "Won" and r["product"].startswith("GTX"))
    assert sum(Decimal(s.lines[0]["total"]) for s in won if s.lines[0]["family"] == "GTX") == gtx
    assert Activity.objects.filter(kind="deal.won").count() == 4238

    random.Random(7).shuffle(rows)
    with (sample / "shuffled.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    counts = (Delivery.objects.count(), Activity.objects.count())
    mapping = load_tables(json.loads((sample / "mapping.json").read_text()), sample)
    assert imports.import_file(feed, sample / "shuffled.csv", mapping).counts == {"unchanged": 8800}
    assert (Delivery.objects.count(), Activity.objects.count()) == counts


def test_the_command_says_what_is_wrong(feed, write, tmp_path):
    with pytest.raises(CommandError, match="no connection named 'X'"):
        call_command("import_activities", str(write()), "--connection", "X")
    with pytest.raises(CommandError, match="no saved mapping"):
        call_command("import_activities", str(write()), "--connection", "Feed")
    broken = tmp_path / "m.json"
    broken.write_text("{")
    with pytest.raises(CommandError, match=r"m\.json"):
        call_command("import_activities", str(write()), "--connection", "Feed", "--mapping", str(broken))
    broken.write_text("{}")
    with pytest.raises(CommandError, match="object_id"):
        call_command("import_activities", str(write()), "--connection", "Feed", "--mapping", str(broken))
    with pytest.raises(CommandError, match="No such file"):
        broken.write_text(json.dumps(MAPPING))
        call_command("import_activities", "/nonexistent.csv", "--connection", "Feed", "--mapping", str(broken))
