"""The tools of the suite itself: services, processes, browser, flush."""

import pytest
from django.db import IntegrityError, connection, transaction

from incentives.accounts.models import User
from incentives.core import audit
from incentives.core.models import AuditEvent


def _recorded() -> AuditEvent:
    with transaction.atomic():
        user = User.objects.create_user("rep@example.com", name="Rae Rep")
        return audit.record("user.created", user)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_number", [1, 2])
def test_append_only_tables_are_empty_and_guarded_in_every_transactional_test(round_number):
    assert AuditEvent.objects.count() == 0
    event = _recorded()
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditEvent.objects.filter(pk=event.pk).delete()
    assert AuditEvent.objects.count() == 1


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_number", [1, 2])
def test_they_are_so_beside_a_browser_too(page, round_number):
    assert AuditEvent.objects.count() == 0
    _recorded()


@pytest.mark.postgres
@pytest.mark.django_db
def test_postgres_tests_run_on_postgresql():
    assert connection.vendor == "postgresql"


@pytest.mark.chaos
@pytest.mark.django_db(transaction=True)
def test_a_real_worker_takes_tasks_from_the_broker_and_commits_to_the_same_database(real_celery_worker, settings):
    from incentives.celery import app

    app.send_task("test.unknown", queue="default")
    real_celery_worker.wait_for("unregistered task", seconds=30)


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_real_browser_sees_the_sign_in_page(page):
    page.goto("/accounts/login/")
    assert page.locator("input[name=login]").count() == 1
