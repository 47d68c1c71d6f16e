"""A real Chromium of the system's, through Playwright. Never downloads one."""

import os

import pytest
from django.db import connections

from tests.support.environment import ROOT
from tests.support.services import Missing, chromium_program

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
OUTPUT = ROOT / "test-output"


@pytest.fixture(scope="session")
def chromium():
    """The browser of this test process."""
    from playwright.sync_api import sync_playwright

    try:
        program = chromium_program()
    except Missing:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    # Playwright keeps an event loop running in this thread, which Django would take for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        connections.close_all()  # those of this event loop, which nobody could reach afterwards
        browser.close()


@pytest.fixture
def new_page(chromium, live_server, request):
    """A factory of pages on the live server, each in a context of its own: `new_page(width=390, colors="dark")`."""
    contexts, problems = [], []

    def make(width: int = 1280, height: int = 900, colors: str = "light", **options):
        context = chromium.new_context(
            base_url=live_server.url, viewport={"width": width, "height": height}, color_scheme=colors, **options
        )
        contexts.append(context)
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
        page.on("console", lambda line: _note(problems, page, line))
        return page

    yield make
    if getattr(request.node, "failed_call", False):
        _keep_pictures(request.node.name, contexts)
    for context in contexts:
        context.close()
    assert problems == [], "the browser reported script errors or content-security violations"


def _note(problems: list[str], page, line) -> None:
    if line.type == "error" and "Content Security Policy" in line.text:
        problems.append(f"{page.url}: {line.text}")


def _keep_pictures(name: str, contexts: list) -> None:
    OUTPUT.mkdir(exist_ok=True)
    for number, page in enumerate(page for context in contexts for page in context.pages):
        page.screenshot(path=OUTPUT / f"{name.replace('/', '_')}-{number}.png", full_page=True)


@pytest.fixture
def page(new_page):
    """One page on the live server, 1280 wide, nobody signed in. Paths are relative: `page.goto("/me/")`."""
    return new_page()


@pytest.fixture
def sign_in(live_server):
    """`sign_in(page, user)`: give the page's browser a session of that user, without the form."""
    from django.conf import settings
    from django.test import Client

    def enter(page, user) -> None:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        value = client.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": live_server.url}])

    return enter
