"""The comparison with the provider: once a day whoever sweeps, on record also where it failed, each difference known since when."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from incentives.accounts.selectors import people_who_can
from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.notifications.models import Notification
from incentives.payouts.reconcile import Difference, Report
from incentives.reports import comparisons
from incentives.reports.comparisons import DIFFERS
from incentives.reports.errors import NothingSaid
from incentives.reports.models import ComparisonDifference, DifferenceNote, ProviderComparison, ProviderDifference
from rewards.provider.errors import NotSent
from rewards.provider.types import Progress, ProviderOrder
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 8, 15, 12, tzinfo=UTC)


@pytest.fixture
def provider(scene, clock, monkeypatch, settings):
    """`provider.orders`: what the provider lists, or an error; `provider.calls`: how often it was asked. Nobody listens."""
    settings.E2R_BASE_URL, settings.E2R_EMAIL, settings.E2R_ACCESS_TOKEN = "https://provider.test", "a@example.com", "x"
    clock.move_to(NOON)

    class Provider:
        orders, calls = [], 0

        def listed(self, payout, **changes):
            order = payout.order
            values = {"id": order.provider_order_id, "po_number": order.po_number, "progress": Progress.SUCCESS}
            return ProviderOrder(**values | changes)

        def list(self, **_options):
            self.calls += 1
            if isinstance(self.orders, Exception):
                raise self.orders
            return self.orders

    found = Provider()
    monkeypatch.setattr(comparisons.rewards, "list_provider_orders", found.list)
    monkeypatch.setattr(comparisons, "nudge", lambda: None)
    return found


def extra(settings, number: str = "ZZZZ") -> ProviderOrder:
    """An order of ours at the provider that this database does not know."""
    return ProviderOrder(id=f"x-{number}", po_number=f"{settings.E2R_PO_PREFIX}-{number}", progress=Progress.SUCCESS)


def state(run) -> tuple:
    return run.status, run.orders, run.listed, run.ours_minor, run.theirs_minor, run.serious, run.remarks


# --- daily --------------------------------------------------------------------------------------------------------------
def test_the_sweep_compares_once_a_day(scene, provider, clock):
    provider.orders = [provider.listed(scene.issue(scene.payout(approve=True)))]
    assert (comparisons.sweep_once(), comparisons.sweep_once()) == (1, 0)
    assert ProviderComparison.objects.get().status == "waiting" and provider.calls == 0
    assert (comparisons.carry_on(), comparisons.carry_on(), provider.calls) == (1, 0, 1)
    run = ProviderComparison.objects.get()
    assert state(run) == ("ok", 1, 1, 10_000, 10_000, 0, 0)
    assert (run.trigger, run.day, run.attempts, run.started_at, run.finished_at) == (
        "daily",
        NOON.date(),
        1,
        NOON,
        NOON,
    )
    clock.shift(86_400)
    assert comparisons.sweep_once() == 1 and comparisons.carry_on() == 1
    assert [str(run.day) for run in ProviderComparison.objects.order_by("pk")] == ["2026-08-15", "2026-08-16"]
    assert AuditEvent.objects.filter(action="comparison.made").count() == 2


def test_where_no_worker_listens_the_sweep_compares_itself(provider, clock):
    comparisons.sweep_once()
    clock.shift(119)
    assert comparisons.sweep_once() == 0 and provider.calls == 0
    clock.shift(1)
    assert comparisons.sweep_once() == 1 and provider.calls == 1
    assert ProviderComparison.objects.get().status == "ok"


def test_an_installation_without_provider_and_orders_compares_nothing(db, settings, monkeypatch):
    settings.E2R_BASE_URL = ""
    assert comparisons.sweep_once() == 0 and not ProviderComparison.objects.exists()


def test_an_outage_is_on_record_and_tried_again_later_and_later(provider, clock):
    provider.orders = NotSent("No connection to the provider")
    comparisons.sweep_once()
    waits = []
    for _attempt in range(4):
        assert comparisons.carry_on() == 1 and comparisons.carry_on() == 0
        run = ProviderComparison.objects.get()
        assert run.status == "failed" and run.problem.startswith("The provider could not be asked: No connection")
        wait = run.next_attempt_at - datetime.now(UTC)
        waits.append(round(wait.total_seconds() / 60))
        clock.shift(wait.total_seconds() - 1)
        assert comparisons.carry_on() == 0
        clock.shift(2)
    assert waits == [5, 15, 60, 60]
    provider.orders = []
    assert comparisons.carry_on() == 1
    run = ProviderComparison.objects.get()
    assert (run.status, run.attempts, run.problem, run.next_attempt_at) == ("ok", 5, "", None)
    assert AuditEvent.objects.filter(action="comparison.failed").count() == 4


def test_what_failed_yesterday_is_not_tried_again_and_stays_on_record(provider, clock):
    provider.orders = NotSent("Away")
    comparisons.sweep_once()
    comparisons.carry_on()
    clock.shift(86_400)
    provider.orders = []
    comparisons.sweep_once()
    assert comparisons.carry_on() == 1
    assert [run.status for run in ProviderComparison.objects.order_by("pk")] == ["failed", "ok"]


def test_a_run_whose_worker_died_is_taken_over_and_the_late_one_writes_nothing(provider, clock, settings):
    comparisons.sweep_once()
    lost = comparisons._claim(ProviderComparison.objects.get().pk)
    assert comparisons.carry_on() == 0
    clock.shift(601)
    assert comparisons.carry_on() == 1
    comparisons._run(lost, lambda: [extra(settings)])
    comparisons._fail(lost, "Too late")
    run = ProviderComparison.objects.get()
    assert (run.status, run.attempts, run.serious, run.problem) == ("ok", 2, 0, "")
    assert not ProviderDifference.objects.exists() and not Notification.objects.filter(kind=DIFFERS).exists()


# --- differences ---------------------------------------------------------------------------------------------------------
def test_a_difference_is_known_since_its_first_day_and_told_once(scene, provider, clock, settings):
    provider.orders = [extra(settings)]
    for _day in range(2):
        comparisons.sweep_once()
        comparisons.carry_on()
        clock.shift(86_400)
    first, second = ProviderComparison.objects.order_by("pk")
    assert state(first) == state(second) == ("mismatch", 0, 1, 0, 0, 1, 0)
    known = ProviderDifference.objects.get()
    assert (known.code, known.reference, known.serious) == ("unknown_here", f"{settings.E2R_PO_PREFIX}-ZZZZ", True)
    assert (known.first_seen_at, known.last_seen_at, known.told_at) == (NOON, NOON + timedelta(days=1), NOON)
    assert [found.comparison for found in known.findings.all()] == [first, second]
    told = Notification.objects.filter(kind=DIFFERS)
    assert {row.recipient.user for row in told} == {scene.finance, scene.other} and told.count() == 2
    provider.orders = [extra(settings), extra(settings, "YYYY")]
    comparisons.sweep_once()
    comparisons.carry_on()
    assert Notification.objects.filter(kind=DIFFERS).count() == 4


def test_a_remark_is_not_told_until_it_becomes_a_difference(scene, provider, clock):
    payout = scene.issue(scene.payout(approve=True))
    comparisons.sweep_once()
    comparisons.carry_on()
    run = ProviderComparison.objects.get()
    assert state(run) == ("ok", 1, 0, 10_000, 0, 0, 1) and not Notification.objects.filter(kind=DIFFERS).exists()
    known = ProviderDifference.objects.get()
    assert (known.code, known.reference, known.serious, known.told_at) == (
        "not_listed",
        payout.order.po_number,
        False,
        None,
    )
    clock.shift(90_000)
    comparisons.sweep_once()
    comparisons.carry_on()
    known.refresh_from_db()
    assert (known.serious, known.first_seen_at, known.told_at) == (True, NOON, NOON + timedelta(seconds=90_000))
    assert Notification.objects.filter(kind=DIFFERS).count() == len(people_who_can("reconciliation.edit")) > 1
    assert ComparisonDifference.objects.order_by("pk").values_list("serious", flat=True)[0] is False


def test_an_explanation_is_added_and_the_difference_stays(scene, provider, settings):
    provider.orders = [extra(settings)]
    comparisons.compare_now()
    known = ProviderDifference.objects.get()
    comparisons.explain_difference(difference=known, text="  Made by hand in the portal. ", actor=scene.finance)
    note = DifferenceNote.objects.get()
    assert (note.text, note.by, note.difference) == ("Made by hand in the portal.", scene.finance, known)
    run, _report = comparisons.compare_now()
    assert (run.serious, ProviderDifference.objects.count(), known.findings.count()) == (1, 1, 2)
    with pytest.raises(NothingSaid):
        comparisons.explain_difference(difference=known, text=" \n", actor=scene.finance)
    for rows, change in ((DifferenceNote.objects, {"text": "x"}), (ComparisonDifference.objects, {"serious": False}), (ProviderDifference.objects, {"message": "x"})):  # fmt: skip
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            rows.update(**change)
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            rows.all()._raw_delete(rows.db)


@pytest.mark.parametrize(
    "role", ["manager", "participant", "partner_admin", "administrator", "auditor", "superuser", "norole"]
)
def test_only_finance_asks_and_explains(scene, provider, client, settings, role):
    provider.orders = [extra(settings)]
    comparisons.compare_now()
    known, actor = ProviderDifference.objects.get(), scene.users[role]
    with pytest.raises(NotAllowed):
        comparisons.ask_comparison(actor=actor)
    with pytest.raises(NotAllowed):
        comparisons.explain_difference(difference=known, text="No", actor=actor)
    client.force_login(actor)
    assert client.post("/reports/comparisons/now/").status_code == 404
    assert client.post(f"/reports/differences/{known.public_id}/explain/", {"text": "No"}).status_code == 404
    assert ProviderComparison.objects.count() == 1 and not DifferenceNote.objects.exists()


# --- the command -----------------------------------------------------------------------------------------------------------
def command() -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("reconcile", stdout=out)
    except CommandError as exc:
        return exc.returncode, out.getvalue() + str(exc)
    return 0, out.getvalue()


def test_the_command_compares_on_record(scene, provider, settings):
    provider.orders = [provider.listed(scene.issue(scene.payout(approve=True)))]
    code, words = command()
    assert code == 0 and "1 orders issued: 100.00 USD here, 100.00 USD at the provider." in words
    provider.orders = [*provider.orders, extra(settings)]
    code, words = command()
    assert code == 1 and f"DIFFERENCE unknown_here {settings.E2R_PO_PREFIX}-ZZZZ" in words
    provider.orders = NotSent("Away")
    code, words = command()
    assert code == 2 and "could not be asked: Away" in words
    runs = ProviderComparison.objects.order_by("pk")
    assert [(run.trigger, run.status) for run in runs] == [
        ("command", "ok"),
        ("command", "mismatch"),
        ("command", "failed"),
    ]
    assert runs[2].next_attempt_at is None and comparisons.carry_on() == 0


# --- the pages -------------------------------------------------------------------------------------------------------------
def test_finance_asks_looks_and_explains(scene, provider, as_user, settings):
    provider.orders = [extra(settings)]
    client = as_user(scene.finance)
    assert_page_clean(client.get("/reports/comparisons/"))
    assert "Compare now" in client.get("/reports/comparisons/now/").content.decode()
    answer = client.post("/reports/comparisons/now/")
    run = ProviderComparison.objects.get()
    assert answer.url == run.get_absolute_url() and (run.trigger, run.asked_by) == ("by_hand", scene.finance)
    assert client.post("/reports/comparisons/now/").url == run.get_absolute_url()
    assert "as soon as a worker is free" in client.get(run.get_absolute_url()).content.decode()
    assert comparisons.carry_on() == 1
    assert client.post("/reports/comparisons/now/").url != run.get_absolute_url()
    comparisons.carry_on()
    page = client.get(run.get_absolute_url())
    assert_page_clean(page)
    (row,) = (row["object"] for row in page.context["rows"])
    assert (row.serious, row.is_new, row.notes) == (True, True, 0)
    later = client.get(ProviderComparison.objects.first().get_absolute_url())
    assert [row["object"].is_new for row in later.context["rows"]] == [False]
    difference = row.difference.get_absolute_url()
    assert_page_clean(client.get(difference))
    assert_page_clean(client.get(f"{difference}explain/"))
    answer = client.post(f"{difference}explain/", {"text": "Made by hand"}, follow=True)
    assert "Made by hand" in answer.content.decode() and "2 comparisons" in answer.content.decode()
    assert client.get(f"{run.get_absolute_url()}?tab=open").context["total"] == 0
    assert client.get(f"{run.get_absolute_url()}?tab=new").context["total"] == 1
    file = b"".join(client.get("/reports/comparisons/?export=csv").streaming_content).decode()
    assert file.count("\n") == 3 and "Differs" in file
    file = b"".join(client.get(f"{run.get_absolute_url()}?export=csv").streaming_content).decode()
    assert "unknown_here" not in file and f"{settings.E2R_PO_PREFIX}-ZZZZ" in file


def test_auditors_and_managers_look_and_others_do_not(scene, provider, client, settings):
    provider.orders = [extra(settings)]
    run, _report = comparisons.compare_now()
    known = ProviderDifference.objects.get()
    for role, user in scene.users.items():
        client.force_login(user)
        wanted = 200 if role in ("manager", "finance", "auditor") else 404
        for address in (reverse("reports:comparisons"), run.get_absolute_url(), known.get_absolute_url()):
            answer = client.get(address)
            assert answer.status_code == wanted, (role, address)
            if role in ("manager", "auditor"):
                assert "Compare now" not in answer.content.decode() and "/explain/" not in answer.content.decode()


def test_the_pages_ask_as_often_for_two_hundred_rows(scene, provider, as_user):
    client = as_user(scene.finance)

    def compare(n: int):
        run = comparisons._new("command", status="running", attempts=1)
        found = [Difference("amount", f"PO-{n}-{i}", "1 here, 2 there") for i in range(n)]
        comparisons._finish(run, Report(differences=found), n)
        return run

    def queries(address: str) -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get(f"{address}?per=100").status_code == 200
        return len(found)

    few = compare(10)
    counts = [queries(few.get_absolute_url()), queries("/reports/comparisons/")]
    many = [compare(200), *(compare(1) for _ in range(40))][0]
    assert [queries(many.get_absolute_url()), queries("/reports/comparisons/")] == counts


# --- several at once ---------------------------------------------------------------------------------------------------------
@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_make_one_comparison_and_ask_once(scene, monkeypatch, settings):
    import threading

    from django.db import connections

    settings.E2R_BASE_URL, settings.E2R_EMAIL, settings.E2R_ACCESS_TOKEN = "https://provider.test", "a@example.com", "x"
    monkeypatch.setattr(comparisons, "nudge", lambda: None)
    asked, inside, start, errors = [], [], threading.Barrier(4), []

    def listing(**_options):
        asked.append(1)
        inside.append(connection.in_atomic_block)
        return [extra(settings)]

    monkeypatch.setattr(comparisons.rewards, "list_provider_orders", listing)

    def sweep():
        try:
            start.wait()
            comparisons.sweep_once()
            start.wait()
            comparisons.carry_on()
        except Exception as exc:
            errors.append(exc)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and (len(asked), inside) == (1, [False])
    run = ProviderComparison.objects.get()
    assert (run.status, run.serious, ProviderDifference.objects.count()) == ("mismatch", 1, 1)
    assert Notification.objects.filter(kind=DIFFERS).count() == 2


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_runs_that_find_the_same_at_once_tell_it_once(scene, settings):
    import threading

    from django.db import connections

    settings.E2R_PO_PREFIX = "LAUREL"
    start, errors = threading.Barrier(4), []

    def compare():
        try:
            start.wait()
            comparisons.compare_now(lambda: [extra(settings), extra(settings, "YYYY")])
        except Exception as exc:
            errors.append(exc)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=compare) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [run.serious for run in ProviderComparison.objects.all()] == [2] * 4
    assert (ProviderDifference.objects.count(), ComparisonDifference.objects.count()) == (2, 8)
    assert Notification.objects.filter(kind=DIFFERS).count() == 4
