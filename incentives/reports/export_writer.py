"""Everything the customer owns, written as a stream into a ZIP or a folder, from one consistent view of the database."""

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from django.db import models
from django.utils import timezone

from incentives.claims import storage
from incentives.claims.models import ClaimProof
from incentives.claims.proofs import SUFFIX
from incentives.core import chains
from incentives.core.errors import DomainError
from incentives.core.sealing import plain
from incentives.reports.export_dictionary import all_models, dictionary, exported_fields, markdown
from incentives.reports.export_tables import TABLES

FORMAT = 1
CHUNK = 2000
VERIFIER = Path(__file__).parent / "standalone" / "verify.py"
DIGITS = 32
"""Of a row's SHA-256 in `digests/`: 128 bits."""

README = """Everything Laurel holds for you, as of {made_at}.

data/<table>.jsonl     one row per line, as JSON (UTF-8). Amounts called ..._minor are whole smallest units (cents).
digests/<table>.txt    per row its id and the beginning of the SHA-256 of its line
files/                 uploaded proofs of claims, by the public id of claims.ClaimProof
dictionary.json        every table and field in words; dictionary.md is the same to read
manifest.json          every file with its SHA-256, its size and its rows, and where the two chains ended
verify.py              checks all of it with Python 3.9 or newer and nothing else:

    python verify.py              in the unpacked folder
    python verify.py export.zip   without unpacking

It checks that no row was changed, removed or doubled, that every account is the sum of its postings, that payouts and
earnings agree with the ledger, that nothing was booked into a closed month, that the audit trail is unbroken and that no
posting, earning or approval was edited, removed or put in since it was sealed. Whoever can change these files can also change verify.py and manifest.json: keep the manifest's checksum, which Laurel shows, elsewhere.

Not in it, each for the reason in dictionary.json: passwords, secrets, tokens, claim links, marks of running work. It holds
names and addresses of people: keep it as you keep those.
"""


class Target:
    """Where files go. `open` gives a binary stream to write."""

    def open(self, name: str):
        raise NotImplementedError


class ZipTarget(Target):
    def __init__(self, file: IO[bytes]):
        self.archive = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6)

    def open(self, name: str):
        info = zipfile.ZipInfo(name, timezone.now().timetuple()[:6])
        info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
        return self.archive.open(info, "w", force_zip64=True)

    def close(self) -> None:
        self.archive.close()


class FolderTarget(Target):
    """An empty folder, made where it is missing."""

    def __init__(self, folder: Path):
        self.folder = folder

    def open(self, name: str):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def close(self) -> None:
        pass


class _Hashed:
    """A stream that knows what went through it."""

    def __init__(self, stream):
        self.stream, self.digest, self.size = stream, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self.stream.write(data)


class Writer:
    """Writes the files and remembers what the manifest says about them."""

    def __init__(self, target: Target, tell: Callable[[int, int], None] = lambda done, total: None):
        self.target, self.tell = target, tell
        self.files: dict[str, dict] = {}
        self.done = self.total = 0
        self.manifest_sha256 = ""

    @contextmanager
    def file(self, name: str, **also) -> Iterator[_Hashed]:
        with self.target.open(name) as stream:
            hashed = _Hashed(stream)
            yield hashed
        self.files[name] = {"sha256": hashed.digest.hexdigest(), "bytes": hashed.size, **also}

    def everything(self) -> str:
        """Write all files; call it inside `snapshot`. Returns the SHA-256 of manifest.json."""
        made_at = timezone.now()
        known = {label: all_models()[label] for label in TABLES}
        self.total = sum(model._base_manager.count() for model in known.values())
        self.tell(0, self.total)
        for label, model in known.items():
            self.table(label, model)
        self.proofs()
        self.text("README.txt", README.format(made_at=made_at.astimezone(UTC).isoformat(timespec="seconds")))
        self.text("dictionary.json", json.dumps(dictionary(), indent=1, ensure_ascii=False))
        self.text("dictionary.md", markdown())
        self.text("verify.py", VERIFIER.read_text())
        return self.manifest(made_at)

    def text(self, name: str, text: str) -> None:
        with self.file(name) as out:
            out.write(text.encode())

    def table(self, label: str, model: type[models.Model]) -> None:
        """One table in the order of its ids, and the digests of its lines. One zip entry is open at a time, so the digests
        wait in a temporary file."""
        fields = exported_fields(model)
        names = [field.attname for field in fields]
        rows = model._base_manager.order_by("pk").values_list("pk", *names).iterator(chunk_size=CHUNK)
        number = 0
        with tempfile.TemporaryFile() as digests:
            with self.file(f"data/{label}.jsonl") as out:
                for number, (pk, *values) in enumerate(rows, start=1):
                    line = _line(names, values)
                    out.write(line)
                    digests.write(f"{pk} {hashlib.sha256(line).hexdigest()[:DIGITS]}\n".encode())
                    if number % CHUNK == 0:
                        self.step(CHUNK)
            self.step(number % CHUNK)
            self.files[f"data/{label}.jsonl"]["rows"] = number
            digests.seek(0)
            with self.file(f"digests/{label}.txt") as out:
                shutil.copyfileobj(digests, out)

    def step(self, rows: int) -> None:
        self.done += rows
        self.tell(self.done, self.total)

    def proofs(self) -> None:
        """Uploaded files, one at a time (10 MB at most each). One that is gone from the store is left out."""
        for proof in ClaimProof.objects.order_by("pk").iterator(chunk_size=CHUNK):
            try:
                content = storage.read(proof)
            except (OSError, DomainError):
                continue
            with self.file(f"files/{proof.public_id}.{SUFFIX.get(proof.kind, 'bin')}") as out:
                out.write(content)

    def manifest(self, made_at: datetime) -> str:
        ends = {name: {"seq": number, "chain": chain} for name, (number, chain) in chains.heads().items()}
        content = {
            "format": FORMAT,
            "made_at": made_at.astimezone(UTC).isoformat(),
            **ends,
            "files": self.files,
        }
        data = json.dumps(content, indent=1).encode()
        with self.target.open("manifest.json") as out:
            out.write(data)
        return hashlib.sha256(data).hexdigest()


def _line(names: list[str], values: list) -> bytes:
    row = dict(zip(names, values, strict=True))
    return json.dumps(row, default=plain, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
