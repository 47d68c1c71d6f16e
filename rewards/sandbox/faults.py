"""Faults that can be switched on: by probability (seeded), for one PONumber, or for the next N calls.

The codes in brackets are those of docs/provider.md, section "Faults".
"""

import random
import threading
from dataclasses import asdict, dataclass

POST, GET, LIST, TOKEN, PRODUCTS = (
    "POST /v1/Orders",
    "GET /v1/Orders/{id}",
    "GET /v1/Orders",
    "POST /v1/Tokens",
    "GET /v1/Products",
)
ENDPOINTS = (POST, GET, LIST, TOKEN, PRODUCTS, "*")

BEFORE = {
    "reset_before": "connection reset before the request is read (F4)",
    "timeout_before": "no answer, not accepted (F6)",
    "504_before": "504, not accepted (F8)",
    "504_late": "504 now, accepted `seconds` later (F10)",
    "500_before": "500, not accepted (F11)",
    "502_html": "502 with an HTML page (F13)",
    "503_html": "503 with an HTML page (F13)",
    "429": "429 with Retry-After of `seconds` (F14)",
    "429_bare": "429 without Retry-After (F14)",
    "401": "401, the token is dropped (F15)",
    "403": "403 (F16)",
    "422": "422, out of funds (F17)",
    "422_empty": "422 with an empty body (F17)",
    "400": "400 (F18)",
    "404": "404",
    "redirect": "302 to another address (F32)",
}
AFTER = {
    "reset_after": "accepted, then connection reset (F5)",
    "timeout_after": "accepted, no answer (F7)",
    "504_after": "accepted, then 504 (F9)",
    "500_after": "accepted, then 500 (F12)",
    "502_after": "accepted, then 502 with an HTML page (F13)",
    "truncated": "accepted, the answer breaks off (F22)",
    "not_json": "accepted, the answer is not JSON",
    "no_id": "accepted, the answer has no id",
    "wrong_po": "accepted, the answer names another PONumber (F23)",
    "oversize": "accepted, the answer is several megabytes",
    "drip": "accepted, the answer comes one byte a second (F31)",
}
ORDER = {
    "pending": "Pending, done `seconds` later (F24)",
    "pending_forever": "Pending for ever (F25)",
    "pending_failed": "Pending, then Failed (F26)",
    "unknown_status": "a status nobody knows (F27)",
    "claims_null": "Completed with ClaimData null",
    "hidden": "GET answers 404 for `seconds` after creation (F28)",
}
LINES = {
    "line_failed": "line number `line` Failed, the others as the order",
}
CONFLICT = {
    "conflict_id": "409 with Id (F19)",
    "conflict_order_id": "409 with OrderId",
    "conflict_plural": "409 with previousOrderIds",
    "conflict_objects": "409 with OrderIds of objects",
    "conflict_nested": "409 with error.Id",
    "conflict_location": "409 with only a Location header",
    "conflict_empty": "409 with an empty body (F20)",
    "conflict_other": "409 that names another order (F21)",
    "conflict_several": "409 that names this and another order",
}
HOOK = {
    "hook_early": "webhook before the answer to POST (F29)",
    "hook_never": "no webhook (F30)",
    "hook_twice": "webhook three times",
    "hook_forged": "besides the webhook, posts to an address nobody was given",
}
KINDS = {**BEFORE, **AFTER, **ORDER, **LINES, **CONFLICT, **HOOK}


class BadFault(ValueError):
    """A rule that cannot be understood; the text says what was expected."""


@dataclass
class Rule:
    fault: str
    on: str = POST
    probability: float | None = None
    po: str = ""
    next: int | None = None
    seconds: float = 1.0
    line: int = 1

    @classmethod
    def read(cls, given: dict) -> "Rule":
        if not isinstance(given, dict) or given.get("fault") not in KINDS:
            raise BadFault(f"fault: expected one of {', '.join(KINDS)}")
        if unknown := given.keys() - cls.__dataclass_fields__.keys():
            raise BadFault(f"{', '.join(sorted(unknown))}: unknown; expected {', '.join(cls.__dataclass_fields__)}")
        rule = cls(**given)
        if rule.on not in ENDPOINTS:
            raise BadFault(f"on: expected one of {', '.join(ENDPOINTS)}")
        if rule.probability is not None and not 0 <= rule.probability <= 1:
            raise BadFault("probability: expected 0 to 1")
        return rule


class Faults:
    """The rules in force. `draw` gives the first that applies to this call, of this family."""

    def __init__(self, rules: list[dict] | None = None, seed: int = 1):
        self._lock, self._random = threading.Lock(), random.Random(seed)
        self.rules = [Rule.read(rule) for rule in rules or []]
        self.fired: dict[str, int] = {}

    def replace(self, rules: list[dict], seed: int | None = None) -> None:
        with self._lock:
            self.rules = [Rule.read(rule) for rule in rules]
            if seed is not None:
                self._random.seed(seed)

    def draw(self, family: dict[str, str], endpoint: str, po: str = "") -> Rule | None:
        with self._lock:
            for rule in self.rules:
                if rule.fault in family and rule.on in (endpoint, "*") and self._applies(rule, po):
                    self.fired[rule.fault] = self.fired.get(rule.fault, 0) + 1
                    return rule
        return None

    def _applies(self, rule: Rule, po: str) -> bool:
        if rule.po and rule.po.lower() != po.lower():
            return False
        if rule.probability is not None and self._random.random() >= rule.probability:
            return False
        if rule.next is not None:
            if rule.next <= 0:
                return False
            rule.next -= 1
        return True

    def describe(self) -> dict:
        with self._lock:
            return {"rules": [asdict(rule) for rule in self.rules], "fired": dict(self.fired), "known": KINDS}
