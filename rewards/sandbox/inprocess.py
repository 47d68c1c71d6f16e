"""The sandbox behind an httpx transport, without sockets: what the server does to a connection becomes httpx's error."""

import httpx

from rewards.failpoints import hit
from rewards.sandbox.core import Request, Sandbox

NETWORK = {"refused": "Connection refused", "dns": "Name or service not known", "tls": "certificate verify failed"}


class SandboxTransport(httpx.BaseTransport):
    """`network`: faults below HTTP (F1 to F3) for the next calls, by name."""

    def __init__(self, sandbox: Sandbox):
        self.sandbox = sandbox
        self.network: list[str] = []
        self.requests: list[Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.network:
            raise httpx.ConnectError(NETWORK[self.network.pop(0)])
        given = Request(
            request.method,
            request.url.raw_path.decode(),
            {name.lower(): value for name, value in request.headers.items()},
            request.read(),
        )
        hit("CP8")
        self.requests.append(given)
        answer = self.sandbox.handle(given)
        hit("CP9")
        match answer.spoil:
            case "reset":
                raise httpx.ReadError("Connection reset by peer")
            case "hang" | "drip":
                raise httpx.ReadTimeout("The read operation timed out")
            case "truncate":
                return httpx.Response(answer.status, headers=answer.headers, stream=_Broken(answer.body))
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)


class _Broken(httpx.SyncByteStream):
    def __init__(self, body: bytes):
        self._body = body

    def __iter__(self):
        yield self._body[: len(self._body) // 2]
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")
