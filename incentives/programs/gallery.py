"""What a new program may start from: the definitions in docs/programs, else a few built-in ones."""

import logging
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext

from incentives.programs.rules.parsing import DefinitionError, parse_definition
from incentives.programs.summary import KINDS, outline

log = logging.getLogger(__name__)
FOLDER = Path(settings.BASE_DIR) / "docs" / "programs"
ENTRIES = 60

_SENT = {"delivery": {"type": "DigitalDelivery", "channel": "email", "products": "any"}}
BUILT_IN: dict[str, dict] = {
    "product-spiff": {
        "name": "Security product SPIFF",
        "template": "spiff",
        "measure": {"metric": "quantity", "lines": {"field": "line.family", "op": "in", "value": ["Security"]}},
        "rewards": [{"type": "per_unit", "amount": "50.00"}],
        "caps": {"deal": "500.00", "participant": "5000.00"},
        "payout": {"when": "instant", "minimum": "5.00"},
    },
    "deal-bonus": {
        "name": "Deal bonus",
        "template": "deal_bonus",
        "rewards": [{"type": "percent", "rate": "2"}],
        "caps": {"deal": "100.00"},
        "payout": {"when": "weekly", "minimum": "5.00"},
    },
    "quota-accelerator": {
        "name": "Quarterly quota accelerator",
        "template": "quota",
        "period": "quarter",
        "rewards": [
            {
                "type": "bands",
                "of": "target",
                "bands": [{"from": "0", "rate": "1"}, {"from": "100", "rate": "2"}, {"from": "125", "rate": "3"}],
            }
        ],
        "payout": {"when": "at_close"},
    },
    "sales-contest": {
        "name": "Top five of the quarter",
        "template": "contest",
        "rewards": [
            {
                "type": "rank",
                "prizes": [{"ranks": "1", "amount": "1000.00"}, {"ranks": "2-5", "amount": "250.00"}],
                "minimum": "10000",
            }
        ],
        "payout": {"when": "at_close"},
    },
    "partner-deal-registration": {
        "name": "Partner deal registration",
        "template": "channel",
        "eligible": {"types": ["partner"]},
        "rewards": [{"type": "per_deal", "amount": "75.00", "partner_multipliers": {"gold": "1.5", "silver": "1.2"}}],
        "payout": {"when": "monthly", "minimum": "10.00"},
    },
    "first-deals": {
        "name": "First deals of a new rep",
        "template": "milestone",
        "rewards": [{"type": "milestone", "at": [{"count": 1, "amount": "100.00"}, {"count": 10, "amount": "500.00"}]}],
        "payout": {"when": "instant"},
    },
}
"""Without dates, currency and delivery, which `entry` adds."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A starting point. `document` is a definition whose dates lie ahead."""

    slug: str
    name: str
    kind: str
    lead: str  # what it pays, in words
    document: dict


def entries(today: date) -> list[Entry]:
    """The starting points, by name. A file that is no definition is left out and named in the log."""
    found = [entry for path in _files() if (entry := _from_file(path, today))]
    found = found or [_entry(slug, {**_SENT, **document}, today) for slug, document in BUILT_IN.items()]
    return sorted(found, key=lambda entry: entry.name.casefold())


def entry(slug: str, today: date) -> Entry | None:
    return next((item for item in entries(today) if item.slug == slug), None)


def _files() -> list[Path]:
    return sorted(FOLDER.glob("*.json"))[:ENTRIES] if FOLDER.is_dir() else []


def _from_file(path: Path, today: date) -> Entry | None:
    try:
        definition = parse_definition(path.read_bytes())
    except (DefinitionError, OSError) as exc:
        log.warning("%s is no program definition: %s", path.name, exc)
        return None
    plain = definition.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    return _entry(path.stem, plain, today)


def _entry(slug: str, document: dict, today: date) -> Entry:
    document = {"currency": "USD", **document, **days_ahead(document, today)}
    lead = " ".join(item.text for item in outline(document) if item.part == gettext("Rewards"))
    return Entry(slug, document["name"], str(KINDS[document.get("template", "spiff")]), lead, document)


def days_ahead(document: dict, today: date) -> dict[str, str]:
    """The document's own days while they lie ahead, else as many days from the first of the next month on."""
    first, last = (date.fromisoformat(document[key]) if key in document else None for key in ("starts_on", "ends_on"))
    if first and last and first > today:
        return {"starts_on": str(first), "ends_on": str(last)}
    begin = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    months = max(1, round(((last - first).days + 1) / 30.44)) if first and last else 3
    index = begin.month - 1 + months
    end = date(begin.year + index // 12, index % 12 + 1, 1) - timedelta(days=1)
    return {"starts_on": str(begin), "ends_on": str(end)}
