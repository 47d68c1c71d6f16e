"""What other apps' pages show of payouts: `{% load payouts %}`."""

from django import template

from incentives.payouts import selectors

register = template.Library()


@register.simple_tag
def program_payouts(program) -> dict:
    """`{% program_payouts program as money %}`: due, waiting, delivered, states; see selectors.program_payouts."""
    return selectors.program_payouts(program)
