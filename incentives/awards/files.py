"""A file of awards: read it, say what each row means, and what is wrong with it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from django import forms
from django.utils.translation import gettext

from incentives.awards import services
from incentives.awards.selectors import Pot
from incentives.awards.services import Wanted
from incentives.core.tables import BadFile, as_text, open_table
from incentives.participants.models import Participant
from incentives.programs.forms import read_number
from incentives.programs.selectors import find_participants
from rewards.money import MINOR_DIGITS, Money

COLUMNS = ("participant", "amount", "reason", "note", "currency")
NEEDED = COLUMNS[:3]
ROWS, BYTES, CELL = 1000, 2 * 1024 * 1024, 500


@dataclass(frozen=True, slots=True)
class Row:
    """One row: what stands there, whom it means, and its problem in words (empty when it can be given)."""

    line: int
    participant: str
    amount: str
    reason: str
    note: str
    person: Participant | None
    wanted: Wanted | None
    problem: str


def digest(chunks) -> str:
    """SHA-256 of the file's bytes: how a file that was given before is known again."""
    found = hashlib.sha256()
    for chunk in chunks:
        found.update(chunk)
    return found.hexdigest()


def read(path: Path) -> list[list]:
    """Rows as [line, participant, amount, reason, note, currency], all texts but the line. Raises BadFile."""
    with open_table(path) as table:
        names = {name.strip().lower().replace(" ", "_"): name for name in table.columns if name}
        if missing := [name for name in NEEDED if name not in names]:
            raise BadFile(
                f"The file has no column {', '.join(missing)}. Expected {', '.join(NEEDED)}, and perhaps note and currency."
            )
        rows = []
        for line, cells in table.rows:
            if len(rows) >= ROWS:
                raise BadFile(f"The file has more than {ROWS} rows. Split it.")
            rows.append([line, *(as_text(cells.get(names.get(name, ""), "")).strip()[:CELL] for name in COLUMNS)])
    if not rows:
        raise BadFile("The file has no rows under its column names.")
    return rows


def rows_of(pot: Pot, stored: list[list], actor) -> list[Row]:
    """Every row with its meaning and problem, in the file's order. A constant number of queries besides one per person
    with a limit."""
    people = find_participants(row[1] for row in stored)
    rows = [_row(pot, row, people.get(row[1])) for row in stored]
    good = [row.wanted for row in rows if row.wanted is not None]
    problems = dict(services.check(pot, good, actor)) if good else {}
    return [_with(row, problems[row.line]) if row.line in problems and row.wanted else row for row in rows]


def _with(row: Row, problem: str) -> Row:
    return Row(row.line, row.participant, row.amount, row.reason, row.note, row.person, None, problem)


def _row(pot: Pot, stored: list, person: Participant | None) -> Row:
    line, participant, amount, reason, note, currency = stored
    wanted, problem = None, ""
    if not participant:
        problem = gettext("Names nobody.")
    elif person is None:
        problem = gettext("Nobody here has this external user id or e-mail address.")
    elif currency and currency.upper() != pot.program.currency:
        problem = gettext("The program pays %(ours)s, not %(theirs)s.") % {
            "ours": pot.program.currency, "theirs": currency[:10],
        }  # fmt: skip
    else:
        try:
            wanted = Wanted(person, exact_money(amount, pot.program.currency), reason, note, line)
        except forms.ValidationError as exc:
            problem = " ".join(exc.messages)
    return Row(line, participant, amount, reason, note, person, wanted, problem)


def exact_money(text: str, currency: str) -> Money:
    """An amount as somebody wrote it. Raises ValidationError for what is no amount in this currency."""
    value = read_number(text)
    try:
        return Money.exact(value, currency)
    except ValueError:
        message = gettext("%(currency)s has %(n)s digits after the point.")
        raise forms.ValidationError(message % {"currency": currency, "n": MINOR_DIGITS[currency]}) from None
