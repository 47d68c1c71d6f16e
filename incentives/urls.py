"""Addresses. Those of the design's public surface are fixed."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("incentives.operations.urls")),
    path("", include("incentives.portal.urls")),  # before core: the first page by role
    path("", include("incentives.core.urls")),
    path("", include("incentives.accounts.urls")),  # before allauth: it replaces one of its pages
    path("", include("rewards.urls")),
    path("", include("incentives.programs.urls")),
    path("", include("incentives.participants.urls")),
    path("", include("incentives.ledger.urls")),
    path("", include("incentives.crm.urls")),
    path("", include("incentives.claims.urls")),
    path("", include("incentives.awards.urls")),
    path("", include("incentives.earnings.urls")),
    path("", include("incentives.simulations.urls")),
    path("", include("incentives.payouts.urls")),
    path("", include("incentives.disputes.urls")),
    path("", include("incentives.tax.urls")),
    path("", include("incentives.reports.urls")),
    path("", include("incentives.notifications.urls")),
    path("", include("incentives.webhooks.urls")),
    path("", include("incentives.api.urls")),
    path("accounts/", include("allauth.account.urls")),
    path("admin/", admin.site.urls),
]
