"""What templates use to show money, states, times and shares. `{% load laurel %}`; the style guide shows every one."""

import hashlib
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from django import template
from django.conf import settings
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from django.utils.translation import gettext, ngettext, pgettext

from incentives.core.charts import scaled
from incentives.core.icons import ICONS
from incentives.core.looks import look
from rewards.money import MINOR_DIGITS, Money

register = template.Library()
NBSP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
EMPTY = "\N{EN DASH}"


# --- money and numbers ------------------------------------------------------------------------------------------------
def as_money(value) -> Money | None:
    """Money from Money, a pair (minor units, currency) or None; anything else is a programmer's mistake (TypeError)."""
    if value is None or value == "":
        return None
    if isinstance(value, Money):
        return value
    if isinstance(value, (tuple, list)) and len(value) == 2:
        minor, currency = value
        return None if minor is None else Money(int(minor), currency)
    raise TypeError(f"expected Money or (minor units, currency), got {type(value).__name__}")


def amount_text(value: Money) -> str:
    """The amount without its currency in the reader's language: `1,234.50`, with a real minus sign."""
    digits = MINOR_DIGITS[value.currency]
    text = formats.number_format(abs(value.decimal), decimal_pos=digits, use_l10n=True, force_grouping=True)
    return (MINUS if value.minor < 0 else "") + text


def money_text(value) -> str:
    """`1,234.50 USD` with a no-break space, in the reader's language; an en dash for None."""
    amount = as_money(value)
    return EMPTY if amount is None else f"{amount_text(amount)}{NBSP}{amount.currency}"


@register.filter
def money(value) -> str:
    """`{{ payout.amount|money }}`: Money or (minor, currency) as text."""
    return money_text(value)


@register.simple_tag
def money_minor(minor, currency) -> str:
    """`{% money_minor row.amount_minor row.currency %}`: as text."""
    return money_text((minor, currency))


@register.inclusion_tag("components/money.html")
def amount(value, currency=None, signed=False):
    """`{% amount payout.amount %}` or `{% amount minor currency %}`: aligned figures, small currency, minus in red."""
    cash = as_money((value, currency) if currency else value)
    text = "" if cash is None else amount_text(cash)
    if signed and cash is not None and cash.minor > 0:
        text = f"+{text}"
    return {"amount": cash, "text": text}


@register.filter
def number(value, digits=None) -> str:
    """A number with the reader's separators. Decimals keep their digits without trailing zeros unless `digits` is given."""
    if value is None or value == "":
        return EMPTY
    value = Decimal(value)
    if digits is None:
        value = value.normalize()
        digits = max(0, -value.as_tuple().exponent)
    value = value.quantize(Decimal(1).scaleb(-int(digits)), rounding=ROUND_HALF_UP)
    text = formats.number_format(abs(value), decimal_pos=int(digits), use_l10n=True, force_grouping=True)
    return (MINUS if value < 0 else "") + text


@register.filter
def percent(ratio, digits=1) -> str:
    """A ratio as per cent: Decimal("0.725")|percent is `72.5%`. Rounded half up to `digits`, zeros dropped."""
    if ratio is None or ratio == "":
        return EMPTY
    rounded = (Decimal(ratio) * 100).quantize(Decimal(1).scaleb(-int(digits)), rounding=ROUND_HALF_UP)
    return pgettext("percentage", "%(number)s%%") % {"number": number(rounded)}


def ratio(part, whole) -> Decimal | None:
    """part / whole for numbers or two Moneys of one currency; None when there is no whole."""
    if isinstance(part, Money) and isinstance(whole, Money):
        if part.currency != whole.currency:
            raise ValueError(f"{part.currency} and {whole.currency} do not mix")
        part, whole = part.minor, whole.minor
    return None if not whole else Decimal(part) / Decimal(whole)


@register.filter
def share_of(part, whole) -> str:
    """`{{ spent|share_of:funded }}`: per cent of the whole, an en dash when there is no whole."""
    return percent(ratio(part, whole))


# --- states, icons, people --------------------------------------------------------------------------------------------
@register.simple_tag
def icon(name, label="", classes=""):
    """An inline icon. Decoration unless `label` is given, which then is its name for everybody who does not see it."""
    hidden = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    return format_html(
        '<svg class="icon{}" viewBox="0 0 16 16" focusable="false" {}>{}</svg>',
        f" {classes}" if classes else "",
        hidden,
        mark_safe(ICONS.get(name) or ICONS["dot"]),  # noqa: S308 (our own constants)
    )


def status_parts(item, label="") -> dict:
    """What components/status.html needs, from a model with `status` or from a status value."""
    status = getattr(item, "status", item)
    display = getattr(item, "get_status_display", None)
    text = label or (display() if callable(display) else getattr(status, "label", None))
    tone, sign = look(getattr(status, "value", status) or "none")
    return {"tone": tone, "icon": sign, "label": text or str(status or EMPTY).replace("_", " ").capitalize()}


@register.inclusion_tag("components/badge.html")
def status_badge(item, label=""):
    """`{% status_badge payout %}` or `{% status_badge "approved" _("Approved") %}`: icon, colour and word."""
    return status_parts(item, label)


@register.inclusion_tag("components/badge.html")
def badge(label, tone="quiet", icon="dot"):
    """A badge with a tone and an icon of its own."""
    return {"tone": tone, "icon": icon, "label": label}


@register.filter
def tone(status) -> str:
    return look(status)[0]


@register.filter
def tone_icon(status) -> str:
    return look(status)[1]


@register.inclusion_tag("components/avatar.html")
def avatar(name):
    """Initials on a ground that stays the same for the same name."""
    words = str(name).replace("@", " ").split()
    initials = "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()
    return {"initials": initials or "?", "hue": hashlib.sha256(str(name).encode()).digest()[0] % 6}


@register.filter
def can(user, permission) -> bool:
    """`{% if user|can:"payouts.approve" %}`"""
    return bool(getattr(user, "is_authenticated", False)) and user.can(permission)


@register.simple_tag(takes_context=True, name="can")
def can_tag(context, permission) -> bool:
    """`{% can "payouts.approve" as may_approve %}`: of the person signed in."""
    return can(context.get("user"), permission)


# --- times ------------------------------------------------------------------------------------------------------------
def absolute(moment: datetime) -> str:
    """`23 November 2026, 15:43:10 UTC` in the active zone and language."""
    local = timezone.localtime(moment)
    text = formats.date_format(local, gettext("j F Y, H:i:s"))
    return f"{text} {local.tzname()}"


def relative(moment: datetime, now: datetime | None = None) -> str:
    """Minutes and hours while they help, then the day, then the date: `4 min ago`, `in 3 h`, `yesterday 15:43`, `12 Nov`."""
    now = now or timezone.now()
    seconds = (now - moment).total_seconds()
    away, past = abs(seconds), seconds >= 0
    if away < 45:
        return gettext("just now") if past else gettext("in a moment")
    if away < 3570:
        count = max(1, round(away / 60))
        return (gettext("%(n)s min ago") if past else gettext("in %(n)s min")) % {"n": count}
    if away < 12 * 3600:
        count = max(1, round(away / 3600))
        return (gettext("%(n)s h ago") if past else gettext("in %(n)s h")) % {"n": count}
    return _day(timezone.localtime(moment), timezone.localtime(now))


def _day(local: datetime, today: datetime) -> str:
    days = (local.date() - today.date()).days
    clock = formats.date_format(local, gettext("H:i"))
    named = {0: gettext("today %(at)s"), -1: gettext("yesterday %(at)s"), 1: gettext("tomorrow %(at)s")}
    if days in named:
        return named[days] % {"at": clock}
    return formats.date_format(local, gettext("j M") if local.year == today.year else gettext("j M Y"))


@register.simple_tag
def when(moment, how="relative"):
    """`{% when payout.created_at %}`: a <time>, relative by default, with the exact time in the person's zone as title.

    `how`: relative, full (date and time), date. A date without time is shown as a date. None: an en dash.
    """
    if not moment:
        return EMPTY
    if isinstance(moment, date) and not isinstance(moment, datetime):
        return format_html(
            '<time datetime="{}">{}</time>', moment.isoformat(), formats.date_format(moment, gettext("j M Y"))
        )
    local = timezone.localtime(moment)
    text = {
        "full": lambda: formats.date_format(local, gettext("j M Y, H:i")) + f" {local.tzname()}",
        "date": lambda: formats.date_format(local, gettext("j M Y")),
    }.get(how, lambda: relative(moment))()
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', local.isoformat(timespec="seconds"), absolute(moment), text
    )


@register.filter
def duration(value: timedelta) -> str:
    """`2 d 3 h`, `14 min`, `8 s`: the two largest parts."""
    if value is None:
        return EMPTY
    seconds = int(value.total_seconds())
    parts = [
        (seconds // 86400, pgettext("days", "d")),
        (seconds // 3600 % 24, pgettext("hours", "h")),
        (seconds // 60 % 60, pgettext("minutes", "min")),
        (seconds % 60, pgettext("seconds", "s")),
    ]
    first = next((i for i, (count, _) in enumerate(parts) if count), 3)
    return (
        " ".join(f"{count}{NBSP}{unit}" for count, unit in parts[first : first + 2] if count)
        or f"0{NBSP}{parts[-1][1]}"
    )


@register.simple_tag
def day_count(days) -> str:
    return ngettext("%(n)s day", "%(n)s days", days) % {"n": number(days)}


# --- progress and charts ----------------------------------------------------------------------------------------------
@register.inclusion_tag("components/progress.html")
def progress(part, whole, label="", note="", tone="", text=""):
    """A labelled bar. `part` and `whole` are numbers or Moneys; `text` replaces the shown numbers; tone: warn, danger, gold."""
    share = ratio(part, whole)
    filled = min(max(share or Decimal(0), Decimal(0)), Decimal(1))
    shown = text or _of(part, whole)
    return {"label": label, "note": note, "tone": tone, "text": shown, "value": str(int(filled * 1000)), "share": share}


def _of(part, whole) -> str:
    show = money_text if isinstance(part, Money) else number
    return gettext("%(part)s of %(whole)s") % {"part": show(part), "whole": show(whole)}


@register.inclusion_tag("components/tier_progress.html")
def tier_progress(value, tiers, label="", reached_text=""):
    """The way to the next tier. `value`: number or Money reached so far; `tiers`: [{"at", "reward", "label"?}] in rising
    order, `at` of the same kind as `value`, `reward` any text or Money."""
    number_of = (lambda x: x.minor) if isinstance(value, Money) else Decimal
    show = money_text if isinstance(value, Money) else number
    have, top = number_of(value), max([number_of(tier["at"]) for tier in tiers] + [1])
    rows, following = [], None
    for tier in tiers:
        at = number_of(tier["at"])
        state = "reached" if have >= at else ("next" if following is None else "later")
        if state == "next":
            following = tier
        rows.append({
            "state": state,
            "at": show(tier["at"]),
            "reward": money_text(tier["reward"]) if isinstance(tier["reward"], Money) else tier["reward"],
            "x": _percent_of(at, top),
        })  # fmt: skip
    missing = None
    if following:
        missing = show(
            following["at"] - value if isinstance(value, Money) else Decimal(following["at"]) - Decimal(value)
        )
    return {"label": label, "rows": rows, "value": show(value), "missing": missing, "fill": _percent_of(have, top)}


def _percent_of(part, whole) -> str:
    """An SVG length such as `42.5%`, within 0 and 100, with a point in every language."""
    return f"{max(Decimal(0), min(Decimal(100), Decimal(part) * 100 / Decimal(whole))):.2f}%"


@register.inclusion_tag("components/bar_list.html")
def bar_list(rows, label="", links=False, down=False):
    """Horizontal bars: rows of {"label", "value" (number or Money), "url"?, "text"?}. Bars are relative to the largest.

    `down`: they show losses."""
    plain = [row["value"].minor if isinstance(row["value"], Money) else Decimal(row["value"]) for row in rows]
    top = max([*plain, 1])
    shown = []
    for row, value in zip(rows, plain, strict=True):
        text = row.get("text") or (
            money_text(row["value"]) if isinstance(row["value"], Money) else number(row["value"])
        )
        shown.append({"label": row["label"], "url": row.get("url"), "text": text, "width": _percent_of(value, top)})
    return {"rows": shown, "label": label, "down": down}


@register.inclusion_tag("components/sparkline.html")
def sparkline(values, label=""):
    """A small line over equally spaced values (numbers or Moneys). `label` says in words what it shows."""
    plain = [v.minor if isinstance(v, Money) else Decimal(v) for v in values]
    low, high = min([*plain, 0]), max([*plain, 1])
    step = Decimal(100) / max(1, len(plain) - 1)
    points = [f"{i * step:.2f},{30 - (v - low) * 28 / (high - low):.2f}" for i, v in enumerate(plain)]
    return {"label": label, "points": " ".join(points), "empty": len(plain) < 2}


@register.inclusion_tag("components/column_chart.html")
def column_chart(rows, label="", height=160):
    """Columns over time with a table of the same numbers for everybody who does not see them. rows: {"label", "value"}."""
    plain = [r["value"].minor if isinstance(r["value"], Money) else Decimal(r["value"]) for r in rows]
    top, step = max([*plain, 1]), -(-len(rows) // 8)
    columns = []
    for i, (row, value) in enumerate(zip(rows, plain, strict=True)):
        tall = max(Decimal(0), Decimal(value)) * (height - 24) / top
        columns.append(
            {
                "label": row["label"],
                "text": money_text(row["value"]) if isinstance(row["value"], Money) else number(row["value"]),
                "x": _percent_of(Decimal(i) + Decimal("0.15"), len(rows)),
                "width": _percent_of(Decimal("0.7"), len(rows)),
                "middle": _percent_of(Decimal(i) + Decimal("0.5"), len(rows)),
                "y": f"{height - 20 - tall:.1f}",
                "height": f"{tall:.1f}",
                "named": (len(rows) - 1 - i) % step == 0,
            }
        )
    return {"label": label, "columns": columns, "height": height, "base": height - 20}


@register.inclusion_tag("components/line_chart.html")
def line_chart(points, label="", ahead=""):
    """A line over days with a table of the same figures. points: charts.Point in the order of their days; `label` says in
    words what it shows, `ahead` what the dashed part is."""
    points = list(points)
    shown = scaled(points) if len(points) > 1 else {}
    return {"label": label, "ahead": ahead, "points": points, **shown}


# --- forms ------------------------------------------------------------------------------------------------------------
@register.filter
def kind(field) -> str:
    """The kind of a bound field's widget in lower case: checkbox, select, textarea, hidden..."""
    widget = field.field.widget
    return getattr(widget, "input_type", "") or type(widget).__name__.lower()


@register.filter
def unprompted(field):
    """The field without a placeholder: the label above says the same."""
    return field.as_widget(attrs={"placeholder": False})


@register.filter
def words(action) -> str:
    """An action of the audit trail in words: `user.roles_changed` is "Roles changed"."""
    return str(action).rpartition(".")[2].replace("_", " ").capitalize()


@register.filter
def contents(mapping, key):
    """A value of a dict by a key held in a variable."""
    return mapping.get(key) if mapping else None


@register.simple_tag
def demo_sign_ins() -> list[tuple]:
    """The demo's (role, e-mail, password), from the setting DEMO_SIGN_INS; nothing in production."""
    return list(getattr(settings, "DEMO_SIGN_INS", None) or [])
