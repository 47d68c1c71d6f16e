"""A bounded load generator: prepared requests over a few kept-alive connections, as little Python per request as possible
(it shares the machine with what it measures)."""

import socket
import threading
from collections.abc import Iterable


def request(path: str, body: bytes, **headers: str) -> bytes:
    """A POST of JSON, ready for the wire."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "User-Agent: bench", "Content-Type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def send_all(port: int, requests: list[bytes], *, connections: int = 4, expect: bytes = b"202") -> None:
    """Send them all, `connections` at a time. RuntimeError with the answer when one is not `expect`."""
    failures: list[str] = []
    parts = [requests[start::connections] for start in range(connections)]
    threads = [threading.Thread(target=_send, args=(port, part, expect, failures)) for part in parts if part]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])


def _send(port: int, requests: Iterable[bytes], expect: bytes, failures: list[str]) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for one in requests:
            peer.sendall(one)
            answer = _answer(peer)
            if answer[9:12] != expect:
                failures.append(answer[:2000].decode(errors="replace"))
                return


def _answer(peer: socket.socket) -> bytes:
    found = b""
    while b"\r\n\r\n" not in found:
        found += _more(peer)
    head, _, body = found.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += _more(peer)
    return head + b"\r\n\r\n" + body


def _more(peer: socket.socket) -> bytes:
    part = peer.recv(65536)
    if not part:
        raise RuntimeError("the server closed the connection")
    return part
