"""The tab Who can earn: the list with why, and inviting or excluding one, many and a file."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incentives.core.models import AuditEvent
from incentives.earnings.models import Participation
from incentives.programs import services
from incentives.programs.models import Enrollment
from tests.factories import (
    deal,
    make_connection,
    make_participant,
    make_partner,
    make_program,
    make_team,
    make_user,
    send,
)
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager():
    return make_user("manager", name="Maya")


@pytest.fixture
def signed_in(client, manager):
    client.force_login(manager)
    return client


@pytest.fixture
def program(manager):
    return make_program(name="Own people", manager=manager, eligible={"types": ["employee"]})


@pytest.fixture
def people():
    ana = make_participant("Ana", external_user_id="U-1", team=make_team("east", name="East"))
    ben = make_participant("Ben", type="partner", partner=make_partner("acme", name="Acme"), email="ben@example.com")
    return ana, ben, make_participant("Cleo", external_user_id="U-3")


def states(program) -> dict[str, tuple[str, str]]:
    return {row.participant.name: (row.state, row.reason) for row in program.enrollments.select_related("participant")}


def test_the_list_says_who_can_earn_and_why(signed_in, manager, program, people):
    _ana, _ben, cleo = people
    services.set_enrollment(program=program, participant=cleo, state="excluded", reason="On leave.", actor=manager)
    at = f"/programs/{program.public_id}/people/"
    page = assert_page_clean(signed_in.get(at)).text
    assert "Only people of type employees can earn." in page
    assert "Ana East Employee" in page and "By the rule Can earn: matches the rule." in page
    assert "Ben" not in page and "Cleo" not in page
    page = assert_page_clean(signed_in.get(f"{at}?tab=all")).text
    assert "Cannot earn: the program is for type employee, and Ben has partner." in page
    assert "Excluded Cannot earn: excluded by a manager. On leave." in page
    assert "Ben" in assert_page_clean(signed_in.get(f"{at}?tab=cannot&partner=acme")).text
    assert "Ben" not in assert_page_clean(signed_in.get(f"{at}?tab=all&team=east")).text
    assert "Ana" in assert_page_clean(signed_in.get(f"{at}?tab=all&q=east")).text
    rows = b"".join(signed_in.get(f"{at}?tab=all&export=csv").streaming_content).decode("utf-8-sig")
    assert "U-1" in rows and "ben@example.com" in rows and rows.count("\n") == 4


def test_somebody_is_invited_and_counts_from_then_on(signed_in, program, people):
    _ana, ben, _cleo = people
    crm = make_connection()
    send(crm, deal("D1", ben, "1000.00"))
    assert Participation.objects.filter(earned_minor__gt=0).count() == 0
    at = f"/programs/{program.public_id}/people/add/"
    refused = signed_in.post(at, {"participant": "nobody", "state": "invited", "reason": "x"})
    assert refused.status_code == 400 and "Nobody here has this external user id" in assert_page_clean(refused).text
    answer = signed_in.post(
        at, {"participant": "ben@example.com", "state": "invited", "reason": "Joint deal"}, follow=True
    )
    assert "Ben is invited." in assert_page_clean(answer).text
    assert states(program) == {"Ben": ("invited", "Joint deal")}
    send(crm)
    assert Participation.objects.get(participant=ben).earned_minor == 2000


def test_many_are_decided_after_one_more_look(signed_in, program, people):
    ana, _ben, cleo = people
    at = f"/programs/{program.public_id}/people/decide/"
    ids = [str(ana.public_id), str(cleo.public_id)]
    page = assert_page_clean(signed_in.post(at, {"action": "exclude", "ids": ids})).text
    assert "Exclude 2 people?" in page and "Ana" in page and states(program) == {}
    data = {"action": "exclude", "ids": ids, "confirmed": "yes"}
    refused = signed_in.post(at, data)
    assert refused.status_code == 400 and "Say why" in assert_page_clean(refused).text and states(program) == {}
    answer = signed_in.post(at, data | {"reason": "They run it"}, follow=True)
    assert "2 people are changed." in assert_page_clean(answer).text
    assert states(program) == {"Ana": ("excluded", "They run it"), "Cleo": ("excluded", "They run it")}
    events = AuditEvent.objects.filter(action="enrollment.set").count()
    again = signed_in.post(at, data | {"reason": "They run it"}, follow=True)
    assert "0 people are changed. 2 stood so already." in assert_page_clean(again).text
    assert AuditEvent.objects.filter(action="enrollment.set").count() == events == 2
    signed_in.post(at, {"action": "remove", "ids": ids[:1], "confirmed": "yes"})
    assert states(program) == {"Cleo": ("excluded", "They run it")}


@pytest.mark.parametrize("data", [{}, {"action": "invite"}, {"action": "x", "ids": "y"}, {"ids": "not-a-uuid"}])
def test_nothing_ticked_changes_nothing(signed_in, program, people, data):
    answer = signed_in.post(f"/programs/{program.public_id}/people/decide/", data, follow=True)
    assert "tick the people first" in assert_page_clean(answer).text and states(program) == {}


def test_a_file_is_previewed_and_then_applied(signed_in, manager, program, people):
    _ana, ben, _cleo = people
    services.set_enrollment(program=program, participant=ben, state="excluded", reason="", actor=manager)
    text = "participant,state,reason\nU-1,invited,Runs it\nben@example.com,remove,\nU-3,excluded,Away\n"
    at = f"/programs/{program.public_id}/people/import/"
    upload = SimpleUploadedFile("people.csv", text.encode())
    page = assert_page_clean(signed_in.post(at, {"file": upload}))
    assert "3 rows can be done" in page.text and "Excluded Left to the rule" in page.text
    assert states(program) == {"Ben": ("excluded", "")}
    answer = signed_in.post(at, {"text": text, "action": "apply"}, follow=True)
    assert "3 people are changed." in assert_page_clean(answer).text
    assert states(program) == {"Ana": ("invited", "Runs it"), "Cleo": ("excluded", "Away")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("participant,state\nU-9,invited\n", "Nobody here is called “U-9”."),
        ("participant,state\nU-1,maybe\n", "“maybe” is no state; expected invited, excluded or remove."),
        ("participant,state\nU-1,invited\nU-1,excluded\n", "Line 2 already names this person."),
        ("participant,reason\nU-1,x\n", "missing: state"),
        ("participant,state,reason\nU-1,invited," + "x" * 301 + "\n", "The reason is longer than 300 characters."),
        ("", "Choose a file, or paste its lines."),
    ],
)
def test_a_bad_file_changes_nothing(signed_in, program, people, text, message):
    answer = signed_in.post(f"/programs/{program.public_id}/people/import/", {"text": text, "action": "apply"})
    assert answer.status_code == 400 and message in assert_page_clean(answer).text
    assert Enrollment.objects.count() == 0


def test_an_archived_program_refuses(signed_in, manager, program, people):
    for status in ("closed", "archived"):
        services.change_status(program=program, new=status, actor=manager)
    at = f"/programs/{program.public_id}/people/"
    data = {"participant": "U-1", "state": "invited", "reason": "x"}
    assert signed_in.post(f"{at}add/", data).status_code == 400
    assert (
        signed_in.post(f"{at}import/", {"text": "participant,state\nU-1,invited\n", "action": "apply"}).status_code
        == 400
    )
    ids = {"ids": str(people[0].public_id), "action": "invite", "reason": "x", "confirmed": "yes"}
    assert signed_in.post(f"{at}decide/", ids).status_code == 400
    assert Enrollment.objects.count() == 0


ROLES = ("manager", "finance", "administrator", "auditor", "participant", "partner_admin")
PAGES = {
    "": "200 200 200 200 404 404", "add/": "200 404 404 404 404 404",
    "decide/": "302 404 404 404 404 404", "import/": "200 404 404 404 404 404",
}  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_every_page_for_every_role(program, people, client, role):
    client.force_login(make_user(role))
    data = {
        "participant": "U-1", "state": "invited", "reason": "x", "ids": str(people[0].public_id), "action": "invite",
        "confirmed": "y", "text": "participant,state\nU-1,invited\n",
    }  # fmt: skip
    for part, row in PAGES.items():
        address, wanted = f"/programs/{program.public_id}/people/{part}", int(row.split()[ROLES.index(role)])
        assert client.get(address).status_code == wanted, address
        if wanted == 404:
            assert client.post(address, data).status_code == 404
    assert Enrollment.objects.count() == 0


def test_query_counts_do_not_grow(signed_in, manager, program):
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert signed_in.get(f"/programs/{program.public_id}/people/?tab=all&per=100").status_code == 200
        return len(found)

    make_participant(team=make_team(), partner=make_partner())
    few = queries()
    for n in range(15):
        person = make_participant(team=make_team(), partner=make_partner())
        state = ("invited", "excluded", None)[n % 3]
        services.set_enrollment(program=program, participant=person, state=state, reason="x", actor=manager)
    assert queries() == few


def test_a_program_for_invited_people_says_so(signed_in, manager):
    program = make_program(manager=manager, eligible={"invited_only": True})
    make_participant("Ana")
    page = assert_page_clean(signed_in.get(f"/programs/{program.public_id}/people/?tab=all")).text
    assert "Only people who are invited by name can earn." in page
    assert "only invited people can, and nobody has invited them." in page


# --- use as a start --------------------------------------------------------------------------------------------------------
def test_a_program_is_used_as_a_start(signed_in, manager, program):
    at = f"/programs/new/?copy={program.public_id}"
    assert at in assert_page_clean(signed_in.get(program.get_absolute_url())).links
    form = signed_in.get(at)
    assert_page_clean(form)
    assert "Copy of Own people" in form.content.decode()
    initial = form.context["form"].initial
    assert initial["budget"] == program.budget.public_id and initial["starts_on"] > "2026"
    answer = signed_in.post(at, {k: v or "" for k, v in initial.items()} | {"action": "save"})
    assert answer.status_code == 302
    copy = type(program).objects.get(name="Copy of Own people")
    assert (copy.status, copy.owner) == ("draft", manager)
    assert copy.versions.get().definition["eligible"]["types"] == ["employee"]
    for wrong in ("x", "c07562d5-6c10-4fcc-a766-341c5dc3d23c"):
        assert signed_in.get(f"/programs/new/?copy={wrong}").status_code == 404
