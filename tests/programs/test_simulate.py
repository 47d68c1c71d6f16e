"""`manage.py simulate`: the files in, the document out, exit status 2 with file, line and field for bad input."""

import io
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import call_command

ROOT = Path(__file__).parents[2]
PROGRAM = {
    "name": "Bonus", "currency": "USD", "starts_on": "2026-01-01", "ends_on": "2026-12-31", "period": "quarter",
    "rewards": [{"type": "percent", "rate": "2"}], "caps": {"deal": "100.00"},
}  # fmt: skip
PEOPLE = [
    {"external_user_id": "E-1", "email": "Ana@Example.com", "name": "Ana", "type": "employee", "manager": "E-2"},
    {"external_user_id": "E-2", "email": "bo@example.com", "name": "Bo", "type": "employee"},
]


def event(external_id: str, amount: object = "1000.00", **parts) -> dict:
    return {
        "external_id": external_id, "kind": "deal.won", "occurred_at": "2026-02-01T10:00:00Z",
        "participant": {"external_user_id": "E-1"}, "amount": amount, "currency": "USD", **parts,
    }  # fmt: skip


def version(number: object, kind: str, amount: str = "1000.00", id: str = "1", **parts) -> dict:
    return event(
        f"deal:{id}:{kind}:{number}", amount, kind=kind, object={"type": "deal", "id": id, "version": number}, **parts
    )


@pytest.fixture
def files(tmp_path):
    """Writes the files and gives the command's options."""

    def write(activities=(), program=PROGRAM, people=PEOPLE, targets=None) -> dict:
        def lines(rows):
            return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)

        (tmp_path / "program.json").write_text(program if isinstance(program, str) else json.dumps(program))
        (tmp_path / "activities.jsonl").write_text(lines(activities))
        (tmp_path / "people.jsonl").write_text(lines(people))
        options = {"program": tmp_path / "program.json", "activities": tmp_path / "activities.jsonl",
                   "participants": tmp_path / "people.jsonl"}  # fmt: skip
        if targets is not None:
            (tmp_path / "targets.jsonl").write_text(lines(targets))
            options["targets"] = tmp_path / "targets.jsonl"
        return {key: str(value) for key, value in options.items()}

    return write


def run(options: dict) -> dict:
    out = io.StringIO()
    call_command("simulate", **options, json=True, stdout=out)
    return json.loads(out.getvalue())


def refused(options: dict) -> str:
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("simulate", **options, json=True, stdout=out, stderr=err)
    assert caught.value.code == 2
    assert out.getvalue() == ""
    return err.getvalue()


def test_the_document_has_the_published_form(files):
    document = run(
        files([event("d2", "5254.00"), event("d1", 250, occurred_at="2026-05-01T00:00:00+02:00"), event("d3")])
    )
    assert document == {
        "currency": "USD",
        "total": "125.00",
        "participants": [
            {
                "external_user_id": "E-1",
                "total": "125.00",
                "periods": [
                    {
                        "period_start": "2026-01-01", "measure": "6254.00", "attainment": None, "amount": "120.00",
                        "lines": [
                            {"reward": "percent", "activity": "d2", "amount": "100.00",
                             "explanation": "2 % of 5,254.00 = 105.08, limited to 100.00 per deal"},
                            {"reward": "percent", "activity": "d3", "amount": "20.00",
                             "explanation": "2 % of 1,000.00 = 20.00"},
                        ],
                    },
                    {
                        "period_start": "2026-04-01", "measure": "250.00", "attainment": None, "amount": "5.00",
                        "lines": [
                            {"reward": "percent", "activity": "d1", "amount": "5.00", "explanation": "2 % of 250.00 = 5.00"},
                        ],
                    },
                ],
            }
        ],
        "standing": [],
        "exceptions": [],
    }  # fmt: skip


def test_the_worked_example_with_targets(files):
    bands = [{"from": "0", "rate": "5"}, {"from": "100", "rate": "6"}, {"from": "125", "rate": "7"}]
    program = {**PROGRAM, "caps": {}, "rewards": [{"type": "bands", "of": "target", "bands": bands}]}
    targets = [{"participant": "E-1", "period_start": "2026-01-01", "value": "100000"}]
    document = run(files([event("d1", "150000")], program, targets=targets))
    (period,) = document["participants"][0]["periods"]
    assert (document["total"], period["amount"], period["attainment"]) == ("8250.00", "8250.00", "150.00")
    assert [line["activity"] for line in period["lines"]] == [None, None, None]
    document = run(files([event("d1", "150000")], program))
    assert document["total"] == "0.00"
    assert [(item["activity"], item["code"]) for item in document["exceptions"]] == [(None, "no_target")]


def test_prizes_stand_in_the_standing_and_in_what_people_earn(files):
    program = {**PROGRAM, "rewards": [{"type": "rank", "prizes": [{"ranks": "1", "amount": "500.00"}]}]}
    activities = [event("d1"), event("d2", "1000.01", participant={"external_user_id": "E-2"})]
    document = run(files(activities, program))
    assert document["standing"] == [
        {"rank": 1, "external_user_id": "E-2", "measure": "1000.01", "prize": "500.00"},
        {"rank": 2, "external_user_id": "E-1", "measure": "1000.00", "prize": "0.00"},
    ]
    assert (document["total"], [row["total"] for row in document["participants"]]) == ("500.00", ["0.00", "500.00"])
    assert document["participants"][1]["periods"][0]["lines"] == [
        {"reward": "rank", "activity": None, "amount": "500.00", "explanation": "Rank 1 with 1,000.01: 500.00"}
    ]


@pytest.mark.parametrize(
    ("history", "total", "activity"),
    [
        ([version(1, "deal.won"), version(2, "deal.updated", "2000")], "40.00", "deal:1:deal.updated:2"),
        ([version(2, "deal.updated", "2000"), version(1, "deal.won")], "40.00", "deal:1:deal.updated:2"),
        ([version(9, "deal.won"), version(10, "deal.won", "2000")], "40.00", "deal:1:deal.won:10"),
        ([version(10, "deal.won", "2000"), version(9, "deal.won")], "40.00", "deal:1:deal.won:10"),
        ([version(1, "deal.won"), version(2, "deal.lost")], "0.00", None),
        ([version(2, "deal.lost"), version(1, "deal.won")], "0.00", None),
        ([version(1, "deal.won"), version(2, "deal.reopened")], "0.00", None),
        ([version(1, "deal.won"), version(2, "deal.deleted")], "0.00", None),
        ([version(1, "deal.won"), version(2, "deal.reopened"), version(3, "deal.won", "500")], "10.00", "deal:1:deal.won:3"),
        ([version(1, "deal.won"), version(2, "deal.reopened"), version(3, "deal.updated", "500")], "0.00", None),
        ([version(1, "deal.updated", "500")], "0.00", None),
        ([version("2026-02-01T10:00:00Z", "deal.won"), version("2026-02-01T12:00:00+03:00", "deal.updated", "500")], "20.00",
         "deal:1:deal.won:2026-02-01T10:00:00Z"),
        ([version(None, "deal.won"), version(None, "deal.updated", "500", occurred_at="2026-03-01T00:00:00Z")], "10.00",
         "deal:1:deal.updated:None"),
        ([version(1, "deal.won"), version(1, "deal.won", id="2")], "40.00", "deal:1:deal.won:1"),
    ],
)  # fmt: skip
def test_the_newest_version_of_an_object_stands(files, history, total, activity):
    document = run(files(history))
    assert document["total"] == total
    lines = [line for row in document["participants"] for period in row["periods"] for line in period["lines"]]
    assert [line["activity"] for line in lines][:1] == ([activity] if activity else [])
    assert document["exceptions"] == []


def test_an_updated_deal_keeps_the_moment_it_was_won(files):
    history = [version(1, "deal.won"), version(2, "deal.updated", "500", occurred_at="2026-11-01T00:00:00Z")]
    (row,) = run(files(history))["participants"]
    assert [(period["period_start"], period["amount"]) for period in row["periods"]] == [("2026-01-01", "10.00")]


def test_the_same_line_again_counts_once_and_other_content_is_an_exception(files):
    document = run(files([event("d1"), event("d1"), dict(reversed(event("d1").items())), event("d1", "9000.00")]))
    assert document["total"] == "20.00"
    assert document["exceptions"] == [
        {
            "activity": "d1",
            "code": "duplicate_conflict",
            "message": "d1 came again with other content; the first one stands.",
        }
    ]


def test_participants_are_found_by_id_or_email_and_else_are_exceptions(files):
    people = [
        *PEOPLE,
        {"external_user_id": "E-3", "email": "twin@x.com"},
        {"external_user_id": "E-4", "email": "TWIN@x.com"},
    ]
    who = [
        {"email": " ANA@example.com "}, {"external_user_id": "gone", "email": "ana@example.com"},
        {"email": "nobody@x.com"}, {"email": "twin@x.com"}, {"name": "Ana"}, {},
    ]  # fmt: skip
    activities = [event(f"d{i}", participant=found) for i, found in enumerate(who)]
    flat = event("d6", participant=None, participant_email="ana@example.com")
    document = run(files([*activities, flat, event("d7", participant="E-1")], people=people))
    assert document["total"] == "80.00"
    assert [(item["activity"], item["code"]) for item in document["exceptions"]] == [
        ("d2", "unknown_participant"), ("d3", "unknown_participant"), ("d4", "unknown_participant"),
        ("d5", "no_participant"),
    ]  # fmt: skip


def test_what_cannot_be_measured_waits_on_the_exceptions_list(files):
    activities = [event("a", "10", currency="EUR"), event("b", "10", currency=None), event("c", None), event("d", "-1")]
    document = run(files(activities))
    assert document["total"] == "0.00"
    assert [(item["activity"], item["code"]) for item in document["exceptions"]] == [
        ("a", "no_rate"), ("b", "no_currency"), ("c", "no_measure"), ("d", "negative_measure"),
    ]  # fmt: skip


def test_reported_metrics_are_set_and_added(files):
    program = {
        **PROGRAM,
        "measure": {"metric": "value"},
        "rewards": [{"type": "per_unit", "amount": "1.00"}],
        "caps": {},
    }

    def report(id, value, mode, day, **parts):
        period = {"period_start": "2026-02-01", "period_end": "2026-02-28", **parts}
        when = f"2026-02-{day:02d}T00:00:00Z"
        return event(
            id, None, kind="metric.reported", metric="calls", value=value, mode=mode, occurred_at=when, **period
        )

    reports = [report("1", "5", "add", 1), report("2", "40", "set", 2), report("3", "2", "add", 3),
               report("4", "1", "set", 4, participant="E-2"), report("5", "7", "add", 4, period_start="2026-02-02")]  # fmt: skip
    for ordered in (reports, reports[::-1]):
        document = run(files(ordered, program))
        assert [row["total"] for row in document["participants"]] == ["49.00", "1.00"]


def test_flat_text_and_unknown_keys_are_read_as_the_endpoint_does(files):
    program = {**PROGRAM, "measure": {"metric": "quantity", "lines": {"field": "line.sku", "op": "eq", "value": "OV-2"}},
               "qualifies": {"all": [{"field": "account.name", "op": "eq", "value": "Bakery"},
                                     {"field": "campaign", "op": "eq", "value": "spring"},
                                     {"field": "new_logo", "op": "eq", "value": True}]},
               "rewards": [{"type": "per_unit", "amount": "1.50"}]}  # fmt: skip
    flat = {
        "external_id": "x", "kind": "deal.won", "occurred_at": "2026-02-01T10:00:00+01:00", "participant_id": "E-1",
        "quantity": "5", "amount": "", "account_name": "Bakery", "product_sku": "OV-2", "campaign": "spring",
        "new_logo": "true", "partner": "",
    }  # fmt: skip
    assert run(files([flat], program))["total"] == "7.50"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"activities": ["{oops"]}, ["activities.jsonl, line 1", "one JSON object per line", "column 2"]),
        ({"activities": [event("a"), "", "[]"]}, ["activities.jsonl, line 3", "found a list of 0, expected one JSON object"]),
        ({"activities": [event("a", "5,000")]}, ["activities.jsonl, line 1", 'amount: found "5,000"', "12500.00"]),
        ({"activities": [event("a", "1e20")]}, ["amount", "a number from -99999999999999.9999"]),
        ({"activities": ['{"external_id": "a", "amount": NaN}']}, ["line 1", "one JSON object"]),
        ({"activities": [event("")]}, ["external_id: found nothing"]),
        ({"activities": [event("a", kind="deal.one")]}, ['kind: found "deal.one"', 'did you mean "deal.won"?']),
        ({"activities": [event("a", occurred_at="2026-02-01T10:00:00")]}, ["occurred_at", "with its offset"]),
        ({"activities": [event("a", occurred_at="yesterday")]}, ["occurred_at", "with its offset"]),
        ({"activities": [event("a", currency="Dollar")]}, ['currency: found "Dollar"', "ISO 4217"]),
        ({"activities": [event("a", lines=[{"total": "x"}])]}, ['lines[0].total: found "x"']),
        ({"activities": [event("a", lines="x")]}, ["lines: found", "a list"]),
        ({"activities": [event("a", splits=[{"percentage": "50"}])]}, ["splits[0].participant: found nothing"]),
        ({"activities": [event("a", attributes=[])]}, ["attributes: found a list of 0, expected an object"]),
        ({"activities": [event("a", kind="metric.reported")]}, ["metric: found nothing"]),
        ({"activities": [event("a", kind="metric.reported", metric="m")]}, ["value: found nothing, expected a number"]),
        ({"activities": ["x" * 1_100_000]}, ["activities.jsonl, line 1", "longer than 1,048,576 bytes"]),
        ({"activities": ["[" * 100_000]}, ["activities.jsonl, line 1"]),
        ({"people": [{"name": "Ana"}]}, ["people.jsonl, line 1", "external_user_id: found nothing"]),
        ({"people": [PEOPLE[0], PEOPLE[0]]}, ["people.jsonl, line 2", "each participant once"]),
        ({"people": [{"external_user_id": "E", "type": "reseller"}]}, ["type", "employee, contractor, partner"]),
        ({"targets": [{"participant": "E-1", "period_start": "2026-01-01", "value": "-1"}]}, ["targets.jsonl, line 1", "value"]),
        ({"targets": [{"participant": "E-1", "period_start": "soon", "value": "1"}]}, ["period_start", "2026-07-01"]),
        ({"targets": [{"participant": "E-1", "period_start": d, "value": "1"} for d in ("2026-01-01", "2026-02-01")]},
         ["targets.jsonl, line 2", "one target per period"]),
        ({"program": {**PROGRAM, "curency": "USD"}}, ["program.json", "curency", 'did you mean "currency"?']),
        ({"program": "{"}, ["program.json", "valid JSON"]),
        ({"program": " " * 300_000}, ["program.json", "at most 262,144 bytes"]),
    ],
)  # fmt: skip
def test_bad_input_ends_with_status_2_and_says_where_and_what(files, changes, words):
    message = refused(files(**changes))
    for word in words:
        assert word in message


def test_a_missing_file_and_two_standard_inputs_are_refused(files, tmp_path):
    options = files([event("a")])
    assert "nowhere.jsonl: cannot be read" in refused({**options, "activities": str(tmp_path / "nowhere.jsonl")})
    assert "Only one of the files" in refused({**options, "activities": "-", "participants": "-"})


def test_a_target_for_somebody_unknown_is_an_exception(files):
    targets = [{"participant": "E-9", "period_start": "2026-01-01", "value": "1"}]
    document = run(files([event("a")], targets=targets))
    assert (document["total"], document["exceptions"][0]["code"]) == ("20.00", "unknown_participant")


def test_without_json_there_is_a_table_to_read(files):
    out = io.StringIO()
    call_command("simulate", **files([event("d1"), event("d2", participant="E-9")]), stdout=out)
    assert "Bonus: 2026-01-01 to 2026-12-31, USD" in out.getvalue()
    assert "E-9 is not known here" in out.getvalue()
    assert any(line.split() == ["E-1", "2026-01-01", "1000.00", "20.00"] for line in out.getvalue().splitlines())


def test_the_command_needs_no_database_and_reads_standard_input(files):
    options = files([])
    environment = {**os.environ, "DEBUG": "1", "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
                   "DJANGO_SETTINGS_MODULE": "incentives.settings"}  # fmt: skip
    arguments = [f"--{key}={'-' if key == 'activities' else value}" for key, value in options.items()]
    text = json.dumps(event("d1")) + "\n"
    done = subprocess.run([sys.executable, "manage.py", "simulate", *arguments, "--json"], input=text, text=True,
                          capture_output=True, cwd=ROOT, env=environment, timeout=60, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["total"] == "20.00"
    done = subprocess.run([sys.executable, "manage.py", "simulate", *arguments, "--json"], input="{}\n", text=True,
                          capture_output=True, cwd=ROOT, env=environment, timeout=60, check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "standard input, line 1: kind: found nothing" in done.stderr


def test_every_figure_is_text_with_the_currencys_digits(files):
    program = {**PROGRAM, "currency": "JPY", "caps": {}}
    document = run(files([event("d1", "1225", currency="JPY")], program))
    assert document["total"] == "25"
    assert Decimal(document["participants"][0]["periods"][0]["measure"]) == 1225


def test_sensitivity_adds_totals_and_leaves_the_rest_of_the_document_as_it_is(files):
    options = files([event("d1"), event("d2", "333.33"), event("d3", "9000.00")])
    document = run({**options, "sensitivity": 20})
    # 2 % of 800.00, 266.66 and 7,200.00, and of 1,200.00, 400.00 and 10,800.00; at most 100.00 a deal
    assert document.pop("sensitivity") == [
        {"percent": -20, "total": "121.33"}, {"percent": 0, "total": "126.67"}, {"percent": 20, "total": "132.00"},
    ]  # fmt: skip
    assert document == run(options)
    assert document["total"] == "126.67"


def test_activities_that_are_counted_become_more_and_fewer(files):
    program = PROGRAM | {"rewards": [{"type": "per_deal", "amount": "1.00"}], "measure": {"metric": "deals"}}
    document = run({**files([event(f"d{n}") for n in range(10)], program), "sensitivity": 30})
    assert [row["total"] for row in document["sensitivity"]] == ["7.00", "10.00", "13.00"]


def test_several_programs_are_run_one_after_the_other(files, tmp_path):
    options = files([event("d1")])
    (tmp_path / "other.json").write_text(json.dumps(PROGRAM | {"rewards": [{"type": "percent", "rate": "5"}]}))
    arguments = [f"--{key}={value}" for key, value in options.items()] + [f"--program={tmp_path / 'other.json'}"]
    out, err = io.StringIO(), io.StringIO()
    call_command("simulate", *arguments, "--json", stdout=out)
    document = json.loads(out.getvalue())
    assert [one["total"] for one in document["programs"]] == ["20.00", "50.00"]
    assert document["programs"][0] == run(options)
    with pytest.raises(SystemExit):
        call_command("simulate", *arguments, "--activities=-", stderr=err)
    assert "read the files several times" in err.getvalue()


def test_rates_convert_by_their_day(files, tmp_path):
    euros = [event("d1", currency="EUR"), event("d2", currency="EUR", occurred_at="2026-03-01T10:00:00Z")]
    rate = {"currency": "EUR", "starts_on": "2026-02-01", "ends_on": "2026-02-28", "rate": "1.1"}
    rates = tmp_path / "rates.jsonl"
    rates.write_text(
        "\n".join(json.dumps(row) for row in (rate, rate | {"to_currency": "GBP"}, rate | {"currency": "JPY"}))
    )
    document = run({**files(euros), "rates": str(rates)})
    assert (document["total"], document["exceptions"][0]["code"]) == ("22.00", "no_rate")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"currency": "EURO"}, 'did you mean "EUR"?'),
        ({"currency": None}, "a currency such as EUR"),
        ({"rate": "0"}, "a number above zero"),
        ({"rate": "-1"}, "a number above zero"),
        ({"ends_on": "2026-01-01"}, "a day from 2026-02-01 on"),
        ({"starts_on": "soon"}, "starts_on"),
        ({"starts_on": "2026-02-28", "ends_on": "2026-03-31"}, "one rate from EUR for each day"),
    ],
)
def test_a_wrong_rate_is_refused_with_its_line(files, tmp_path, change, words):
    rate = {"currency": "EUR", "starts_on": "2026-02-01", "ends_on": "2026-02-28", "rate": "1.1"}
    rates = tmp_path / "rates.jsonl"
    rates.write_text(json.dumps(rate) + "\n" + json.dumps(rate | change))
    message = refused({**files([event("d1")]), "rates": str(rates)})
    assert "rates.jsonl, line 2" in message and words in message


def test_a_wrong_sensitivity_is_refused(files):
    assert "expected per cent from 0 to 100" in refused({**files([event("d1")]), "sensitivity": 101})
