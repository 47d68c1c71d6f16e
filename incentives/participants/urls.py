"""Addresses of the participants' pages."""

from django.urls import path

from incentives.participants import views

app_name = "participants"
urlpatterns = [
    path("participants/", views.ParticipantsPage.as_view(), name="list"),
    path("participants/add/", views.AddPage.as_view(), name="add"),
    path("participants/import/", views.ImportPage.as_view(), name="import"),
    path("participants/<uuid:public_id>/", views.ParticipantPage.as_view(), name="detail"),
    path("participants/<uuid:public_id>/edit/", views.EditPage.as_view(), name="edit"),
]
