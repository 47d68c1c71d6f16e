"""Addresses of the tax pages."""

from django.urls import path  # noqa: F401

app_name = "tax"
urlpatterns: list = []
