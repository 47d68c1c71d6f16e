"""Addresses of the programs pages."""

app_name = "programs"
urlpatterns: list = []
