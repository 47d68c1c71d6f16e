"""Normalised forms by which two claims of one sale meet, however they were typed. Pure functions."""

import re
import unicodedata

_DIGIT_RUN = re.compile(r"(?<!\d)0+(?=\d)")
_LEGAL = frozenset(
    "ab ag as asa bv co company corp corporation eg gmbh inc incorporated kg lda limited llc llp ltd ltda nv oy plc pty "
    "sa sarl sas sl slu spa srl".split()
)


def _plain(text: str) -> str:
    """Upper case without accents and in one form of every character: full-width digits become ordinary ones."""
    parted = unicodedata.normalize("NFKD", text or "")
    return "".join(char for char in parted if not unicodedata.combining(char)).upper()


def invoice_key(number: str) -> str:
    """Letters and digits only, in upper case, and no number with leading zeros: `inv-000 123` is `INV123`."""
    return _DIGIT_RUN.sub("", "".join(char for char in _plain(number) if char.isalnum()))[:100]


def serial_key(serial: str) -> str:
    """Letters and digits only, in upper case. Zeros stay: they are part of a serial number."""
    return "".join(char for char in _plain(serial) if char.isalnum())[:100]


def customer_key(name: str) -> str:
    """Words without accents, punctuation and what the law adds to a company's name: `Café Ltd.` is `CAFE`."""
    text = re.sub(r"(?<=\b\w)\.(?=\w\b)", "", _plain(name))  # S.A. and G.m.b.H. are words
    words = re.sub(r"[^\w]+|_", " ", text).split()
    kept = [word for word in words if word.lower() not in _LEGAL] or words
    return " ".join(kept)[:200]


def split_serials(text: str) -> list[str]:
    """Serial numbers typed one per line, or with commas or semicolons between them, each once and in order."""
    found: dict[str, str] = {}
    for part in re.split(r"[\n\r,;\t]+", text or ""):
        serial = part.strip()
        if serial and (key := serial_key(serial)):
            found.setdefault(key, serial)
    return list(found.values())
