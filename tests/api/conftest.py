"""`api(user, "scope", ...)` is a client with a token of that user: `get`, `post`, `patch` answer with `.status_code`, `.json()`."""

import itertools
import json

import pytest

from incentives.api import auth, tokens
from incentives.crm import hooks
from tests.factories import make_connection

_n = itertools.count(1)


@pytest.fixture(autouse=True)
def quiet(settings, monkeypatch):
    """No broker, no memory of other tests."""
    settings.ALLOWED_HOSTS = ["testserver", "localhost"]
    monkeypatch.setattr("incentives.crm.nudge._nudger.wake", lambda: None)
    monkeypatch.setattr(hooks, "connections_bucket", hooks.Bucket())
    monkeypatch.setattr("incentives.api.v1.activities.connections_bucket", hooks.Bucket())
    monkeypatch.setattr(auth, "strangers", hooks.Bucket())


class Api:
    """Speaks to /api/v1/ with one token. Each POST has a key of its own unless `key=` says otherwise (None: none)."""

    def __init__(self, client, secret: str, token=None):
        self.client, self.secret, self.token = client, secret, token

    def send(self, method: str, path: str, body=None, *, key: str | None = "", headers=None, raw=None, **query):
        headers = {"Authorization": f"Bearer {self.secret}", **(headers or {})}
        if method == "post" and key is not None:
            headers["Idempotency-Key"] = key or f'"k-{next(_n)}"'
        path = path if path.startswith("/api/") else f"/api/v1{path}"
        if method == "get":
            return self.client.get(path, query, headers=headers)
        text = raw if raw is not None else "" if body is None else json.dumps(body)
        return getattr(self.client, method)(path, text, content_type="application/json", headers=headers)

    def get(self, path, **query):
        return self.send("get", path, **query)

    def post(self, path, body=None, **more):
        return self.send("post", path, body, **more)

    def patch(self, path, body=None, **more):
        return self.send("patch", path, body, **more)

    def all(self, path, **query) -> list[dict]:
        """Every row of a list, page by page."""
        rows, cursor = [], ""
        while True:
            answer = self.get(path, **query, **({"cursor": cursor} if cursor else {}))
            assert answer.status_code == 200, answer.content
            rows += answer.json()["data"]
            cursor = answer.json()["next_cursor"]
            if not cursor:
                return rows


def token_for(user, *scopes, connection=None, actor=None, days: int = 30, name: str = "Test") -> tokens.Made:
    if "activities:write" in scopes and connection is None:
        connection = make_connection()
    return tokens.create_token(
        actor=actor or user, user=user, name=name, scopes=scopes, days=days, connection=connection
    )


def machine_for(administrator, *scopes, connection=None, name: str = "Robot") -> tokens.Made:
    if "activities:write" in scopes and connection is None:
        connection = make_connection()
    return tokens.create_machine_token(actor=administrator, name=name, scopes=scopes, days=30, connection=connection)


@pytest.fixture
def api(client):
    def make(user, *scopes, **more) -> Api:
        made = token_for(user, *scopes, **more)
        return Api(client, made.secret, made.token)

    return make


@pytest.fixture
def robot(client):
    def make(administrator, *scopes, **more) -> Api:
        made = machine_for(administrator, *scopes, **more)
        return Api(client, made.secret, made.token)

    return make


def problem(answer) -> tuple[int, str]:
    """(status, code) of a refusal, checked to be a whole problem document."""
    body = answer.json()
    assert answer["Content-Type"] == "application/problem+json"
    assert set(body) == {"type", "title", "status", "detail", "code", "request_id", "errors"}
    assert (body["type"], body["status"]) == (f"urn:laurel:problem:{body['code']}", answer.status_code)
    assert answer["Cache-Control"] == "no-store"
    return answer.status_code, body["code"]
