"""Real servers on this machine that stand in for a chat and for a mail server, with what they were sent."""

import datetime
import ipaddress
import json
import socketserver
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(folder: Path, *names: str) -> Path:
    """A certificate that signs itself, with its key, for these host names and 127.0.0.1; PEM in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    others = [x509.DNSName(one) for one in names] + [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2000))
        .not_valid_after(now + datetime.timedelta(days=2000))
        .add_extension(x509.SubjectAlternativeName(others), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{names[0]}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


class ChatServer:
    """HTTPS on 127.0.0.1. `answers`: what the next requests get, (status, headers, body) each, then 200 "ok" for ever.

    `requests`: (path, headers, JSON) of each. `connections` counts what reached the socket.
    """

    def __init__(self, pem: Path):
        self.requests: list[tuple[str, dict, dict]] = []
        self.answers: list[tuple[int, dict, bytes]] = []
        self.connections = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        plain = self._server.get_request

        def get_request():
            connection, address = plain()
            self.connections += 1
            return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

        self._server.get_request = get_request
        self._server.handle_error = lambda *args: None  # a client that leaves is no news
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, path: str = "/services/T0/B0/secret-part", host: str = "localhost") -> str:
        return f"https://{host}:{self.port}{path}"

    def _handler(self):
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                owner.requests.append((self.path, dict(self.headers), json.loads(body)))
                status, headers, answer = owner.answers.pop(0) if owner.answers else (200, {}, b"ok")
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        return Handler

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class MailServer:
    """SMTP on 127.0.0.1. `refuse`: address -> answer to RCPT, such as "550 No such user". `data_answer`: to a message.

    `messages`: (recipients, text) of those taken.
    """

    def __init__(self):
        self.messages: list[tuple[list[str], str]] = []
        self.refuse: dict[str, str] = {}
        self.data_answer = "250 Taken"
        self.connections = 0
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _handler(self):
        owner = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

            def handle(self) -> None:
                owner.connections += 1
                self.say("220 stand-in")
                recipients: list[str] = []
                while line := self.rfile.readline().decode().strip():
                    word = line.split(":")[0].split(" ")[0].upper()
                    if word == "RCPT":
                        address = line.split("<")[1].split(">")[0]
                        answer = owner.refuse.get(address, "250 OK")
                        recipients += [address] if answer.startswith("2") else []
                        self.say(answer)
                    elif word == "DATA":
                        self.say("354 Go on")
                        text = b""
                        while not text.endswith(b"\r\n.\r\n"):
                            text += self.rfile.readline()
                        if owner.data_answer.startswith("2"):
                            owner.messages.append((recipients, text.decode()))
                        recipients = []
                        self.say(owner.data_answer)
                    elif word == "QUIT":
                        self.say("221 Bye")
                        return
                    else:
                        recipients = [] if word in {"RSET", "MAIL"} else recipients
                        self.say("250 OK")

        return Handler

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
