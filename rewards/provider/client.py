"""The provider's API (contract: docs/provider.md): typed in, typed out, and errors that say what they prove.

Nothing here retries, follows a redirect, logs a body or touches the database. PascalCase goes out exactly as
documented, any casing comes in.
"""

import logging
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime

import httpx

from rewards import conf, failpoints
from rewards.provider import reading, redact
from rewards.provider.errors import (
    AccessOff,
    Conflict,
    NotFound,
    NotSent,
    OutcomeUnknown,
    ProviderError,
    Refused,
    SlowDown,
    TokenInvalid,
    Unfunded,
)
from rewards.provider.transport import DeadlineTransport
from rewards.provider.types import CatalogueProduct, Choice, ProviderOrder, Token

log = logging.getLogger(__name__)

MAX_ORDER_BYTES = 1_000_000
MAX_LIST_BYTES = 20_000_000
MAX_PAGES = 200
PRODUCT_PAGE = 100
ORDER_PAGE = 100
TOKEN_LIFE_WHEN_UNSAID = 300
_BY_STATUS = {400: Refused, 401: TokenInvalid, 403: AccessOff, 404: NotFound, 422: Unfunded}
_NEVER_CONNECTED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


class Deadline:
    """The end of one step: everything a step asks of the provider together ends by then."""

    def __init__(self, seconds: float):
        self.at = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return self.at - time.monotonic()


class ProviderClient:
    """One account at one base URL. Safe to share between threads; make a new one after a fork."""

    def __init__(self, *, base_url: str, email: str, access_token: str, transport: httpx.BaseTransport | None = None):
        self.base_url, self._email, self._access_token = base_url.rstrip("/"), email, access_token
        self._http = httpx.Client(
            transport=transport or DeadlineTransport(),
            follow_redirects=False,
            trust_env=False,
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "laurel"},
        )

    def __repr__(self) -> str:
        return f"<ProviderClient {self.base_url}>"

    def close(self) -> None:
        self._http.close()

    # --- endpoints ----------------------------------------------------------------------------------------------------
    def mint_token(self, *, deadline: Deadline) -> Token:
        """POST /v1/Tokens. `expires_in` in seconds; 300 when the provider says nothing usable."""
        headers = {"Email": self._email, "AccessToken": self._access_token}
        body = self._json("POST", "/v1/Tokens", headers=headers, deadline=deadline)
        value = body.get("value") if isinstance(body, dict) else None
        if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value.strip():
            raise OutcomeUnknown("The token answer holds no usable value")
        life = reading.number(body.get("expiresin"))
        return Token(value.strip(), int(life) if life and life > 0 else TOKEN_LIFE_WHEN_UNSAID)

    def place_order(self, body: bytes, *, token: str, deadline: Deadline) -> ProviderOrder:
        """POST /v1/Orders with exactly these bytes. A 2xx that cannot be read raises OutcomeUnknown: it may exist."""
        answer = self._json("POST", "/v1/Orders", token=token, content=body, deadline=deadline)
        return self._order(answer)

    def get_order(self, order_id: str, *, token: str, deadline: Deadline) -> ProviderOrder:
        """GET /v1/Orders/{id}. An answer about another order raises OutcomeUnknown."""
        found = self._order(self._json("GET", f"/v1/Orders/{order_id}", token=token, deadline=deadline))
        if found.id.lower() != order_id.lower():
            raise OutcomeUnknown(f"Asked for order {order_id}, the answer is about another")
        return found

    def list_orders(self, *, token: str, deadline: Deadline) -> Iterator[ProviderOrder]:
        """GET /v1/Orders, page by page, each order once. Absence from it proves nothing."""
        for entry in self._pages("/v1/Orders", ORDER_PAGE, lambda: token, deadline):
            try:
                yield reading.order(entry)
            except reading.Unreadable:
                continue

    def list_products(self, *, token: str, deadline: Deadline) -> list[CatalogueProduct]:
        entries = self._pages("/v1/Products", PRODUCT_PAGE, lambda: token, deadline)
        return [found for entry in entries if (found := reading.product(entry))]

    def list_shipping_methods(self, *, token: str, deadline: Deadline) -> list[Choice]:
        return self._choices("/v1/ShippingMethods", token, deadline)

    def list_brandings(self, *, token: str, deadline: Deadline) -> list[Choice]:
        return self._choices("/v1/Brandings", token, deadline)

    # --- how ----------------------------------------------------------------------------------------------------------
    def _choices(self, path: str, token: str, deadline: Deadline) -> list[Choice]:
        try:
            entries, _ = reading.page(self._json("GET", path, token=token, deadline=deadline, limit=MAX_LIST_BYTES))
        except reading.Unreadable as exc:
            raise OutcomeUnknown(f"{path}: {exc}") from exc
        return [found for entry in entries if (found := reading.choice(entry))]

    def _pages(self, path: str, size: int, token: Callable[[], str], deadline: Deadline) -> Iterator[dict]:
        """Stops at an empty page, at the total, or when a page brings nothing new (an ignored pageIndex)."""
        seen: set[str] = set()
        for index in range(1, MAX_PAGES + 1):
            query = f"{path}?pageIndex={index}&pageSize={size}"
            try:
                body = self._json("GET", query, token=token(), deadline=deadline, limit=MAX_LIST_BYTES)
                entries, total = reading.page(body)
            except reading.Unreadable as exc:
                raise OutcomeUnknown(f"{path}: {exc}") from exc
            fresh = {
                key: entry for entry in entries if (key := reading.identifier(entry.get("id"))) and key not in seen
            }
            seen |= fresh.keys()
            yield from fresh.values()
            if not fresh or (total is not None and len(seen) >= total):
                return
            failpoints.hit("CP16")

    def _order(self, body) -> ProviderOrder:
        try:
            return reading.order(body)
        except reading.Unreadable as exc:
            raise OutcomeUnknown(f"The answer is not an order: {exc}") from exc

    def _json(self, method: str, path: str, *, deadline: Deadline, limit: int = MAX_ORDER_BYTES, **how):
        status, headers, raw = self._call(method, path, deadline=deadline, limit=limit, **how)
        if not 200 <= status < 300:
            raise _error(status, headers, raw)
        try:
            return reading.parse(raw)
        except reading.Unreadable as exc:
            raise OutcomeUnknown("The answer is not readable JSON", status) from exc

    def _call(
        self,
        method: str,
        path: str,
        *,
        deadline: Deadline,
        limit: int,
        token: str = "",
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, httpx.Headers, bytes]:
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if content is not None:
            headers["Content-Type"] = "application/json"
        if deadline.left <= 0:
            raise NotSent("No time was left for this call")
        timeout = httpx.Timeout(conf.READ_SECONDS, connect=conf.CONNECT_SECONDS)
        started = time.monotonic()
        try:
            request = self._http.build_request(
                method,
                self.base_url + path,
                headers=headers,
                content=content,
                timeout=timeout,
                extensions={"deadline": deadline.at},
            )
            answer = self._http.send(request, stream=True)
            try:
                raw = _read(answer, limit, deadline)
            finally:
                answer.close()
        except (*_NEVER_CONNECTED, httpx.InvalidURL) as exc:
            raise NotSent(f"No connection: {type(exc).__name__}") from exc
        except (httpx.HTTPError, httpx.StreamError, OSError) as exc:
            raise OutcomeUnknown(f"No complete answer: {type(exc).__name__}") from exc
        log.info("%s %s: %s in %.3f s", method, path.split("?")[0], answer.status_code, time.monotonic() - started)
        return answer.status_code, answer.headers, raw


def _read(answer: httpx.Response, limit: int, deadline: Deadline) -> bytes:
    """The raw body, at most `limit` bytes and not beyond the deadline; more is an answer nobody can trust."""
    parts, size = [], 0
    for part in [answer.content] if answer.is_stream_consumed else answer.iter_raw():
        parts.append(part)
        size += len(part)
        if size > limit:
            raise OutcomeUnknown("The answer is too large", answer.status_code)
        if deadline.left <= 0:
            raise OutcomeUnknown("The answer did not end in time", answer.status_code)
    return b"".join(parts)


def _error(status: int, headers: httpx.Headers, raw: bytes) -> ProviderError:
    text = redact.evidence(raw)
    message = redact.message(raw) or f"The provider answered {status}"
    if status == 409:
        try:
            body = reading.parse(raw) if raw.strip() else None
        except reading.Unreadable:
            body = None
        return Conflict(message, status, text, reading.conflict_candidates(body, headers.get("location", "")))
    if status == 429:
        return SlowDown(message, status, text, _retry_after(headers))
    return _BY_STATUS.get(status, OutcomeUnknown)(message, status, text)


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds from `Retry-After` (a number or a date), at most one hour; None when it names nothing usable."""
    given = headers.get("retry-after", "").strip()
    if given.isdigit():
        return min(float(given), 3600.0)
    try:
        seconds = parsedate_to_datetime(given).timestamp() - time.time()
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), 3600.0)
