"""Addresses of the reports pages."""

from django.urls import path

from incentives.reports import views

app_name = "reports"
urlpatterns = [
    path("reports/", views.ReportsPage.as_view(), name="list"),
]
