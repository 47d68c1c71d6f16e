"""Addresses of the simulations pages."""

from django.urls import path  # noqa: F401

app_name = "simulations"
urlpatterns: list = []
