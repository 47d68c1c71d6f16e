"""The way to every report."""

from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.views import View

from incentives.core.pages import Guarded
from incentives.reports.index import REPORTS


def _address(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


class ReportsPage(Guarded, View):
    permission = "reports.view"

    def get(self, request):
        groups = [(heading, self._entries(reports)) for heading, reports in REPORTS]
        return render(request, "reports/list.html", {"groups": [group for group in groups if group[1]]})

    def _entries(self, reports) -> list[tuple]:
        found = [
            (_address(url), name, text) for url, permission, name, text in reports if self.request.user.can(permission)
        ]
        return [entry for entry in found if entry[0]]
