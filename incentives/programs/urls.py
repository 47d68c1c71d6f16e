"""Addresses of the programs pages."""

from django.urls import path

from incentives.programs import editing, target_pages, views

app_name = "programs"
_ONE = "programs/<uuid:public_id>/"
urlpatterns = [
    path("programs/", views.ProgramsPage.as_view(), name="list"),
    path("programs/new/", editing.NewProgramPage.as_view(), name="new"),
    path(_ONE, views.ProgramPage.as_view(), name="program"),
    path(f"{_ONE}edit/", editing.EditProgramPage.as_view(), name="edit"),
    path(f"{_ONE}versions/", views.VersionsPage.as_view(), name="versions"),
    path(f"{_ONE}launch/", views.LaunchPage.as_view(), name="launch"),
    path(f"{_ONE}pause/", views.PausePage.as_view(), name="pause"),
    path(f"{_ONE}resume/", views.ResumePage.as_view(), name="resume"),
    path(f"{_ONE}resume-stopped/", views.ResumeStoppedPage.as_view(), name="resume-stopped"),
    path(f"{_ONE}close/", views.ClosePage.as_view(), name="close"),
    path(f"{_ONE}archive/", views.ArchivePage.as_view(), name="archive"),
    path(f"{_ONE}budget/", views.ChooseBudgetPage.as_view(), name="budget"),
    path(f"{_ONE}targets/", target_pages.TargetsPage.as_view(), name="targets"),
    path(f"{_ONE}targets/set/", target_pages.SetTargetPage.as_view(), name="set-target"),
    path(f"{_ONE}targets/import/", target_pages.ImportTargetsPage.as_view(), name="import-targets"),
]
