"""What the rules say about an amount or a refusal, in the reader's language.

The rules know no language and no database: they write one English sentence, and an earning keeps it unchanged for ever, because what
was posted is never rewritten. So it is translated when it is shown: the sentence is taken apart by the forms below, the same as
those the rules put together, each part is said in the active language with its numbers in the reader's form, and put
together again. A sentence of no known form is shown as it was written; tests/programs/test_told.py runs every kind of
reward and refusal through it. In English everything comes back unchanged.
"""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import cache

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import get_language, gettext, gettext_noop

from incentives.programs.rules.conditions import Explained

NUMBER = r"-?\d[\d,]*(?:\.\d+)?"
AMOUNT = rf"{NUMBER}(?: [A-Z]{{3}})?"
DAY = r"\d{4}-\d\d-\d\d"
PART = rf"{NUMBER}(?: \({NUMBER} % of {NUMBER}(?: as overlay)?\))?"

# --- the forms, outermost first -------------------------------------------------------------------------------------------
# Names say what may stand there: see KINDS. A part is told by the same forms again.
EXPLANATIONS = (
    gettext_noop("Taken back: %(amount)s is no longer earned."),
    gettext_noop("%(sentence)s (booked on %(day)s because %(month)s is closed)"),
    gettext_noop("%(sentence)s (corrected, was %(amount)s)"),
    gettext_noop("%(sentence)s (standing, revision %(n)s)"),
    gettext_noop("%(sentence)s. Paid by %(name)s instead (stacking group %(group)s)."),
    gettext_noop("%(sentence)s, limited to nothing, the rest of %(amount)s %(label)s"),
    gettext_noop("%(sentence)s, limited to %(left)s, the rest of %(amount)s %(label)s"),
    gettext_noop("%(sentence)s, limited to %(amount)s %(label)s"),
    gettext_noop("%(sentence)s, divided among %(n)s people = %(amount)s"),
    gettext_noop("%(sentence)s, tied: each gets the best prize of the tied ranks: %(amount)s"),
    gettext_noop("%(sentence)s, tied: the prizes of the tied ranks are shared: %(amount)s"),
    gettext_noop("Rank %(rank)s with %(measure)s: %(amount)s"),
    gettext_noop("Rank %(rank)s with %(measure)s"),
    gettext_noop("Rank %(rank)s, no prize"),
    gettext_noop("Team %(group)s, rank %(rank)s with %(measure)s: %(amount)s"),
    gettext_noop("Team %(group)s, rank %(rank)s with %(measure)s"),
    gettext_noop("Partner %(group)s, rank %(rank)s with %(measure)s: %(amount)s"),
    gettext_noop("Partner %(group)s, rank %(rank)s with %(measure)s"),
    gettext_noop("%(part)s is below the first band, which starts at %(amount)s"),
    gettext_noop("%(sentence)s: no further whole unit yet"),
    gettext_noop("%(sentence)s = %(amount)s"),
    gettext_noop("%(sentence)s × %(factor)s for %(tier)s partners"),
    gettext_noop("%(sentence)s × %(amount)s per unit"),
    gettext_noop("%(measure)s reached %(level)s (%(percent)s %% of the target %(target)s): %(amount)s"),
    gettext_noop("%(measure)s reached %(level)s: %(amount)s"),
    gettext_noop("%(amount)s for activity number %(n)s"),
    gettext_noop("%(sentence)s: %(n)s whole"),
    gettext_noop("%(part)s and %(left)s left from before"),
    gettext_noop("%(share)s %% of %(amount)s per deal as overlay"),
    gettext_noop("%(share)s %% of %(amount)s per deal"),
    gettext_noop("%(amount)s per deal"),
    gettext_noop("%(part)s: %(sentence)s"),
    gettext_noop("%(band)s + %(sentence)s"),
    gettext_noop("%(rate)s %% of %(part)s (from %(start)s on, %(percent)s %% of the target)"),
    gettext_noop("%(rate)s %% of %(part)s (from %(start)s on)"),
    gettext_noop("%(rate)s %% of %(part)s"),
    gettext_noop("%(amount)s for %(measure)s (from %(start)s on, %(percent)s %% of the target)"),
    gettext_noop("%(amount)s for %(measure)s (from %(start)s on)"),
    gettext_noop("%(measure)s (%(share)s %% of %(whole)s as overlay)"),
    gettext_noop("%(measure)s (%(share)s %% of %(whole)s)"),
    "%(amount)s",
)
REFUSALS = (
    gettext_noop("The program's budget was spent when this activity was received."),
    gettext_noop("The program counts by close date and the activity has none."),
    gettext_noop("It counts on %(day)s; the program runs from %(first)s to %(last)s."),
    gettext_noop("Does not qualify. %(conditions)s."),
    gettext_noop("The activity has no %(metric)s."),
    gettext_noop("The activity's %(metric)s is negative (%(n)s)."),
    gettext_noop("Nothing in this activity adds to the %(metric)s the program counts."),
    gettext_noop("A product line has no readable total (%(name)s)."),
    gettext_noop("A product line has no readable quantity (%(name)s)."),
    gettext_noop("The activity's amount has no currency."),
    gettext_noop("There is no exchange rate from %(code)s to %(own)s for %(day)s."),
    gettext_noop("The activity names no participant."),
    gettext_noop("The splits total %(n)s per cent instead of 100."),
    gettext_noop("Every split needs a percentage, or every one an amount."),
    gettext_noop("%(name)s was not active on %(day)s."),
    gettext_noop("Not eligible: %(name)s is excluded from the program."),
    gettext_noop("Not eligible: the program is for invited people, and %(name)s is not invited."),
    gettext_noop("Not eligible: the program is for %(limit)s %(allowed)s, and %(name)s has %(found)s."),
    gettext_noop("Somebody without a name is not known here, or not unambiguously."),
    gettext_noop("%(name)s is not known here, or not unambiguously."),
    gettext_noop("%(name)s has no second manager to share with."),
    gettext_noop("%(name)s has no manager to share with."),
    gettext_noop("%(name)s has no target for the period from %(day)s; what depends on it pays nothing."),
)
CONDITIONS = (
    gettext_noop("or %(condition)s"),
    gettext_noop("not (%(condition)s)"),
    gettext_noop("%(field)s is at least %(value)s"),
    gettext_noop("%(field)s is at most %(value)s"),
    gettext_noop("%(field)s is more than %(value)s"),
    gettext_noop("%(field)s is less than %(value)s"),
    gettext_noop("%(field)s is one of %(value)s"),
    gettext_noop("%(field)s is none of %(value)s"),
    gettext_noop("%(field)s is not %(value)s"),
    gettext_noop("%(field)s is given"),
    gettext_noop("%(field)s is missing"),
    gettext_noop("%(field)s is %(value)s"),
    gettext_noop("%(field)s contains %(value)s"),
    gettext_noop("%(field)s starts with %(value)s"),
)
WORDS = {
    word: word
    for word in (
        gettext_noop("per deal"), gettext_noop("per period"), gettext_noop("per participant"),
        gettext_noop("amount"), gettext_noop("quantity"), gettext_noop("value"), gettext_noop("region"),
        gettext_noop("currency"), gettext_noop("partner"), gettext_noop("partner tier"), gettext_noop("team"),
        gettext_noop("type"), gettext_noop("missing"), gettext_noop("none"), gettext_noop("kind"),
        gettext_noop("account segment"), gettext_noop("account"), gettext_noop("lines family"),
        gettext_noop("close date"), gettext_noop("true"), gettext_noop("false"), gettext_noop("metric"),
        gettext_noop("employee"), gettext_noop("contractor"), gettext_noop("without name"),
    )
}  # fmt: skip


def told(text: str) -> str:
    """An explanation or a refusal in the active language."""
    return text if _in_english() else (_told(text, (*EXPLANATIONS, *REFUSALS)) or text)


def told_limits(sentence: str, limits: str) -> str:
    """`limited to 50.00 per deal`: what follows the sentence in `<sentence>, limited to <limits>`."""
    return told(f"{sentence}, limited to {limits}").removeprefix(told(sentence)).lstrip(", ")


def told_condition(text: str) -> str:
    """One comparison in words, such as `amount is at least 10000`."""
    return text if _in_english() else (_told(text, CONDITIONS) or text)


def told_explained(items: list[Explained]) -> list[Explained]:
    return [Explained(told_condition(item.text), _value(item.found), item.passed) for item in items]


def _in_english() -> bool:
    return (get_language() or "en").partition("-")[0] == "en"


# --- taking apart -----------------------------------------------------------------------------------------------------
def _told(text: str, forms: tuple[str, ...]) -> str | None:
    """The sentence by the first form that fits with all its parts; None when none does."""
    for form in forms:
        found = _expression(form).fullmatch(text)
        if found is None:
            continue
        parts = {name: KINDS[name][1](value) for name, value in found.groupdict().items()}
        if None not in parts.values():
            return gettext(form) % parts if form != "%(amount)s" else parts["amount"]
    return None


@cache
def _expression(form: str) -> re.Pattern:
    pieces = re.split(r"%\((\w+)\)s", form)
    texts = [re.escape(piece.replace("%%", "%")) for piece in pieces[::2]]
    names = [f"(?P<{name}>{KINDS[name][0]})" for name in pieces[1::2]]
    return re.compile("".join(a + b for a, b in zip(texts, [*names, ""], strict=True)), re.DOTALL)


def _sentence(text: str) -> str | None:
    return _told(text, EXPLANATIONS)


def _condition(text: str) -> str | None:
    return _told(text, CONDITIONS)


def _conditions(text: str) -> str:
    """`amount is at least 10000: found 900; ...`"""
    told = []
    for item in text.split("; "):
        words, found, value = item.rpartition(": found ")
        told.append(
            gettext("%(condition)s: found %(found)s") % {"condition": told_condition(words), "found": _value(value)}
            if found
            else item
        )
    return "; ".join(told)


def _number(text: str) -> str:
    """`1,234.50` or `1,234.50 USD` with the reader's separators; as many digits as written."""
    figure, _space, currency = text.partition(" ")
    value = Decimal(figure.replace(",", ""))
    digits = max(0, -value.as_tuple().exponent)
    told = number_format(abs(value), decimal_pos=digits, use_l10n=True, force_grouping=True)
    return ("\N{MINUS SIGN}" if value < 0 else "") + told + (f"\N{NO-BREAK SPACE}{currency}" if currency else "")


def _day(text: str) -> str:
    return date_format(date.fromisoformat(text), gettext("j M Y"))


def _month(text: str) -> str:
    return date_format(datetime.strptime(text, "%B %Y"), "YEAR_MONTH_FORMAT")  # noqa: DTZ007 (a month has no zone)


def _word(text: str) -> str:
    return gettext(WORDS[text]) if text in WORDS else text


def _value(text: str) -> str:
    """What was found or asked for: words of ours, plain numbers and moments in the reader's form, all else as it is."""
    if text in WORDS:
        return gettext(WORDS[text])
    if re.fullmatch(r"-?\d{1,18}\.\d+|-?\d{4,18}", text):
        return _number(text)
    if re.fullmatch(DAY, text):
        return _day(text)
    if re.fullmatch(rf"{DAY}T\d\d:\d\d.*", text):
        try:
            return date_format(timezone.localtime(datetime.fromisoformat(text)), gettext("j M Y, H:i"))
        except ValueError:
            return text
    return text


Said = Callable[[str], str | None]
_FREE: tuple[str, Said] = (".+?", str)
KINDS: dict[str, tuple[str, Said]] = {
    **dict.fromkeys(("amount", "left", "measure", "target", "level", "start", "whole"), (AMOUNT, _number)),
    **dict.fromkeys(("n", "rank", "share", "rate", "percent", "factor"), (NUMBER, _number)),
    **dict.fromkeys(("day", "first", "last"), (DAY, _day)),
    **dict.fromkeys(("name", "group", "tier", "code", "own", "allowed"), _FREE),
    "label": ("per (?:deal|period|participant)", _word),
    "month": (r"[A-Z][a-z]+ \d{4}", _month),
    "sentence": (".+", _sentence),
    "band": (rf"{NUMBER} % of {NUMBER}(?: \(.+?\))?|{NUMBER} for {NUMBER} \(.+?\)", _sentence),
    "part": (PART, _sentence),
    "condition": (".+", _condition),
    "conditions": (".+", _conditions),
    "limit": ("type|team|partner tier|partner|region", _word),
    "found": (".+?", _word),
    "metric": (".+?", _word),
    "field": (".+?", _word),
    "value": (".*", _value),
}
"""Name in a form -> what may stand there, and how it is told (None: it does not fit after all)."""
