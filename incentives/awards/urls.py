"""Addresses of the awards pages."""

from django.urls import path

from incentives.awards import batch_views, views

app_name = "awards"
_ONE = "awards/<uuid:public_id>/"
urlpatterns = [
    path("awards/", views.AwardsPage.as_view(), name="list"),
    path("awards/give/", views.GivePage.as_view(), name="give"),
    path("awards/people/", views.PeoplePage.as_view(), name="people"),
    path("awards/file/", batch_views.FilePage.as_view(), name="file"),
    path("awards/files/<uuid:public_id>/", batch_views.BatchPage.as_view(), name="batch"),
    path("awards/programs/new/", views.NewProgramPage.as_view(), name="new-program"),
    path(_ONE, views.AwardPage.as_view(), name="award"),
    path(f"{_ONE}cancel/", views.CancelPage.as_view(), name="cancel"),
]
