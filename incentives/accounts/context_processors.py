"""What every page's frame needs."""

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

from incentives.accounts.models import Role

ITEMS = [  # (url name, label, icon, permission or None for everybody)
    ("portal:home", _("Home"), "home", None),
    ("portal:me", _("My rewards"), "gift", "me.view"),
    ("programs:list", _("Programs"), "programs", "programs.view"),
    ("crm:activities", _("Activities"), "activities", "activities.view"),
    ("payouts:list", _("Payouts"), "payouts", "payouts.view"),
    ("payouts:orders", _("Orders"), "orders", "orders.view"),
    ("ledger:budgets", _("Budgets"), "budgets", "budgets.view"),
    ("participants:list", _("Participants"), "participants", "participants.view"),
    ("reports:list", _("Reports"), "reports", "reports.view"),
    ("crm:connections", _("Connections"), "connections", "connections.view"),
    ("accounts:people", _("People"), "people", "users.edit"),
    ("core:audit", _("Audit trail"), "audit", "audit.view"),
]


def _address(name: str) -> str | None:
    """The address of a page, or None while the page does not exist."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return None


def _entry(name, label, icon, url, path) -> dict:
    current = path == url if url == "/" else path.startswith(url)
    return {"name": name, "label": label, "icon": icon, "url": url, "current": current}


def navigation(request):
    """`nav`: the pages this person may open, as dicts of name, label, icon, url and current; `role_names` in words.

    An entry whose page does not exist is left out.
    """
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"nav": [], "role_names": ""}
    allowed = [item for item in ITEMS if item[3] is None or user.can(item[3])]
    addressed = [(name, label, icon, _address(name)) for name, label, icon, _permission in allowed]
    return {
        "nav": [_entry(name, label, icon, url, request.path) for name, label, icon, url in addressed if url],
        "role_names": ", ".join(str(Role(role).label) for role in sorted(user.roles)),
    }
