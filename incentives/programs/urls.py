"""Addresses of the programs pages."""

from django.urls import path

from incentives.programs import editing, launching, people_pages, target_grid, target_pages, terms_pages, views

app_name = "programs"
_ONE = "programs/<uuid:public_id>/"
urlpatterns = [
    path("programs/", views.ProgramsPage.as_view(), name="list"),
    path("programs/new/", editing.NewProgramPage.as_view(), name="new"),
    path("programs/review-limits/", launching.LimitsPage.as_view(), name="limits"),
    path("programs/review-limits/set/", launching.SetLimitPage.as_view(), name="set-limit"),
    path(_ONE, views.ProgramPage.as_view(), name="program"),
    path(f"{_ONE}edit/", editing.EditProgramPage.as_view(), name="edit"),
    path(f"{_ONE}versions/", views.VersionsPage.as_view(), name="versions"),
    path(f"{_ONE}launch/", launching.LaunchPage.as_view(), name="launch"),
    path(f"{_ONE}review/", launching.ReviewPage.as_view(), name="review"),
    path(f"{_ONE}review/withdraw/", launching.WithdrawReviewPage.as_view(), name="withdraw-review"),
    path(f"{_ONE}pause/", views.PausePage.as_view(), name="pause"),
    path(f"{_ONE}resume/", views.ResumePage.as_view(), name="resume"),
    path(f"{_ONE}resume-stopped/", views.ResumeStoppedPage.as_view(), name="resume-stopped"),
    path(f"{_ONE}close/", views.ClosePage.as_view(), name="close"),
    path(f"{_ONE}archive/", views.ArchivePage.as_view(), name="archive"),
    path(f"{_ONE}budget/", views.ChooseBudgetPage.as_view(), name="budget"),
    path(f"{_ONE}people/", people_pages.PeoplePage.as_view(), name="people"),
    path(f"{_ONE}people/add/", people_pages.AddPersonPage.as_view(), name="add-person"),
    path(f"{_ONE}people/decide/", people_pages.DecidePeoplePage.as_view(), name="decide-people"),
    path(f"{_ONE}people/import/", people_pages.ImportPeoplePage.as_view(), name="import-people"),
    path(f"{_ONE}terms/", terms_pages.TermsPage.as_view(), name="terms"),
    path(f"{_ONE}terms/edit/", terms_pages.EditTermsPage.as_view(), name="edit-terms"),
    path(f"{_ONE}terms/publish/", terms_pages.PublishTermsPage.as_view(), name="publish-terms"),
    path(f"{_ONE}terms/people/", terms_pages.AcceptancesPage.as_view(), name="acceptances"),
    path(f"{_ONE}targets/", target_pages.TargetsPage.as_view(), name="targets"),
    path(f"{_ONE}targets/set/", target_pages.SetTargetPage.as_view(), name="set-target"),
    path(f"{_ONE}targets/grid/", target_grid.TargetGridPage.as_view(), name="target-grid"),
    path(f"{_ONE}targets/prorate/", target_pages.ProratePage.as_view(), name="prorate"),
    path(f"{_ONE}targets/history/", target_pages.TargetHistoryPage.as_view(), name="target-history"),
    path(f"{_ONE}targets/import/", target_pages.ImportTargetsPage.as_view(), name="import-targets"),
]
