"""Calls to addresses that people typed in reach the public internet, or what the operator allowed, and nothing else."""

import ipaddress
import socket
import threading
import time

import pytest

from incentives.core import outgoing
from incentives.core.outgoing import Refused, Unreachable
from tests.support.stand_ins import ChatServer, certificate

JSON = {"Content-Type": "application/json"}
PRIVATE = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "198.18.0.1", "192.0.2.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.0.8", "192.88.99.1",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1", "2001::1", "100::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:10.0.0.1", "::10.0.0.1",
    "64:ff9b::10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "52.1.2.3", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"), "localhost", "chat.test")


@pytest.fixture
def server(pem, settings):
    settings.OUTGOING_CA_FILE = str(pem)
    settings.OUTGOING_PRIVATE_NETWORKS = []
    server = ChatServer(pem)
    yield server
    server.stop()


def call(url: str, **more):
    return outgoing.post(url, content=b"{}", headers=JSON, **more)


@pytest.mark.pure
@pytest.mark.parametrize("text", PRIVATE)
def test_an_address_that_leads_inside_is_refused(text):
    with pytest.raises(Refused, match="private network"):
        outgoing.checked([text])


@pytest.mark.pure
@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_may_be_called(text):
    assert outgoing.checked([text]) == [str(ipaddress.ip_address(text))]


@pytest.mark.pure
def test_one_private_address_among_public_ones_is_enough_to_refuse():
    with pytest.raises(Refused):
        outgoing.checked(["8.8.8.8", "10.0.0.1"])
    with pytest.raises(Refused, match="not known"):
        outgoing.checked([])


@pytest.mark.pure
def test_a_network_of_the_operator_is_allowed_also_in_its_mapped_form():
    own = [ipaddress.ip_network("10.20.0.0/16")]
    assert outgoing.checked(["10.20.1.1", "::ffff:10.20.1.1"], own) == ["10.20.1.1", "::ffff:a14:101"]
    with pytest.raises(Refused):
        outgoing.checked(["10.21.0.1"], own)


@pytest.mark.pure
@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.slack.com/services/x", "ftp://example.com/", "file:///etc/passwd", "//example.com/", "", "https://",
        "https://user:secret@example.com/", "https://user@example.com/", "https://exa mple.com/", "https://example.com:99999/",
        "https://[::1", "javascript:alert(1)", "https://example.com/" + "x" * 2000, "https://example.com/\nHost: x",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_without_a_look_up(url):
    def resolve(host, port):
        raise AssertionError("asked the name server")

    with pytest.raises(Refused) as caught:
        call(url, resolve=resolve)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "2130706433", "0x7f000001", "017700000001", "127.1", "[::ffff:127.0.0.1]"]
)
def test_this_machine_is_not_called_however_it_is_written(server, host):
    with pytest.raises((Refused, Unreachable)):
        call(f"https://{host}:{server.port}/")
    assert (server.connections, server.requests) == (0, [])


def test_the_connection_goes_to_the_address_that_was_checked(server, settings):
    """DNS rebinding: a second answer of the name server changes nothing, because nobody asks for one."""
    settings.OUTGOING_PRIVATE_NETWORKS = ["127.0.0.1/32"]
    asked = []

    def resolve(host, port):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    assert call(server.url(host="chat.test"), resolve=resolve).status == 200
    assert asked == ["chat.test"] and server.requests[0][1]["Host"] == f"chat.test:{server.port}"


def test_a_name_that_answers_with_a_private_address_is_not_connected_to(server):
    with pytest.raises(Refused):
        call(server.url(host="chat.test"), resolve=lambda host, port: ["127.0.0.1"])
    with pytest.raises(Refused):
        call(server.url(host="chat.test"), resolve=lambda host, port: ["8.8.8.8", "::ffff:7f00:1"])
    assert server.connections == 0


def test_another_address_of_the_name_is_tried_when_one_does_not_answer(server, settings):
    settings.OUTGOING_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    answer = call(server.url(host="chat.test"), resolve=lambda host, port: ["127.0.0.9", "127.0.0.1"])
    assert answer.status == 200 and len(server.requests) == 1


def test_the_certificate_must_be_of_the_name(server, settings):
    settings.OUTGOING_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    with pytest.raises(Unreachable):
        call(server.url(host="other.test"), resolve=lambda host, port: ["127.0.0.1"])
    settings.OUTGOING_CA_FILE = ""
    with pytest.raises(Unreachable):
        call(server.url(host="chat.test"), resolve=lambda host, port: ["127.0.0.1"])
    assert server.requests == []


def test_a_redirect_is_an_answer_that_nobody_follows(server, settings):
    settings.OUTGOING_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    server.answers = [(302, {"Location": "http://169.254.169.254/latest/meta-data/"}, b"")]
    assert call(server.url()).status == 302
    assert len(server.requests) == 1


def test_of_a_long_answer_only_the_beginning_is_read_and_too_much_is_not_sent(server, settings):
    settings.OUTGOING_PRIVATE_NETWORKS = ["127.0.0.0/8", "::1/128"]
    server.answers = [(200, {}, b"x" * 3_000_000)]
    assert len(call(server.url()).body) == outgoing.MOST_READ
    with pytest.raises(Refused, match="256 KB"):
        outgoing.post(server.url(), content=b"x" * (outgoing.MOST_SENT + 1), headers=JSON)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("header", "seconds"), [("120", 120), ("0", 0), ("-5", None), ("soon", None), ("", None), ("9" * 400, 999_999_999)]
)
def test_how_long_the_other_side_asks_to_wait(server, settings, header, seconds):
    settings.OUTGOING_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    server.answers = [(429, {"Retry-After": header}, b"")]
    assert (answer := call(server.url(host="chat.test"), resolve=lambda *_: ["127.0.0.1"])).retry_after == seconds
    assert answer.status == 429


def test_a_server_that_says_nothing_is_given_up_at_the_deadline(settings):
    settings.OUTGOING_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(Unreachable):
            call(f"https://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.5)
    assert time.monotonic() - started < 3


def test_a_name_server_that_says_nothing_is_given_up_at_the_deadline():
    free = threading.Event()
    started = time.monotonic()
    with pytest.raises(Unreachable):
        call("https://chat.test/", resolve=lambda *_: free.wait(5) or [], seconds=0.3)
    free.set()
    assert time.monotonic() - started < 3


def test_nobody_listens(settings):
    settings.OUTGOING_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable):
        call(f"https://127.0.0.1:{port}/")
