"""Addresses of the API and of the pages about it."""

from django.urls import include, path, re_path

from incentives.api import app, views

app_name = "api"
urlpatterns = [
    path("api/v1/openapi.json", views.openapi_document, name="openapi"),
    path("api/v1/docs", views.DocsPage.as_view(), name="docs"),
    path("api/v1/", include((app.addresses(), "v1"))),
    re_path(r"^api/v1/(?P<rest>.*)$", app.unknown, name="unknown"),
    path("profile/tokens/", views.OwnTokensPage.as_view(), name="own-tokens"),
    path("profile/tokens/new/", views.NewOwnTokenPage.as_view(), name="own-token-new"),
    path("profile/tokens/<uuid:public_id>/revoke/", views.RevokeOwnTokenPage.as_view(), name="own-token-revoke"),
    path("tokens/", views.TokensPage.as_view(), name="tokens"),
    path("tokens/new/", views.NewMachinePage.as_view(), name="token-new"),
    path("tokens/<uuid:public_id>/", views.TokenPage.as_view(), name="token"),
    path("tokens/<uuid:public_id>/revoke/", views.RevokeTokenPage.as_view(), name="token-revoke"),
    path("tokens/<uuid:public_id>/renew/", views.RenewTokenPage.as_view(), name="token-renew"),
]
