"""Search over everything somebody may see: the lists themselves are asked, so that each decides who sees what, as on its page."""

from dataclasses import dataclass, field

from django.http import Http404, HttpRequest, QueryDict
from django.shortcuts import render
from django.urls import NoReverseMatch, resolve, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.listing import SEARCH_LENGTH, ListPage
from incentives.core.pages import Guarded

LISTS = (
    "programs:list", "participants:list", "participants:partners", "payouts:list", "payouts:orders", "crm:activities",
    "claims:list", "awards:list", "disputes:list", "ledger:budgets", "simulations:list", "crm:connections",
    "portal:screens", "accounts:people", "portal:rewards", "claims:mine", "disputes:mine",
)  # fmt: skip
"""Names of list pages in the order shown. One whose page does not exist or may not be opened is left out."""
FEW = 5
SHORTEST = 2


@dataclass(frozen=True, slots=True)
class Found:
    """What one list has: `rows` as its table shows them (ListPage.row), `all_url` for the rest; `more` when there are more."""

    title: str
    all_url: str
    rows: list[dict] = field(default_factory=list)
    more: bool = False


def search(request: HttpRequest, query: str) -> list[Found]:
    """The first few rows of every list that has any. One query per list; none for a query below SHORTEST letters."""
    if len(query) < SHORTEST:
        return []
    return [found for name in LISTS if (found := _ask(request, name, query)) and found.rows]


def _ask(request: HttpRequest, name: str, query: str) -> Found | None:
    try:
        address = reverse(name)
    except NoReverseMatch:
        return None
    view = resolve(address).func.view_class
    page: ListPage = view()
    page.setup(_as_if(request, address, query))
    if not page.allowed(request.user) or getattr(page, "participant", page) is None:
        return None
    page.tab = next((tab for tab in page.tabs if tab.key == "all"), None)
    try:
        rows = list(page.rows()[: FEW + 1])
    except Http404:
        return None
    parameters = {"q": query} | ({"tab": "all"} if page.tab else {})
    return Found(
        str(page.title), f"{address}?{urlencode(parameters)}", [_line(page, row) for row in rows[:FEW]], len(rows) > FEW
    )


def _as_if(request: HttpRequest, address: str, query: str) -> HttpRequest:
    """The person's request as if it asked that list."""
    asked = HttpRequest()
    asked.user, asked.session, asked.META, asked.method = request.user, request.session, request.META, "GET"
    asked.path = asked.path_info = address
    asked.GET = QueryDict(urlencode({"q": query}))
    return asked


def _line(page: ListPage, row) -> dict:
    """Title, address, the value beside it, the quiet line below: what a phone's card of that list shows."""
    cells = page.row(row)["cells"]
    title = next((cell for cell in cells if cell["place"] == "title"), cells[0])
    value = next((cell for cell in cells if cell["place"] == "value"), None)
    link = title["link"] or next((cell["link"] for cell in cells if cell["link"]), "") or _own_address(row)
    note = title["note"] or next(
        (
            cell["value"]
            for cell in cells
            if cell not in (title, value) and cell["column"].kind == "text" and not cell["empty"]
        ),
        "",
    )
    return {"row": row, "title": title, "value": value, "link": link, "note": note}


def _own_address(row) -> str:
    return row.get_absolute_url() if hasattr(row, "get_absolute_url") else ""


class SearchPage(Guarded, View):
    """`/search/?q=`: to htmx only what was found."""

    def get(self, request):
        query = request.GET.get("q", "").replace("\x00", "").strip()[:SEARCH_LENGTH]
        context = {
            "query": query,
            "found": search(request, query),
            "short": len(query) < SHORTEST,
            "title": _("Search"),
        }
        part = request.headers.get("HX-Target") == "found"
        return render(request, "core/_found.html" if part else "core/search.html", context)
