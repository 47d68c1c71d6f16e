"""Addresses for machines. The two probes are answered earlier, by ProbeMiddleware; here they have their names."""

from django.urls import path

from incentives.operations import views

app_name = "operations"
urlpatterns = [
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", views.metrics_view, name="metrics"),
]
