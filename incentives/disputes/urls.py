"""Addresses of the disputes pages: staff's, and those of the participant who asks."""

from django.urls import path

from incentives.disputes import own_views, views

app_name = "disputes"
_ONE = "disputes/<uuid:public_id>/"
_OWN = "me/disputes/<uuid:public_id>/"
urlpatterns = [
    path("disputes/", views.DisputesPage.as_view(), name="list"),
    path(_ONE, views.DisputePage.as_view(), name="dispute"),
    path(f"{_ONE}explain/", views.ExplainPage.as_view(), name="explain"),
    path(f"{_ONE}correct/", views.CorrectPage.as_view(), name="correct"),
    path(f"{_ONE}ask/", views.AskPage.as_view(), name="ask"),
    path(f"{_ONE}note/", views.NotePage.as_view(), name="note"),
    path(f"{_ONE}assign/", views.AssignPage.as_view(), name="assign"),
    path("me/disputes/", own_views.MinePage.as_view(), name="mine"),
    path("me/disputes/new/", own_views.RaisePage.as_view(), name="raise"),
    path("me/disputes/missing/", own_views.MissingPage.as_view(), name="missing"),
    path(_OWN, own_views.OwnPage.as_view(), name="own"),
    path(f"{_OWN}reply/", own_views.ReplyPage.as_view(), name="reply"),
    path(f"{_OWN}withdraw/", own_views.WithdrawPage.as_view(), name="withdraw"),
    path(f"{_OWN}reopen/", own_views.ReopenPage.as_view(), name="reopen"),
]
