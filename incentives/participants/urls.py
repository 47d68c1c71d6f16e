"""Addresses of the participants' pages."""

from django.urls import path

from incentives.participants import partner_views, views

app_name = "participants"
_ADMINISTRATOR = "partners/<uuid:public_id>/people/<uuid:person>/"
urlpatterns = [
    path("participants/", views.ParticipantsPage.as_view(), name="list"),
    path("participants/add/", views.AddPage.as_view(), name="add"),
    path("participants/import/", views.ImportPage.as_view(), name="import"),
    path("participants/<uuid:public_id>/", views.ParticipantPage.as_view(), name="detail"),
    path("participants/<uuid:public_id>/edit/", views.EditPage.as_view(), name="edit"),
    path("partners/", partner_views.PartnersPage.as_view(), name="partners"),
    path("partners/add/", partner_views.PartnerAddPage.as_view(), name="partner-add"),
    path("partners/import/", partner_views.PartnerImportPage.as_view(), name="partner-import"),
    path("partners/<uuid:public_id>/", partner_views.PartnerPage.as_view(), name="partner"),
    path("partners/<uuid:public_id>/edit/", partner_views.PartnerEditPage.as_view(), name="partner-edit"),
    path(f"{_ADMINISTRATOR}appoint/", partner_views.AppointPage.as_view(), name="partner-appoint"),
    path(f"{_ADMINISTRATOR}dismiss/", partner_views.DismissPage.as_view(), name="partner-dismiss"),
]
