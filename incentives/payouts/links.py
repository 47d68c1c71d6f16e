"""Addresses of pages that other apps own, for as long as such a page exists."""

from urllib.parse import quote

from django.urls import NoReverseMatch, reverse


def page(name: str, *args, query: str = "") -> str:
    """The address of a page, or nothing while the page does not exist."""
    try:
        address = reverse(name, args=args)
    except NoReverseMatch:
        return ""
    return f"{address}?q={quote(query)}" if query else address


def program_url(program) -> str:
    return page("programs:program", program.public_id)


def order_url(order) -> str:
    return reverse("payouts:order", args=[order.public_id])


def activity_url(thing) -> str:
    """Where the facts about one CRM record are listed."""
    return page("crm:activities", query=thing.object_id) if thing else ""
