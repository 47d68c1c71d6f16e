"""The one address of `rewards`: where the provider says that an order is done."""

from django.urls import path

from rewards import webhooks

app_name = "rewards"
urlpatterns = [path("hooks/rewards/<str:token>", webhooks.receive, name="hook")]
