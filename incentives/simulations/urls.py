"""Addresses of the simulations pages."""

from django.urls import path

from incentives.simulations import people_views, views

app_name = "simulations"
_ONE = "simulations/<uuid:public_id>/"
_CANDIDATE = f"{_ONE}<int:position>/"
urlpatterns = [
    path("programs/<uuid:public_id>/simulate/", views.SimulatePage.as_view(), name="simulate"),
    path("simulations/", views.SimulationsPage.as_view(), name="list"),
    path("simulations/new/", views.NewPage.as_view(), name="new"),
    path(_ONE, views.SimulationPage.as_view(), name="simulation"),
    path(f"{_ONE}cancel/", views.CancelPage.as_view(), name="cancel"),
    path(f"{_ONE}again/", views.AgainPage.as_view(), name="again"),
    path(f"{_CANDIDATE}use/", views.UsePage.as_view(), name="use"),
    path(f"{_CANDIDATE}people/", people_views.PeoplePage.as_view(), name="people"),
    path(f"{_CANDIDATE}people/<uuid:participant>/", people_views.PersonPage.as_view(), name="person"),
    path(f"{_CANDIDATE}overlap/", people_views.OverlapPage.as_view(), name="overlap"),
    path(f"{_CANDIDATE}exceptions/", people_views.ExceptionsPage.as_view(), name="exceptions"),
]
