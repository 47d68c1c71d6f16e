"""Tables as CSV and XLSX: streamed in chunks, and safe to open in a spreadsheet.

A cell that begins like a formula runs in the reader's spreadsheet (OWASP, CSV injection), whoever typed it: a participant's
name, a deal's title, a header made of an imported column. In CSV such text gets an apostrophe in front; in XLSX every text
is stored as text and marked as quoted. Numbers stay numbers.
"""

import csv
import re
import tempfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

XLSX_ROWS = 100_000
"""More rows than a person reads in a spreadsheet; the CSV has no limit."""
CHUNK = 1000
_TRIGGERS = tuple("=+-@\t\r\n|%＝＋－＠")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
_CELL = 32_767


def plain(text: str) -> str:
    """Without NUL and other control characters, which hide a formula from this check or break the file."""
    return _UNPRINTABLE.sub("", text)


def risky(text: str) -> bool:
    """Whether a spreadsheet may read `text` as a formula. Leading blanks do not protect: some programs trim them."""
    return text.startswith(_TRIGGERS) or text.lstrip().startswith(_TRIGGERS)


def safe_text(text: str) -> str:
    """`text` as a CSV cell that stays text."""
    text = plain(text)
    return f"'{text}" if risky(text) else text


def _csv_cell(value):
    if value is None:
        return ""
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return str(value) if isinstance(value, int) else format(value, "f")
    if isinstance(value, (datetime, date)):
        return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value.isoformat()
    return safe_text(str(value))


class _Line:
    def write(self, line: str) -> str:
        return line


def csv_chunks(header: Iterable[str], chunks: Iterable[list[list]]) -> Iterator[bytes]:
    """CSV as UTF-8 with a byte order mark (without it Excel guesses the encoding), one piece per chunk of rows."""
    writer = csv.writer(_Line())
    yield b"\xef\xbb\xbf" + writer.writerow([_csv_cell(label) for label in header]).encode()
    for rows in chunks:
        yield "".join(writer.writerow([_csv_cell(value) for value in row]) for row in rows).encode()


def _xlsx_cell(sheet, value):
    if value is None or (isinstance(value, (int, date)) and not isinstance(value, (bool, datetime))):
        return value
    if isinstance(value, Decimal):
        cell = WriteOnlyCell(sheet, value)
        digits = max(0, -value.as_tuple().exponent)
        cell.number_format = "#,##0" + ("." + "0" * digits if digits else "")
        return cell
    if isinstance(value, datetime):
        cell = WriteOnlyCell(sheet, value.replace(tzinfo=None, microsecond=0))
        cell.number_format = "yyyy-mm-dd hh:mm:ss"
        return cell
    text = plain(str(value))[:_CELL]
    cell = WriteOnlyCell(sheet, text)
    cell.data_type = "s"  # openpyxl makes a formula of "=..." and an error of "#N/A"
    if risky(text):
        cell.quotePrefix = True  # editing the cell does not turn it into a formula either
    return cell


def xlsx_file(title: str, header: Iterable[str], chunks: Iterable[list[list]]):
    """An open temporary file with one sheet, written row by row. Times are written as shown: spreadsheets know no zones."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(re.sub(r"[\[\]:*?/\\']", " ", plain(title))[:31].strip() or "Export")
    sheet.freeze_panes = "A2"
    sheet.append([_xlsx_cell(sheet, str(label)) for label in header])
    for rows in chunks:
        for row in rows:
            sheet.append([_xlsx_cell(sheet, value) for value in row])
    file = tempfile.TemporaryFile(suffix=".xlsx")  # noqa: SIM115 (the response closes it)
    book.save(file)
    file.seek(0)
    return file
