"""`manage.py simulate` as somebody else's program calls it: files and standard input in, exactly the published document or
exit status 2 out (design, section 9). Every run is a process of its own, without a database.
"""

import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from incentives.programs.rules import parse_definition
from incentives.programs.rules.simulation import Simulation

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ, "DEBUG": "1", "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
    "DJANGO_SETTINGS_MODULE": "incentives.settings", "PYTHONUTF8": "0", "LC_ALL": "C",
}  # fmt: skip
QUOTA = {
    "name": "Quota", "currency": "USD", "time_zone": "America/New_York", "starts_on": "2026-01-01", "ends_on": "2026-06-30",
    "period": "quarter", "credit": {"to": "splits"},
    "rewards": [
        {"type": "bands", "of": "target", "bands": [{"from": "0", "rate": "5"}, {"from": "100", "rate": "6"}]},
        {"type": "per_deal", "amount": "10.00"},
    ],
    "caps": {"deal": "9.00"},
}  # fmt: skip
CONTEST = {
    "name": "Contest", "currency": "JPY", "starts_on": "2026-01-01", "ends_on": "2026-06-30",
    "rewards": [{"type": "rank", "prizes": [{"ranks": "1", "amount": "5000"}, {"ranks": "2-3", "amount": "1001"}]}],
}  # fmt: skip
PEOPLE = [
    {"external_user_id": "Zoë", "name": "Zoë", "email": "zoe@example.com"},
    {"external_user_id": "E-10", "name": "Ten"},
    {"external_user_id": "E-9", "name": "Nine"},
]
TARGETS = [{"participant": "Zoë", "period_start": "2026-01-01", "value": "100000"}]


def deal(id: str, who: str, amount: str, **parts) -> dict:
    return {
        "external_id": id, "kind": "deal.won", "occurred_at": "2026-02-01T10:00:00Z",
        "participant": {"external_user_id": who}, "amount": amount, "currency": "USD", **parts,
    }  # fmt: skip


SPLITS = [{"participant": {"email": "zoe@example.com"}, "percentage": "60"},
          {"participant": {"external_user_id": "E-9"}, "percentage": "40"}]  # fmt: skip
DEALS = [
    deal("d1", "Zoë", "150000.00"),
    deal("d2", "E-9", "100.05", splits=SPLITS, occurred_at="2026-04-01T03:59:59Z"),
    deal("d3", "E-9", "10.00", occurred_at="2026-04-01T04:00:00Z"),
    deal("d4", "nobody", "1.00"),
]


def lines(rows) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


class Files:
    """Writes the four files; `self(...)` runs the command over them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.write(
            program=json.dumps(QUOTA), activities=lines(DEALS), participants=lines(PEOPLE), targets=lines(TARGETS)
        )

    def write(self, **contents: str | bytes) -> None:
        for name, content in contents.items():
            content = content if isinstance(content, bytes) else content.encode()
            (self.folder / f"{name}.jsonl").write_bytes(content)

    def arguments(self, **changed) -> list[str]:
        """Every option with its file; `changed` gives another value, None leaves the option away."""
        names = ("program", "activities", "participants", "targets")
        values = {name: str(self.folder / f"{name}.jsonl") for name in names} | changed
        return [f"--{name}={value}" for name, value in values.items() if value is not None]

    def __call__(self, stdin: bytes = b"", **changed) -> subprocess.CompletedProcess:
        return run("simulate", *self.arguments(**changed), "--json", stdin=stdin)

    def accepted(self, stdin: bytes = b"", **changed) -> dict:
        done = self(stdin, **changed)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.endswith(b"\n") and done.stdout.count(b"\n") == 1, "one document on one line"
        return json.loads(done.stdout)

    def refused(self, stdin: bytes = b"", **changed) -> str:
        done = self(stdin, **changed)
        assert (done.returncode, done.stdout) == (2, b"")
        assert b"Traceback" not in done.stderr
        return done.stderr.decode()


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        command, input=stdin, capture_output=True, cwd=ROOT, env=ENVIRONMENT, timeout=120, check=False
    )


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def line(reward: str, activity: str | None, amount: str, explanation: str) -> dict:
    return {"reward": reward, "activity": activity, "amount": amount, "explanation": explanation}


def no_target(day: str) -> dict:
    words = f"Nine has no target for the period from {day}; what depends on it pays nothing."
    return {"activity": None, "code": "no_target", "message": words}


PUBLISHED = {
    "currency": "USD",
    "total": "8031.60",
    "participants": [
        {"external_user_id": "E-9", "total": "13.00", "periods": [
            {"period_start": "2026-01-01", "measure": "40.02", "attainment": None, "amount": "4.00", "lines": [
                line("per_deal", "d2", "4.00", "40 % of 10.00 per deal = 4.00")]},
            {"period_start": "2026-04-01", "measure": "10.00", "attainment": None, "amount": "9.00", "lines": [
                line("per_deal", "d3", "9.00", "10.00 per deal, limited to 9.00 per deal")]},
        ]},
        {"external_user_id": "Zoë", "total": "8018.60", "periods": [
            {"period_start": "2026-01-01", "measure": "150060.03", "attainment": "150.06", "amount": "8018.60", "lines": [
                line("per_deal", "d1", "9.00", "10.00 per deal, limited to 9.00 per deal"),
                line("per_deal", "d2", "6.00", "60 % of 10.00 per deal = 6.00"),
                line("bands", None, "5000.00", "5 % of 100,000.00 = 5,000.00"),
                line("bands", None, "3003.60",
                     "6 % of 50,060.03 (from 100,000.00 on, 100 % of the target) = 3,003.60"),
            ]},
        ]},
    ],
    "standing": [],
    "exceptions": [
        {"activity": "d4", "code": "unknown_participant", "message": "nobody is not known here, or not unambiguously."},
        no_target("2026-01-01"), no_target("2026-04-01"),
    ],
}  # fmt: skip


def test_the_document_is_the_published_one_to_the_letter(files):
    """Names, order of keys, digits, and what decides the period: 3:59 UTC on 1 April is still March in New York.

    In a locale without UTF-8 as well.
    """
    done = files()
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == json.dumps(PUBLISHED, ensure_ascii=False) + "\n"


def test_a_contest_in_a_currency_without_cents(files):
    deals = [deal("a", "E-9", "300", currency="JPY"), deal("b", "E-10", "200", currency="JPY"),
             deal("c", "Zoë", "200", currency="JPY")]  # fmt: skip
    files.write(program=json.dumps(CONTEST), activities=lines(deals))
    document = files.accepted(targets=None)
    assert document["total"] == "7002"
    assert document["standing"] == [
        {"rank": 1, "external_user_id": "E-9", "measure": "300", "prize": "5000"},
        {"rank": 2, "external_user_id": "E-10", "measure": "200", "prize": "1001"},
        {"rank": 2, "external_user_id": "Zoë", "measure": "200", "prize": "1001"},
    ]
    assert [row["total"] for row in document["participants"]] == ["1001", "5000", "1001"]


def test_the_order_of_the_lines_and_repeated_lines_change_not_a_byte(files):
    versions = [
        deal("v1", "Zoë", "100000", object={"type": "deal", "id": "1", "version": "9"}),
        deal("v2", "Zoë", "150000.00", object={"type": "deal", "id": "1", "version": "10"}, kind="deal.updated",
             occurred_at="2026-05-05T00:00:00Z"),
        deal("g1", "E-9", "7000", object={"type": "deal", "id": "2", "version": "2026-02-01T00:00:00Z"}),
        deal("g2", "E-9", "7000", object={"type": "deal", "id": "2", "version": "2026-02-01T01:30:00+02:00"}),
        deal("g3", "E-9", "7000", object={"type": "deal", "id": "2", "version": "2026-02-02"}, kind="deal.deleted"),
    ]  # fmt: skip
    history = [*versions, *DEALS[1:]]
    files.write(activities=lines(history))
    first = files()
    assert json.loads(first.stdout)["participants"][1]["periods"][0]["lines"][0]["activity"] == "v2"
    assert json.loads(first.stdout)["total"] == PUBLISHED["total"]
    for seed in (1, 2):
        shuffled = random.Random(seed).sample([*history, *history], 2 * len(history))
        files.write(activities=lines(shuffled))
        assert files().stdout == first.stdout


def test_every_order_of_the_versions_of_one_deal_leaves_the_same():
    """won 100, changed to 200, reopened, won again at 300, changed to 400: the last version counts from the last win."""
    kinds = [
        ("deal.won", "100"),
        ("deal.updated", "200"),
        ("deal.reopened", "200"),
        ("deal.won", "300"),
        ("deal.updated", "400"),
    ]
    history = [
        deal(f"e{n}", "E-9", amount, kind=kind, occurred_at=f"2026-0{n}-01T12:00:00Z",
             object={"type": "deal", "id": "1", "version": str(n)})
        for n, (kind, amount) in enumerate(kinds, start=1)
    ]  # fmt: skip
    program = parse_definition(QUOTA | {"rewards": [{"type": "percent", "rate": "1"}], "caps": {}})
    for order in itertools.permutations(history):
        simulation = Simulation(program)
        simulation.add_person(PEOPLE[2])
        for event in order:
            simulation.add_activity(event)
        (row,) = simulation.run().document()["participants"]
        assert [(p["period_start"], p["amount"]) for p in row["periods"]] == [("2026-04-01", "4.00")]


@pytest.mark.parametrize("name", ["program", "activities", "participants", "targets"])
def test_any_one_of_the_files_may_be_standard_input(files, name):
    content = (files.folder / f"{name}.jsonl").read_bytes()
    (files.folder / f"{name}.jsonl").unlink()
    assert files.accepted(content, **{name: "-"}) == PUBLISHED


def test_marks_at_the_start_line_ends_of_windows_and_empty_lines_change_nothing(files):
    for name in ("program", "activities", "participants", "targets"):
        content = (files.folder / f"{name}.jsonl").read_bytes()
        files.write(**{name: b"\xef\xbb\xbf" + content.rstrip().replace(b"\n", b"\r\n \r\n")})
    assert files.accepted() == PUBLISHED


def test_empty_files_earn_nothing(files):
    nothing = {"currency": "USD", "total": "0.00", "participants": [], "standing": [], "exceptions": []}
    files.write(activities=b"", participants=b"", targets=b"")
    assert files.accepted() == nothing
    files.write(activities=b"\xef\xbb\xbf", participants=b"\n\n", targets=b"\r\n")
    assert files.accepted() == nothing
    files.write(activities=lines(DEALS))
    assert [row["code"] for row in files.accepted(targets=None)["exceptions"]] == ["unknown_participant"] * 5


def test_half_a_surrogate_pair_goes_out_as_it_came_in(files):
    files.write(
        participants='{"external_user_id": "\\ud800"}',
        activities=lines([deal("x", "\ud800", "5")]).encode("utf-8", "backslashreplace"),
    )
    assert files.accepted(targets=None)["participants"][0]["external_user_id"] == "\ud800"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("activities", lines(DEALS[:2]) + "\r\n{oops\n", ["activities.jsonl, line 4:", "one JSON object per line", "column 2"]),
        ("activities", lines([*DEALS, deal("x", "E-9", "1,5")]), ["activities.jsonl, line 5:", 'amount: found "1,5"', "12500.00"]),
        ("activities", lines([deal("x", "E-9", "5", lines=[{"quantity": "1"}, {"quantity": "two"}])]),
         ["activities.jsonl, line 1:", 'lines[1].quantity: found "two"', "a number"]),
        ("activities", b'{"external_id": "\xff"}', ["activities.jsonl, line 1:", "UTF-8"]),
        ("activities", b'{"external_id": "a", "amount": NaN}', ["activities.jsonl, line 1:", "one JSON object per line"]),
        ("activities", b"[" * 100_000, ["activities.jsonl, line 1:", "one JSON object per line"]),
        ("activities", b'{"a": "' + b"x" * 1_100_000, ["activities.jsonl, line 1:", "1,048,576 bytes"]),
        ("participants", lines([*PEOPLE, PEOPLE[0]]), ["participants.jsonl, line 4:", 'external_user_id: found "Zoë"', "once"]),
        ("targets", lines([TARGETS[0] | {"value": "-5"}]), ["targets.jsonl, line 1:", 'value: found "-5"', "from 0"]),
        ("program", json.dumps(QUOTA | {"caps": {"deal": 9}}), ["program.jsonl:", "caps.deal: found 9", 'such as "50.00"']),
        ("program", b"", ["program.jsonl:", "valid JSON"]),
        ("program", json.dumps(QUOTA) + json.dumps(QUOTA), ["program.jsonl:", "Extra data", "valid JSON"]),
        ("program", '{"qualifies": ' + '{"not": ' * 10_000 + "}" * 10_001, ["program.jsonl:", "at most 64"]),
    ],
)  # fmt: skip
def test_bad_input_ends_with_status_2_and_names_file_line_and_field(files, name, content, words):
    files.write(**{name: content})
    message = files.refused()
    assert [word for word in words if word not in message] == []
    assert len(message) < 1000


def test_options_that_cannot_work_end_with_status_2(files):
    assert "nowhere.jsonl: cannot be read" in files.refused(activities="nowhere.jsonl")
    assert "cannot be read" in files.refused(participants=str(files.folder))
    assert "Only one of the files" in files.refused(activities="-", targets="-")
    assert "--participants" in files.refused(participants=None)


MEASURED = """
import sys
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", *sys.argv[1:]])
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
sys.stderr.write(peak.split()[1])
"""


def peak_kilobytes(files: Files, *, objects: int, versions: int) -> int:
    """The most memory a run used over objects * versions lines; it must pay 1 % of every object's last version."""
    with (files.folder / "activities.jsonl").open("w") as out:
        for version in range(versions):
            for n in range(objects):
                thing = {"type": "deal", "id": str(n), "version": str(version)}
                row = deal(f"{n}.{version}", f"P-{n % 100}", f"{1000 + version}.00", object=thing)
                row["occurred_at"] = f"2026-{n % 6 + 1:02d}-15T10:00:00Z"
                out.write(json.dumps(row) + "\n")
    command = [sys.executable, "-c", MEASURED, "simulate", *files.arguments(targets=None), "--json"]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, env=ENVIRONMENT, timeout=120, check=True)
    assert json.loads(done.stdout)["total"] == f"{objects * (1000 + versions - 1) / 100:.2f}"
    return int(done.stderr)


def test_a_hundred_thousand_lines_need_bounded_memory(files):
    """Kilobytes: of each activity its id is remembered, of each object what it earns, and of neither the line."""
    files.write(
        program=json.dumps(QUOTA | {"rewards": [{"type": "percent", "rate": "1"}], "caps": {}}),
        participants=lines({"external_user_id": f"P-{n}"} for n in range(100)),
    )
    few = peak_kilobytes(files, objects=1_000, versions=1)
    assert peak_kilobytes(files, objects=1_000, versions=20) < few + 12_000
    assert peak_kilobytes(files, objects=100_000, versions=1) < few + 250_000
