"""Addresses of the first page and of a participant's own pages."""

from django.urls import path

from incentives.portal import board_views, earning_views, terms_views, views

app_name = "portal"
urlpatterns = [
    path("", views.HomePage.as_view(), name="home"),
    path("me/", views.MePage.as_view(), name="me"),
    path("me/rewards/", views.RewardsPage.as_view(), name="rewards"),
    path("me/rewards/<uuid:public_id>/reveal/", views.RevealPage.as_view(), name="reveal"),
    path("me/statement/", views.StatementPage.as_view(), name="statement"),
    path("me/statement.pdf", views.StatementPdf.as_view(), name="statement-pdf"),
    path("me/earnings/<uuid:public_id>/", earning_views.EarningPage.as_view(), name="earning"),
    path("me/earnings/<uuid:public_id>.json", earning_views.EarningJson.as_view(), name="earning-json"),
    path("me/terms/", terms_views.TermsPage.as_view(), name="terms"),
    path("me/terms/<uuid:public_id>/", terms_views.TermsTextPage.as_view(), name="terms-text"),
    path("me/boards/", board_views.BoardsPage.as_view(), name="boards"),
    path("me/boards/<uuid:public_id>/", board_views.BoardPage.as_view(), name="board"),
    path("me/people/", views.TeamPage.as_view(), name="people"),
]
