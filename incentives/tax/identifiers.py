"""Recognise tax identification numbers in free text, so that none is stored."""

import re
import unicodedata

from incentives.tax.errors import IdentifierRefused

_DASHES = re.compile(r"[\u2010-\u2015\u2212\u00ad\ufe58\ufe63\uff0d_/.,]")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2060\ufeff]")
_DAY = re.compile(r"(?<!\d)(?:19|20)\d\d-[01]?\d-[0-3]?\d(?!\d)|(?<!\d)[0-3]?\d-[0-3]?\d-(?:19|20)\d\d(?!\d)")
_NINE = re.compile(r"(?:\d[ -]{0,2}){8}\d")


def looks_like_identifier(text: str) -> bool:
    """Whether `text` holds nine or more digits with at most blanks, dashes, dots or slashes between them.

    That covers SSN and ITIN (123-45-6789), EIN (12-3456789) and most other countries' numbers. Dates do not count. Digits
    of other scripts and invisible characters in between do.
    """
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    text = _DASHES.sub("-", text)
    return bool(_NINE.search(_DAY.sub(" day ", text)))


def refuse_identifiers(*texts: str) -> None:
    """Raises IdentifierRefused when one of `texts` holds what looks like a tax identification number."""
    if any(looks_like_identifier(text) for text in texts):
        raise IdentifierRefused
