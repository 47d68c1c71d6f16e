"""HTTPS to addresses that people typed in: chat channels and outgoing webhooks. A server must not become anybody's way into
its own network (SSRF), so:

- https alone, no user name in the address, no redirect followed, no proxy from the environment;
- the name is resolved here, every address it has is checked, and the connection goes to a checked address, so that a second
  answer of the name server (DNS rebinding) changes nothing. TLS still asks for a certificate of the name;
- the whole call ends at a deadline, and of the answer only the first bytes are read.

Sources: OWASP Server Side Request Forgery Prevention Cheat Sheet; IANA special-purpose address registries (RFC 6890),
IPv4-mapped and translated addresses (RFC 4291 2.5.5.2, RFC 6052, RFC 3056).
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from queue import Empty, Queue
from urllib.parse import urlsplit

import httpcore
import httpx
from django.conf import settings

from rewards.provider.transport import DeadlineBackend, DeadlineTransport, time_left

CONNECT_SECONDS, CALL_SECONDS = 4.0, 10.0
MOST_SENT = 256 * 1024
MOST_READ = 4 * 1024
MOST_ADDRESSES = 8
LONGEST_URL = 2000

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_EMBEDDING = [  # (network, bits to the right of the IPv4 address inside)
    (ipaddress.ip_network("::ffff:0:0/96"), 0),  # IPv4-mapped
    (ipaddress.ip_network("::ffff:0:0:0/96"), 0),  # IPv4-translated (RFC 2765)
    (ipaddress.ip_network("64:ff9b::/96"), 0),  # NAT64
    (ipaddress.ip_network("2002::/16"), 80),  # 6to4
]
_NEVER = [
    ipaddress.ip_network(text)
    for text in ("::/96", "64:ff9b:1::/48", "2001::/23", "fec0::/10", "100::/64", "192.0.0.0/24", "192.88.99.0/24")
]


class Refused(Exception):
    """The address may not be called. The message is for the person who typed it and repeats no part of its path."""


class Unreachable(Exception):
    """Nobody answered, or not in time: worth another attempt. The message carries no address."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`body`: at most MOST_READ bytes. `retry_after`: seconds, where the other side named them."""

    status: int
    body: bytes
    retry_after: int | None = None


def check_url(url: str) -> str:
    """The host of an address that may be called as far as its text tells. Raises Refused."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as exc:
        raise Refused("This is not an address. Expected one that begins with https://") from exc
    if parts.scheme != "https":
        raise Refused("Only https addresses are called: nobody on the way may read or change what is sent.")
    if not host or len(url) > LONGEST_URL or any(c.isspace() or ord(c) < 32 for c in url):
        raise Refused("This is not an address. Expected one that begins with https://")
    if parts.username is not None or parts.password is not None:
        raise Refused("An address with a user name or password in it is not called.")
    return host


def is_public(address: Address) -> bool:
    """Whether it lies in the public internet: not private, loopback, link-local, shared, documentation, multicast or
    reserved, and where it carries an IPv4 address inside, that one not either."""
    if isinstance(address, ipaddress.IPv6Address):
        for network, shift in _EMBEDDING:
            if address in network:
                return is_public(ipaddress.IPv4Address((int(address) >> shift) & 0xFFFFFFFF))
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def own_networks() -> list[Network]:
    """What the operator allows beside the public internet."""
    return [ipaddress.ip_network(text.strip()) for text in settings.OUTGOING_PRIVATE_NETWORKS if text.strip()]


def lookup(host: str, port: int) -> list[str]:
    """Every address the system's resolver knows of a host."""
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


def checked(found: Iterable[str], allowed: Iterable[Network] = ()) -> list[str]:
    """The addresses, if each of them may be called. Raises Refused as soon as one may not."""
    allowed, result = list(allowed), []
    for text in found:
        address = ipaddress.ip_address(text.split("%", 1)[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        own = any(mapped in network for network in allowed if network.version == mapped.version)
        if not own and not is_public(address):
            raise Refused("The address leads into a private network, which Laurel does not call.")
        result.append(str(address))
    if not result:
        raise Refused("The name of the address is not known.")
    return result[:MOST_ADDRESSES]


class _Backend(DeadlineBackend):
    """Connects to checked addresses of the host alone."""

    def __init__(self, resolve: Callable[[str, int], list[str]], allowed: list[Network]):
        super().__init__()
        self._resolve, self._allowed = resolve, allowed

    def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        found = checked(self._resolved(host, port, timeout), self._allowed)
        for address in found:
            try:
                return super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if address == found[-1]:
                    raise
        raise httpcore.ConnectError("no address")  # not reached: `checked` gives at least one

    def connect_unix_socket(self, *args, **kwargs):
        raise Refused("Not an address of the network.")

    def _resolved(self, host: str, port: int, timeout: float | None) -> list[str]:
        """The resolver of the system knows no time-out: it works in a thread that may be left behind."""
        answers: Queue = Queue(maxsize=1)

        def ask() -> None:
            try:
                answers.put(self._resolve(host, port))
            except (OSError, UnicodeError) as exc:
                answers.put(exc)

        threading.Thread(target=ask, name="resolve", daemon=True).start()
        try:
            found = answers.get(timeout=time_left(timeout, httpcore.ConnectTimeout))
        except Empty as exc:
            raise httpcore.ConnectTimeout("the name server does not answer") from exc
        if isinstance(found, Exception):
            raise httpcore.ConnectError("the name is not known") from found
        return found


def post(
    url: str, *, content: bytes, headers: dict[str, str], resolve: Callable[[str, int], list[str]] = lookup,
    seconds: float = CALL_SECONDS,
) -> Answer:  # fmt: skip
    """POST `content` once, within `seconds` in all. Any status is an Answer; a redirect too, which nobody follows.

    Raises Refused (the address may not be called: a further attempt changes nothing until somebody changes it), Unreachable.
    """
    check_url(url)
    if len(content) > MOST_SENT:
        raise Refused(f"The message is larger than {MOST_SENT // 1024} KB.")
    transport = DeadlineTransport(
        max_connections=1, backend=_Backend(resolve, own_networks()), ca_file=settings.OUTGOING_CA_FILE
    )
    request = httpx.Request(
        "POST", url, content=content, headers={"User-Agent": "Laurel", "Accept-Encoding": "identity", **headers},
        extensions={
            "deadline": time.monotonic() + seconds,
            "timeout": {"connect": CONNECT_SECONDS, "read": seconds, "write": seconds, "pool": 1.0},
        },
    )  # fmt: skip
    try:
        return _read(transport.handle_request(request))
    except httpx.HTTPError as exc:
        raise Unreachable(type(exc).__name__) from exc
    finally:
        transport.close()


def _read(response: httpx.Response) -> Answer:
    """The status and the first bytes; the rest is left unread and the connection closed."""
    body = b""
    try:
        for chunk in response.stream:
            body += chunk
            if len(body) >= MOST_READ:
                break
    except httpx.HTTPError:
        pass  # the status is known; what was to be said about it is not
    finally:
        response.close()
    return Answer(response.status_code, body[:MOST_READ], _seconds(response.headers.get("Retry-After", "")))


def _seconds(text: str) -> int | None:
    """Of a Retry-After header: seconds, or the time until an HTTP date (RFC 9110 10.2.3)."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return int(text[:9])
    from email.utils import parsedate_to_datetime

    try:
        return max(0, int(parsedate_to_datetime(text).timestamp() - time.time()))
    except (TypeError, ValueError, OverflowError):
        return None
