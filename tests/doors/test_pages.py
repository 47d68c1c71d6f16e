"""Every address, found in the URL configuration, by every role: the guard stands before anything is looked up or written.

A page needs nothing here as long as it is a `core.pages.Guarded` with a `permission` of accounts.permissions.GRANTS.
"""

import re

import pytest
from django.http import Http404, HttpResponse
from django.test import RequestFactory
from django.urls import URLPattern, get_resolver
from django.views import View

from incentives.accounts.permissions import GRANTS
from incentives.core.pages import Guarded
from tests.payouts.scene import Scene

pytestmark = pytest.mark.django_db
REACHED = 299
"""What the probe answers in place of a page's own code: the guard let the request through."""

OPEN = {
    "healthz": "the process answers; says nothing of the data",
    "readyz": "whether to send traffic here; says nothing of the data",
    "metrics": "has a token of its own (tests/operations/test_health.py)",
    "hooks/rewards/<str:token>": "the provider; the token is looked up by its hash (tests/rewards/test_webhooks.py)",
    "hooks/<str:token>/events": "facts from machines; token and signature (tests/crm/test_endpoint.py)",
    "boards/<str:token>/": "a screen on the wall; the token is looked up by its hash (tests/portal/test_wall.py)",
    "notifications/unsubscribe/<str:token>/": "whom a signed link names stops hearing of one kind (tests/notifications)",
    "api/v1/openapi.json": "what the API is; says nothing of the data (tests/api/test_document.py)",
    "^api/v1/(?P<rest>.*)$": "every other address of the API: 404",
    "styleguide/": "components without data; 404 but for administrators or with DEBUG (tests/core)",
}
"""Address -> why no person's permission guards it. Whoever is not signed in gets here."""

SIGNED_IN = {
    "": "the first page by role; shows only what each part's own permission allows",
    "search/": "asks the lists one may open (tests/operations/test_search.py)",
    "profile/notifications/": "what one hears of, how often, and when not",
    "profile/": "a person's own name, zone and password",
    "profile/tokens/": "a person's own API tokens",
    "profile/tokens/new/": "a token that acts as the person who makes it (tests/api/test_tokens.py)",
    "profile/tokens/<uuid:public_id>/revoke/": "a person's own API tokens; others' are 404 (tests/api/test_tokens.py)",
    "api/v1/docs": "what the API is; says nothing of the data",
    "accounts/email/": "the address one signs in with; says that an administrator changes it",
}
"""Address of a page with `permission = None` -> why everybody signed in may open it."""

WRITE_BY_READERS = {
    "reports/journal/accounts/<int:pk>/": "its POST asks for accounting.edit itself (tests/reports/test_books_access.py)",
    "me/terms/<uuid:public_id>/": "me.view: the recipient accepts their own terms",
}
"""Address of a page that answers POST although its permission only reads -> what it may write."""

FOREIGN = ("accounts/", "admin/")
"""allauth's pages and the Django admin: tests/accounts/test_sign_in.py, tests/doors/test_admin.py."""

API = "api/v1/"
"""The operations of the API have tokens and scopes: tests/doors/test_api.py finds each and tries it with every role."""


def walk(patterns, prefix: str = "", space: str = ""):
    """(address, name, view) of every page below."""
    for pattern in patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield address, f"{space}:{pattern.name}" if space else pattern.name, pattern.callback
        else:
            yield from walk(pattern.url_patterns, address, pattern.namespace or space)


FOUND = {entry[0]: entry for entry in reversed(list(walk(get_resolver().url_patterns)))}  # of two the first answers
ALL = [
    entry
    for address, entry in FOUND.items()
    if not address.startswith((*FOREIGN, API)) or address in SIGNED_IN or address in OPEN
]
PAGES = [(address, name, view.view_class) for address, name, view in ALL if address not in OPEN]
PLACE = re.compile(r"<(?:(\w+):)?(\w+)>")
EXAMPLE = {
    "uuid": "0e3a5f6e-4a5b-4a35-a1b2-6a4b5f0f9d11", "int": "987654", "slug": "csv", "str": "2026-01", "path": "x",
    None: "x",
}  # fmt: skip


def filled(address: str) -> str:
    """The address with values of which no row exists."""
    return "/" + PLACE.sub(lambda found: EXAMPLE[found[1]], address)


def permissions(page) -> tuple[str, ...]:
    return (page.permission,) if isinstance(page.permission, str) else page.permission or ()


def admitted(page, user) -> bool:
    return page.permission is None or any(user.can(name) for name in permissions(page))


# --- every page has an entry --------------------------------------------------------------------------------------------
def test_every_address_is_guarded_by_a_permission_of_the_table():
    problems = []
    for address, name, view in ALL:
        page = getattr(view, "view_class", None)
        if address in OPEN:
            continue
        if page is None or not issubclass(page, Guarded):
            problems.append(
                f"/{address} ({name}) is not Guarded. Derive its view from incentives.core.pages.Guarded and give it a "
                f"`permission`; if machines or everybody must get in, add its address and the reason to OPEN in {__name__}."
            )
        elif page.permission is None and address not in SIGNED_IN:
            problems.append(
                f"/{address} ({name}): {page.__name__} has no `permission`. Name one of accounts.permissions.GRANTS; if "
                f"everybody signed in may open it, add its address and the reason to SIGNED_IN in {__name__}."
            )
        problems += [
            f"/{address} ({name}): {page.__name__}.permission names {wanted!r}, which accounts.permissions.GRANTS has not. "
            "Add a row there that says which roles have it."
            for wanted in permissions(page or Guarded)
            if wanted not in GRANTS
        ]
    assert not problems, "\n".join(problems)


def test_the_lists_of_exceptions_name_only_what_exists():
    known = {address for address, _name, _view in ALL}
    assert [address for address in (*OPEN, *SIGNED_IN, *WRITE_BY_READERS, *NEEDS_MORE) if address not in known] == []


def test_a_page_that_writes_asks_for_more_than_reading():
    """Many pages answer POST; whoever only reads must not reach one of them."""
    problems = []
    for address, name, page in PAGES:
        reads = [wanted for wanted in permissions(page) if wanted.endswith(".view")]
        if reads and hasattr(page, "post") and address not in WRITE_BY_READERS:
            problems.append(
                f"/{address} ({name}): {page.__name__} answers POST, and {reads} is enough to get there. Guard it by the "
                f"permission to change; if readers may, add the address and what it writes to WRITE_BY_READERS in {__name__}."
            )
    assert not problems, "\n".join(problems)


# --- the guard, tried -----------------------------------------------------------------------------------------------------
def test_every_address_lets_in_exactly_the_roles_of_its_permission(people, monkeypatch):
    """The page's own code is replaced by a probe, so that both sides are seen on every address without a row behind it."""
    monkeypatch.setattr(View, "dispatch", lambda self, request, *args, **kwargs: HttpResponse(status=REACHED))
    make = RequestFactory()
    wrong = []
    for address, _name, view in ALL:
        if address in OPEN:
            continue
        path = filled(address)
        found = get_resolver().resolve(path)
        for label, user in people.items():
            for method in ("get", "post"):
                request = getattr(make, method)(path)
                request.user = user
                status = _answer(found, request)
                if status != (REACHED if admitted(view.view_class, user) else 404):
                    wrong.append((address, label, method, status))
    assert not wrong, "\n".join(map(str, wrong))


def _answer(found, request) -> int:
    try:
        return found.func(request, *found.args, **found.kwargs).status_code
    except Http404:
        return 404


def test_through_the_whole_stack_a_refusal_is_404_and_a_visitor_is_sent_to_sign_in(client, people):
    """Of an address whose row does not exist: the refusal does not depend on one. By those whom no role admits anywhere."""
    wrong = []
    for label, user in {"superuser": people["superuser"], "nobody": people["nobody"], "visitor": None}.items():
        client.logout()
        if user is not None:
            client.force_login(user)
        for address, _name, page in PAGES:
            if user is not None and admitted(page, user):
                continue
            for method in (client.get, client.post):
                answer = method(filled(address))
                refused = answer.status_code == 404 if user else "/accounts/login/" in answer.get("Location", "")
                if not refused:
                    wrong.append((address, label, answer.status_code))
    assert not wrong, "\n".join(map(str, wrong))


THINGS = {
    "programs/<uuid:public_id>/": lambda s: s.shown.program.public_id,
    "participants/<uuid:public_id>/": lambda s: s.rep.public_id,
    "partners/<uuid:public_id>/": lambda s: s.partner.public_id,
    "people/<uuid:public_id>/": lambda s: s.rep_user.public_id,
    "budgets/<uuid:public_id>/": lambda s: s.shown.budget.public_id,
    "payouts/<uuid:public_id>/": lambda s: s.shown.public_id,
    "orders/<uuid:public_id>/": lambda s: s.ordered.public_id,
    "connections/<uuid:public_id>/": lambda s: s.crm.public_id,
    "earnings/<uuid:public_id>/": lambda s: s.shown.allocations.first().earning.public_id,
    "reports/tax/<uuid:public_id>/": lambda s: s.rep.public_id,
    "me/earnings/<uuid:public_id>/": lambda s: s.shown.allocations.first().earning.public_id,
}
"""Beginning of an address -> the row it is about. Whatever pages come below are opened by who may."""

NEEDS_MORE = {
    "me/disputes/new/": "the line it is about (tests/disputes/test_pages.py)",
    "orders/<uuid:public_id>/withdraw/": "a proposed decision (tests/payouts/test_pages_access.py)",
    "orders/<uuid:public_id>/confirm/": "a proposed decision (tests/payouts/test_pages_access.py)",
    "payouts/<uuid:public_id>/choose/": "several cards to choose from (tests/payouts/test_pages_access.py)",
    "me/claims/": "a participant of a partner (tests/claims/test_pages.py)",
    "me/claims/new/": "a participant of a partner (tests/claims/test_pages.py)",
    "me/people/": "an administrator of a partner (tests/portal/test_me.py)",
}
"""Address -> what more a page needs than the role and the row, and where it is tried with that."""


def test_who_may_finds_the_page_of_a_thing_that_exists(client):
    """A role of the page's permission is not sent away by a selector that knows other roles."""
    scene = Scene()
    scene.shown, scene.ordered = scene.payout(), scene.payout(approve=True).order
    wrong = []
    for address, _name, page in PAGES:
        thing = next((find(scene) for start, find in THINGS.items() if address.startswith(start)), None)
        places = PLACE.findall(address)
        if (thing is None) == bool(places) or len(places) > 1 or address in NEEDS_MORE:
            continue
        path = "/" + PLACE.sub(str(thing), address)
        for label in ("manager", "finance", "participant", "administrator", "auditor"):
            if admitted(page, scene.users[label]):
                client.force_login(scene.users[label])
                if (status := client.get(path).status_code) in {403, 404} or status >= 500:
                    wrong.append((address, label, status))
    assert not wrong, "\n".join(
        f"/{address} answers {status} to {label}, whose role has its permission. Let its selector show the row to that role, "
        f"or name in NEEDS_MORE of {__name__} what else it needs."
        for address, label, status in wrong
    )
