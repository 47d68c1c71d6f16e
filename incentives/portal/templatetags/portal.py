"""What the portal's templates use: `{% load portal %}`."""

from django import template

from incentives.core.looks import look
from incentives.payouts import links, wording

register = template.Library()


@register.simple_tag
def page_url(name) -> str:
    """The address of another app's page, empty while it does not exist."""
    return links.page(name)


@register.simple_tag
def program_page(program) -> str:
    return links.program_url(program)


@register.simple_tag
def url_with(address, query) -> str:
    """`{% url_with list_url "tab=held" as to %}`"""
    return f"{address}?{query}"


@register.simple_tag
def reward_state(payout) -> dict:
    """A badge's tone, icon and label of a payout in its recipient's words."""
    status, label, _ = wording.payout_for_recipient(payout)
    tone, icon = look(status)
    return {"tone": tone, "icon": icon, "label": label}
