"""The pages of programs: who may open them, what they say, and that a refusal leaves nothing behind."""

import json
from datetime import date
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from incentives.core.models import AuditEvent
from incentives.ledger import services as ledger
from incentives.programs import gallery, services
from incentives.programs.forms import DefinitionForm
from incentives.programs.models import Program, ProgramVersion, Target
from incentives.programs.selectors import definition_of
from incentives.programs.services import TargetRow
from tests.factories import (
    deal,
    definition,
    make_budget,
    make_connection,
    make_participant,
    make_program,
    make_team,
    make_user,
    send,
    usd,
)
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
ROLES = ["manager", "finance", "administrator", "auditor", "participant", "partner_admin"]
VIEWERS = {"manager", "finance", "administrator", "auditor"}
QUOTA = {
    "template": "quota",
    "period": "quarter",
    "rewards": [{"type": "tiers", "of": "target", "tiers": [{"at": "100", "amount": "500.00"}]}],
}
READ = ["", "versions/", "targets/", "participants/", "earnings/", "exceptions/"]
EDIT = ["edit/", "budget/", "targets/set/", "targets/import/", "launch/", "pause/", "resume/", "close/", "archive/"]


@pytest.fixture
def manager():
    return make_user("manager", name="Maya")


@pytest.fixture
def signed_in(client, manager):
    client.force_login(manager)
    return client


def rules_of(**changes) -> dict:
    """Form values: the essentials, and the rest of `definition(**changes)` as text."""
    document = definition(**changes)
    essentials = {
        key: document.pop(key, "") for key in ("name", "template", "starts_on", "ends_on", "time_zone", "currency")
    }
    return essentials | {"rules": json.dumps(document)}


# --- who may -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", ROLES)
def test_each_role_opens_what_it_may_and_finds_nothing_else(client, role):
    program = make_program(name="Spring bonus")
    at = f"/programs/{program.public_id}/"
    client.force_login(make_user(role))
    may_read, may_edit = role in VIEWERS, role == "manager"
    for path in ["/programs/", *(at + part for part in READ)]:
        assert client.get(path).status_code == (200 if may_read else 404), path
    for path in ["/programs/new/", *(at + part for part in EDIT)]:
        assert client.get(path).status_code == (200 if may_edit else 404), path
        if not may_edit:
            assert client.post(path, {"reason": "x"}).status_code == 404, path
    program.refresh_from_db()
    assert (program.status, Program.objects.count(), ProgramVersion.objects.count()) == ("active", 1, 1)


def test_nobody_signed_in_goes_to_the_sign_in_page(client):
    program = make_program()
    for part in ["", *READ, *EDIT]:
        answer = client.get(f"/programs/{program.public_id}/{part}")
        assert answer.status_code == 302 and answer["Location"].startswith("/accounts/login/")


def test_buttons_that_change_something_are_shown_to_managers_alone(client, manager):
    program = make_program()
    for user, shown in ((manager, True), (make_user("auditor"), False)):
        client.force_login(user)
        page = assert_page_clean(client.get(program.get_absolute_url()))
        assert (f"/programs/{program.public_id}/pause/" in page.links) is shown
        assert ("/programs/new/" in assert_page_clean(client.get("/programs/")).links) is shown


# --- the list ------------------------------------------------------------------------------------------------------------
def test_the_list_shows_what_each_program_earned_and_what_its_budget_has_left(signed_in, manager):
    budget = make_budget(funded="500.00", name="FY26")
    ana, ben = make_participant("Ana"), make_participant("Ben")
    make_program(name="Two per cent", budget=budget, manager=manager)
    make_program(name="A draft", launched=False, manager=manager)
    send(make_connection(), deal("D1", ana, "1000.00"), deal("D2", ben, "500.00"), deal("D3", ben, "0.00"))
    page = assert_page_clean(signed_in.get("/programs/"))
    assert "Two per cent" in page.text and "A draft" not in page.text
    shown = "Two per cent Deal bonus Active 1 Jan 2026 31 Dec 2026 2 30.00 USD 500.00 USD FY26"
    assert shown in page.text
    assert "A draft" in assert_page_clean(signed_in.get("/programs/?tab=drafts")).text


def test_the_list_is_searched_and_filtered(signed_in, manager):
    budget = make_budget(name="EMEA")
    make_program(name="Winter race", budget=budget, manager=manager, starts_on="2026-12-01", ends_on="2026-12-31")
    make_program(name="All year", template="spiff", manager=manager)
    services.change_status(program=Program.objects.get(name="All year"), new="paused", actor=manager)

    def found(query: str) -> set[str]:
        text = assert_page_clean(signed_in.get(f"/programs/?tab=all&{query}")).text
        return {name for name in ("Winter race", "All year") if name in text}

    assert found("") == {"Winter race", "All year"}
    assert found("q=winter") == {"Winter race"}
    assert found("status=paused") == {"All year"}
    assert found("template=spiff") == {"All year"}
    assert found(f"budget={budget.public_id}") == {"Winter race"}
    assert found("until=2026-11-30") == {"All year"}
    assert found("since=2027-01-01") == set()
    assert found("since=nonsense") == set()
    assert found("sort=-earned") == {"Winter race", "All year"}


def test_the_list_exports_amounts_as_numbers(signed_in, manager):
    make_program(name="=Evil()", budget=make_budget(funded="500.00"), manager=manager)
    send(make_connection(), deal("D1", make_participant(), "1000.00"))
    answer = signed_in.get("/programs/?tab=all&export=csv")
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    assert "'=Evil()" in text and ",1,20.00,USD,500.00,USD," in text
    assert AuditEvent.objects.filter(action="list.exported").count() == 1


def count(client, path) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def test_query_counts_do_not_grow_with_the_rows(signed_in, manager):
    team, crm = make_team(), make_connection()
    program = make_program(manager=manager, **QUOTA)

    def grow(number: int) -> None:
        for n in range(number):
            rep = make_participant(team=team)
            extra = make_program(manager=manager)
            services.set_targets(
                program=program, rows=[TargetRow(rep, date(2026, 7, 1), Decimal(100 + n))], actor=manager
            )
            services.edit_draft(program=extra, document=definition(caps={"deal": "5.00"}), actor=manager)
            send(
                crm, deal(f"D{rep.pk}", rep, "1000.00"), deal(f"X{rep.pk}", rep, "9.00", currency="EUR"), evaluate=False
            )
        send(crm)

    at = f"/programs/{program.public_id}/"
    grow(3)
    paths = ["/programs/?tab=all&per=100", *(f"{at}{part}?per=100" for part in [*READ, "edit/", "budget/"])]
    before = {path: count(signed_in, path) for path in paths}
    grow(12)
    assert {path: count(signed_in, path) for path in paths} == before
    assert max(before.values()) <= 30


# --- making one -----------------------------------------------------------------------------------------------------------
def test_the_gallery_offers_every_published_example_and_an_empty_start(signed_in):
    page = assert_page_clean(signed_in.get("/programs/new/"))
    starts = [link for link in page.links if link.startswith("?start=")]
    assert "?start=empty" in starts and len(starts) > 5
    for start in starts:
        form = assert_page_clean(signed_in.get(f"/programs/new/{start}"))
        assert {"id_name", "id_rules", "id_budget"} <= set(form.ids)
    assert signed_in.get("/programs/new/?start=../../etc/passwd").status_code == 404


def test_every_starting_point_can_be_saved_as_it_is(signed_in):
    entries = gallery.entries(timezone.localdate())
    for entry in entries:
        assert date.fromisoformat(entry.document["ends_on"]) > timezone.localdate()
        answer = signed_in.post(
            "/programs/new/?start=x", DefinitionForm.initial_of(entry.document) | {"action": "save"}
        )
        assert answer.status_code == 302, entry.slug
    assert Program.objects.filter(status="draft").count() == len(entries)


def test_without_examples_the_built_in_ones_are_offered(monkeypatch, tmp_path):
    monkeypatch.setattr(gallery, "FOLDER", tmp_path)
    assert {entry.slug for entry in gallery.entries(date(2026, 11, 20))} == set(gallery.BUILT_IN)
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "mine.json").write_text(json.dumps(definition(name="Mine")))
    (entry,) = gallery.entries(date(2026, 11, 20))
    assert (entry.slug, entry.name) == ("mine", "Mine")
    assert (entry.document["starts_on"], entry.document["ends_on"]) == ("2026-12-01", "2027-11-30")


def test_saving_makes_a_draft_that_counts_nothing_yet(signed_in, manager):
    budget = make_budget()
    data = rules_of(name="Deal bonus", caps={"deal": "100.00"}) | {"budget": budget.public_id, "action": "save"}
    answer = signed_in.post("/programs/new/", data)
    program = Program.objects.get()
    assert answer["Location"] == program.get_absolute_url()
    assert (program.name, program.status, program.budget, program.owner) == ("Deal bonus", "draft", budget, manager)
    page = assert_page_clean(signed_in.get(program.get_absolute_url()))
    assert "Pays 2 % of the amount of every won deal." in page.text
    assert "Pays at most 100.00 USD per deal." in page.text


def test_checking_says_what_it_means_and_saves_nothing(signed_in):
    page = assert_page_clean(signed_in.post("/programs/new/", rules_of(name="Mine") | {"action": "check"}))
    assert "Pays 2 % of the amount of every won deal." in page.text and "Not saved yet" in page.text
    assert Program.objects.count() == 0


def test_every_error_is_shown_with_its_path_and_what_was_typed_stays(signed_in):
    bad = rules_of(rewards=[{"type": "percent", "rate": 2}, {"type": "per_unit", "amount": "x"}], caps={"dael": "1.00"})
    answer = signed_in.post("/programs/new/", bad | {"ends_on": "2025-01-01", "name": "Kept <b>"})
    page = assert_page_clean(answer)
    assert answer.status_code == 422
    assert 'rewards[0].rate: found 2, expected per cent as text, such as "5" for 5 %.' in page.text
    assert 'rewards[1].amount: found "x", expected money as text, such as "50.00".' in page.text
    assert (
        'caps.dael: found an unknown key, expected one of deal, period, participant (did you mean "deal"?).'
        in page.text
    )
    assert 'value="Kept &lt;b&gt;"' in answer.content.decode() and "dael" in answer.content.decode()
    assert Program.objects.count() == 0 and AuditEvent.objects.count() == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rules": "{"}, "The document: found Expecting property name"),
        ({"rules": "[]"}, "The document: found a list of 0, expected one JSON object."),
        ({"rules": '{"rewards": [], "rewards": []}'}, "rewards: found the key twice, expected each key once."),
        ({"rules": ""}, "This field is required."),
        ({"rules": '{"a":' * 70 + "1" + "}" * 70}, "found more than 64 levels"),
        ({"name": ""}, "Fill this in, or give “name” in the document."),
        ({"starts_on": "1.7.2026"}, 'Found "1.7.2026", expected a day such as "2026-07-01".'),
        ({"ends_on": "2025-12-31"}, "expected a day from 2026-01-01 on"),
        ({"currency": "XXX"}, "Select a valid choice"),
        ({"time_zone": "Mars/Olympus"}, "Select a valid choice"),
        (
            {"rules": '{"name": "Other", "rewards": [{"type": "per_deal", "amount": "1.00"}]}'},
            "Found 'Other' in the document, 'Mine' in the field",
        ),
        ({"budget": "c07562d5-6c10-4fcc-a766-341c5dc3d23c"}, "Select a valid choice"),
    ],
)
def test_a_bad_form_is_refused_with_words_and_nothing_is_written(signed_in, changes, message):
    answer = signed_in.post("/programs/new/", rules_of(name="Mine") | {"action": "save"} | changes)
    assert answer.status_code == 422
    assert message in assert_page_clean(answer).text
    assert (Program.objects.count(), AuditEvent.objects.count()) == (0, 0)


def test_a_whole_document_may_be_pasted_where_the_fields_are_empty(signed_in):
    document = definition(name="Pasted", time_zone="America/New_York")
    signed_in.post("/programs/new/", {"rules": json.dumps(document), "action": "save"})
    program = Program.objects.get()
    assert (program.name, program.current_definition["time_zone"]) == ("Pasted", "America/New_York")


def test_a_budget_in_another_currency_is_refused(signed_in):
    budget = make_budget(currency="EUR", name="EMEA")
    before = AuditEvent.objects.count()
    answer = signed_in.post("/programs/new/", rules_of() | {"budget": budget.public_id, "action": "save"})
    assert "EMEA is kept in EUR; the program pays USD." in assert_page_clean(answer).text
    assert (Program.objects.count(), AuditEvent.objects.count()) == (0, before)


# --- editing and versions ---------------------------------------------------------------------------------------------------
def test_editing_a_published_program_makes_the_next_version_and_says_what_changes(signed_in, manager):
    program = make_program(manager=manager, caps={"deal": "100.00"}, name="Bonus")
    at = f"/programs/{program.public_id}/"
    form = assert_page_clean(signed_in.get(f"{at}edit/"))
    assert "Version 1 is in force and never changes." in form.text
    data = rules_of(name="Bonus", caps={"deal": "50.00"}) | {"note": "Too generous"}
    checked = assert_page_clean(signed_in.post(f"{at}edit/", data | {"action": "check"})).text
    assert "before Pays at most 100.00 USD per deal. after Pays at most 50.00 USD per deal." in checked
    assert ProgramVersion.objects.count() == 1
    assert signed_in.post(f"{at}edit/", data | {"action": "save"})["Location"] == at
    assert program.current_version.number == 1
    page = assert_page_clean(signed_in.get(at)).text
    assert "Version 2 waits to be published Too generous" in page and "Publish version 2" in page
    versions = assert_page_clean(signed_in.get(f"{at}versions/")).text
    assert "Version 2 Draft" in versions and "Why Too generous" in versions and "Version 1 In force" in versions


def test_the_edit_form_holds_what_stands_and_saving_it_changes_nothing(signed_in, manager):
    program = make_program(
        manager=manager, caps={"deal": "100.00"}, qualifies={"field": "amount", "op": "gte", "value": "5"}
    )
    initial = DefinitionForm.initial_from(definition_of(program))
    signed_in.post(f"/programs/{program.public_id}/edit/", initial | {"action": "save"})
    first, second = program.versions.order_by("number")
    assert first.digest == second.digest


def test_a_closed_program_cannot_be_edited(signed_in, manager):
    program = make_program(manager=manager)
    services.change_status(program=program, new="closed", actor=manager)
    answer = signed_in.post(f"/programs/{program.public_id}/edit/", rules_of() | {"action": "save"})
    assert answer.status_code == 409
    assert "is closed and cannot become edited" in assert_page_clean(answer).text
    assert ProgramVersion.objects.count() == 1


# --- the steps of its life --------------------------------------------------------------------------------------------------
def test_the_launch_page_says_how_many_facts_count_and_who_gains(signed_in, manager):
    ana, ben = make_participant("Ana"), make_participant("Ben")
    send(
        make_connection(),
        deal("D1", ana, "1000.00"),
        deal("D2", ana, "500.00"),
        deal("D3", ben, "100.00"),
        deal("D4", ben, "900.00", kind="deal.lost"),
        deal("D5", ben, "900.00", currency="EUR"),
    )
    program = make_program(manager=manager, launched=False, budget=make_budget(funded="10.00"))
    page = assert_page_clean(signed_in.get(f"/programs/{program.public_id}/launch/")).text
    assert "Facts received that count 3 of 5 near its days" in page
    assert "People who gain 2 Earned at once 32.00 USD Room in the budget 10.00 USD" in page
    assert "The budget is 22.00 USD short" in page
    assert "Ana 30.00 USD Ben 2.00 USD" in page
    assert "1 fact would stand on the exceptions list." in page


def test_launching_in_the_browser_counts_facts_already_received(signed_in, manager):
    ana = make_participant("Ana")
    program = make_program(manager=manager, launched=False)
    crm = make_connection()
    send(crm, deal("D1", ana, "1000.00"))
    at = f"/programs/{program.public_id}/"
    answer = signed_in.post(f"{at}launch/", follow=True)
    assert "is running. Facts already received" in assert_page_clean(answer).text
    send(crm)
    page = assert_page_clean(signed_in.get(at)).text
    assert "Earned 20.00 USD" in page and "2 % of 1,000.00 = 20.00" in page


def test_a_launch_names_everything_that_is_missing_and_changes_nothing(signed_in, manager):
    program = services.create_program(document=definition(delivery=None), actor=manager)
    at = f"/programs/{program.public_id}/"
    for path in (at, f"{at}launch/"):
        text = assert_page_clean(signed_in.get(path)).text
        assert "Choose a budget." in text and "Say how rewards are delivered (delivery)." in text
    answer = signed_in.post(f"{at}launch/")
    assert answer.status_code == 409 and "Choose a budget." in assert_page_clean(answer).text
    program.refresh_from_db()
    assert (program.status, program.versions.get().published_at) == ("draft", None)


def test_there_is_nothing_to_publish_twice(signed_in, manager):
    program = make_program(manager=manager)
    at = f"/programs/{program.public_id}/launch/"
    assert "There is nothing to publish" in assert_page_clean(signed_in.get(at)).text
    assert signed_in.post(at).status_code == 409


def test_pausing_resuming_closing_and_archiving_keep_the_reason(signed_in, manager):
    program = make_program(manager=manager)
    at = f"/programs/{program.public_id}/"
    for step, status in (("pause", "paused"), ("resume", "active"), ("close", "closed"), ("archive", "archived")):
        assert f"{at}{step}/" in assert_page_clean(signed_in.get(at)).links
        assert assert_page_clean(signed_in.get(f"{at}{step}/"))
        refused = signed_in.post(f"{at}{step}/", {"reason": ""})
        assert refused.status_code == 400 and "This field is required." in assert_page_clean(refused).text
        assert_page_clean(signed_in.post(f"{at}{step}/", {"reason": f"why {step}"}, follow=True))
        program.refresh_from_db()
        assert program.status == status
    events = AuditEvent.objects.filter(reason__startswith="why ").order_by("pk").values_list("action", "reason")
    assert list(events) == [
        ("program.paused", "why pause"),
        ("program.active", "why resume"),
        ("program.closed", "why close"),
        ("program.archived", "why archive"),
    ]


def test_a_step_that_is_not_possible_is_refused_on_the_form(signed_in, manager):
    program = make_program(manager=manager)
    answer = signed_in.post(f"/programs/{program.public_id}/archive/", {"reason": "away"})
    assert answer.status_code == 409
    assert "is active and cannot become archived" in assert_page_clean(answer).text
    program.refresh_from_db()
    assert program.status == "active"


def test_an_archived_program_keeps_what_it_earned_when_a_fact_changes(signed_in, manager):
    ana, crm, program = make_participant("Ana"), make_connection(), make_program(manager=manager)
    send(crm, deal("D1", ana, "1000.00"))
    for status in ("closed", "archived"):
        services.change_status(program=program, new=status, actor=manager)
    send(crm, deal("D1", ana, "1250.00", version=2, kind="deal.updated", state="won"))
    text = assert_page_clean(signed_in.get(program.get_absolute_url())).text
    assert "Earned 25.00 USD" in text


def test_a_budget_is_chosen_in_the_program_s_currency_alone(signed_in, manager):
    program = make_program(manager=manager)
    other, euros = make_budget(name="Other"), make_budget(name="Euros", currency="EUR")
    at = f"/programs/{program.public_id}/budget/"
    assert "Euros" not in assert_page_clean(signed_in.get(at)).text
    refused = signed_in.post(at, {"budget": euros.public_id})
    assert refused.status_code == 400
    program.refresh_from_db()
    assert program.budget != euros
    assert_page_clean(signed_in.post(at, {"budget": other.public_id}, follow=True))
    program.refresh_from_db()
    assert program.budget == other


def test_the_budget_bar_shows_exact_figures(signed_in, manager):
    budget = make_budget(funded="100.00")
    program = make_program(manager=manager, budget=budget)
    ledger.withdraw(budget=budget, amount=usd("25.00"), reference="R", actor=make_user("finance"))
    text = assert_page_clean(signed_in.get(program.get_absolute_url())).text
    assert "Used 0.00 USD of 75.00 USD 75.00 USD available" in text


# --- targets ----------------------------------------------------------------------------------------------------------------
@pytest.fixture
def quota(manager):
    return make_program(manager=manager, name="Quota", **QUOTA)


def test_a_target_is_set_in_the_browser_and_a_repeat_changes_nothing(signed_in, quota):
    rep = make_participant("Ana", external_user_id="U-1", email="ana@example.com")
    at = f"/programs/{quota.public_id}/targets/"
    data = {"participant": "ANA@example.com", "period": "2026-07-01", "value": "12,500.50"}
    assert_page_clean(signed_in.get(f"{at}set/?participant=U-1&period=2026-07-01"))
    assert "The target of Ana is set." in assert_page_clean(signed_in.post(f"{at}set/", data, follow=True)).text
    target = Target.objects.get()
    assert (target.participant, target.period_start, target.value) == (rep, date(2026, 7, 1), Decimal("12500.50"))
    assert "stood already" in assert_page_clean(signed_in.post(f"{at}set/", data, follow=True)).text
    assert AuditEvent.objects.filter(action="target.set").count() == 1
    assert "2026, quarter 3" in assert_page_clean(signed_in.get(at)).text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"participant": "nobody@example.com"}, "Nobody here has this external user id"),
        ({"period": "2026-07-02"}, "Select a valid choice"),
        ({"value": "0"}, "expected a number above zero"),
        ({"value": "-5"}, "expected a number above zero"),
        ({"value": "1.00001"}, "four digits after the point"),
        ({"value": "1e400"}, "expected at most"),
        ({"value": "12.500,00"}, "is not a number"),
        ({"value": "nan"}, "is not a number"),
        ({"value": "99999999999999"}, "expected at most"),
    ],
)
def test_a_bad_target_is_refused_and_nothing_is_set(signed_in, quota, changes, message):
    make_participant("Ana", external_user_id="U-1")
    data = {"participant": "U-1", "period": "2026-07-01", "value": "100"} | changes
    answer = signed_in.post(f"/programs/{quota.public_id}/targets/set/", data)
    assert answer.status_code == 400
    assert message in assert_page_clean(answer).text
    assert (Target.objects.count(), AuditEvent.objects.filter(action="target.set").count()) == (0, 0)


def test_a_target_for_another_day_of_the_period_replaces_the_one_that_stands(manager, quota):
    rep = make_participant()
    for day, value in ((date(2026, 7, 1), 100), (date(2026, 9, 9), 200)):
        services.set_targets(program=quota, rows=[TargetRow(rep, day, Decimal(value))], actor=manager)
    target = Target.objects.get()
    assert (target.period_start, target.value) == (date(2026, 7, 1), Decimal(200))


def test_a_version_whose_periods_would_join_two_targets_cannot_be_published(signed_in, manager, quota):
    rep = make_participant("Ana")
    rows = [TargetRow(rep, date(2026, month, 1), Decimal(100)) for month in (1, 4)]
    services.set_targets(program=quota, rows=rows, actor=manager)
    services.edit_draft(program=quota, document=definition(**QUOTA | {"period": "year"}), actor=manager)
    answer = signed_in.post(f"/programs/{quota.public_id}/launch/", {"start": "beginning"})
    assert answer.status_code == 409
    assert "Ana has two targets in the period from 2026-01-01" in assert_page_clean(answer).text
    assert quota.current_version.number == 1


FILE = 'participant,period_start,value\nU-1,2026-08-15,1000\nben@example.com,2026-07-01,"2,000.50"\n'


@pytest.fixture
def people():
    ana = make_participant("Ana", external_user_id="U-1")
    return ana, make_participant("Ben", email="ben@example.com", external_user_id="")


def test_a_file_of_targets_is_previewed_and_then_set(signed_in, manager, quota, people):
    ana, ben = people
    services.set_targets(program=quota, rows=[TargetRow(ana, date(2026, 7, 1), Decimal(1000))], actor=manager)
    at = f"/programs/{quota.public_id}/targets/import/"
    upload = SimpleUploadedFile("t.csv", b"\xef\xbb\xbf" + FILE.encode(), "text/csv")
    page = assert_page_clean(signed_in.post(at, {"file": upload}))
    assert "2 rows can be set" in page.text and "Unchanged" in page.text and "New" in page.text
    assert Target.objects.count() == 1
    done = assert_page_clean(signed_in.post(at, {"text": FILE, "action": "apply"}, follow=True))
    assert "1 target is set. 1 stood already." in done.text
    assert {(t.participant, t.period_start, t.value) for t in Target.objects.all()} == {
        (ana, date(2026, 7, 1), Decimal(1000)),
        (ben, date(2026, 7, 1), Decimal("2000.50")),
    }


def test_every_wrong_row_is_named_and_the_file_is_refused_as_a_whole(signed_in, quota, people):
    text = (
        "value;participant;period_start\n1000;U-1;2026-07-01\n5;U-1;2026-09-30\n7;nobody;2026-07-01\n"
        "0;U-1;2026-10-01\n8;U-1;soon\n9;U-1;2031-01-01\nx;U-1;2026-01-01\n"
    )
    answer = signed_in.post(f"/programs/{quota.public_id}/targets/import/", {"text": text, "action": "apply"})
    page = assert_page_clean(answer).text
    assert answer.status_code == 400 and "6 of 7 rows cannot be set" in page
    for message in (
        "Line 2 already sets this participant and period.",
        "Nobody here is called “nobody”.",
        "expected a number above zero",
        "“soon” is no day such as 2026-07-01.",
        "2031-01-01 is outside the program",
        "“x” is not a number",
    ):
        assert message in page
    assert Target.objects.count() == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Choose a file, or paste its lines."),
        ("name,value\nU-1,5\n", "missing: participant, period_start"),
        ("participant,period_start,value\n", "The file has no rows"),
        ('participant,period_start,value\n"U-1,2026-07-01,5\n', "is no CSV"),
        ("participant,period_start,value\n" + "U-1,2026-07-01,5\n" * 5001, "More than 5000 rows"),
    ],
)
def test_a_file_that_is_none_is_refused(signed_in, quota, text, message):
    answer = signed_in.post(f"/programs/{quota.public_id}/targets/import/", {"text": text, "action": "apply"})
    assert answer.status_code == 400 and message in assert_page_clean(answer).text
    assert Target.objects.count() == 0


def test_a_file_that_is_not_utf8_is_refused(signed_in, quota):
    upload = SimpleUploadedFile("t.csv", "participant,period_start,value\nJos\xe9,2026-07-01,5\n".encode("latin-1"))
    answer = signed_in.post(f"/programs/{quota.public_id}/targets/import/", {"file": upload})
    assert answer.status_code == 400 and "not UTF-8" in assert_page_clean(answer).text
