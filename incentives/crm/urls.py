"""Addresses of facts: the hook for machines, the pages for people."""

from django.urls import path

from incentives.crm import hooks

app_name = "crm"
urlpatterns = [
    path("hooks/<str:token>/events", hooks.receive_events, name="events"),
]
