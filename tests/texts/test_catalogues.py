"""The catalogues themselves: compiled as they are written, placeholders kept, plurals complete, nothing forgotten in a template."""

import re
from pathlib import Path

import polib
import pytest
from django.conf import settings
from django.utils.translation import override

ROOT = Path(settings.BASE_DIR)
LANGUAGES = [code for code, _name in settings.LANGUAGES if code != "en"]
PLURALS = {"es": 3, "fr": 2}
PLACE = re.compile(r"%\(\w+\)[a-z]|%%|\{\w*\}|%[sd]")
TAG = re.compile(r"</?[a-z][^>]*>")
WORDS = {
    "Laurel",
    "CSV",
    "Excel",
    "XLSX",
    "PDF",
    "JSON",
    "SHA",
    "nbsp",
    "middot",
    "amp",
    "hooks",
    "events",
    "openapi",
    "json",
}
"""Words that stand in templates as they are."""


def catalogue(language: str) -> polib.POFile:
    return polib.pofile(str(ROOT / "incentives/locale" / language / "LC_MESSAGES/django.po"), wrapwidth=0)


def told(entries) -> dict:
    return {(e.msgctxt, e.msgid): (e.msgid_plural, e.msgstr, dict(e.msgstr_plural)) for e in entries}


def test_every_language_that_can_be_chosen_has_a_catalogue():
    assert {path.name for path in (ROOT / "incentives/locale").iterdir()} == set(LANGUAGES) == set(PLURALS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_is_the_written_one(language):
    """An installation has no gettext: what is committed is what is used. `make messages` writes both."""
    written = catalogue(language)
    path = ROOT / "incentives/locale" / language / "LC_MESSAGES/django.mo"
    assert told(polib.mofile(str(path))) == told(written.translated_entries())
    assert written.fuzzy_entries() == [], "look at them, then remove the mark"


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_placeholders_and_markup_and_have_every_plural(language):
    wrong = []
    for entry in catalogue(language).translated_entries():
        if entry.msgid_plural:
            forms = entry.msgstr_plural
            allowed = set(PLACE.findall(entry.msgid)) | set(PLACE.findall(entry.msgid_plural))
            complete = sorted(forms) == list(range(PLURALS[language])) and all(forms.values())
            many = all(sorted(PLACE.findall(forms[n])) == sorted(PLACE.findall(entry.msgid_plural)) for n in forms if n)
            if not complete or not many or not set(PLACE.findall(forms[0])) <= allowed:
                wrong.append(entry.msgid)
        elif sorted(PLACE.findall(entry.msgid)) != sorted(PLACE.findall(entry.msgstr)):
            wrong.append(entry.msgid)
        texts = [entry.msgstr, *entry.msgstr_plural.values()]
        if any(text and sorted(TAG.findall(text)) != sorted(TAG.findall(entry.msgid)) for text in texts):
            wrong.append(entry.msgid)
        if any(text and (text[0].isspace(), text[-1].isspace()) != _ends(entry, text) for text in texts):
            wrong.append(entry.msgid)
    assert wrong == []


def _ends(entry, text: str) -> tuple[bool, bool]:
    """Blanks at both ends as in English; a semicolon has one before it in French."""
    first = entry.msgid[0].isspace() or (text[:2].strip() == ";" and text[0].isspace())
    return first, entry.msgid[-1].isspace()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_phrase_was_copied_in_place_of_a_translation(language):
    """A word may be the same in both languages; a phrase of several hardly ever is."""
    same = [entry.msgid for entry in catalogue(language) if entry.msgid == entry.msgstr]
    assert [text for text in same if len(re.findall(r"[^\W\d_]{2,}", PLACE.sub("", text))) > 1] == []
    assert len(same) < 60


def test_templates_have_no_words_outside_of_the_texts_to_translate():
    found = {}
    for path in sorted((ROOT / "templates").rglob("*")):
        if path.suffix not in {".html", ".txt"} or path.name == "styleguide.html":
            continue
        text = path.read_text()
        text = re.sub(r"\{#.*?#\}|\{%\s*comment.*?endcomment\s*%\}", "", text, flags=re.DOTALL)
        text = re.sub(r"\{%\s*block \w+\s*%\}page-[\w-]+\{%\s*endblock", "", text)
        text = re.sub(r"\{%\s*blocktrans.*?endblocktrans\w*\s*%\}", " ", text, flags=re.DOTALL)
        spoken = re.findall(r'(?:placeholder|aria-label|title|alt|data-copied)="([^"{<]+)"', text)
        text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", " ", text, flags=re.DOTALL)
        text = re.sub(r"<(style|script|code|pre)\b.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL)
        words = [word for part in (text, *spoken) for word in re.findall(r"[A-Za-z]{2,}", part) if word not in WORDS]
        if words:
            found[str(path.relative_to(ROOT))] = words
    assert found == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_that_mean_a_form_of_a_date_stay_forms(language):
    """`j M Y` is a text to translate too: what stands for it must still name day, month and year."""
    forms = {entry.msgid: entry.msgstr for entry in catalogue(language) if re.fullmatch(r"[jMFYHis ,:]+", entry.msgid)}
    assert set(forms) >= {"j M", "j M Y", "j F Y", "j M Y, H:i", "j F Y, H:i:s", "H:i"}
    for form, translated in forms.items():
        letters = re.sub(r"\\.", "", translated)
        letters = letters.translate({ord("b"): "M", ord("N"): "M"})  # other short names of months
        assert set(re.findall("[jMFYHis]", form)) == set(re.findall("[a-zA-Z]", letters)), form


def test_money_numbers_and_days_follow_the_language():
    from datetime import date

    from incentives.core.templatetags.laurel import money_text, number, when
    from rewards.money import Money

    amount, day = Money(-123450, "EUR"), date(2026, 8, 3)
    shown = {}
    for language in ("en", "es", "fr"):
        with override(language):
            plain = when(day).partition(">")[2].removesuffix("</time>")
            shown[language] = (money_text(amount).replace("\xa0", " "), number("1234567.5").replace("\xa0", " "), plain)
    assert shown == {
        "en": ("−1,234.50 EUR", "1,234,567.5", "3 Aug 2026"),
        "es": ("−1 234,50 EUR", "1 234 567,5", "3 ago 2026"),
        "fr": ("−1 234,50 EUR", "1 234 567,5", "3 août 2026"),
    }
