"""What every page's frame needs."""

from django.utils.translation import gettext_lazy as _

ITEMS = [  # (url name, label, permission)
    ("programs:list", _("Programs"), "programs.view"),
    ("crm:activities", _("Activities"), "activities.view"),
    ("payouts:list", _("Payouts"), "payouts.view"),
    ("rewards:orders", _("Orders"), "orders.view"),
    ("ledger:budgets", _("Budgets"), "budgets.view"),
    ("participants:list", _("Participants"), "participants.view"),
    ("crm:connections", _("Connections"), "connections.view"),
]


def navigation(request):
    """`nav`: the entries this person may open, as dicts of url name, label and whether it is the current one."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"nav": []}
    current = getattr(request.resolver_match, "view_name", "") or ""
    section = current.split(":")[0]
    return {
        "nav": [
            {"name": name, "label": label, "current": current == name or section == name.split(":")[0] != "crm"}
            for name, label, permission in ITEMS
            if user.can(permission)
        ]
    }
