"""The kinds that exist: documented, translatable, with both templates."""

import re

import pytest
from django.conf import settings
from django.template.loader import get_template

from incentives.accounts.permissions import GRANTS
from incentives.notifications import registry
from incentives.notifications.registry import Mode
from tests.support.environment import ROOT

REAL = [one for one in registry.every() if not one.name.startswith("test.")]
NAMES = [
    "budgets.alert", "claims.decided", "connections.silent", "contests.ended", "contests.halfway", "contests.started",
    "disputes.answered", "notifications.channel_off", "payouts.waiting", "reconciliation.differs", "rewards.on_its_way",
    "rewards.sent",
]  # fmt: skip


def row_of(one) -> list[str]:
    yes = {True: "yes", False: "no"}
    return [
        f"`{one.name}`", str(one.label), yes[one.duty], yes[one.may_stop], yes[one.chat],
        dict(Mode.CHOICES)[one.default].lower(), f"`{one.template}`",
    ]  # fmt: skip


def test_the_known_kinds_are_these():
    assert set(NAMES) <= {one.name for one in REAL}


def test_the_table_in_the_documents_is_the_registry():
    text = (ROOT / "docs/notifications.md").read_text()
    lines = [line for line in text.splitlines() if re.match(r"\| `[a-z_]+\.[a-z_]+` \|", line)]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert found == [row_of(one) for one in REAL]


@pytest.mark.parametrize("one", REAL, ids=lambda one: one.name)
def test_a_kind_is_whole(one):
    for form in ("txt", "html"):
        get_template(f"emails/{one.template}.{form}")
    names = (one.permission,) if isinstance(one.permission, str) else one.permission or ()
    assert set(names) <= set(GRANTS)
    assert str(one.label) and str(one.about), "people choose by these words"
    assert one.default in dict(one.modes)


def test_every_text_of_a_mail_is_marked_for_translation():
    for path in sorted((settings.BASE_DIR / "templates/emails").glob("*.*")):
        text = re.sub(r"{%\s*blocktranslate.*?endblocktranslate\s*%}", "", path.read_text(), flags=re.DOTALL)
        text = re.sub(r"{[%{#].*?[%}#]}|<[^>]*>|&\w+;", "", text, flags=re.DOTALL)
        words = [word for word in re.findall(r"[A-Za-z]{3,}", text) if word != "Laurel"]
        assert words == [], path.name
