"""The client: what goes out, what may come in, and what each answer proves."""

import json
import socket
import threading
import time
from decimal import Decimal

import httpx
import pytest

from rewards.provider import reading
from rewards.provider.client import Deadline, ProviderClient
from rewards.provider.errors import (
    AccessOff,
    Conflict,
    NotFound,
    NotSent,
    OutcomeUnknown,
    Refused,
    SlowDown,
    TokenInvalid,
    Unfunded,
)  # fmt: skip
from rewards.provider.types import Progress

pytestmark = pytest.mark.pure


def client_for(answer) -> ProviderClient:
    handler = answer if callable(answer) else lambda request: answer
    return ProviderClient(
        base_url="https://p.test/", email="a@b.co", access_token="top-secret", transport=httpx.MockTransport(handler)
    )


def place(answer):
    return client_for(answer).place_order(b'{"a":1.10}', token="tok", deadline=Deadline(5))


def test_a_token_is_minted_as_documented():
    seen = []

    def provider(request):
        seen.append(request)
        return httpx.Response(200, json={"value": "abc", "expiresIn": 3600})

    token = client_for(provider).mint_token(deadline=Deadline(5))
    assert (token.value, token.expires_in) == ("abc", 3600)
    assert (seen[0].method, str(seen[0].url), seen[0].content) == ("POST", "https://p.test/v1/Tokens", b"")
    assert (seen[0].headers["Email"], seen[0].headers["AccessToken"]) == ("a@b.co", "top-secret")
    assert "abc" not in repr(token)


@pytest.mark.parametrize("life", [None, 0, -5, "soon", True, {}])
def test_a_token_without_a_usable_life_is_kept_five_minutes(life):
    answer = httpx.Response(200, json={"Value": "abc", "ExpiresIn": life})
    assert client_for(answer).mint_token(deadline=Deadline(5)).expires_in == 300


@pytest.mark.parametrize("body", [{}, {"Value": ""}, {"Value": 5}, {"Value": "a\nb"}, [], "x", None])
def test_an_answer_without_a_token_is_no_token(body):
    with pytest.raises(OutcomeUnknown):
        client_for(httpx.Response(200, json=body)).mint_token(deadline=Deadline(5))


def test_the_stored_bytes_go_out_unchanged_with_the_bearer_token():
    seen = []

    def provider(request):
        seen.append(request)
        return httpx.Response(201, json={"Id": "o1", "Status": "Completed"})

    found = place(provider)
    assert (found.id, found.progress) == ("o1", Progress.SUCCESS)
    assert seen[0].content == b'{"a":1.10}'
    assert seen[0].headers["Authorization"] == "Bearer tok"
    assert seen[0].headers["Content-Type"] == "application/json"
    assert "AccessToken" not in seen[0].headers


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, Refused), (401, TokenInvalid), (403, AccessOff), (404, NotFound), (409, Conflict), (422, Unfunded),
     (429, SlowDown), (500, OutcomeUnknown), (502, OutcomeUnknown), (503, OutcomeUnknown), (504, OutcomeUnknown),
     (301, OutcomeUnknown), (302, OutcomeUnknown), (307, OutcomeUnknown), (418, OutcomeUnknown), (408, OutcomeUnknown)],
)  # fmt: skip
def test_each_status_proves_what_the_table_says(status, error):
    calls = []

    def provider(request):
        calls.append(str(request.url))
        return httpx.Response(status, headers={"Location": "https://evil.test/"}, text="<html>no</html>")

    with pytest.raises(error) as caught:
        place(provider)
    assert type(caught.value) is error
    assert caught.value.status_code == status
    assert calls == ["https://p.test/v1/Orders"], "no redirect is followed, nothing is repeated"


@pytest.mark.parametrize(
    ("raised", "error"),
    [(httpx.ConnectError, NotSent), (httpx.ConnectTimeout, NotSent), (httpx.PoolTimeout, NotSent),
     (httpx.ReadTimeout, OutcomeUnknown), (httpx.WriteTimeout, OutcomeUnknown), (httpx.ReadError, OutcomeUnknown),
     (httpx.WriteError, OutcomeUnknown), (httpx.RemoteProtocolError, OutcomeUnknown), (ConnectionResetError, OutcomeUnknown)],
)  # fmt: skip
def test_not_sent_and_unknown_are_told_apart(raised, error):
    def provider(request):
        raise raised("x")

    with pytest.raises(error):
        place(provider)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"<html>", b"[]", b'"x"', b"{}", b'{"Id": ""}', b'{"Id": null}', b'{"Id": {"a": 1}}', b'{"Id": "../x"}',
     b'{"Id": "a/b"}', b'{"Id": NaN}', b"\xff\xfe", b"[" * 5000, b'{"Id": "x", "V": 1' + b"0" * 5000 + b"}"],
)  # fmt: skip
def test_a_2xx_that_cannot_be_read_is_unknown_and_no_failure(body):
    with pytest.raises(OutcomeUnknown):
        place(httpx.Response(201, content=body))


def test_an_oversized_answer_is_not_read_to_the_end():
    with pytest.raises(OutcomeUnknown, match="too large"):
        place(httpx.Response(201, content=b'{"Id": "x", "Pad": "' + b"x" * 1_100_000 + b'"}'))


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("0", 0.0), ("999999", 3600.0), ("soon", None), ("", None), ("-3", None)]
)
def test_retry_after_in_seconds(header, seconds):
    with pytest.raises(SlowDown) as caught:
        place(httpx.Response(429, headers={"Retry-After": header}))
    assert caught.value.retry_after == seconds


def test_retry_after_as_a_date():
    stamp = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 60))
    with pytest.raises(SlowDown) as caught:
        place(httpx.Response(429, headers={"Retry-After": stamp}))
    assert 55 < caught.value.retry_after <= 60


@pytest.mark.parametrize(
    ("body", "location", "candidates"),
    [
        ({"Id": "a"}, "", ("a",)),
        ({"orderid": "a"}, "", ("a",)),
        ({"PreviousOrderId": 17}, "", ("17",)),
        ({"OriginalOrderId": "a", "ExistingOrderId": "b"}, "", ("a", "b")),
        ({"previousOrderIds": ["a", "b", "a"]}, "", ("a", "b")),
        ({"OrderIds": [{"id": "a"}, {"ID": "b"}]}, "", ("a", "b")),
        ({"data": {"Id": "a"}}, "", ("a",)),
        ({"error": {"previousOrderIds": ["a"]}}, "", ("a",)),
        ({"errors": [{"OrderId": "a"}]}, "", ("a",)),
        ({"Order": {"id": "a"}}, "", ("a",)),
        ({}, "https://p.test/v1/Orders/a/", ("a",)),
        ({}, "/v1/orders/a", ("a",)),
        ({}, "/v1/Other/a", ()),
        ({"message": "used"}, "", ()),
        ({"Id": "../../etc"}, "", ()),
        ([], "", ()),
    ],
)
def test_every_shape_of_409_is_read(body, location, candidates):
    with pytest.raises(Conflict) as caught:
        place(httpx.Response(409, json=body, headers={"Location": location} if location else {}))
    assert caught.value.candidates == candidates


@pytest.mark.parametrize("raw", [b"", b"<html>", b"{"])
def test_a_409_without_a_readable_body_has_no_candidates(raw):
    with pytest.raises(Conflict) as caught:
        place(httpx.Response(409, content=raw))
    assert caught.value.candidates == ()


@pytest.mark.parametrize("style", [str, str.lower, str.upper, lambda key: key[:1].lower() + key[1:]])
def test_keys_are_read_in_any_casing(style):
    line = {"ProductId": "P", "Value": 1, "Quantity": 1, "Cost": 2, "Status": "Completed",
            "ClaimData": [{"Id": "c", "ClaimLink": "https://c", "ClaimLinkChallengeAnswer": "42"}]}  # fmt: skip
    body = {"Id": "o", "Status": "Completed", "PONumber": "N", "LineItems": [_styled(line, style)]}
    found = reading.order(reading.parse(json.dumps(_styled(body, style)).encode()))
    assert (found.id, found.po_number, found.progress) == ("o", "N", Progress.SUCCESS)
    assert (found.lines[0].cost, found.claims[0].link, found.claims[0].answer) == (2, "https://c", "42")
    assert "https://c" not in repr(found)


def _styled(value, style):
    if isinstance(value, dict):
        return {style(key): _styled(item, style) for key, item in value.items()}
    return [_styled(item, style) for item in value] if isinstance(value, list) else value


def test_amounts_are_decimals_to_the_last_digit():
    found = reading.order(reading.parse(b'{"Id":"o","LineItems":[{"Value":0.1,"Cost":24.379999999999999999}]}'))
    assert (found.lines[0].value, found.lines[0].cost) == (Decimal("0.1"), Decimal("24.379999999999999999"))


@pytest.mark.parametrize(
    ("status", "line", "progress"),
    [
        ("Completed", "Completed", Progress.SUCCESS), ("fulfillment_complete", None, Progress.SUCCESS),
        ("In Progress", None, Progress.IN_PROGRESS), ("Completed", "Pending", Progress.IN_PROGRESS),
        ("Pending", "Completed", Progress.IN_PROGRESS), ("Completed", "Failed", Progress.FAILURE),
        ("Cancelled", None, Progress.FAILURE), ("PartiallyCompleted", None, Progress.UNKNOWN), ("", None, Progress.UNKNOWN),
        ("Shipped", None, Progress.UNKNOWN), ("Completed", "Delivered", Progress.UNKNOWN), ("VOIDED", None, Progress.FAILURE),
    ],
)  # fmt: skip
def test_status_words(status, line, progress):
    entry = {"id": "o", "status": status, "lineitems": [{"status": line}] if line else []}
    assert reading.order(entry).progress == progress


@pytest.mark.parametrize("envelope", [None, "data", "items", "Results", "products", "value"])
def test_lists_come_bare_or_in_an_envelope(envelope):
    pages = {"1": [{"Id": "a"}, {"Id": "b"}], "2": [{"Id": "b"}, {"Id": "c"}], "3": []}

    def provider(request):
        page = pages[request.url.params["pageIndex"]]
        return httpx.Response(200, json={envelope: page} if envelope else page)

    found = client_for(provider).list_products(token="t", deadline=Deadline(5))
    assert [product.id for product in found] == ["a", "b", "c"]


def test_an_ignored_page_index_does_not_go_on_for_ever():
    calls = []

    def provider(request):
        calls.append(request)
        return httpx.Response(200, json=[{"Id": "a"}])

    assert len(client_for(provider).list_products(token="t", deadline=Deadline(5))) == 1
    assert len(calls) == 2


def test_an_answer_about_another_order_is_not_believed():
    with pytest.raises(OutcomeUnknown):
        client_for(httpx.Response(200, json={"Id": "b"})).get_order("a", token="t", deadline=Deadline(5))


def test_no_secret_is_in_errors_reprs_or_logs(caplog):
    caplog.set_level("DEBUG")
    raw = {
        "message": "no: rep@team.example",
        "ClaimLink": "https://claim/x1",
        "AccessToken": "top-secret",
        "n": "+14155550123",
    }
    client = client_for(httpx.Response(400, json=raw))
    with pytest.raises(Refused) as caught:
        client.place_order(b"{}", token="bearer-secret", deadline=Deadline(5))
    told = f"{caught.value!r} {caught.value.evidence} {client!r} {caplog.text}"
    for secret in ("rep@team.example", "claim/x1", "top-secret", "bearer-secret", "14155550123"):
        assert secret not in told
    assert "no: [email]" in str(caught.value)


# --- real sockets -------------------------------------------------------------------------------------------------------
def _listen(talk):
    """A server on a loopback port that accepts one connection and lets `talk(socket)` answer it."""
    server = socket.create_server(("127.0.0.1", 0))

    def run():
        with server, server.accept()[0] as connection:
            connection.recv(65536)
            talk(connection)

    threading.Thread(target=run, daemon=True).start()
    return f"http://127.0.0.1:{server.getsockname()[1]}"


def _drip(text: bytes):
    def talk(connection):
        try:
            for byte in text:
                connection.sendall(bytes([byte]))
                time.sleep(0.1)
        except OSError:
            pass

    return talk


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 201 Created\r\nContent-Length: 400\r\n\r\n" + b" " * 400,
        b"HTTP/1.1 201 Created\r\nX-Slow: " + b"x" * 400,
    ],
    ids=["body", "headers"],
)
def test_a_dripping_answer_ends_at_the_deadline(text):
    client = ProviderClient(base_url=_listen(_drip(text)), email="a", access_token="b")
    started = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        client.place_order(b"{}", token="t", deadline=Deadline(0.6))
    assert time.monotonic() - started < 2


def test_nobody_listening_is_not_sent_and_a_reset_is_unknown():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    client = ProviderClient(base_url=f"http://127.0.0.1:{port}", email="a", access_token="b")
    with pytest.raises(NotSent):
        client.place_order(b"{}", token="t", deadline=Deadline(5))
    client = ProviderClient(base_url=_listen(lambda connection: None), email="a", access_token="b")
    with pytest.raises(OutcomeUnknown):
        client.place_order(b"{}", token="t", deadline=Deadline(5))


def test_a_server_without_a_trusted_certificate_gets_no_request():
    received = []

    def talk(connection):
        received.append(connection)

    url = _listen(talk).replace("http:", "https:")
    client = ProviderClient(base_url=url, email="a", access_token="top-secret")
    with pytest.raises(NotSent):
        client.place_order(b'{"secret": 1}', token="t", deadline=Deadline(5))
