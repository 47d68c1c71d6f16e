"""What every page's frame needs."""

from collections.abc import Callable

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

from incentives.accounts.models import Role

GROUPS = [  # (heading or None, entries: url name, label, icon, permission or None for everybody)
    (
        None,
        [
            ("portal:home", _("Home"), "home", None),
            ("portal:me", _("My rewards"), "gift", "me.view"),
            ("portal:boards", _("Leaderboards"), "trophy", "me.view"),
            ("claims:mine", _("My claims"), "file", "claims.submit"),
            ("disputes:mine", _("My questions"), "message", "disputes.raise"),
        ],
    ),
    (
        _("Incentives"),
        [
            ("programs:list", _("Programs"), "programs", "programs.view"),
            ("portal:screens", _("Wall screens"), "trophy", "programs.view"),
            ("simulations:list", _("Simulations"), "flask", "programs.simulate"),
            ("awards:list", _("Awards"), "gift", "awards.view"),
            ("claims:list", _("Claims"), "file", "claims.view"),
            ("disputes:list", _("Disputes"), "message", "disputes.view"),
        ],
    ),
    (
        _("Facts and people"),
        [
            ("crm:activities", _("Activities"), "activities", "activities.view"),
            ("participants:list", _("Participants"), "participants", "participants.view"),
            ("participants:partners", _("Partners"), "partners", "participants.view"),
        ],
    ),
    (
        _("Money"),
        [
            ("payouts:list", _("Payouts"), "payouts", "payouts.view"),
            ("payouts:orders", _("Orders"), "orders", "orders.view"),
            ("payouts:holds", _("Holds"), "pause", "payouts.view"),
            ("payouts:recovery", _("Recovery"), "refresh", "recovery.view"),
            ("ledger:budgets", _("Budgets"), "budgets", "budgets.view"),
            ("ledger:deposits", _("Provider deposit"), "download", "deposits.view"),
            ("payouts:months", _("Months"), "calendar", "periods.view"),
            ("ledger:rates", _("Exchange rates"), "refresh", "rates.view"),
            ("tax:overview", _("Tax"), "file", "tax.view"),
            ("reports:list", _("Reports"), "reports", "reports.view"),
        ],
    ),
    (
        _("System"),
        [
            ("crm:connections", _("Connections"), "connections", "connections.view"),
            ("notifications:log", _("Notifications"), "mail", "notifications.view"),
            ("programs:limits", _("Review limits"), "eye", "review_limits.view"),
            ("accounts:people", _("People"), "people", "users.edit"),
            ("api:tokens", _("API tokens"), "connections", "tokens.edit"),
            ("core:audit", _("Audit trail"), "audit", "audit.view"),
        ],
    ),
]


_RULES: dict[str, Callable] = {}


def rule(name: str, of: Callable) -> None:
    """Let an app below say more about its entry: `of(user)` gives False to leave it out, or the number to show beside it."""
    _RULES[name] = of


def _address(name: str) -> str | None:
    """The address of a page, or None while the page does not exist."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return None


def _entry(name, label, icon, url) -> dict:
    return {"name": name, "label": label, "icon": icon, "url": url, "current": False}


def navigation(request):
    """`nav`: the groups of pages this person may open (`label`, `entries`: dicts of name, label, icon, url and current);
    `role_names` in words.

    An entry whose page does not exist is left out, and so is a group without entries. The entry whose address is the
    longest beginning of the page's own is the current one.
    """
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"nav": [], "role_names": ""}
    groups = [{"label": heading, "entries": _entries(user, items)} for heading, items in GROUPS]
    everything = [entry for group in groups for entry in group["entries"]]
    fitting = [entry for entry in everything if _is_at(entry["url"], request.path)]
    if fitting:
        max(fitting, key=lambda entry: len(entry["url"]))["current"] = True
    return {
        "nav": [group for group in groups if group["entries"]],
        "role_names": ", ".join(str(Role(role).label) for role in sorted(user.roles)),
    }


def _entries(user, items) -> list[dict]:
    allowed = [item for item in items if item[3] is None or user.can(item[3])]
    addressed = [(name, label, icon, _address(name)) for name, label, icon, _permission in allowed]
    return [entry for row in addressed if row[3] and (entry := _ruled(user, _entry(*row)))]


def _ruled(user, entry: dict) -> dict | None:
    found = _RULES[entry["name"]](user) if entry["name"] in _RULES else True
    return None if found is False else {**entry, "count": 0 if found is True else found}


def _is_at(url: str, path: str) -> bool:
    return path == url if url == "/" else path.startswith(url)
