"""Pages that belong to no app."""

from django.urls import path

from incentives.core import views

app_name = "core"
urlpatterns = [
    path("audit/", views.AuditPage.as_view(), name="audit"),
    path("audit/<int:pk>/", views.AuditEventPage.as_view(), name="audit-event"),
    path("styleguide/", views.StyleGuidePage.as_view(), name="styleguide"),
]
