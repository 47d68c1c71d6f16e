"""Who may import whom: an app imports only apps above it in INSTALLED_APPS, and rewards imports nothing of incentives."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.support.environment import ROOT

PACKAGE = "incentives"
APPS = [name.split(".")[1] for name in settings.INSTALLED_APPS if name.startswith(f"{PACKAGE}.")]


def _module(path: Path) -> list[str]:
    return list(path.relative_to(ROOT).with_suffix("").parts)


def _imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import in a file, those inside functions included; relative ones made absolute."""
    for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(_module(path)[: -node.level]) if node.level else ""
            stem = ".".join(filter(None, [base, node.module or ""]))
            yield from ((node.lineno, f"{stem}.{alias.name}") for alias in node.names)


def _files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def _app_of(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 and parts[1] in APPS else None


def violations(path: Path, app: str, allowed: set[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line} ({app}) imports {name}"
        for line, name in _imported(path)
        if _app_of(name) and _app_of(name) not in allowed
    ]


def test_the_order_of_the_apps_is_the_order_of_the_flow():
    order = "core accounts notifications webhooks participants ledger programs crm claims awards earnings simulations tax payouts disputes reports portal api operations".split()
    assert [app for app in APPS if app in order] == order


@pytest.mark.parametrize("app", APPS)
def test_an_app_imports_only_apps_above_it(app):
    allowed = set(APPS[: APPS.index(app) + 1])
    assert [found for path in _files(f"{PACKAGE}/{app}") for found in violations(path, app, allowed)] == []


def test_rewards_knows_nothing_of_incentives():
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in _files("rewards")
        for line, name in _imported(path)
        if name.split(".")[0] == PACKAGE
    ]
    assert found == []


def test_the_application_does_not_import_its_tests():
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in _files("rewards") + _files(PACKAGE)
        for line, name in _imported(path)
        if name.split(".")[0] == "tests"
    ]
    assert found == []


def test_every_package_with_code_is_an_installed_app():
    packages = {path.parent.name for path in (ROOT / PACKAGE).glob("*/*.py")}
    assert packages - set(APPS) == set()


def test_the_walk_sees_relative_imports_and_those_in_functions(monkeypatch):
    path = ROOT / PACKAGE / "core" / "example.py"
    source = "from ..payouts import models\ndef late():\n    import incentives.crm.ingest\n    from . import audit\n"
    monkeypatch.setattr(Path, "read_text", lambda self: source)
    assert violations(path, "core", {"core"}) == [
        "incentives/core/example.py:1 (core) imports incentives.payouts.models",
        "incentives/core/example.py:3 (core) imports incentives.crm.ingest",
    ]
