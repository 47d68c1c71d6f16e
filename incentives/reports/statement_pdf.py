"""A statement as PDF: the same figures as the page, the same bytes for the same data.

The embedded font has Latin, Greek, Cyrillic, Hebrew, Arabic, Armenian and Georgian letters. A character it lacks (Chinese, Devanagari...)
is shown as an empty box, and a sentence at the end says so: a name that cannot be shown must neither vanish nor stop the file.
Right-to-left text is put in its visual order; Arabic letters stand unjoined.
"""

import logging
from datetime import UTC, datetime, time
from functools import cache
from pathlib import Path

from django.utils.formats import date_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from incentives.core.exports import plain
from incentives.core.templatetags.laurel import amount_text, money_text
from incentives.reports.statement import Line, PayoutLine, Statement
from rewards.money import Money

logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells each letter of each file otherwise
FONTS = Path(__file__).resolve().parent / "fonts"
FONT = "DejaVu"
BOX = "\N{WHITE SQUARE}"
LONGEST = 300
"""Characters of one cell: an absurdly long reason must not fill pages."""


def statement_pdf(statement: Statement) -> bytes:
    return _Document(statement).make()


def file_name(statement: Statement) -> str:
    return f"statement-{statement.period.key}.pdf"


@cache
def _glyphs() -> frozenset[int]:
    """The code points that both faces have."""
    from fontTools.ttLib import TTFont

    return frozenset.intersection(*(frozenset(TTFont(path).getBestCmap()) for path in _faces().values()))


def _faces() -> dict[str, Path]:
    return {"": FONTS / "DejaVuSansCondensed.ttf", "B": FONTS / "DejaVuSansCondensed-Bold.ttf"}


class _Document:
    def __init__(self, statement: Statement):
        from fpdf import FPDF  # takes most of a second to load, so only who makes a PDF waits for it

        self.statement = statement
        self.replaced = False
        period = statement.period
        document = self

        class Page(FPDF):
            def footer(self):
                self.set_y(-12)
                self.set_font(FONT, size=7.5)
                text = _("Page %(n)s of %(all)s") % {"n": self.page_no(), "all": "{nb}"}
                self.cell(0, 5, document.show(f"{statement.participant.name} · {period} · {text}"), align="C")

        self.pdf = Page(format="A4")
        for style, path in _faces().items():
            self.pdf.add_font(FONT, style, path)
        self.pdf.set_margins(15, 15)
        self.pdf.set_auto_page_break(True, 18)
        self.pdf.set_creation_date(datetime.combine(period.last, time.min, UTC))  # of the data, not of the moment
        self.pdf.set_title(self.show(self.title, plain_order=True))
        self.pdf.set_lang(get_language() or "en")

    @property
    def title(self) -> str:
        return _("Statement %(period)s") % {"period": self.statement.period}

    def make(self) -> bytes:
        self.pdf.add_page()
        self.head()
        if self.statement.is_empty:
            self.text(_("Nothing was earned or paid in this period."))
        for balance in self.statement.balances:
            self.balance(balance)
        self.lines(_("Earned"), self.statement.earned, _("Record"))
        self.lines(_("Corrections"), self.statement.corrections, _("Record"))
        self.lines(_("Written off"), self.statement.write_offs, "")
        self.payouts(_("Delivered"), self.statement.delivered, recovered=True)
        self.payouts(_("On its way at the end of the period"), self.statement.under_way)
        self.payouts(_("Not sent: due again"), self.statement.not_sent)
        self.tax()
        self.foot()
        return bytes(self.pdf.output())

    # --- text
    def show(self, value, plain_order: bool = False) -> str:
        """One line of text in visual order, with a box for each character the font lacks."""
        text = " ".join(plain(str(value)).split())[:LONGEST]
        text = "".join(character for character in text if not _invisible(character))
        shown = "".join(character if ord(character) in _glyphs() else BOX for character in text)
        self.replaced = self.replaced or shown != text
        return shown if plain_order else _visual(shown)

    def font(self, style: str = "", size: float = 9) -> None:
        self.pdf.set_font(FONT, style, size)

    def text(self, value: str, style: str = "", size: float = 9) -> None:
        self.font(style, size)
        self.pdf.multi_cell(0, size * 0.55, self.show(value), new_x="LMARGIN", new_y="NEXT")

    def heading(self, value: str) -> None:
        if self.pdf.will_page_break(24):  # a heading never stands alone at the end of a page
            self.pdf.add_page()
        self.pdf.ln(4)
        self.text(value, "B", 11)
        self.pdf.ln(1)

    # --- parts
    def head(self) -> None:
        self.text(self.title, "B", 16)
        self.text(self.statement.participant.name, "B", 11)
        period = self.statement.period
        until = _day(period.last)
        days = until if period.first is None else f"{_day(period.first)} – {until}"
        self.text(
            _("Days are UTC: %(days)s") % {"days": days} if period.first else _("Up to %(day)s, UTC") % {"day": days}
        )
        if not self.statement.final:
            self.text(_("Preliminary: finance has not closed every month of this period, so lines may still be added."))

    def balance(self, balance) -> None:
        self.heading(_("Balance in %(currency)s") % {"currency": balance.currency})
        rows = [
            (label, amount_text(Money(minor, balance.currency)), strong) for label, minor, strong in movements(balance)
        ]
        self.table((120, 60), ("LEFT", "RIGHT"), None, rows)

    def lines(self, title: str, lines: list[Line], record: str) -> None:
        if not lines:
            return
        self.heading(title)
        header = (_("Day"), _("Program"), _("Why"), record, _("Amount"))
        rows = [(_day(x.on), x.program, x.text, x.detail, money_text(x.amount), False) for x in lines]
        self.table((22, 36, 68, 26, 28), ("LEFT",) * 4 + ("RIGHT",), header, rows)

    def payouts(self, title: str, lines: list[PayoutLine], recovered: bool = False) -> None:
        if not lines:
            return
        self.heading(title)
        header = (_("Day"), _("Program"), _("Card"), _("State"), _("Withheld") if recovered else "", _("Amount"))
        rows = [
            (_day(x.on), x.payout.program, x.payout.product_name, f"{x.state[1]}, {delivery_words(x.delivery)}",
             money_text(x.recovered) if recovered and x.recovered else "", money_text(x.amount), False)
            for x in lines
        ]  # fmt: skip
        self.table((22, 40, 36, 32, 24, 26), ("LEFT",) * 4 + ("RIGHT",) * 2, header, rows)

    def tax(self) -> None:
        if not self.statement.tax:
            return
        self.heading(_("Tax year"))
        rows = [
            (str(year), money_text(line.paid), money_text(line.outside), money_text(line.total), False)
            for year, line in self.statement.tax
        ]
        header = (_("Year"), _("Delivered"), _("Awarded elsewhere"), _("Total"))
        self.table((30, 50, 50, 50), ("LEFT",) + ("RIGHT",) * 3, header, rows)

    def foot(self) -> None:
        self.pdf.ln(5)
        self.text(
            _("Opening balance, earned, corrections and written off, less delivered, make the closing balance."),
            size=7.5,
        )
        if self.replaced:
            text = _(
                "%(box)s stands for a character that this file's font does not have. The page in the browser shows it."
            )
            self.text(text % {"box": BOX}, size=7.5)

    def table(self, widths, aligns, header, rows) -> None:
        """`rows`: texts, and at the end whether the row is strong. The header is repeated on each page."""
        from fpdf.fonts import FontFace

        self.font(size=8)
        strong = FontFace(emphasis="BOLD")
        with self.pdf.table(
            col_widths=widths, text_align=aligns, borders_layout="HORIZONTAL_LINES", line_height=4.4, padding=0.7,
            first_row_as_headings=header is not None, headings_style=strong, width=sum(widths),
        ) as table:  # fmt: skip
            if header is not None:
                table.row([self.show(text) for text in header])
            for *texts, bold in rows:
                table.row([self.show(text) for text in texts], style=strong if bold else None)


def movements(balance) -> list[tuple[str, int, bool]]:
    """(label, signed minor units, whether it is a sum) of one currency, in the order in which they add up."""
    rows = [
        (_("Opening balance"), balance.opening, True),
        (_("Earned"), balance.earned, False),
        (_("Corrections"), balance.corrected, False),
        (_("Written off"), balance.written_off, False),
        (_("Delivered"), -balance.delivered, False),
        (_("Closing balance"), balance.closing, True),
        (_("of it on its way"), balance.on_its_way, False),
        (_("of it carried to later payouts"), balance.carried, False),
        (_("of it paid ahead, comes off later payouts"), -balance.ahead, False),
    ]
    always = 6
    return [row for number, row in enumerate(rows) if (number < always and number not in (2, 3)) or row[1]]


def delivery_words(kind: str) -> str:
    words = {"DigitalDelivery": _("by the provider"), "Links": _("as a claim link"), "PhysicalShipment": _("by post")}
    return words.get(kind, kind)


def _day(day) -> str:
    return date_format(day, _("j M Y"))


def _invisible(character: str) -> bool:
    """Joiners and direction marks: the visual order is made here, and a box in their place would only disturb."""
    return (
        character in "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
    )


def _visual(text: str) -> str:
    from unicodedata import bidirectional

    if not any(bidirectional(character) in {"R", "AL"} for character in text):
        return text
    from fpdf.bidi import BidiParagraph

    return BidiParagraph(text).get_reordered_string()
