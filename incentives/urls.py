"""Addresses. Those of the design's public surface are fixed."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("incentives.operations.urls")),
    path("accounts/", include("allauth.account.urls")),
    path("admin/", admin.site.urls),
]
