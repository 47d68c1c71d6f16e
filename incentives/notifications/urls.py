"""The outbox for administrators, chat channels, everybody's own choices, and the link in mails."""

from django.urls import path

from incentives.notifications import channel_views, own_views, views

app_name = "notifications"
urlpatterns = [
    path("notifications/", views.LogPage.as_view(), name="log"),
    path("notifications/channels/", channel_views.ChannelsPage.as_view(), name="channels"),
    path("notifications/channels/new/", channel_views.ChannelEditPage.as_view(), name="channel-new"),
    path("notifications/channels/<uuid:public_id>/", channel_views.ChannelEditPage.as_view(), name="channel-edit"),
    path("notifications/channels/<uuid:public_id>/test/", channel_views.TestPage.as_view(), name="channel-test"),
    path("notifications/channels/<uuid:public_id>/off/", channel_views.OffPage.as_view(), name="channel-off"),
    path("notifications/channels/<uuid:public_id>/on/", channel_views.OnPage.as_view(), name="channel-on"),
    path("notifications/unsubscribe/<str:token>/", own_views.unsubscribe_page, name="unsubscribe"),
    path("notifications/<uuid:public_id>/", views.DeliveryPage.as_view(), name="delivery"),
    path("notifications/<uuid:public_id>/again/", views.AgainPage.as_view(), name="again"),
    path("profile/notifications/", own_views.OwnPage.as_view(), name="mine"),
]
