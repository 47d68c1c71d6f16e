"""What is asked of the catalogues while something is rendered, and which of it has no translation."""

import re
from contextlib import contextmanager
from html.parser import HTMLParser

from django.utils import translation
from django.utils.translation import get_language, trans_real


class Asked:
    """Every (context, text, plural) asked for in `language`."""

    def __init__(self, language: str):
        self.language = language
        self.texts: set[tuple[str, str, str]] = set()

    def note(self, context: str, text, plural: str = "") -> None:
        if text and get_language() == self.language:
            self.texts.add((context, str(text).replace("\r\n", "\n").replace("\r", "\n"), plural))

    def untranslated(self) -> list[tuple[str, str, str]]:
        return sorted(text for text in self.texts if not is_translated(self.language, *text))


@contextmanager
def listening(language: str):
    """Put an ear on Django's four functions; whoever translates (templates, forms, lazy texts, Python) ends there."""
    asked, trans = Asked(language), translation._trans
    real = {name: getattr(trans, name) for name in ("gettext", "pgettext", "ngettext", "npgettext")}

    def gettext(text):
        asked.note("", text)
        return real["gettext"](text)

    def pgettext(context, text):
        asked.note(context, text)
        return real["pgettext"](context, text)

    def ngettext(text, plural, number):
        asked.note("", text, plural)
        return real["ngettext"](text, plural, number)

    def npgettext(context, text, plural, number):
        asked.note(context, text, plural)
        return real["npgettext"](context, text, plural, number)

    heard = {"gettext": gettext, "pgettext": pgettext, "ngettext": ngettext, "npgettext": npgettext}
    for name, function in heard.items():
        setattr(trans, name, function)
    try:
        yield asked
    finally:
        for name, function in real.items():
            setattr(trans, name, function)


def is_translated(language: str, context: str, text: str, plural: str = "") -> bool:
    """Whether a catalogue has it: ours, Django's or allauth's. A text with a plural needs every form."""
    catalogue = trans_real.translation(language)._catalog
    key = f"{context}\x04{text}" if context else text
    if not plural:
        return bool(catalogue.get(key) or catalogue.get((key, 0)))
    first = catalogue.get((key, 0))
    return bool(first) and bool(catalogue.get((key, 1)))


class _Texts(HTMLParser):
    SILENT = ("style", "script", "code", "textarea", "time", "option", "title")
    SPOKEN = ("aria-label", "placeholder", "title", "alt")

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.inside: list[str] = []

    def handle_starttag(self, tag, attributes):
        if tag in self.SILENT:
            self.inside.append(tag)
        self.found += [value for name, value in attributes if name in self.SPOKEN and value]

    def handle_endtag(self, tag):
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data):
        if not self.inside:
            self.found.append(data)


def visible(html: str) -> set[str]:
    """The texts of a page that somebody reads or hears and that have letters."""
    parser = _Texts()
    parser.feed(html)
    texts = {" ".join(text.split()) for text in parser.found}
    return {text for text in texts if re.search(r"[^\W\d_]{2}", text)}
