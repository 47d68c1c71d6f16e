"""How rows are locked: by `no_key=True` everywhere, or two transactions may wait for each other at their commits."""

import ast

import pytest

from tests.support.environment import ROOT

pytestmark = pytest.mark.pure


def locking_calls():
    """(file, line, call) of every `select_for_update(...)` of the application."""
    for folder in ("incentives", "rewards"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "select_for_update":
                    yield path.relative_to(ROOT), node.lineno, node


def test_every_row_lock_leaves_foreign_keys_alone():
    """Django checks foreign keys at the commit: each inserted row then locks the rows it points at (FOR KEY SHARE), in no order
    anybody chose. A plain FOR UPDATE stands in the way of that; FOR NO KEY UPDATE does not, and keeps out every writer."""
    wrong = [
        f"{path}:{line}: write select_for_update(..., no_key=True); rows keep their keys, so nothing needs more."
        for path, line, call in locking_calls()
        if not any(k.arg == "no_key" and getattr(k.value, "value", None) is True for k in call.keywords)
    ]
    assert not wrong, "\n".join(wrong)
    assert len(list(locking_calls())) > 50
