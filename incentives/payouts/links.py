"""Addresses of pages that other apps own, for as long as such a page exists."""

from django.urls import NoReverseMatch, reverse


def page(name: str, *args) -> str:
    """The address of a page, or nothing while the page does not exist."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


def program_url(program) -> str:
    return page("programs:program", program.public_id)


def order_url(order) -> str:
    return reverse("payouts:order", args=[order.public_id])


def activity_url(public_id) -> str:
    """The page of one activity; nothing where an earning belongs to no single one."""
    return page("crm:activity", public_id) if public_id else ""
