"""Collect the texts to translate into the catalogues and compile them: `make messages`.

New texts arrive untranslated; a translation whose text changed is marked fuzzy and not used until somebody looked at it.
`make messages ARGS=--compile` only compiles, and needs no gettext. The compiled catalogues are committed, so that an installation
needs neither; tests/texts/test_catalogues.py compares them with their sources.
"""

import os
import sys
from pathlib import Path

import polib

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("es", "fr")
HEADER = """Texts of Laurel.
How to work on this file: docs/translations.md. Texts that only staff see may stay untranslated.
"""


def catalogue(language: str) -> Path:
    return ROOT / "incentives/locale" / language / "LC_MESSAGES/django.po"


def collect() -> None:
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "incentives.settings")
    from django.core.management import execute_from_command_line

    ignored = [f"--ignore={name}" for name in (".venv", ".ci", "tests", "static", "staticfiles", "docs", "var")]
    wanted = [f"--locale={language}" for language in LANGUAGES]
    options = ["--add-location=file", "--no-wrap", "--no-obsolete"]
    execute_from_command_line(["manage.py", "makemessages", *wanted, *ignored, *options])


def tidy(language: str) -> polib.POFile:
    """The catalogue without what differs between two runs, and with its header filled in."""
    found = polib.pofile(str(catalogue(language)), wrapwidth=0)
    found.header = HEADER
    found.metadata = {
        "Project-Id-Version": "Laurel",
        "Language": language,
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=UTF-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": found.metadata["Plural-Forms"],
    }
    found.metadata_is_fuzzy = False
    return found


def main() -> int:
    os.chdir(ROOT)
    if "--compile" not in sys.argv:
        collect()
    for language in LANGUAGES:
        found = tidy(language)
        found.save()
        found.save_as_mofile(str(catalogue(language).with_suffix(".mo")))
        fuzzy = f", {len(found.fuzzy_entries())} to be looked at" if found.fuzzy_entries() else ""
        print(f"{language}: {len(found.translated_entries())} of {len(found)} texts translated{fuzzy}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
