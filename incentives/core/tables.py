"""Rows of an uploaded CSV or XLSX file, read as a stream and within limits."""

import csv
import io
import itertools
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

from django.conf import settings

from incentives.core.errors import DomainError

MAX_ROWS, MAX_COLUMNS, MAX_CELL, MAX_UNPACKED = 500_000, 200, 10_000, 600 * 1024 * 1024
DELIMITERS = ",;\t|"


class BadFile(DomainError):
    """The file cannot be read as CSV or XLSX."""

    code = "bad_file"


@dataclass
class Table:
    """`columns` as in the first row; `rows` gives (row number as a spreadsheet shows it, {column: text or value})."""

    columns: list[str]
    rows: Iterator[tuple[int, dict]]


@contextmanager
def open_table(path: Path | str) -> Iterator[Table]:
    """Read a file whose first row names the columns. Raises BadFile with what is wrong."""
    path = Path(path)
    if path.stat().st_size > settings.MAX_IMPORT_BYTES:
        raise BadFile(f"The file is larger than {settings.MAX_IMPORT_BYTES // 1024 // 1024} MiB.")
    with path.open("rb") as start:
        head = start.read(4)
    if not head:
        raise BadFile("The file is empty.")
    opener = _xlsx if head.startswith(b"PK\x03\x04") else _csv
    with opener(path) as lines:
        yield _table(lines)


def _table(lines: Iterator[tuple[int, list]]) -> Table:
    try:
        _, header = next(lines)
    except StopIteration:
        raise BadFile("The file is empty.") from None
    columns = [str(name or "").strip() for name in header]
    while columns and not columns[-1]:
        columns.pop()
    if not columns:
        raise BadFile("The first row must name the columns.")
    if len(columns) > MAX_COLUMNS:
        raise BadFile(f"The file has {len(columns)} columns; expected at most {MAX_COLUMNS}.")
    twice = next((name for n, name in enumerate(columns) if name and name in columns[:n]), None)
    if twice:
        raise BadFile(f"The column {twice!r} is there twice. Give every column a name of its own.")
    return Table(columns, _rows(columns, lines))


def _rows(columns: list[str], lines: Iterator[tuple[int, list]]) -> Iterator[tuple[int, dict]]:
    for count, (number, cells) in enumerate(lines):
        if count >= MAX_ROWS:
            raise BadFile(f"The file has more than {MAX_ROWS} rows. Split it.")
        values = [_cell(cell) for cell in itertools.islice(cells, len(columns))]
        if any(value != "" for value in values):
            yield number, dict(itertools.zip_longest(columns, values, fillvalue=""))


def _cell(value):
    """A text, or a date, moment or Decimal that a spreadsheet typed."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()[:MAX_CELL]
    if isinstance(value, float):
        return Decimal(repr(value))
    return value if isinstance(value, (bool, int, Decimal, datetime, date)) else str(value)


def as_text(value) -> str:
    """How a cell is shown to people and compared with a mapping's keys."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime) and value.time() == time.min:
        value = value.date()
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f").rstrip("0").rstrip(".") if "." in format(value, "f") else format(value, "f")
    return str(value)


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(4)
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            return "utf-16"
        file.seek(0)
        try:
            decoder = io.TextIOWrapper(file, encoding="utf-8")
            while decoder.read(1 << 20):
                pass
            decoder.detach()
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8-sig"


def _delimiter(sample: str) -> str:
    """The one that cuts the first lines into the most fields of one number."""
    lines = sample.splitlines()[:20]

    def fit(delimiter: str) -> tuple[int, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        same = sum(1 for width in widths if width == widths[0])
        return (same, widths[0]) if widths and widths[0] > 1 else (0, 0)

    return max(DELIMITERS, key=fit)


@contextmanager
def _csv(path: Path) -> Iterator[Iterator[tuple[int, list]]]:
    with path.open(encoding=_encoding(path), newline="", errors="strict") as file:
        try:
            sample = file.read(64 * 1024)
        except UnicodeDecodeError as exc:
            raise BadFile("The file is neither UTF-8, UTF-16 nor Windows-1252 text.") from exc
        if "\x00" in sample:
            raise BadFile("This is neither a CSV nor an XLSX file.")
        file.seek(0)
        yield _csv_lines(csv.reader(file, delimiter=_delimiter(sample), strict=False))


def _csv_lines(reader) -> Iterator[tuple[int, list]]:
    try:
        yield from enumerate((row for row in reader), start=1)
    except csv.Error as exc:
        raise BadFile(f"Line {reader.line_num} cannot be read as CSV: {exc}.") from exc
    except UnicodeDecodeError as exc:
        raise BadFile(f"Line {reader.line_num} is not valid text in the file's encoding.") from exc


@contextmanager
def _xlsx(path: Path) -> Iterator[Iterator[tuple[int, list]]]:
    with path.open("rb") as file:  # openpyxl judges a path by its ending, an open file by what is in it
        book = _workbook(file)
        try:
            yield _xlsx_lines(book.worksheets[0])
        finally:
            book.close()


def _workbook(file):
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(file) as archive:
            if sum(item.file_size for item in archive.infolist()) > MAX_UNPACKED:
                raise BadFile("The spreadsheet is too large when unpacked.")
        return load_workbook(file, read_only=True, data_only=True, keep_links=False)
    except BadFile:
        raise
    except Exception as exc:  # openpyxl raises whatever the broken file provokes
        raise BadFile("This is not a readable XLSX file.") from exc


def _xlsx_lines(sheet) -> Iterator[tuple[int, list]]:
    try:
        yield from enumerate((list(row) for row in sheet.iter_rows(values_only=True)), start=1)
    except Exception as exc:
        raise BadFile("The spreadsheet is damaged.") from exc
