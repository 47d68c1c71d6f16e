"""Every page of participants in every language: nothing they can see is left in English.

Three nets: each text asked of the catalogues while all pages are rendered has a translation; each text in a template or
module those pages use has one, whichever branch was taken; and what reads the same in both languages is data.
"""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template.base import Template
from django.urls import resolve

from tests.doors.test_pages import GRANTS, PAGES, permissions
from tests.texts.asked import listening, visible
from tests.texts.test_catalogues import catalogue
from tests.texts.world import World, tour

pytestmark = pytest.mark.django_db
LANGUAGES = [code for code, _name in settings.LANGUAGES if code != "en"]
ROLES = {"participant", "partner_admin"}
NOT_A_PAGE = {
    "claims/proofs/<uuid:public_id>/": "a picture, sent as it is",
    "me/statement.pdf": "a PDF: its texts are listened to, its letters are not read",
    "me/earnings/<uuid:public_id>.json": "for programs; its names are not translated",
}
"""Address whose answer is not read -> why."""

SAME = {"Laurel", "CSV", "Excel (XLSX)"}
"""Besides words of which the catalogue says that they are the same (`Menu`); test_catalogues.py watches those."""
DATA = re.compile(
    r"(?:· )?(?:[A-Z]{2,3}|[0-9a-f-]{36}|Scene \d+|OPP-\d+|INV-2026-\d+|Customer \d+|LX-1|\d+.bytes|\S+@example\.com|Demo,?"
    r"|Demo, [\d.]+.USD|Acme Resale|Ana R(?:uiz|\.)|Ben O(?:de|\.)|Nia New|(?:Pat|Pia) Acme|[\w ]+ Person|Firewall"
    r"|invoice\.jpg|Free choice|(?:: )?Other|Levels|Race|Sprint|Spot awards|Reseller claims|House rules|Be|fair|For|Because of the invoice"
    r"|Saved the renewal|Which one\?|Mine is gone|It was 7,000|It is Bob's|And this\?)"
)
"""What the world's people, programs, deals and remarks are called."""


FOR_PROGRAMMERS = ("api/v1/docs", "profile/tokens/")
"""Pages about the API, whose documents are in English."""


def of_participants() -> set[str]:
    return {
        address
        for address, _name, page in PAGES
        if not address.startswith(FOR_PROGRAMMERS)
        and (page.permission is None or any(ROLES & set(GRANTS[wanted]) for wanted in permissions(page)))
    }


class Guest:
    """Opens pages as somebody and keeps what they said, by (round, number of the visit)."""

    def __init__(self, client, language: str):
        self.client, self.language = client, language
        self.pages: list[tuple[str, str]] = []
        self.addresses: set[str] = set()

    def __call__(self, user, path: str, data=None, expect: int = 200):
        self.client.logout()
        if user is not None:
            type(user).objects.filter(pk=user.pk).update(language=self.language)
            self.client.force_login(user)
        headers = {"accept-language": self.language}
        how = self.client.get if data is None else self.client.post
        answer = how(path, headers=headers) if data is None else how(path, data, headers=headers)
        assert answer.status_code == expect, (path, data, answer.status_code)
        address = resolve(path.partition("?")[0]).route if expect != 404 else ""
        self.addresses.add(address)
        if "html" in answer.get("Content-Type", "") and address not in NOT_A_PAGE:
            html = answer.content.decode()
            assert f'<html lang="{self.language}"' in html or "<html" not in html, path
            self.pages.append((path, html))
        return answer


@pytest.fixture
def world(clock, db, settings, tmp_path) -> World:
    settings.MEDIA_ROOT = tmp_path / "uploads"
    return World(clock)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_of_participants_speaks_the_language(client, world, language, monkeypatch):
    used: set[str] = set()
    render = Template._render

    def noted(self, context):
        used.add(self.origin.name)
        return render(self, context)

    monkeypatch.setattr(Template, "_render", noted)
    world.speak("en")
    english = Guest(client, "en")
    tour(world, english)
    world.speak(language)
    guest = Guest(client, language)
    with listening(language) as asked:
        tour(world, guest)
    assert of_participants() - guest.addresses == set(), "pages of participants that the tour leaves out"
    assert asked.untranslated() == []
    assert untranslated_in(language, used) == []
    left = leftovers(language, english.pages, guest.pages)
    assert left == {}, "\n".join(f"{path}: {sorted(texts)}" for path, texts in left.items())


def leftovers(language: str, english, other) -> dict[str, set[str]]:
    """Path -> texts that read the same in both languages and are not data."""
    found, same = {}, SAME | {entry.msgid for entry in catalogue(language) if entry.msgid == entry.msgstr}
    for (path, before), (_path, after) in zip(english, other, strict=True):
        texts = {text for text in visible(before) & visible(after) if text not in same and not DATA.fullmatch(text)}
        if texts:
            found[path] = texts
    return found


MODULES = """
accounts/context_processors accounts/forms accounts/models claims/forms claims/my_views claims/notices claims/proofs
claims/wording claims/services/drafts core/listing core/templatetags/laurel disputes/models disputes/notices
disputes/own_views earnings/causes earnings/chain earnings/leaderboards earnings/notices earnings/record
earnings/standings earnings/wording notifications/own_views notifications/preferences notifications/registry
notifications/rendering payouts/chain payouts/choice_models payouts/notices portal/board_views portal/choice_views
portal/estimate_views portal/progress portal/terms_views portal/views programs/selectors programs/summary programs/told
reports/notices reports/periods reports/statement_pdf
""".split()
"""Modules of which everything has to be translated."""


def untranslated_in(language: str, templates: set[str]) -> list[str]:
    """Texts without a translation that stand in one of these templates or in MODULES."""
    root = Path(settings.BASE_DIR)
    files = {str(Path(name).relative_to(root)) for name in templates if name.startswith(str(root))}
    files |= {f"incentives/{name}.py" for name in MODULES}
    return sorted(
        f"{', '.join(here)}: {entry.msgid}"
        for entry in catalogue(language)
        if not entry.translated() and (here := {file for file, _line in entry.occurrences} & files)
    )
