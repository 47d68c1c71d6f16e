"""Addresses of the first page and of a participant's own pages, and the leaderboards on the wall."""

from django.urls import path

from incentives.portal import board_views, choice_views, earning_views, estimate_views, screen_views, terms_views, views

app_name = "portal"
urlpatterns = [
    path("", views.HomePage.as_view(), name="home"),
    path("me/", views.MePage.as_view(), name="me"),
    path("me/rewards/", views.RewardsPage.as_view(), name="rewards"),
    path("me/rewards/<uuid:public_id>/reveal/", views.RevealPage.as_view(), name="reveal"),
    path("me/choices/", choice_views.ChoicesPage.as_view(), name="choices"),
    path("me/choices/forget/", choice_views.ForgetPage.as_view(), name="forget-preference"),
    path("me/choices/<uuid:public_id>/", choice_views.ChoosePage.as_view(), name="choose"),
    path("me/statement/", views.StatementPage.as_view(), name="statement"),
    path("me/statement.pdf", views.StatementPdf.as_view(), name="statement-pdf"),
    path("me/earnings/<uuid:public_id>/", earning_views.EarningPage.as_view(), name="earning"),
    path("me/earnings/<uuid:public_id>.json", earning_views.EarningJson.as_view(), name="earning-json"),
    path("me/estimate/", estimate_views.EstimatePage.as_view(), name="estimate"),
    path("me/terms/", terms_views.TermsPage.as_view(), name="terms"),
    path("me/terms/<uuid:public_id>/", terms_views.TermsTextPage.as_view(), name="terms-text"),
    path("me/boards/", board_views.BoardsPage.as_view(), name="boards"),
    path("me/boards/<uuid:public_id>/", board_views.BoardPage.as_view(), name="board"),
    path("boards/<str:token>/", screen_views.WallPage.as_view(), name="wall"),
    path("programs/screens/", screen_views.ScreensPage.as_view(), name="screens"),
    path("programs/screens/new/", screen_views.NewScreenPage.as_view(), name="screen-new"),
    path("programs/screens/<uuid:public_id>/", screen_views.ScreenPage.as_view(), name="screen"),
    path("programs/screens/<uuid:public_id>/edit/", screen_views.EditScreenPage.as_view(), name="screen-edit"),
    path("programs/screens/<uuid:public_id>/address/", screen_views.RenewScreenPage.as_view(), name="screen-address"),
    path("programs/screens/<uuid:public_id>/revoke/", screen_views.RevokeScreenPage.as_view(), name="screen-revoke"),
    path("me/people/", views.TeamPage.as_view(), name="people"),
]
