"""The sandbox as a server: its books survive SIGKILL, its faults are real, and only this machine reaches it."""

import json
import socket
import time
from http.client import HTTPConnection
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from django.core.management import CommandError, call_command

from rewards import services
from rewards.dispatch import provider_client
from rewards.models import Product, RewardOrder
from rewards.provider.client import Deadline, ProviderClient
from rewards.provider.errors import OutcomeUnknown, SlowDown, TokenInvalid
from rewards.sandbox.core import Sandbox
from rewards.sandbox.faults import KINDS
from rewards.sweep import sweep_once

BODY = (
    b'{"Type":"DigitalDelivery","LineItems":[{"ProductId":"CVS","Value":25,"Quantity":1,'
    b'"DigitalDeliveryAddress":{"Email":"a@b.co"}}],"PONumber":"%s"}'
)


def admin(sandbox, path: str, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"{sandbox.url}/_sandbox/{path}", data), timeout=10) as answer:
        return json.load(answer)


@pytest.fixture
def client(sandbox) -> ProviderClient:
    return ProviderClient(base_url=sandbox.url, email="api@example.com", access_token="x")


@pytest.fixture
def token(client) -> str:
    return client.mint_token(deadline=Deadline(5)).value


def place(client, token, po: str, seconds=5.0):
    return client.place_order(BODY % po.encode(), token=token, deadline=Deadline(seconds))


def test_faults_on_the_wire_prove_what_they_should(sandbox, client, token):
    """Every fault of the connection, through a real socket; then the books say what was accepted."""
    accepted = {"reset_after", "timeout_after", "504_after", "500_after", "502_after", "truncated", "not_json", "no_id",
                "oversize", "drip"}  # fmt: skip
    refused = {"reset_before", "timeout_before", "504_before", "500_before", "502_html", "503_html", "redirect"}
    for fault in sorted(accepted | refused):
        admin(sandbox, "faults", [{"fault": fault, "po": fault, "seconds": 0.3}])
        with pytest.raises(OutcomeUnknown):
            place(client, token, fault, 2)
    admin(sandbox, "faults", [])
    assert {order["po"] for order in admin(sandbox, "orders")["orders"]} == accepted
    books = admin(sandbox, "books")
    assert (books["orders"], books["face_value"], books["available"]) == (10, "250.00", "999758.70")
    admin(sandbox, "faults", [{"fault": "429", "next": 1, "seconds": 9}, {"fault": "401", "next": 1}])
    with pytest.raises(SlowDown) as caught:
        place(client, token, "slow")
    assert caught.value.retry_after == 9
    for _ in range(2):
        with pytest.raises(TokenInvalid):
            place(client, token, "slow")


def test_the_books_survive_sigkill(processes, tmp_path):
    arguments = ("sandbox", "--db", str(tmp_path / "books.sqlite3"))
    server = processes.server(*arguments)
    client = ProviderClient(base_url=server.url, email="a", access_token="b")
    token = client.mint_token(deadline=Deadline(5)).value
    placed = [place(client, token, f"po-{number}") for number in range(5)]
    server.kill()
    server = processes.server(*arguments)
    client = ProviderClient(base_url=server.url, email="a", access_token="b")
    assert client.get_order(placed[3].id, token=token, deadline=Deadline(5)).po_number == "po-3"
    assert admin(server, "books")["orders"] == 5


def test_pictures_admin_and_strangers(sandbox):
    with urlopen(f"{sandbox.url}/media/CVS.svg", timeout=5) as answer:
        assert answer.headers["Content-Type"] == "image/svg+xml"
        assert b"CVS Pharmacy" in answer.read()
    assert admin(sandbox, "fund", {"amount": "10.50"})["available"] == "1000010.50"
    for path, body in (
        ("faults", [{"fault": "gremlins"}]),
        ("options", {"colour": 1}),
        ("faults", [{"fault": "401", "probability": 7}]),
    ):
        with pytest.raises(HTTPError) as caught:
            admin(sandbox, path, body)
        assert "expected" in json.load(caught.value)["error"]
    connection = HTTPConnection("127.0.0.1", sandbox.port, timeout=5)
    connection.request("GET", "/v1/Products")
    assert connection.getresponse().status == 401


def test_it_refuses_an_address_others_can_reach(tmp_path):
    with pytest.raises(CommandError, match="--allow-remote"):
        call_command("sandbox", "--host", "0.0.0.0", "--port", "0")
    with pytest.raises(CommandError, match="fault: expected one of"):
        call_command("sandbox", "--port", "0", "--faults", '[{"fault": "gremlins"}]')
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CommandError, match="in use"):
        call_command("sandbox", "--port", str(taken.getsockname()[1]))


def test_every_fault_has_a_description_and_a_seed_repeats_a_run():
    assert all(KINDS.values())
    rules = [{"fault": "504_after", "probability": 0.3}]

    def drawn(seed):
        faults = Sandbox(faults=rules, seed=seed).faults
        return [faults.draw(KINDS, "POST /v1/Orders") is not None for _ in range(50)]

    assert drawn(7) == drawn(7) != drawn(8)
    assert 5 <= sum(drawn(7)) <= 25


def test_order_to_card_over_http_by_sweep_alone(sandbox):
    """The engine needs no broker and no worker (rule 1)."""
    assert services.refresh_catalogue(force=True) == 13
    assert Product.objects.get(product_id="CVS").image_url == f"{sandbox.url}/media/CVS.svg"
    from tests.rewards.conftest import usd

    for number in range(5):
        services.create_order(
            reference=str(number), po_parts=[str(number)], product_id="ANYCARD", value=usd("12.00"),
            delivery=services.Links(), approval_hash="a",
        )  # fmt: skip
    found = sweep_once(inline=True, threads=2, seconds=20)
    assert found["processed"] == 5
    assert RewardOrder.objects.filter(state="completed").count() == 5
    assert admin(sandbox, "books")["face_value"] == "60.00"
    assert provider_client() is provider_client()


@pytest.mark.chaos
@pytest.mark.parametrize("point", ["CP6", "CP7", "CP8", "CP9", "CP10", "CP11", "CP12"])
def test_a_process_killed_at_each_point_loses_and_doubles_nothing(sandbox, processes, settings, point):
    """SIGKILL, for real: what only the process knew is gone, and its lease is all that is left of it."""
    from tests.rewards.conftest import usd

    services.refresh_catalogue(force=True)
    order = services.create_order(
        reference="r",
        po_parts=["p"],
        product_id="CVS",
        value=usd("25.00"),
        delivery=services.Links(),
        approval_hash="a",
    )
    script = (
        "import os, signal, django; django.setup()\n"
        "from rewards import dispatch, failpoints\n"
        f"failpoints.arm({point!r}, lambda: os.kill(os.getpid(), signal.SIGKILL))\n"
        "dispatch.drain(seconds=5)\n"
    )
    import sys

    process = processes.start(sys.executable, "-c", script, name="killed")
    assert process.wait(60) == -9
    settings.E2R_SLOT_LEASE_SECONDS = 1
    RewardOrder.objects.update(lease_until=None)  # three minutes later
    type(order.channel).objects.get().slots.update(lease_until=None)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        sweep_once(inline=True, seconds=5)
        order.refresh_from_db()
        if order.is_final:
            break
        RewardOrder.objects.filter(state="submitting").update(next_attempt_at=order.created_at)
    assert (order.state, order.cards.count(), admin(sandbox, "books")["orders"]) == ("completed", 1, 1)
