"""The addresses of this app alone, so that its tests do not depend on how the rest is wired."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("accounts/", include("allauth.account.urls")),
    path("admin/", admin.site.urls),
    path("", include("incentives.crm.urls")),
    path("", include("incentives.participants.urls")),
]
