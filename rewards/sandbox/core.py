"""What the provider does with a request, without any socket: the HTTP server and the tests share it."""

import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from urllib.parse import parse_qs, urlsplit

from rewards.sandbox import catalogue
from rewards.sandbox.faults import (
    AFTER,
    BEFORE,
    CONFLICT,
    GET,
    HOOK,
    LINES,
    LIST,
    ORDER,
    POST,
    PRODUCTS,
    TOKEN,
    BadFault,
    Faults,
    Rule,
)
from rewards.sandbox.store import Store, money

PO = re.compile(r"[\x21-\x7e]{1,100}")
HTML = b"<html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
STATUS_TEXT = {400: "Bad request", 401: "Unauthorized", 403: "API access is disabled", 404: "Not found",
               422: "Insufficient available funds", 429: "Too many requests", 500: "Error", 504: "Gateway timeout"}  # fmt: skip
OPTIONS = {
    "casing": "pascal",  # pascal, camel, mixed
    "envelope": "data",  # list, data, items, results
    "echo": True,  # whether answers repeat PONumber and address
    "sparse": False,  # leave optional fields out
    "echo_lines": True,  # whether answers repeat each line's ExternalId
    "shuffle": False,  # the lines of an answer stand the other way round
    "pending": 0.0,  # share of orders that finish later
    "pending_seconds": 3.0,
    "token_seconds": 3600,
    "latency_ms": 0,
}


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {key: values[-1] for key, values in parse_qs(urlsplit(self.target).query).items()}


@dataclass
class Answer:
    """`spoil` is what happens to the connection: `reset`, `hang`, `truncate`, `drip`; empty for an honest answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    spoil: str = ""
    seconds: float = 0.0


class Sandbox:
    """The provider. `clock` in seconds; `later(seconds, action)` runs something afterwards."""

    def __init__(
        self,
        path: str = ":memory:",
        *,
        faults: list[dict] | None = None,
        options: dict | None = None,
        seed: int = 1,
        balance: str = "1000000.00",
        clock: Callable[[], float] = time.time,
        credentials: tuple[str, str] | None = None,
    ):
        self.store = Store(path, clock, _minor(Decimal(balance)))
        self.faults = Faults(faults, seed)
        self.options = OPTIONS | (options or {})
        self.credentials = credentials
        self.announce: Callable[[str], None] = lambda url: None  # posts a webhook now; the server sets it

    # --- entry --------------------------------------------------------------------------------------------------------
    def handle(self, request: Request) -> Answer:
        if request.path.startswith("/_sandbox/"):
            return self._admin(request)
        if request.path.startswith("/media/"):
            return self._picture(request)
        if request.path.startswith("/claim/"):
            return Answer(200, b"<h1>Your gift card</h1>", {"Content-Type": "text/html"})
        endpoint, action = self._route(request)
        if action is None:
            return self._problem(404)
        self.store.count(endpoint)
        po = _po_of(request)
        if rule := self.faults.draw(BEFORE, endpoint, po):
            return self._before(rule, request, action)
        answer = action(request)
        if answer.status < 300 and (rule := self.faults.draw(AFTER, endpoint, po)):
            return self._after(rule, answer)
        return answer

    def _route(self, request: Request):
        parts = request.path.strip("/").lower().split("/")
        match request.method, parts:
            case "POST", ["v1", "tokens"]:
                return TOKEN, self._token
            case "POST", ["v1", "orders"]:
                return POST, self._authorized(self._place)
            case "GET", ["v1", "orders"]:
                return LIST, self._authorized(self._list)
            case "GET", ["v1", "orders", _]:
                return GET, self._authorized(self._get)
            case "GET", ["v1", "products"]:
                return PRODUCTS, self._authorized(self._products)
            case "GET", ["v1", "products", _]:
                return PRODUCTS, self._authorized(self._product)
            case "GET", ["v1", "brandings"]:
                return "GET /v1/Brandings", self._authorized(lambda _: self._page(catalogue.BRANDINGS, 1, 100))
            case "GET", ["v1", "shippingmethods"]:
                return "GET /v1/ShippingMethods", self._authorized(lambda _: self._page(catalogue.SHIPPING, 1, 100))
        return "unknown", None

    # --- faults -------------------------------------------------------------------------------------------------------
    def _before(self, rule: Rule, request: Request, action) -> Answer:
        match rule.fault:
            case "reset_before":
                return Answer(spoil="reset")
            case "timeout_before":
                return Answer(spoil="hang", seconds=rule.seconds)
            case "504_late":
                self._later(rule.seconds, lambda: action(request))
                return self._problem(504)
            case "502_html" | "503_html":
                return Answer(int(rule.fault[:3]), HTML, {"Content-Type": "text/html"})
            case "429":
                return self._problem(429, {"Retry-After": f"{max(0, round(rule.seconds))}"})
            case "401":
                self.store.drop_token(_bearer(request))
                return self._problem(401)
            case "422_empty":
                return Answer(422)
            case "redirect":
                return Answer(302, b"", {"Location": "http://127.0.0.1:9/elsewhere"})
        return self._problem(int(rule.fault[:3]))

    def _after(self, rule: Rule, answer: Answer) -> Answer:
        match rule.fault:
            case "reset_after":
                return Answer(spoil="reset")
            case "timeout_after":
                return Answer(spoil="hang", seconds=rule.seconds)
            case "502_after":
                return Answer(502, HTML, {"Content-Type": "text/html"})
            case "truncated":
                return Answer(answer.status, answer.body, answer.headers, spoil="truncate")
            case "not_json":
                return Answer(answer.status, b"Thank you for your order!", {"Content-Type": "text/plain"})
            case "no_id":
                return self._json(answer.status, {"Status": "Pending"})
            case "wrong_po":
                body = json.loads(answer.body, parse_float=Decimal)
                key = next((key for key in body if key.lower() == "ponumber"), "PONumber")
                return self._json(answer.status, {**body, key: "SOMEBODY-ELSES"})
            case "oversize":
                return Answer(answer.status, b'{"Id": "x", "Pad": "' + b"x" * 3_000_000 + b'"}', answer.headers)
            case "drip":
                return Answer(answer.status, answer.body, answer.headers, spoil="drip", seconds=rule.seconds)
        return self._problem(int(rule.fault[:3]))

    def _later(self, seconds: float, action: Callable[[], object]) -> None:
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        timer.start()

    # --- endpoints ----------------------------------------------------------------------------------------------------
    def _token(self, request: Request) -> Answer:
        given = (request.headers.get("email", ""), request.headers.get("accesstoken", ""))
        if not all(given) or (self.credentials and given != self.credentials):
            return self._problem(401)
        value = secrets.token_urlsafe(32)
        self.store.add_token(value, self.store.clock() + self.options["token_seconds"])
        return self._json(200, {"Value": value, "ExpiresIn": self.options["token_seconds"]})

    def _authorized(self, action):
        def checked(request: Request) -> Answer:
            return action(request) if self.store.token_valid(_bearer(request)) else self._problem(401)

        return checked

    def _place(self, request: Request) -> Answer:
        try:
            order = self._read(request)
        except ValueError as exc:
            return self._json(400, {"Message": str(exc)})
        early = self.faults.draw({"hook_early": ""}, POST, order["po"])
        if early and order["hook"]:
            self.announce(order["hook"])
        placed = self.store.insert(order)
        if placed == "conflict":
            return self._conflict(order["po"])
        if placed == "funds":
            return self._json(422, {"Message": STATUS_TEXT[422]})
        self.store.count("accepted")
        return self._json(201, self._order(placed))

    def _read(self, request: Request) -> dict:
        """The order row of this request. ValueError says what is wrong with it."""
        try:
            body = {key.lower(): value for key, value in json.loads(request.body, parse_float=Decimal).items()}
        except (ValueError, AttributeError):
            raise ValueError("The body is not a JSON object") from None
        po, kind, given = body.get("ponumber"), body.get("type"), body.get("lineitems")
        if not isinstance(po, str) or not PO.fullmatch(po):
            raise ValueError("PONumber: expected 1 to 100 printable characters")
        if kind not in ("DigitalDelivery", "Links", "PhysicalShipment"):
            raise ValueError("Type: expected DigitalDelivery, Links or PhysicalShipment")
        if not isinstance(given, list) or not given:
            raise ValueError("LineItems: expected at least one line")
        lines = [_line(entry, kind) for entry in given]
        while rule := self.faults.draw(LINES, POST, po):
            lines[(rule.line - 1) % len(lines)]["Failed"] = True
            if rule.next is None:  # it would apply for ever
                break
        good = [line for line in lines if not line.get("Failed")]
        now, hook = self.store.clock(), (body.get("webhooksettings") or {}).get("FulfillmentComplete") or ""
        face = sum(_minor(Decimal(line["Value"])) * line["Quantity"] for line in good)
        status, becomes, finish_at, visible_at = self._fate(po, now)
        return {
            "id": f"ord-{secrets.token_hex(6)}",
            "po": po,
            "body": request.body.decode(),
            "type": kind,
            "lines": json.dumps(lines),
            "currency": catalogue.BY_ID[lines[0]["ProductId"]]["CurrencyCode"],
            "face_minor": face,
            "cost_minor": sum(_minor(Decimal(line["Cost"])) for line in good),
            "status": status,
            "becomes": becomes,
            "finish_at": finish_at,
            "visible_at": visible_at,
            "hook": hook,
            "hook_times": self._hook_times(po),
            "created_at": now,
        }

    def _fate(self, po: str, now: float) -> tuple[str, str, float | None, float]:
        """(status, final status, when, visible from) of a new order."""
        rule = self.faults.draw(ORDER, POST, po)
        match rule.fault if rule else "":
            case "pending":
                return "Pending", "Completed", now + rule.seconds, now
            case "pending_forever":
                return "Pending", "Pending", None, now
            case "pending_failed":
                return "Pending", "Failed", now + rule.seconds, now
            case "unknown_status":
                return "Levitating", "Completed", now + rule.seconds, now
            case "claims_null":
                return "CompletedWithoutClaims", "", None, now
            case "hidden":
                return "Pending", "Completed", now, now + rule.seconds
        if self.options["pending"] and secrets.randbelow(1000) < self.options["pending"] * 1000:
            return "Pending", "Completed", now + self.options["pending_seconds"], now
        return "Completed", "Completed", None, now

    def _hook_times(self, po: str) -> int:
        rule = self.faults.draw({name: HOOK[name] for name in ("hook_never", "hook_twice", "hook_forged")}, POST, po)
        return {"hook_never": 0, "hook_twice": 3, "hook_forged": 101}.get(rule.fault if rule else "", 1)

    def _conflict(self, po: str) -> Answer:
        mine, rule = self.store.by_po(po)["id"], self.faults.draw(CONFLICT, POST, po)
        other = self.store.another(po)
        other = other["id"] if other else "ord-of-somebody-else"
        said = {"Message": "PONumber already used"}
        match rule.fault if rule else "conflict_id":
            case "conflict_order_id":
                body = {"OrderId": mine, **said}
            case "conflict_plural":
                body = {"PreviousOrderIds": [mine], **said}
            case "conflict_objects":
                body = {"OrderIds": [{"Id": mine}], **said}
            case "conflict_nested":
                body = {"Error": {"Id": mine, **said}}
            case "conflict_location":
                return self._json(409, said, {"Location": f"/v1/Orders/{mine}"})
            case "conflict_empty":
                return Answer(409)
            case "conflict_other":
                body = {"Id": other, **said}
            case "conflict_several":
                body = {"PreviousOrderIds": [other, mine], **said}
            case _:
                body = {"Id": mine, **said}
        return self._json(409, body)

    def _get(self, request: Request) -> Answer:
        self.store.ripen()
        row = self.store.by_id(request.path.rstrip("/").rsplit("/", 1)[-1])
        if row is None or row["visible_at"] > self.store.clock():
            return self._problem(404)
        return self._json(200, self._order(row))

    def _list(self, request: Request) -> Answer:
        self.store.ripen()
        index, size = _paging(request)
        rows, total = self.store.page(index, size)
        now = self.store.clock()
        return self._page([self._order(row) for row in rows if row["visible_at"] <= now], index, size, total)

    def _products(self, request: Request) -> Answer:
        index, size = _paging(request)
        entries = [self._with_media(entry, request) for entry in catalogue.PRODUCTS]
        return self._page(entries[(index - 1) * size : index * size], index, size, len(entries))

    def _product(self, request: Request) -> Answer:
        entry = catalogue.BY_ID.get(request.path.rstrip("/").rsplit("/", 1)[-1])
        return self._json(200, self._with_media(entry, request)) if entry else self._problem(404)

    def _with_media(self, entry: dict, request: Request) -> dict:
        base = f"http://{request.headers.get('host', 'localhost')}/media/{entry['Id']}.svg"
        return {**entry, "Media": {"Faceplates": [{"Name": "front", "Path": base}], "Logo": base}}

    def _picture(self, request: Request) -> Answer:
        drawn = catalogue.picture(request.path.removeprefix("/media/").removesuffix(".svg"))
        return Answer(200, drawn.encode(), {"Content-Type": "image/svg+xml"}) if drawn else self._problem(404)

    # --- answers ------------------------------------------------------------------------------------------------------
    def _order(self, row) -> dict:
        """The order as the provider shows it. Claim data only for claim links, and only once it is done."""
        status, null = row["status"], row["status"] == "CompletedWithoutClaims"
        status = "Completed" if null else status
        lines = []
        for number, line in enumerate(json.loads(row["lines"]), start=1):
            fared = "Failed" if line.get("Failed") and status == "Completed" else status
            shown = {"Id": f"ln-{number}", "ProductId": line["ProductId"], "Value": Decimal(line["Value"]),
                     "Quantity": line["Quantity"], "Cost": Decimal(line["Cost"]), "Status": fared}  # fmt: skip
            if self.options["echo_lines"] and line.get("ExternalId"):
                shown["ExternalId"] = line["ExternalId"]
            if self.options["echo"] and line["Address"]:
                shown["DigitalDeliveryAddress"] = line["Address"]
            if self.options["sparse"]:
                shown = {key: shown[key] for key in ("ProductId", "Value")}
            if row["type"] == "Links" and fared == "Completed":
                shown["ClaimData"] = None if null else [_claim(row["id"], number, n) for n in range(line["Quantity"])]
            lines.append(shown)
        lines = lines[::-1] if self.options["shuffle"] else lines
        found = {"Id": row["id"], "Status": status, "Type": row["type"], "LineItems": lines}
        return {**found, "PONumber": row["po"]} if self.options["echo"] else found

    def _page(self, entries: list, index: int, size: int, total: int | None = None) -> Answer:
        if self.options["envelope"] == "list":
            return self._json(200, entries)
        count = len(entries) if total is None else total
        return self._json(
            200, {self.options["envelope"]: entries, "page": index, "pageSize": size, "totalCount": count}
        )

    def _problem(self, status: int, headers: dict | None = None) -> Answer:
        return self._json(status, {"Message": STATUS_TEXT.get(status, "Error")}, headers)

    def _json(self, status: int, body, headers: dict | None = None) -> Answer:
        text = _encode(self._cased(body))
        return Answer(status, text.encode(), {"Content-Type": "application/json", **(headers or {})})

    def _cased(self, value):
        if isinstance(value, dict):
            return {self._case(key): self._cased(item) for key, item in value.items()}
        return [self._cased(item) for item in value] if isinstance(value, list) else value

    def _case(self, key: str) -> str:
        match self.options["casing"]:
            case "camel":
                return "poNumber" if key == "PONumber" else key[:1].lower() + key[1:]
            case "mixed":
                return key.upper() if len(key) % 2 else key.lower()
        return key

    # --- administration -----------------------------------------------------------------------------------------------
    def _admin(self, request: Request) -> Answer:
        given = json.loads(request.body or b"{}") if request.method in {"POST", "PUT"} else None
        try:
            found = self._administer(request.path.removeprefix("/_sandbox/").strip("/"), given)
        except (BadFault, ValueError, TypeError, KeyError, ArithmeticError) as exc:
            return Answer(400, json.dumps({"error": str(exc)}).encode(), {"Content-Type": "application/json"})
        if found is None:
            return Answer(404, b"{}", {"Content-Type": "application/json"})
        return Answer(200, json.dumps(found).encode(), {"Content-Type": "application/json"})

    def _administer(self, what: str, given):
        match what:
            case "state":
                return {
                    "options": self.options,
                    "available": money(self.store.balance_minor),
                    "faults": self.faults.describe(),
                }
            case "books":
                self.store.ripen()
                return self.store.books()
            case "orders":
                self.store.ripen()
                return {"orders": self.store.everything()}
            case "fund":
                return {
                    "available": money(
                        self.store.fund(_minor(Decimal(str(given["amount"])))) if given else self.store.balance_minor
                    )
                }
            case "faults":
                if given is not None:
                    rules = given.get("rules", []) if isinstance(given, dict) else given
                    self.faults.replace(rules, given.get("seed") if isinstance(given, dict) else None)
                return self.faults.describe()
            case "options":
                if unknown := set(given or {}) - set(OPTIONS):
                    raise ValueError(f"{', '.join(sorted(unknown))}: unknown; expected {', '.join(OPTIONS)}")
                self.options |= given or {}
                return self.options
            case "drop_tokens":
                self.store.drop_tokens()
                return {"dropped": True}
        return None


# --- reading a request --------------------------------------------------------------------------------------------------
def _bearer(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def _po_of(request: Request) -> str:
    found = re.search(rb'(?i)"ponumber"\s*:\s*"([^"]*)"', request.body)
    return found.group(1).decode("utf-8", "replace") if found else ""


def _paging(request: Request) -> tuple[int, int]:
    index, size = request.query.get("pageIndex", "1"), request.query.get("pageSize", "20")
    return max(1, int(index) if index.isdigit() else 1), min(max(1, int(size) if size.isdigit() else 20), 500)


def _minor(amount: Decimal) -> int:
    return int(amount.scaleb(2).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _line(entry, kind: str) -> dict:
    """One line as it is kept. ValueError says what is wrong."""
    if not isinstance(entry, dict):
        raise ValueError("LineItems: expected objects")
    product, value, quantity = catalogue.BY_ID.get(entry.get("ProductId")), entry.get("Value"), entry.get("Quantity", 1)
    if product is None:
        raise ValueError("ProductId: unknown product")
    if kind not in product["AvailableDeliveryTypes"]:
        raise ValueError(f"Type: {product['Id']} is not available as {kind}")
    if not isinstance(quantity, int) or not 1 <= quantity <= 1000:
        raise ValueError("Quantity: expected 1 to 1000")
    if not isinstance(value, int | Decimal) or isinstance(value, bool) or not _value_allowed(product, Decimal(value)):
        raise ValueError(f"Value: not a denomination of {product['Id']}")
    address = entry.get("DigitalDeliveryAddress") or {}
    if kind == "DigitalDelivery" and not (address.get("Email") or address.get("Sms")):
        raise ValueError("DigitalDeliveryAddress: expected Email or Sms")
    if kind == "PhysicalShipment" and not entry.get("PhysicalDeliveryAddress"):
        raise ValueError("PhysicalDeliveryAddress: expected an address")
    cost = Decimal(value) * (1 - product["Cost"]["DiscountPercentage"] / 100)
    each = Decimal(_minor(cost)).scaleb(-2) + product["Cost"]["Fee"]
    return {"ProductId": product["Id"], "Value": f"{Decimal(value):f}", "Quantity": quantity, "Cost": f"{each * quantity:f}",
            "Address": address, "ExternalId": entry.get("ExternalId")}  # fmt: skip


def _value_allowed(product: dict, value: Decimal) -> bool:
    values = product["Denominations"]
    if product["DenominationType"] == "Variable":
        return values[0] <= value <= values[1] and _minor(value) == value * 100
    return value in values


def _claim(order_id: str, line: int, number: int) -> dict:
    """The same link whenever it is asked for."""
    key = f"{order_id.removeprefix('ord-')}{line}{number}"
    return {"Id": f"cl-{key}", "ClaimLink": f"https://claim.sandbox.example/claim/{key}", "ClaimLinkChallengeAnswer": key[-4:],
            "BarcodePath": None, "BarcodeType": None}  # fmt: skip


def _encode(value) -> str:
    """JSON with Decimals as numbers, as a provider would write them."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_encode(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_encode, value)) + "]"
    return json.dumps(value)
