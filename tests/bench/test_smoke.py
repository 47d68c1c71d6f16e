"""Each benchmark still runs, with the smallest sizes; what it measures is not asserted, only that it measures."""

import csv

import pytest

from tests import bench
from tests.bench import Median, Row, Run, ratio
from tests.bench import __main__ as runner

runner.load_all()
NEEDS_WORKERS = {"orders", "delay", "simulation"}
ONCE = [name for name in bench.REGISTRY if name != "intake_sqlite"]  # the same code as intake, on the other database


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.postgres] if name in NEEDS_WORKERS else []) for name in ONCE]
)
def test_the_benchmark_runs(name, processes, settings):
    settings.E2R_BASE_URL = settings.E2R_BASE_URL  # what the benchmark sets is undone with this fixture
    run = Run(processes, small=True)
    bench.REGISTRY[name].work(run)
    assert run.rows
    assert all(row.figure > 0 and (row.share is None or row.share > 0) for row in run.rows)


def test_a_share_is_the_median_of_the_rounds_own_ratios():
    found = ratio(Median([50, 300, 80]), Median([100, 300, 100]))
    assert (float(found), found.low, found.high) == (0.8, 0.5, 1.0)


def test_rounds_take_turns_and_a_contestant_may_time_itself():
    order = []
    run = Run(None)
    first, second = run.alternate({"a": lambda: order.append("a"), "b": lambda: order.append("b") or 0.5}, units=10)
    assert order == ["a", "b"] * 10, "one round to warm up, then nine"
    assert (float(second), len(first.rounds)) == (20.0, 9)


def test_naming_some_rewrites_only_their_sections_and_the_history_grows(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "PAGE", tmp_path / "benchmarks.md")
    monkeypatch.setattr(runner, "HISTORY", tmp_path / "history.csv")
    intake, audit = bench.REGISTRY["intake"], bench.REGISTRY["audit"]
    row = Row("single posts", 1234.5, "/s", 0.5, "a bare view", 0.4, 0.6)
    for one, figure in ((audit, 7.0), (intake, 1.0), (intake, 1234.5)):
        row.figure = figure
        runner.write({one.name: runner.section(one, [row], "here.")})
        runner.append_history(one.name, [row], "here")
    page = runner.PAGE.read_text()
    assert page.count("## ") == 2
    assert page.index("## Events accepted") < page.index("## Audit trail")
    assert "| single posts | 1,234/s | **50%** | 40% - 60% | a bare view |  |" in page
    with runner.HISTORY.open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["bench"], r["figure"], r["share"]) for r in rows] == [
        ("audit", "7.0", "0.5"), ("intake", "1.0", "0.5"), ("intake", "1234.5", "0.5"),
    ]  # fmt: skip
