"""The design itself: contrast of the tokens, templates without anything inline, pages that stand on their own."""

import re

import pytest
from django.conf import settings
from django.template import engines
from django.template.loader import render_to_string

from tests.factories import make_user
from tests.support.html import assert_page_clean

TEMPLATES = sorted((settings.BASE_DIR / "templates").rglob("*.html"))
TOKENS = dict(
    re.findall(r"--([\w-]+): light-dark\((#\w{6}, #\w{6})\)", (settings.BASE_DIR / "static/css/tokens.css").read_text())
)
GROUNDS = ("bg", "surface", "surface-2", "surface-3")
READ = [(text, ground) for text in ("text", "text-2", "accent-text") for ground in (*GROUNDS, "accent-soft")]
READ += [("text-3", ground) for ground in ("bg", "surface", "surface-2")]
READ += [(tone, f"{tone}-bg") for tone in ("success", "info", "warn", "danger", "held", "quiet")]
READ += [
    ("on-accent", "accent"),
    ("on-accent", "accent-hover"),
    ("on-danger", "danger-fill"),
    ("gold", "gold-soft"),
    ("bronze", "bronze-soft"),
]
READ += [("danger", "surface"), ("danger", "surface-2"), ("danger", "accent-soft")]
SEEN = [
    ("line-strong", "surface"),
    ("focus", "surface"),
    ("focus", "bg"),
    ("accent", "surface-3"),
    ("warn-fill", "surface-3"),
]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str, theme: int) -> float:
    a, b = sorted(luminance(TOKENS[name].split(", ")[theme]) for name in (one, other))
    return (b + 0.05) / (a + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_and_marks_have_the_contrast_of_wcag_aa(theme):
    weak = [(pair, round(contrast(*pair, theme), 2)) for pair in READ if contrast(*pair, theme) < 4.5]
    weak += [(pair, round(contrast(*pair, theme), 2)) for pair in SEEN if contrast(*pair, theme) < 3]
    assert weak == []


def test_every_token_used_exists():
    css = "".join(path.read_text() for path in (settings.BASE_DIR / "static/css").glob("*.css"))
    assert set(re.findall(r"var\(--([\w-]+)\)", css)) - set(re.findall(r"--([\w-]+):", css)) == set()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(settings.BASE_DIR / "templates")))
def test_a_template_compiles_and_has_nothing_inline(path):
    source = path.read_text()
    engines["django"].from_string(source)
    styles = r"\sstyle=|<style|"
    if path.parent.name == "emails":  # mail programs read inline styles alone, and no mail is ever served as a page
        styles = ""
    assert not re.search(rf"{styles}\son[a-z]+=\"|javascript:", source)
    assert [line for line in source.splitlines() if line.count("{#") != line.count("#}")] == [], (
        "a {# comment #} ends on its line"
    )
    assert not re.search(r"<script(?![^>]*(src=|application/json))", source)


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "429", "500"])
def test_an_error_page_needs_nothing_and_says_what_to_do(name):
    page = assert_page_clean(render_to_string(f"{name}.html"))
    assert page.links and "Laurel" in page.text


@pytest.mark.django_db
def test_unknown_pages_answer_404_in_the_design_for_everybody(client):
    assert "There is nothing here for you" in assert_page_clean(client.get("/nothing/")).text
    client.force_login(make_user("finance"))
    response = client.get("/nothing/")
    assert response.status_code == 404
    assert_page_clean(response)


@pytest.mark.django_db
def test_a_broken_page_answers_500_in_the_design(client, monkeypatch):
    client.raise_request_exception = False
    client.force_login(make_user("administrator"))
    monkeypatch.setattr("incentives.core.views.AuditPage.get_queryset", lambda self: 1 / 0)
    response = client.get("/audit/")
    assert (response.status_code, "Something broke on our side" in assert_page_clean(response).text) == (500, True)


@pytest.mark.django_db
def test_the_style_guide_is_for_administrators(client, settings):
    assert client.get("/styleguide/").status_code == 404
    client.force_login(make_user("finance"))
    assert client.get("/styleguide/").status_code == 404
    client.force_login(make_user("administrator"))
    page = assert_page_clean(client.get("/styleguide/"))
    assert "Ensure this value is greater than or equal to 0.01." in page.text
    settings.DEBUG = True
    client.logout()
    assert_page_clean(client.get("/styleguide/"))


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["en", "es", "fr"])
@pytest.mark.parametrize(
    "address",
    ["/", "/audit/", "/people/", "/people/invite/", "/profile/", "/accounts/password/change/", "/accounts/logout/"],
)
def test_pages_are_clean(client, address, language):
    client.force_login(make_user("administrator", language=language, password="a long password"))
    response = client.get(address)
    assert response.status_code == 200
    assert f'<html lang="{language}">' in response.content.decode()
    assert_page_clean(response)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "address",
    [
        "/accounts/login/",
        "/accounts/password/reset/",
        "/accounts/password/reset/done/",
        "/accounts/signup/",
        "/accounts/inactive/",
        "/accounts/password/reset/key/1-no/",
        "/accounts/password/reset/key/done/",
    ],
)
def test_pages_of_visitors_are_clean(client, address):
    response = client.get(address)
    assert response.status_code == 200
    assert_page_clean(response)


def _entries(response) -> list[dict]:
    return [entry for group in response.context["nav"] for entry in group["entries"]]


@pytest.mark.django_db
def test_navigation_leaves_out_pages_that_do_not_exist_and_marks_the_present_one(client, monkeypatch):
    items = [
        ("core:audit", "Audit trail", "audit", "audit.view"),
        ("nowhere:list", "Nowhere", "dot", None),
        ("portal:home", "Start", "home", None),
    ]
    groups = [(None, items), ("Empty", [("nowhere:else", "Nowhere", "dot", None)])]
    monkeypatch.setattr("incentives.accounts.context_processors.GROUPS", groups)
    client.force_login(make_user("auditor"))
    nav = _entries(client.get("/audit/"))
    assert [(item["url"], item["current"]) for item in nav] == [("/audit/", True), ("/", False)]
    assert "Empty" not in client.get("/audit/").content.decode()
    client.force_login(make_user("participant"))
    assert [item["url"] for item in _entries(client.get("/profile/"))] == ["/"]
