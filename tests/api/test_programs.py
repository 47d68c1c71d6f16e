"""Programs over the API: drafts, versions, validation and simulation."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from incentives.core.models import AuditEvent
from incentives.programs.errors import OwnReview
from incentives.programs.models import Program, ProgramVersion
from incentives.programs.review import confirm_review, request_review, wrote
from tests.api.conftest import problem
from tests.factories import definition, make_budget, make_program, make_user

pytestmark = pytest.mark.django_db


def test_a_draft_is_written_and_written_anew(api):
    manager = make_user("manager")
    caller, budget = api(manager, "programs:read", "programs:write"), make_budget()
    answer = caller.post("/programs", {"definition": definition(name="Spring"), "budget": str(budget.public_id)})
    assert answer.status_code == 201, answer.content
    program = Program.objects.get()
    body = answer.json()
    assert body == {
        "id": str(program.public_id), "name": "Spring", "template": "deal_bonus", "status": "draft", "currency": "USD",
        "starts_on": "2026-01-01", "ends_on": "2026-12-31", "budget": str(budget.public_id), "version": None, "draft": 1,
        "created_at": program.created_at.isoformat(),
    }  # fmt: skip
    assert (program.owner, program.versions.get().created_by) == (manager, manager)
    path = f"/programs/{program.public_id}"
    assert caller.get(path).json() == body
    again = caller.post(f"{path}/draft", {"definition": definition(name="Spring 2"), "note": "renamed"})
    assert (again.status_code, again.json()["state"], again.json()["note"]) == (200, "draft", "renamed")
    assert again.json()["definition"]["name"] == "Spring 2"
    assert caller.get(f"{path}/versions").json()["data"] == [again.json()]
    assert caller.get(f"{path}/versions/1").json() == again.json()
    assert problem(caller.get(f"{path}/versions/2")) == (404, "not_found")
    assert problem(caller.get(f"{path}/versions/{10**30}")) == (404, "not_found")


def test_repeating_a_post_makes_one_program_and_a_bad_definition_none(api):
    caller = api(make_user("manager"), "programs:write")
    document = {"definition": definition()}
    first, again = (caller.post("/programs", document, key="k") for _ in range(2))
    assert (first.json(), again["Idempotent-Replayed"], Program.objects.count()) == (again.json(), "true", 1)
    answer = caller.post("/programs", {"definition": definition(rewards=[{"type": "percent", "rate": "x"}])})
    assert problem(answer) == (422, "bad_definition")
    assert answer.json()["errors"][0]["field"] == "rewards[0].rate"
    answer = caller.post("/programs", {"definition": definition(), "budget": "0e3a5f6e-4a5b-4a35-a1b2-6a4b5f0f9d11"})
    assert problem(answer) == (422, "invalid")
    assert problem(caller.post("/programs", document, key=None)) == (400, "idempotency_key_missing")
    assert Program.objects.count() == 1


def test_programs_are_listed_by_status_and_a_running_one_gets_a_draft_beside_it(api):
    manager = make_user("manager")
    running = make_program(manager=manager, name="Running")
    make_program(launched=False, name="Draft")
    caller = api(manager, "programs:read", "programs:write")
    assert [row["name"] for row in caller.get("/programs").json()["data"]] == ["Draft", "Running"]
    (row,) = caller.get("/programs", status="active").json()["data"]
    assert (row["version"], row["draft"]) == (1, None)
    digest = ProgramVersion.objects.get(program=running).digest
    caller.post(f"/programs/{running.public_id}/draft", {"definition": definition(name="Next")})
    (row,) = caller.get("/programs", status="active").json()["data"]
    assert (row["name"], row["version"], row["draft"]) == ("Running", 1, 2)
    assert running.versions.get(number=1).digest == digest
    assert problem(caller.get("/programs", status="funny")) == (422, "invalid")


def test_a_machines_draft_is_its_persons_work_and_they_do_not_review_it(robot):
    """The one responsible for the machine is no second person, even as a manager."""
    both = make_user("administrator", "manager")
    machine = robot(both, "programs:write")
    budget = make_budget(funded="50000.00")
    answer = machine.post("/programs", {"definition": definition(), "budget": str(budget.public_id)})
    assert answer.status_code == 201
    program = Program.objects.get()
    other = make_user("manager")
    draft = request_review(program=program, actor=other)
    assert wrote(draft, both)
    with pytest.raises(OwnReview):
        confirm_review(program=program, actor=both, seen_digest=draft.digest)
    program.refresh_from_db()
    assert program.versions.get().published_at is None


def test_validation_says_everything_and_stores_no_program(api):
    caller = api(make_user("finance"), "programs:simulate")
    assert caller.post("/programs/validate", {"definition": definition()}).json() == {
        "valid": True,
        "problems": [],
        "warnings": [],
    }
    wrong = caller.post("/programs/validate", {"definition": definition(currency="XXX", rewards=[])}).json()
    assert (wrong["valid"], {p["path"] for p in wrong["problems"]}) == (False, {"currency", "rewards"})
    warned = caller.post("/programs/validate", {"definition": definition(delivery=None)}).json()
    assert (warned["valid"], warned["warnings"][0]["path"]) == (True, "delivery")
    assert not Program.objects.exists()


SALES = [
    {"external_id": f"e-{n}", "kind": "deal.won", "occurred_at": f"2026-03-0{n}T10:00:00Z", "currency": "USD",
     "participant": {"external_user_id": "U-1"}, "amount": value, "object": {"type": "deal", "id": str(n), "version": "1"}}
    for n, value in ((1, "1000.10"), (2, 250.05), (3, 70))
]  # fmt: skip
TEAM = [{"external_user_id": "U-1", "name": "Ana", "type": "employee"}]


def test_simulation_gives_the_document_of_the_command(api, tmp_path):
    document = definition()
    files = {"program": [document], "activities": SALES, "participants": TEAM}
    names = {}
    for name, rows in files.items():
        names[name] = tmp_path / name
        names[name].write_text("\n".join(json.dumps(row) for row in rows))
    out = StringIO()
    call_command("simulate", json=True, sensitivity=10, stdout=out, **{name: str(path) for name, path in names.items()})
    caller = api(make_user("manager"), "programs:simulate")
    answer = caller.post(
        "/programs/simulate", {"definition": document, "activities": SALES, "participants": TEAM, "sensitivity": 10}
    )
    assert (answer.status_code, answer.json()) == (200, json.loads(out.getvalue()))
    assert answer.json()["total"] == "26.40"


def test_simulation_names_the_row_that_does_not_fit_and_has_limits(api):
    caller = api(make_user("manager"), "programs:simulate")
    bad = [*SALES, SALES[0] | {"external_id": "e-9", "amount": "1.000,00"}]
    answer = caller.post("/programs/simulate", {"definition": definition(), "activities": bad, "participants": TEAM})
    assert problem(answer) == (422, "invalid")
    assert [(e["row"], e["field"]) for e in answer.json()["errors"]] == [(3, "activities.amount")]
    many = {"definition": definition(), "activities": [{}] * 5001, "participants": []}
    assert problem(caller.post("/programs/simulate", many)) == (422, "invalid")
    assert not AuditEvent.objects.exclude(action="token.created").exists()
