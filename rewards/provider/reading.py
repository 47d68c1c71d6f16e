"""From the provider's JSON to types: any casing, bare lists or envelopes, decimals exact, everything optional."""

import json
import re
from decimal import Decimal
from urllib.parse import urlsplit

from rewards.provider.types import CatalogueProduct, Choice, ClaimData, OrderLine, Progress, ProviderOrder

ENVELOPE_KEYS = ("data", "items", "results", "products", "value")
IN_PROGRESS = frozenset("pending processing inprogress created submitted queued scheduled".split())
SUCCESS = frozenset("completed complete fulfilled fulfillmentcomplete".split())
FAILURE = frozenset("failed error rejected declined cancelled canceled voided".split())
ONE_ID = ("orderid", "previousorderid", "originalorderid", "existingorderid")
MANY_IDS = ("previousorderids", "orderids")
NESTED = ("data", "error", "errors", "order")
MAX_ID = 200


class Unreadable(ValueError):
    """Not the JSON that was expected."""


def parse(raw: bytes):
    """JSON with Decimal numbers and keys in lower case. Raises Unreadable; NaN and Infinity are not JSON."""

    def refuse(constant: str):
        raise Unreadable(constant)

    try:
        return _folded(json.loads(raw, parse_float=Decimal, parse_constant=refuse))
    except (ValueError, RecursionError) as exc:
        raise Unreadable(type(exc).__name__) from exc


def _folded(value):
    if isinstance(value, dict):
        return {str(key).lower(): _folded(item) for key, item in value.items()}
    return [_folded(item) for item in value] if isinstance(value, list) else value


def text(value, limit: int = 300) -> str:
    """A string or number as text; anything else as empty."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return ""
    return str(value).strip()[:limit].replace("\x00", "")


def number(value) -> Decimal | None:
    """A finite decimal from a number or a numeric string."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        found = Decimal(value)
    except ArithmeticError:
        return None
    return found if found.is_finite() and abs(found) < Decimal(10) ** 12 else None


def identifier(value) -> str:
    """An id that is safe in a URL path; empty otherwise."""
    found = text(value, MAX_ID + 1)
    return found if re.fullmatch(r"[A-Za-z0-9._~:@=+-]{1,200}", found) and found.strip(".") else ""


def page(body) -> tuple[list[dict], int | None]:
    """The objects of one page and the total, when told. Raises Unreadable when there is no list."""
    total = None
    if isinstance(body, dict):
        total = body.get("totalcount") if isinstance(body.get("totalcount"), int) else None
        body = next((body[key] for key in ENVELOPE_KEYS if isinstance(body.get(key), list)), None)
    if not isinstance(body, list):
        raise Unreadable("no list")
    return [entry for entry in body if isinstance(entry, dict)], total


# --- orders -----------------------------------------------------------------------------------------------------------
def progress_of(word: str) -> Progress:
    """Contract section 7: by the letters of the status word alone."""
    letters = re.sub(r"[^a-z]", "", word.lower())
    for words, progress in (
        (IN_PROGRESS, Progress.IN_PROGRESS),
        (SUCCESS, Progress.SUCCESS),
        (FAILURE, Progress.FAILURE),
    ):
        if letters in words:
            return progress
    return Progress.UNKNOWN


def _progress(status: str, lines: tuple[OrderLine, ...]) -> Progress:
    """Order and line disagree: the less advanced one counts. Any failure: failure."""
    found = [progress_of(status), *(progress_of(line.status) for line in lines if line.status)]
    for progress in (Progress.FAILURE, Progress.UNKNOWN, Progress.IN_PROGRESS):
        if progress in found:
            return progress
    return Progress.SUCCESS


def order(body) -> ProviderOrder:
    """Raises Unreadable when there is no usable id."""
    if isinstance(body, dict) and not identifier(body.get("id")):
        body = next((body[key] for key in ("data", "order") if isinstance(body.get(key), dict)), body)
    if not isinstance(body, dict) or not (found := identifier(body.get("id"))):
        raise Unreadable("no order id")
    entries = body.get("lineitems") or []
    status = text(body.get("status"), 100)
    entries = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    lines = tuple(_line(entry, status) for entry in entries)
    return ProviderOrder(
        id=found,
        status=status,
        po_number=text(body.get("ponumber"), 100),
        type=text(body.get("type"), 40),
        lines=lines,
        progress=_progress(status, lines),
        word=progress_of(status),
    )


def _line(entry: dict, order_status: str) -> OrderLine:
    quantity = number(entry.get("quantity"))
    address = entry.get("digitaldeliveryaddress")
    address = address if isinstance(address, dict) else {}
    claims = entry.get("claimdata")
    status = text(entry.get("status"), 100)
    return OrderLine(
        product_id=text(entry.get("productid"), 100),
        value=number(entry.get("value")),
        quantity=int(quantity) if quantity is not None and quantity == quantity.to_integral_value() else None,
        cost=number(entry.get("cost")),
        status=status,
        progress=progress_of(status or order_status),
        id=text(entry.get("id"), 100),
        external_id=text(entry.get("externalid"), 100),
        recipient=text(address.get("email")) or text(address.get("sms")),
        claims=tuple(_claim(claim) for claim in claims if isinstance(claim, dict)) if isinstance(claims, list) else (),
    )


def _claim(entry: dict) -> ClaimData:
    return ClaimData(
        id=text(entry.get("id"), 200),
        link=text(entry.get("claimlink"), 2000),
        answer=text(entry.get("claimlinkchallengeanswer"), 500),
    )


def conflict_candidates(body, location: str = "") -> tuple[str, ...]:
    """Ids of the first order in a 409, in the order of contract section 6.2, without repeats."""
    found = list(_ids_in(body)) if isinstance(body, dict) else []
    if isinstance(body, dict):
        for key in NESTED:
            inner = body.get(key)
            for entry in inner if isinstance(inner, list) else [inner]:
                found += _ids_in(entry) if isinstance(entry, dict) else []
    parts = urlsplit(location).path.rstrip("/").split("/")
    if len(parts) > 1 and parts[-2].lower() == "orders":
        found.append(identifier(parts[-1]))
    return tuple(dict.fromkeys(filter(None, found)))[:20]


def _ids_in(entry: dict) -> list[str]:
    found = [identifier(entry.get(key)) for key in ("id", *ONE_ID)]
    for key in MANY_IDS:
        listed = entry.get(key)
        for item in listed if isinstance(listed, list) else [listed]:
            found.append(identifier(item.get("id") if isinstance(item, dict) else item))
    return found


# --- catalogue --------------------------------------------------------------------------------------------------------
def product(entry: dict) -> CatalogueProduct | None:
    """None without an id."""
    if not (found := identifier(entry.get("id"))):
        return None
    cost = entry.get("cost") if isinstance(entry.get("cost"), dict) else {}
    values = entry.get("denominations")
    kinds = entry.get("availabledeliverytypes")
    return CatalogueProduct(
        id=found[:100],
        name=text(entry.get("name"), 200) or found,
        kind=text(entry.get("type"), 40),
        denomination_type=text(entry.get("denominationtype"), 40),
        denominations=tuple(filter(None, map(number, values))) if isinstance(values, list) else (),
        delivery_types=tuple(filter(None, (text(kind, 40) for kind in kinds))) if isinstance(kinds, list) else (),
        currency=text(entry.get("currencycode"), 3).upper(),
        fee=number(cost.get("fee")) or Decimal(0),
        discount_percent=number(cost.get("discountpercentage")) or Decimal(0),
        description=text(entry.get("longdescription"), 20_000) or text(entry.get("shortdescription"), 20_000),
        terms=text(entry.get("terms"), 50_000) or text(entry.get("disclaimer"), 50_000),
        redemption_note=text(entry.get("redemptionnote"), 20_000),
        image_url=_image(entry.get("media")),
    )


def _image(media) -> str:
    media = media if isinstance(media, dict) else {}
    plates = media.get("faceplates") if isinstance(media.get("faceplates"), list) else []
    paths = [plate.get("path") for plate in plates if isinstance(plate, dict)]
    found = next((text(path, 501) for path in [*paths, media.get("logo")] if text(path)), "")
    return found if len(found) <= 500 and urlsplit(found).scheme in {"https", "http"} else ""


def choice(entry: dict) -> Choice | None:
    if not (found := identifier(entry.get("id"))):
        return None
    price = next(
        (number(entry.get(key)) for key in ("cost", "price", "fee") if number(entry.get(key)) is not None), None
    )
    return Choice(id=found[:100], name=text(entry.get("name"), 200), price=price)
