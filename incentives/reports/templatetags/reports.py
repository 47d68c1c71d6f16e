"""Words of the reports' pages."""

from django import template

from incentives.reports import statement_pdf

register = template.Library()
register.filter("delivery_words", statement_pdf.delivery_words)
