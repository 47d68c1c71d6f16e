"""What pages of higher layers show of earnings: `{% load earnings %}`. Read only."""

from django import template

from incentives.earnings import change_preview as change_previews
from incentives.earnings import preview as previews
from incentives.earnings import selectors
from incentives.earnings.models import Earning

register = template.Library()


@register.simple_tag
def program_totals(program) -> selectors.Totals:
    """`{% program_totals program as totals %}`"""
    return selectors.program_totals([program])[program.pk]


@register.simple_tag
def earners(program, count=5) -> list[dict]:
    """Rows for `bar_list`: who earned most."""
    return [{"label": row.participant.name, "value": row.earned} for row in selectors.top_earners(program, count)]


@register.simple_tag
def latest_earnings(program, count=8) -> list[Earning]:
    return list(selectors.program_lines(program)[:count])


@register.simple_tag
def launch_preview(program, version) -> previews.Preview:
    """What publishing `version` would do."""
    return previews.preview(program, version)


@register.simple_tag
def change_preview(program, version, starts_at=None) -> change_previews.ChangePreview:
    """Whom publishing a further `version` to start at that moment would change."""
    return change_previews.change_preview(program, version, starts_at)
