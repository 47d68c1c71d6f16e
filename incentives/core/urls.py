"""Pages that belong to no app."""

from django.urls import path

from incentives.core import views
from incentives.core.search import SearchPage

app_name = "core"
urlpatterns = [
    path("audit/", views.AuditPage.as_view(), name="audit"),
    path("audit/<int:pk>/", views.AuditEventPage.as_view(), name="audit-event"),
    path("search/", SearchPage.as_view(), name="search"),
    path("styleguide/", views.StyleGuidePage.as_view(), name="styleguide"),
]
