"""Two kinds of notices of the tests' own, real chat and mail servers, and people."""

import pytest
from django.db import transaction

from incentives.notifications import Content, notify, registry
from incentives.notifications.models import ChannelEndpoint, Delivery
from incentives.notifications.registry import Kind
from rewards import vault
from tests.factories import make_user
from tests.support.stand_ins import ChatServer, MailServer, certificate

NEWS, DUTY, OTHER = "test.news", "test.duty", "test.other"
gone: set[str] = set()
"""Keys of notices that are no longer true."""


def said(items, reader) -> Content | None:
    left = [item for item in items if item.key not in gone]
    if not left:
        return None
    lines = [item.data.get("text", item.key) for item in left]
    shown = [{"name": f"{len(left)} things", "lines": lines}]
    summary = " / ".join(lines)
    return Content(f"News: {len(left)}", {"contests": shown}, summary=summary, link="/me/", link_label="Look")


@pytest.fixture(autouse=True)
def kinds(monkeypatch):
    """Registered beside the real ones, for the time of a test."""
    known = dict(registry._kinds)
    for name, more in (
        (NEWS, {"chat": True}),
        (OTHER, {"chat": True}),
        (DUTY, {"chat": True, "duty": True}),
    ):
        known[name] = Kind(name, f"Label of {name}", said, "contest", **more)
    monkeypatch.setattr(registry, "_kinds", known)
    gone.clear()
    return known


def tell(to, *keys: str, kind: str = NEWS, **data) -> None:
    """Each key in a transaction of its own."""
    for key in keys:
        with transaction.atomic():
            notify(kind, to=to, key=key, data=data or {"text": f"about {key}"})


@pytest.fixture
def ann(db):
    return make_user("manager", email="ann@example.com", name="Ann Lee")


@pytest.fixture(scope="session")
def pem(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"), "localhost", "chat.test")


@pytest.fixture
def chat_server(pem, settings):
    """The operator trusts this machine's own chat server."""
    settings.OUTGOING_CA_FILE = str(pem)
    settings.OUTGOING_PRIVATE_NETWORKS = ["127.0.0.0/8", "::1/128"]
    server = ChatServer(pem)
    yield server
    server.stop()


@pytest.fixture
def mail_server(settings):
    server = MailServer()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 3
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    yield server
    server.stop()


def make_endpoint(url: str, *kinds: str, name: str = "General", channel: str = "slack", **fields) -> ChannelEndpoint:
    row = ChannelEndpoint(name=name, channel=channel, host="localhost", kinds=list(kinds or (NEWS,)), **fields)
    row.sealed = vault.seal(row.label, {"url": url})
    row.save()
    return row


def states(**where) -> list[tuple[str, int]]:
    """(status, notices) of every message, oldest first."""
    return list(Delivery.objects.filter(**where).order_by("pk").values_list("status", "count"))
