"""What pages show of programs: `{% load programs %}`."""

from django import template

from incentives.programs import markup

register = template.Library()


@register.filter
def marked_up(text, level=2):
    """`{{ terms.body|marked_up }}`: paragraphs, headings, lists and bold; everything else escaped."""
    return markup.to_html(str(text), level)
