"""The OpenAPI document, the page that shows it, and addresses that do not exist."""

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from incentives.api.documents import openapi
from incentives.api.scopes import SCOPES
from tests.api.conftest import problem
from tests.factories import make_user
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db


def operations():
    return [(path, method, entry) for path, methods in openapi()["paths"].items() for method, entry in methods.items()]


def test_the_document_is_valid_openapi_3_1_and_open(client):
    answer = client.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    document = answer.json()
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()
    assert document == openapi()


def test_every_operation_names_its_scope_its_errors_and_its_key():
    for path, method, entry in operations():
        assert [list(need) for need in entry["security"]] == [["token"]], path
        assert entry["security"][0]["token"][0] in SCOPES
        assert {"400", "401", "403", "404", "422", "429", "503"} <= set(entry["responses"]), path
        names = {parameter["name"]: parameter for parameter in entry["parameters"]}
        if method == "post":
            assert names["Idempotency-Key"]["required"] == (path != "/api/v1/activities"), path
        if method == "get" and "{" not in path:
            assert {"limit", "cursor"} <= set(names), path


def test_the_page_is_of_laurel_and_needs_nothing_from_elsewhere(client):
    client.force_login(make_user("manager"))
    answer = client.get("/api/v1/docs")
    assert_page_clean(answer)
    text = answer.content.decode()
    assert all(f"{method.upper()} {path}" in text for path, method, _entry in operations())
    assert "<script>" not in text and "unsafe" not in answer["Content-Security-Policy"]


def test_what_does_not_exist_is_a_problem_too(client):
    for path in ("/api/v1/", "/api/v1/nothing", "/api/v1/activities/", "/api/v1/docs/"):
        assert problem(client.get(path)) == (404, "not_found"), path
    answer = client.delete("/api/v1/activities")
    assert problem(answer) == (405, "method_not_allowed")
    assert set(answer["Allow"].split(", ")) == {"GET", "POST"}
    assert problem(client.post("/api/v1/openapi.json")) == (405, "method_not_allowed")
