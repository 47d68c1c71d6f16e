"""A pytest plugin that writes what one pass did as JSON, for `tests.support.run` to add up.

Loaded with `-p tests.support.report`; LAUREL_TEST_REPORT names the file.
"""

import json
import os
from pathlib import Path


def _reason(report) -> str:
    if hasattr(report, "wasxfail"):
        return f"expected to fail: {report.wasxfail}"
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter, exitstatus):
    path = os.environ.get("LAUREL_TEST_REPORT")
    if not path or os.environ.get("PYTEST_XDIST_WORKER"):
        return
    stats = terminalreporter.stats
    skipped = [*stats.get("skipped", []), *stats.get("xfailed", [])]
    failed = [*stats.get("failed", []), *stats.get("error", []), *stats.get("xpassed", [])]
    result = {
        "exit": int(exitstatus),
        "passed": len(stats.get("passed", [])),
        "failed": sorted({report.nodeid for report in failed}),
        "skipped": [[report.nodeid, _reason(report)] for report in skipped],
        "browser": any("browser" in report.keywords for report in stats.get("passed", [])),
    }
    Path(path).write_text(json.dumps(result))
