"""Claims in their partner's words. `{% load claims %}`"""

from django import template

from incentives.claims import wording

register = template.Library()


@register.simple_tag
def claim_state(claim) -> str:
    """`{% claim_state claim as words %}`"""
    return wording.state_for_partner(claim)
