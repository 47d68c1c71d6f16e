"""The sandbox as a threaded HTTP server on the standard library, and the thread that posts webhooks."""

import contextlib
import http.client
import logging
import secrets
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from rewards.sandbox.core import Answer, Request, Sandbox

log = logging.getLogger(__name__)

MAX_BODY = 1_000_000
HOOK_SECONDS = 10


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], sandbox: Sandbox):
        self.sandbox = sandbox
        super().__init__(address, Handler)
        sandbox.announce = lambda url: post_hook(url)
        threading.Thread(target=self._hooks, daemon=True).start()

    def handle_error(self, request, client_address):
        """A client that went away is everyday life here."""

    def _hooks(self) -> None:
        while True:
            try:
                self.sandbox.store.ripen()
                for row in self.sandbox.store.hooks_due():
                    self._announce(row)
            except Exception:
                log.exception("webhooks")
            time.sleep(0.2)

    def _announce(self, row) -> None:
        times = row["hook_times"]
        if times > 100:
            base = row["hook"].rsplit("/", 1)[0]
            post_hook(f"{base}/{secrets.token_urlsafe(32)}")
            times -= 100
        delivered = min(post_hook(row["hook"]) for _ in range(times))  # every one of them is posted
        self.sandbox.store.hook_done(row["seq"], delivered, row["hook_tries"] + 1)


def post_hook(url: str) -> bool:
    """Whether the other side answered 2xx. Its body says nothing one should rely on."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=HOOK_SECONDS)
    try:
        connection.request(
            "POST", parts.path, b'{"Event": "FulfillmentComplete"}', {"Content-Type": "application/json"}
        )
        return 200 <= connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "sandbox", ""
    disable_nagle_algorithm = True
    timeout = 120
    server: Server

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_GET  # noqa: N815

    def log_message(self, format: str, *args) -> None:
        """Quiet: the books tell what happened."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY:
            return self._write(Answer(413))
        body = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        sandbox = self.server.sandbox
        if (latency := sandbox.options["latency_ms"]) and self.path.startswith("/v1/"):
            time.sleep(latency / 1000)
        answer = sandbox.handle(Request(self.command, self.path, headers, body))
        match answer.spoil:
            case "reset":
                self._reset()
            case "hang":
                time.sleep(answer.seconds)
                self._reset()
            case "truncate":
                self._write(answer, answer.body[: len(answer.body) // 2])
                self._reset()
            case "drip":
                self._drip(answer)
            case _:
                self._write(answer)
        return None

    def _write(self, answer: Answer, body: bytes | None = None) -> None:
        head = f"HTTP/1.1 {answer.status} {http.client.responses.get(answer.status, 'Status')}\r\n"
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            head += f"{name}: {value}\r\n"
        self.wfile.write(head.encode() + b"\r\n" + (answer.body if body is None else body))
        self.wfile.flush()

    def _drip(self, answer: Answer) -> None:
        self._write(answer, b"")
        for byte in answer.body:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(answer.seconds)

    def _reset(self) -> None:
        """RST instead of FIN."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


def serve(host: str, port: int, sandbox: Sandbox) -> Server:
    """A bound server; call serve_forever()."""
    return Server((host, port), sandbox)
