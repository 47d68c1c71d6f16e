"""Addresses of facts: the hook for machines, the pages for people."""

from django.urls import path

from incentives.crm import hooks, import_views, views

app_name = "crm"
urlpatterns = [
    path("hooks/<str:token>/events", hooks.receive_events, name="events"),
    path("activities/", views.ActivitiesPage.as_view(), name="activities"),
    path("activities/quarantine/", views.QuarantinePage.as_view(), name="quarantine"),
    path("activities/quarantine/replay/", views.ReplayPage.as_view(), name="replay"),
    path("activities/deliveries/<uuid:public_id>/", views.DeliveryPage.as_view(), name="delivery"),
    path("activities/deliveries/<uuid:public_id>/repair/", views.RepairPage.as_view(), name="repair"),
    path("activities/deliveries/<uuid:public_id>/dismiss/", views.DismissPage.as_view(), name="dismiss"),
    path("activities/import/", import_views.ImportPage.as_view(), name="import"),
    path("activities/import/<uuid:public_id>/", import_views.ImportJobPage.as_view(), name="import-job"),
    path("activities/import/<uuid:public_id>/result/", import_views.ImportResultPage.as_view(), name="import-result"),
    path("activities/<uuid:public_id>/", views.ActivityPage.as_view(), name="activity"),
    path("connections/", views.ConnectionsPage.as_view(), name="connections"),
    path("connections/add/", views.ConnectionAddPage.as_view(), name="connection-add"),
    path("connections/<uuid:public_id>/", views.ConnectionPage.as_view(), name="connection"),
    path("connections/<uuid:public_id>/edit/", views.ConnectionEditPage.as_view(), name="connection-edit"),
    path("connections/<uuid:public_id>/secret/", views.SecretPage.as_view(), name="connection-secret"),
    path("connections/<uuid:public_id>/address/", views.AddressPage.as_view(), name="connection-address"),
    path("connections/<uuid:public_id>/pause/", views.PausePage.as_view(), name="connection-pause"),
    path("connections/<uuid:public_id>/resume/", views.ResumePage.as_view(), name="connection-resume"),
    path("connections/<uuid:public_id>/secrets/<uuid:secret_id>/retire/", views.RetirePage.as_view(), name="retire"),
]
