"""The pages of simulations: who may open them, what they say, exports, and what the form makes of its fields."""

import csv
import io
import json
from datetime import date
from decimal import Decimal

import pytest
from django.urls import get_resolver, reverse
from django.utils import timezone

from incentives.core.models import AuditEvent
from incentives.programs import services as programs
from incentives.simulations import services
from incentives.simulations.forms import key_of
from incentives.simulations.models import Simulation
from incentives.simulations.services import Source
from incentives.simulations.windows import windows
from tests.factories import (  # fmt: skip
    deal,
    definition,
    make_budget,
    make_connection,
    make_participant,
    make_program,
    make_team,
    make_user,
    send,
)
from tests.programs.cases import program as parsed
from tests.simulations.scene import YEAR, candidate, simulate, source
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
ROLES = ("manager", "finance", "participant", "partner_admin", "administrator", "auditor")
#                    M    F    P    PA   A    AU
SEE = "              200  200  404  404  404  404"
USE = "              200  404  404  404  404  404"
PAGES = {
    "simulations:list": SEE,
    "simulations:new": SEE,
    "simulations:simulate": SEE,
    "simulations:simulation": SEE,
    "simulations:cancel": SEE,
    "simulations:again": SEE,
    "simulations:use": USE,
    "simulations:people": SEE,
    "simulations:person": SEE,
    "simulations:overlap": SEE,
    "simulations:exceptions": SEE,
}


class Scene:
    """Two per cent runs; a draft pays 60.00 a deal; another program paid for one of the deals too."""

    def __init__(self):
        self.manager = make_user("manager", name="Maya")
        self.ana = make_participant("Ana", team=make_team("north"), external_user_id="U-1")
        self.ben = make_participant("Ben", external_user_id="U-2")
        self.budget = make_budget(name="FY26", funded="100.00")
        self.program = make_program(name="Bonus", manager=self.manager, budget=self.budget)
        self.other = make_program(
            name="Big deals", manager=self.manager, rewards=[{"type": "per_deal", "amount": "10.00"}],
            qualifies={"field": "amount", "op": "gte", "value": "4000"},
        )  # fmt: skip
        self.crm = make_connection()
        send(self.crm, deal("D1", self.ana, "1000.00"), deal("D2", self.ana, "4000.00"),
             deal("D3", self.ben, "500.00"), deal("D4", self.ben, None, kind="deal.won"))  # fmt: skip
        document = definition(name="Bonus", rewards=[{"type": "percent", "rate": "3"}, {"type": "per_unit", "amount": "0.01"}])  # fmt: skip
        self.draft = programs.edit_draft(program=self.program, document=document, actor=self.manager)
        self.done = simulate(
            self.manager, Source.of(self.draft), source(definition(rewards=[{"type": "percent", "rate": "1"}]), "One per cent"),
            baseline=Source.of(self.program.current_version), budget=self.budget, name="Three or two",
        )  # fmt: skip

    def address(self, name: str) -> str:
        at = {
            "simulate": [self.program.public_id],
            **{n: [self.done.public_id] for n in ("simulation", "cancel", "again")},
            **{n: [self.done.public_id, 1] for n in ("use", "people", "overlap", "exceptions")},
            "person": [self.done.public_id, 1, self.ana.public_id],
        }
        return reverse(name, args=at.get(name.partition(":")[2], []))


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def signed_in(client, scene):
    client.force_login(scene.manager)
    return client


# --- who may -----------------------------------------------------------------------------------------------------------
def test_every_address_is_in_the_table():
    patterns = get_resolver().namespace_dict["simulations"][1].url_patterns
    assert {f"simulations:{pattern.name}" for pattern in patterns} == set(PAGES)


@pytest.mark.parametrize("role", ROLES)
def test_every_page_for_every_role(client, scene, role):
    client.force_login(make_user(role))
    for name, row in PAGES.items():
        wanted = int(row.split()[ROLES.index(role)])
        answer = client.get(scene.address(name))
        assert answer.status_code == wanted, name
        if wanted == 200:
            assert_page_clean(answer)


def test_a_visitor_is_sent_to_sign_in(client, scene):
    for name in PAGES:
        answer = client.get(scene.address(name))
        assert answer.status_code == 302 and "/accounts/login/" in answer["Location"], name


@pytest.mark.parametrize("role", ["participant", "partner_admin", "administrator", "auditor"])
def test_posts_of_others_write_nothing(client, scene, role):
    client.force_login(make_user(role))
    before = list(Simulation.objects.values_list("pk", "status"))
    for name in ("new", "simulate", "cancel", "again", "use"):
        assert client.post(scene.address(f"simulations:{name}"), {}).status_code == 404
    assert list(Simulation.objects.values_list("pk", "status")) == before


def test_what_does_not_exist_answers_404(signed_in, scene):
    at = scene.done.get_absolute_url()
    other = make_participant()
    for path in (f"{at}4/people/", f"{at}0/overlap/", f"{at}1/people/{other.public_id}/", f"{at}9/use/"):
        assert signed_in.get(path).status_code == 404, path
    waiting = services.start(actor=scene.manager, candidates=[source(definition())], first=YEAR[0], last=YEAR[1])
    assert signed_in.get(f"{waiting.get_absolute_url()}1/people/").status_code == 404


# --- the result --------------------------------------------------------------------------------------------------------
def test_the_result_says_what_it_costs_who_wins_and_what_is_paid_twice(signed_in, scene):
    text = assert_page_clean(signed_in.get(scene.done.get_absolute_url())).text
    # 3 % of 5,500.00 and a cent for each of 5,500 units
    assert "Cost 220.00 USD 176.00 USD to 264.00 USD with wins 20 % down or up" in text
    assert "Missing in the budget 120.00 USD FY26" in text
    assert "It would have run out on 3 Aug 2026, on day 215 of 365. 120.00 USD are missing." in text
    assert "Earn more 2 +110.00 USD" in text and "Earn less 0" in text
    assert "1 activity was paid by another program as well; 160.00 USD of the cost here is for it." in text
    assert "1 case earns nothing by a defect" in text
    second = assert_page_clean(signed_in.get(f"{scene.done.get_absolute_url()}?candidate=2")).text
    assert "Left in the budget 45.00 USD FY26" in second and "Earn less 2 −55.00 USD" in second


def test_the_page_takes_as_many_queries_for_many_people_as_for_few(signed_in, scene, django_assert_max_num_queries):
    with django_assert_max_num_queries(22):
        signed_in.get(scene.done.get_absolute_url())
    with django_assert_max_num_queries(16):
        signed_in.get(scene.address("simulations:people"))
    with django_assert_max_num_queries(12):
        signed_in.get("/simulations/")


def test_a_waiting_one_asks_for_itself_and_can_be_cancelled(signed_in, scene):
    waiting = services.start(actor=scene.manager, candidates=[source(definition())], first=YEAR[0], last=YEAR[1])
    answer = signed_in.get(waiting.get_absolute_url())
    assert 'hx-trigger="every 1s"' in answer.text
    assert_page_clean(answer)
    Simulation.objects.filter(pk=waiting.pk).update(status="running", done=10, total=40)
    assert "10 of 40" in assert_page_clean(signed_in.get(waiting.get_absolute_url())).text
    signed_in.post(f"{waiting.get_absolute_url()}cancel/")
    answer = signed_in.get(waiting.get_absolute_url())
    assert "hx-trigger" not in answer.text and "It was cancelled" in answer.text


def test_people_are_searched_filtered_and_exported(signed_in, scene):
    at = scene.address("simulations:people")
    rows = list(
        csv.reader(io.StringIO(signed_in.get(f"{at}?export=csv&sort=participant").getvalue().decode("utf-8-sig")))
    )
    assert [row[:3] for row in rows] == [
        ["Participant", "External user id", "Activities"],
        ["Ana", "U-1", "2"],
        ["Ben", "U-2", "1"],
    ]
    assert rows[1][rows[0].index("Earns") : rows[0].index("Earns") + 2] == ["200.00", "USD"]
    assert "Ben" not in assert_page_clean(signed_in.get(f"{at}?team=north")).text
    assert "Ana" not in assert_page_clean(signed_in.get(f"{at}?q=ben")).text
    assert "Nothing matches" in assert_page_clean(signed_in.get(f"{at}?change=down")).text
    assert signed_in.get(f"{at}?export=xlsx").status_code == 200
    assert AuditEvent.objects.filter(action="list.exported").count() == 2


def test_every_line_of_a_person_has_its_reason_and_is_exported(signed_in, scene):
    at = scene.address("simulations:person")
    text = assert_page_clean(signed_in.get(at)).text
    assert "3 % of 4,000.00 = 120.00" in text and "Would earn 200.00 USD" in text
    rows = list(csv.reader(io.StringIO(signed_in.get(f"{at}?export=csv").getvalue().decode("utf-8-sig"))))
    assert sum(Decimal(row[4]) for row in rows[1:]) == 200
    assert signed_in.get(f"{at}?export=xlsx").status_code == 200


def test_what_is_paid_twice_is_listed_with_both_amounts(signed_in, scene):
    text = assert_page_clean(signed_in.get(scene.address("simulations:overlap"))).text
    assert "deal D2 Ana 160.00 USD Big deals 10.00 USD 160.00 USD 10.00 USD" in text


# --- the form ----------------------------------------------------------------------------------------------------------
def fields(scene, **changes) -> dict:
    given = {"first": key_of(scene.draft), "starts_on": "2026-07-01", "ends_on": "2026-09-30", "targets": "ordinal"}
    return given | changes


def test_the_form_of_a_program_is_filled_in(signed_in, scene):
    answer = signed_in.get(scene.address("simulations:simulate"))
    form = answer.context["form"]
    running = scene.program.current_version
    assert form.initial["first"] == key_of(scene.draft)
    assert (form.initial["baseline"], form.initial["budget"]) == (key_of(running), scene.budget)
    answer = signed_in.get(f"{scene.address('simulations:simulate')}?version=1&starts_on=2026-01-01&ends_on=2026-01-31")
    assert answer.context["form"].initial["first"] == key_of(running)
    assert answer.context["form"].initial["starts_on"] == "2026-01-01"
    assert signed_in.get(f"{scene.address('simulations:simulate')}?version=9").status_code == 404


def test_the_form_starts_a_run_with_a_changed_copy_and_another_program(signed_in, scene):
    copy = definition(name="Bonus", rewards=[{"type": "percent", "rate": "4"}])
    data = fields(scene, changed=json.dumps(copy), second=key_of(scene.other.current_version), percent="35",
                  baseline=key_of(scene.program.current_version), budget=str(scene.budget.public_id), name="Mine")  # fmt: skip
    answer = signed_in.post(scene.address("simulations:simulate"), data)
    fresh = Simulation.objects.get(name="Mine")
    assert answer["Location"] == fresh.get_absolute_url()
    labels = list(fresh.candidates.order_by("position").values_list("position", "label"))
    assert labels == [
        (0, "Bonus (version 1)"),
        (1, "Bonus (draft)"),
        (2, "Bonus (changed)"),
        (3, "Big deals (version 1)"),
    ]
    assert (fresh.starts_on, fresh.budget, fresh.options["percents"]) == (date(2026, 7, 1), scene.budget, [35])


def test_a_copy_left_as_it_is_and_a_definition_chosen_twice_are_not_run_twice(signed_in, scene):
    form = signed_in.get(scene.address("simulations:simulate")).context["form"]
    data = fields(scene, changed=form.initial["changed"], second=key_of(scene.draft))
    signed_in.post(scene.address("simulations:simulate"), data)
    assert [one.position for one in Simulation.objects.first().candidates.all()] == [1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"changed": "{"}, "valid JSON"),
        ({"changed": '{"name": "x"}'}, "rewards"),
        ({"ends_on": "2026-06-01"}, "before the first"),
        ({"targets": "flat"}, "Give the target"),
        ({"percent": "900"}, "500"),
        ({"first": "nothing"}, "valid choice"),
    ],
)
def test_a_wrong_form_says_what_is_wrong_and_starts_nothing(signed_in, scene, changes, words):
    answer = signed_in.post(scene.address("simulations:new"), fields(scene, **changes))
    assert answer.status_code == 422
    assert words in assert_page_clean(answer).text
    assert Simulation.objects.count() == 1


def test_using_one_leads_to_the_launch(signed_in, scene):
    page = assert_page_clean(signed_in.get(scene.address("simulations:use")))
    assert "It is the draft of Bonus already" in page.text
    answer = signed_in.post(scene.address("simulations:use"))
    assert answer["Location"] == f"/programs/{scene.program.public_id}/launch/"
    second = reverse("simulations:use", args=[scene.done.public_id, 2])
    assert "A new draft program is made of it" in assert_page_clean(signed_in.get(second)).text


def test_the_list_is_searched_filtered_and_has_an_empty_state(client, signed_in, scene):
    def text(query=""):
        return assert_page_clean(signed_in.get(f"/simulations/{query}")).text

    assert "Three or two Bonus Done 1 Jan 2026 31 Dec 2026 220.00 USD Maya" in text()
    assert "Three or two" in text("?q=three") and "Nothing matches" in text("?q=four")
    assert "Three or two" in text(f"?program={scene.program.public_id}")
    assert "Nothing matches" in text(f"?program={scene.other.public_id}")
    Simulation.objects.all().delete()
    assert "Nothing was tried yet" in text()


def test_a_failed_one_says_why(signed_in, scene):
    Simulation.objects.update(status="failed", error="It could not be computed (KeyError).", finished_at=timezone.now())
    assert (
        "It could not be computed (KeyError)." in assert_page_clean(signed_in.get(scene.done.get_absolute_url())).text
    )


def test_a_program_links_to_its_simulation_for_those_who_may(client, scene):
    for role, shown in (("manager", True), ("auditor", False)):
        client.force_login(make_user(role))
        links = assert_page_clean(client.get(scene.program.get_absolute_url())).links
        assert (scene.address("simulations:simulate") in links) is shown


# --- windows -----------------------------------------------------------------------------------------------------------
def test_windows_that_are_offered():
    def found(definition, today):
        return [(w.label, str(w.first), str(w.last)) for w in windows(definition, date.fromisoformat(today))]

    coming = parsed(starts_on="2027-01-01", ends_on="2028-02-29")
    assert found(coming, "2026-11-25") == [
        ("The same days 2 years before", "2025-01-01", "2026-02-28"),
        ("Last month", "2026-10-01", "2026-10-31"),
        ("Last quarter", "2026-07-01", "2026-09-30"),
        ("Last twelve months", "2025-11-01", "2026-10-31"),
    ]
    running = parsed(starts_on="2026-01-01", ends_on="2026-12-31")
    assert found(running, "2026-01-15")[:3] == [
        ("The program's own days", "2026-01-01", "2026-12-31"),
        ("The same days a year before", "2025-01-01", "2025-12-31"),
        ("Last month", "2025-12-01", "2025-12-31"),
    ]
    assert found(None, "2026-02-10")[1] == ("Last quarter", "2025-10-01", "2025-12-31")


def test_a_longer_window_is_said(signed_in, scene):
    half = definition(name="Half", ends_on="2026-06-30")
    done = simulate(scene.manager, source(half))
    text = assert_page_clean(signed_in.get(done.get_absolute_url())).text
    assert "The window has 365 days, the program 181 days. Targets, tiers and caps were not scaled to it." in text
    assert candidate(done).result["total_minor"] == 11_000
