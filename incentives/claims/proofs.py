"""What an uploaded proof really is: read by its content, never by its name or the type the browser states.

A picture is decoded and written anew, so that what is kept has no metadata (where a photo was taken), nothing appended and
no second meaning. A PDF is kept as it is, unless it is encrypted or has scripts, actions or attachments.
"""

import hashlib
import io
import time
import warnings
from dataclasses import dataclass

from django.utils.translation import gettext as _
from PIL import Image, ImageOps

from incentives.claims.errors import BadProof
from incentives.claims.models import ClaimProof

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 50_000_000
"""A 48-megapixel phone's photo passes; a small file that unfolds into gigabytes does not."""
PDF_OBJECTS, PDF_SECONDS = 50_000, 8.0
Kind = ClaimProof.Kind
_FORMATS = {Kind.JPEG: "JPEG", Kind.PNG: "PNG"}
_MAGIC = ((b"%PDF-", Kind.PDF), (b"\xff\xd8\xff", Kind.JPEG), (b"\x89PNG\r\n\x1a\n", Kind.PNG))
_FORBIDDEN = frozenset("/JavaScript /JS /Launch /AA /RichMedia /XFA /SubmitForm /ImportData /GoToR /GoToE".split())
SUFFIX = {Kind.PDF: "pdf", Kind.JPEG: "jpg", Kind.PNG: "png"}


@dataclass(frozen=True, slots=True)
class Checked:
    """A proof that may be kept: `content` is what to store, `sha256` that of the upload."""

    kind: str
    content: bytes
    sha256: str


def check(file) -> Checked:
    """Read an uploaded file and say what it is. Raises BadProof with what to do instead; nothing is kept."""
    if file.size > MAX_BYTES:
        raise BadProof(_("The file is larger than %(n)s MB. Send a smaller one.") % {"n": MAX_BYTES // 1024 // 1024})
    content = file.read(MAX_BYTES + 1)
    if not content:
        raise BadProof(_("The file is empty."))
    if len(content) > MAX_BYTES:
        raise BadProof(_("The file is larger than %(n)s MB. Send a smaller one.") % {"n": MAX_BYTES // 1024 // 1024})
    kind = next((kind for start, kind in _MAGIC if content.startswith(start)), None)
    if kind is None:
        raise BadProof(_what_else(content))
    digest = hashlib.sha256(content).hexdigest()
    if kind == Kind.PDF:
        _check_pdf(content)
        return Checked(kind, content, digest)
    return Checked(kind, _written_anew(content, kind), digest)


def _what_else(content: bytes) -> str:
    if content[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1"):
        return _("This is a HEIC photo. Set the camera to “Most compatible”, or send a JPEG, PNG or PDF.")
    return _("This is neither a PDF nor a JPEG or PNG picture, whatever its name says.")


def _written_anew(content: bytes, kind: str) -> bytes:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=[_FORMATS[kind]]) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise BadProof(_too_many_pixels())
                picture.load()
                upright = ImageOps.exif_transpose(picture)
                return _encoded(upright, kind)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as exc:
        raise BadProof(_too_many_pixels()) from exc
    except BadProof:
        raise
    except Exception as exc:  # Pillow raises whatever the broken file provokes
        raise BadProof(_("The picture is damaged and cannot be opened. Take it again.")) from exc


def _too_many_pixels() -> str:
    return _("The picture has more than %(n)s million pixels. Send a smaller one.") % {"n": MAX_PIXELS // 1_000_000}


def _encoded(picture: Image.Image, kind: str) -> bytes:
    """Pixels alone: no EXIF, no colour profile, no comment, no further frames."""
    out = io.BytesIO()
    if kind == Kind.JPEG:
        pixels = picture if picture.mode in ("RGB", "L") else picture.convert("RGB")
    else:
        pixels = picture if picture.mode in ("RGB", "RGBA", "L", "LA", "1") else picture.convert("RGBA")
    plain = Image.new(pixels.mode, pixels.size)
    plain.paste(pixels)
    plain.save(out, format=_FORMATS[kind], **({"quality": 88} if kind == Kind.JPEG else {"compress_level": 6}))
    return out.getvalue()


def _check_pdf(content: bytes) -> None:
    """Raises BadProof for a PDF that cannot be read, is encrypted or does more than show pages."""
    from pypdf import PdfReader

    if b"%%EOF" not in content[-2048:]:
        raise BadProof(_("The PDF is damaged or incomplete. Save it again."))
    try:
        reader = PdfReader(io.BytesIO(content), strict=False)
        if reader.is_encrypted:
            raise BadProof(_("The PDF is protected with a password. Save it without one."))
        if not len(reader.pages):
            raise BadProof(_("The PDF has no pages."))
        _look_through(reader)
    except BadProof:
        raise
    except Exception as exc:  # pypdf raises whatever the broken file provokes
        raise BadProof(_("The PDF is damaged and cannot be opened. Save it again.")) from exc


def _look_through(reader) -> None:
    """Every object of the file, streams unread. Objects packed into streams are unpacked by the library, within its limits."""
    until = time.monotonic() + PDF_SECONDS
    ids = {number for table in reader.xref.values() for number in table} | set(reader.xref_objStm)
    if len(ids) > PDF_OBJECTS:
        raise BadProof(_("The PDF is too complicated. Print it to a PDF anew, or send a photo."))
    from pypdf.generic import IndirectObject

    for number in ids:
        if time.monotonic() > until:
            raise BadProof(_("The PDF is too complicated. Print it to a PDF anew, or send a photo."))
        if number:
            _inspect(IndirectObject(number, 0, reader).get_object())
    _inspect(reader.trailer)


def _inspect(thing, depth: int = 0) -> None:
    from pypdf.generic import IndirectObject

    if depth > 30:
        raise BadProof(_("The PDF is too complicated. Print it to a PDF anew, or send a photo."))
    if isinstance(thing, IndirectObject):  # looked at under its own number
        return
    if isinstance(thing, dict):
        if "/EF" in thing and not str(thing.get("/UF") or thing.get("/F") or "").lower().endswith(".xml"):
            raise BadProof(_active())  # an electronic invoice carries its data as XML; nothing else may come along
        for key, value in thing.items():
            _refuse_if_active(str(key), value)
            _inspect(value, depth + 1)
    elif isinstance(thing, list):
        for value in thing:
            _inspect(value, depth + 1)


def _refuse_if_active(key: str, value) -> None:
    if key in _FORBIDDEN or (key in ("/S", "/Type", "/Subtype") and str(value) in _FORBIDDEN):
        raise BadProof(_active())


def _active() -> str:
    return _("The PDF has a script, an action or an attachment. Print it to a PDF anew, or send a photo.")
