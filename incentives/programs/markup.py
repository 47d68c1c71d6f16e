"""A text somebody wrote, with a few marks, as safe HTML: paragraphs, headings, lists and bold. Nothing else, no links."""

import re
from collections.abc import Iterator

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

_BOLD = re.compile(r"\*\*(.+?)\*\*")
_HEADING = re.compile(r"^#{1,3} +(?=\S)")
_POINT = re.compile(r"^[-*\u2022] +(?=\S)")
_NUMBER = re.compile(r"^\d{1,3}[.)] +(?=\S)")


def to_html(text: str, level: int = 2) -> SafeString:
    """Every character is escaped before a mark becomes an element. `level`: of the headings."""
    blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    return mark_safe("\n".join(part for block in blocks for part in _block(block, level)))  # noqa: S308 (escaped in _line)


def _block(block: str, level: int) -> Iterator[str]:
    """Headings stand alone; runs of points become a list, runs of numbered lines an ordered one, the rest a paragraph."""
    lines = [line.strip() for line in block.split("\n") if line.strip()]
    kinds = [_kind(line) for line in lines]
    start = 0
    while start < len(lines):
        kind, end = kinds[start], start + 1
        while end < len(lines) and kinds[end] == kind and kind != "heading":
            end += 1
        yield _element(kind, lines[start:end], level)
        start = end


def _kind(line: str) -> str:
    for kind, pattern in (("heading", _HEADING), ("ul", _POINT), ("ol", _NUMBER)):
        if pattern.match(line):
            return kind
    return "p"


def _element(kind: str, lines: list[str], level: int) -> str:
    if kind == "heading":
        return f"<h{level}>{_line(_HEADING.sub('', lines[0]))}</h{level}>"
    if kind == "p":
        return f"<p>{'<br>'.join(_line(line) for line in lines)}</p>"
    pattern = _POINT if kind == "ul" else _NUMBER
    items = "".join(f"<li>{_line(pattern.sub('', line))}</li>" for line in lines)
    first = re.match(r"\d+", lines[0])
    start = f' start="{int(first[0])}"' if first and int(first[0]) != 1 else ""
    return f"<{kind}{start}>{items}</{kind}>"


def _line(text: str) -> str:
    return _BOLD.sub(r"<strong>\1</strong>", escape(text))
