"""Addresses of the earnings pages: parts of a program and of an activity."""

from django.urls import path

from incentives.earnings import board_views, views

app_name = "earnings"
_ONE = "programs/<uuid:public_id>/"
urlpatterns = [
    path(f"{_ONE}participants/", views.ParticipantsPage.as_view(), name="participants"),
    path(f"{_ONE}participants/<uuid:participant>/", views.ParticipationPage.as_view(), name="participation"),
    path(f"{_ONE}earnings/", views.EarningsPage.as_view(), name="earnings"),
    path(f"{_ONE}leaderboard/", board_views.LeaderboardPage.as_view(), name="leaderboard"),
    path(f"{_ONE}leaderboard/display/", board_views.DisplayPage.as_view(), name="board-display"),
    path(f"{_ONE}standing/", board_views.StandingPage.as_view(), name="standing"),
    path(f"{_ONE}standing/<uuid:standing>/", board_views.EvidencePage.as_view(), name="evidence"),
    path(f"{_ONE}exceptions/", views.ExceptionsPage.as_view(), name="exceptions"),
    path("activities/<uuid:public_id>/why/", views.WhyPage.as_view(), name="why"),
]
