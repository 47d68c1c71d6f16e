"""A provider in this process, with a clock that tests move: `world`."""

import datetime
import time

import pytest
from django.test import RequestFactory

from rewards import clock, failpoints, services, webhooks
from rewards.bodies import DigitalDelivery, Links
from rewards.models import Channel, RewardOrder
from rewards.money import Money
from rewards.provider.client import ProviderClient
from rewards.sandbox.core import Sandbox
from rewards.sandbox.inprocess import SandboxTransport
from rewards.sweep import sweep_once


def usd(text: str) -> Money:
    return Money(int(text.replace(".", "")), "USD")


class World:
    """The sandbox, a client on it, and time."""

    def __init__(self, monkeypatch):
        self.offset = 0.0
        real = clock.now
        monkeypatch.setattr(clock, "now", lambda: real() + datetime.timedelta(seconds=self.offset))
        self.sandbox = Sandbox(clock=lambda: time.time() + self.offset)
        self.transport = SandboxTransport(self.sandbox)
        self.client = self.new_client()
        self.made, self.late = 0, []
        self.sandbox._later = lambda seconds, action: self.late.append((time.time() + self.offset + seconds, action))
        self.sandbox.announce = self.post_hook

    def new_client(self) -> ProviderClient:
        return ProviderClient(
            base_url="https://provider.test", email="a@b.test", access_token="secret", transport=self.transport
        )

    def faults(self, *rules: dict) -> None:
        self.sandbox.faults.replace(list(rules))

    def advance(self, seconds: float) -> None:
        self.offset += seconds
        due = [entry for entry in self.late if entry[0] <= time.time() + self.offset]
        self.late = [entry for entry in self.late if entry not in due]
        for _, action in due:
            action()

    def post_hook(self, url: str) -> int:
        """What the provider's webhook does: a POST to our view. The status it was answered."""
        token = url.rsplit("/", 1)[1]
        request = RequestFactory().post(f"/hooks/rewards/{token}", b"{}", content_type="application/json")
        return webhooks.receive(request, token).status_code

    def deliver_hooks(self) -> None:
        """One round of the sandbox's webhook thread."""
        self.sandbox.store.ripen()
        for row in self.sandbox.store.hooks_due():
            times = row["hook_times"]
            if times > 100:
                assert self.post_hook(row["hook"].rsplit("/", 1)[0] + "/" + "f" * 43) == 404
                times -= 100
            delivered = [self.post_hook(row["hook"]) == 204 for _ in range(times)]
            self.sandbox.store.hook_done(row["seq"], all(delivered), row["hook_tries"] + 1)

    def order(self, **changes) -> RewardOrder:
        """A draft of 25.00 USD of CVS by e-mail; `links=True` for a claim link."""
        self.made += 1
        links = changes.pop("links", False)
        given = {
            "reference": f"payout:{self.made}",
            "po_parts": ["test", str(self.made)],
            "product_id": "CVS",
            "value": usd("25.00"),
            "delivery": Links() if links else DigitalDelivery(email=f"rep{self.made}@team.example"),
            "approval_hash": "a" * 64,
            **changes,
        }
        return services.create_order(**given)

    def sweep(self, seconds: float = 5) -> dict[str, int]:
        return sweep_once(inline=True, client=self.client, seconds=seconds)

    def settle(self, rounds: int = 40, step: float = 200) -> None:
        """Sweep and let time pass until nothing is open, or `rounds` are over."""
        for _ in range(rounds):
            self.sweep()
            if not RewardOrder.objects.filter(state__in=("draft", "submitting", "pending")).exists():
                return
            self.advance(step)

    def books(self) -> dict:
        return self.sandbox.store.books()

    def posts(self) -> list:
        return [r for r in self.transport.requests if r.method == "POST" and r.path == "/v1/Orders"]

    def channel(self) -> Channel:
        return Channel.objects.get(name="default")


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    failpoints.disarm()


@pytest.fixture
def quiet_nudges(monkeypatch):
    """No broker: hints are counted, not sent."""
    sent = []
    monkeypatch.setattr("rewards.nudges.publish", lambda pk, task="rewards.send_order": sent.append((task, pk)) or True)
    monkeypatch.setattr("rewards.sweep.publish", lambda pk, task="rewards.send_order": sent.append((task, pk)) or True)
    return sent


@pytest.fixture
def world(db, monkeypatch, quiet_nudges):
    """With the catalogue fetched and nothing sent yet."""
    world = World(monkeypatch)
    services.refresh_catalogue(client=world.client)
    world.transport.requests.clear()
    return world
