"""The pages of awards: who may open them, giving one and many, taking back, what the recipient sees."""

import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import get_resolver, reverse

from incentives.awards.models import Award, AwardBatch
from incentives.earnings.models import Earning
from incentives.programs.models import Program
from tests.awards.conftest import settle
from tests.factories import make_budget, make_participant
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
ROLES = ("manager", "finance", "participant", "partner_admin", "administrator", "auditor", "superuser", "norole")
#                    M    F    P    PA   A    AU   SU   none
VIEW = "             200  200  404  404  404  200  404  404"
GIVE = "             200  404  404  404  404  404  404  404"
GETS = {
    "awards:list": VIEW,
    "awards:award": VIEW,
    "awards:give": GIVE,
    "awards:people": GIVE,
    "awards:file": GIVE,
    "awards:batch": GIVE,
    "awards:cancel": GIVE,
    "awards:new-program": GIVE,
}


@pytest.fixture
def addresses(pots) -> dict[str, str]:
    award = pots.give()
    batch = AwardBatch.objects.create(
        program=award.program,
        file_name="a.csv",
        sha256="0" * 64,
        rows=[[2, "x", "1", "r", "", ""]],
        uploaded_by=pots.manager,
    )
    kinds = {"awards:award": award, "awards:cancel": award, "awards:batch": batch}
    return {name: reverse(name, args=[kinds[name].public_id] if name in kinds else []) for name in GETS}


def test_every_address_is_in_the_table():
    patterns = get_resolver().namespace_dict["awards"][1].url_patterns
    assert {f"awards:{pattern.name}" for pattern in patterns} == set(GETS)


def test_every_page_for_every_role(client, scene, addresses):
    found, wanted = {}, {}
    for place, role in enumerate(ROLES):
        client.force_login(scene.users[role])
        for name, address in addresses.items():
            response = client.get(address)
            found[name, role], wanted[name, role] = response.status_code, int(GETS[name].split()[place])
            if response.status_code == 200 and name != "awards:people":
                assert_page_clean(response)
    assert {key: (got, wanted[key]) for key, got in found.items() if got != wanted[key]} == {}


def test_a_visitor_is_sent_to_sign_in(client, addresses):
    assert {client.get(address).status_code for address in addresses.values()} == {302}


@pytest.mark.parametrize("role", ["finance", "participant", "partner_admin", "administrator", "auditor", "norole"])
def test_posts_of_others_write_nothing(client, scene, addresses, role):
    client.force_login(scene.users[role])
    for name, address in addresses.items():
        assert client.post(address, {"reason": "x", "name": "n"}).status_code in {404, 405}, name
    assert list(Award.objects.values_list("status", flat=True)) == ["given"] and Program.objects.count() == 1


def give(client, pots, **data):
    data = {"program": pots.program.public_id, "amount": "75.00", "reason": "Great demo", "note": "", "q": "", **data}
    return client.post("/awards/give/", {key: value for key, value in data.items() if value is not None})


def test_giving_one_from_the_search_to_the_earning(pots, as_user):
    pots.program = pots.make()
    client = as_user(pots.manager)
    page = give(client, pots, q="Ruiz", search="1")
    assert (
        page.status_code == 200 and "Ana Ruiz" in assert_page_clean(page).text and "Great demo" in page.content.decode()
    )
    assert "1,000.00" in page.content.decode() and Award.objects.count() == 0
    give(client, pots, participant=pots.scene.rep.public_id)
    settle()
    assert (Award.objects.get().reason, Earning.objects.get().amount_minor) == ("Great demo", 7500)


def test_an_exact_id_needs_no_choice_and_a_part_does(pots, as_user):
    pots.program = pots.make()
    client = as_user(pots.manager)
    response = give(client, pots, q="Ruiz")
    assert response.status_code == 400 and "Choose who gets it" in response.content.decode()
    assert give(client, pots, q=pots.scene.rep.external_user_id).status_code == 302
    assert Award.objects.count() == 1


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        ({"amount": "abc"}, 400, "is not a number"),
        ({"amount": "1.234"}, 400, "USD has 2 digits after the point"),
        ({"reason": ""}, 400, "This field is required"),
        ({"amount": "999"}, 409, "one award may be at most 250.00 USD"),
        ({"program": "x"}, 400, "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_said_on_the_form(pots, as_user, data, status, words):
    pots.program = pots.make()
    response = give(as_user(pots.manager), pots, participant=pots.scene.rep.public_id, **data)
    assert response.status_code == status and words in assert_page_clean(response).text.replace("\xa0", " ")
    assert Award.objects.count() == 0


def test_without_a_program_the_page_says_how_to_make_one(pots, as_user):
    client = as_user(pots.manager)
    assert "No award program runs" in assert_page_clean(client.get("/awards/give/")).text
    budget = make_budget(funded="500.00")
    data = {"name": "Kudos", "currency": "USD", "budget": budget.public_id, "starts_on": "2026-01-01", "ends_on": "2027-12-31",
            "deal_cap": "100", "period_cap": "300", "delivery": "Links"}  # fmt: skip
    response = client.post("/awards/programs/new/", data)
    program = Program.objects.get()
    assert response.url == program.get_absolute_url() and program.status == "draft" and program.budget == budget
    assert program.current_definition["caps"] == {"deal": "100.00", "period": "300.00"}
    assert assert_page_clean(client.get(response.url))


def test_taking_back_says_what_happens_to_the_money(pots, as_user):
    award = pots.give()
    client = as_user(pots.manager)
    page = client.get(f"/awards/{award.public_id}/cancel/")
    assert "taken from the person&#x27;s next payout" in page.content.decode()
    client.post(f"/awards/{award.public_id}/cancel/", {"reason": "Given twice"})
    settle()
    assert Award.objects.get().status == "cancelled" and sum(e.amount_minor for e in Earning.objects.all()) == 0


def test_the_list_has_totals_of_what_is_shown_and_exports(pots, as_user, django_assert_max_num_queries):
    pots.give("50.00")
    pots.cancel(pots.give("70.00"))
    for number in range(20):
        pots.give("1.00", person=make_participant(f"Rep {number}"))
    client = as_user(pots.scene.finance)
    with django_assert_max_num_queries(14):
        response = client.get("/awards/")
    assert [str(money) for money in response.context["sums"]] == ["70.00 USD"]
    assert [str(m) for m in client.get("/awards/?q=Ruiz").context["sums"]] == ["50.00 USD"]
    export = b"".join(client.get("/awards/?export=csv").streaming_content).decode()
    assert "Saved the renewal" in export and export.count("\n") == 23


# --- a file -----------------------------------------------------------------------------------------------------------------
def upload(client, pots, text: bytes | str, name="awards.csv"):
    data = text.encode() if isinstance(text, str) else text
    file = SimpleUploadedFile(name, data)
    return client.post("/awards/file/", {"program": pots.program.public_id, "file": file})


GOOD = "participant,amount,reason,note\nU-ANA,100.00,Saved Acme,\nben@example.com,50,Helped,asked by Pat\n"


@pytest.fixture
def two(pots):
    pots.program = pots.make()
    pots.scene.rep.external_user_id = "U-ANA"
    pots.scene.rep.save()
    return make_participant("Ben", email="ben@example.com")


def test_a_file_is_shown_row_by_row_and_then_given(pots, two, as_user):
    client = as_user(pots.manager)
    page = client.get(upload(client, pots, GOOD).url)
    text = assert_page_clean(page).text
    assert "Ana Ruiz" in text and "Give 2 awards" in text and Award.objects.count() == 0
    assert client.post(page.request["PATH_INFO"]).url == "/awards/"
    settle()
    assert [(a.participant.name, a.amount_minor, a.note) for a in Award.objects.order_by("pk")] == [
        ("Ana Ruiz", 10000, ""), ("Ben", 5000, "asked by Pat"),
    ]  # fmt: skip
    assert sum(e.amount_minor for e in Earning.objects.all()) == 15000
    assert "Saved Acme" in assert_page_clean(client.get(page.request["PATH_INFO"])).text
    client.post(page.request["PATH_INFO"])
    assert Award.objects.count() == 2
    again = upload(client, pots, GOOD)
    assert again.status_code == 409 and "were given on" in again.content.decode()


def test_one_wrong_row_holds_back_the_whole_file(pots, two, as_user):
    client = as_user(pots.manager)
    text = GOOD + "nobody,10,Why\nU-ANA,-5,Why\nU-ANA,1.005,Why\nU-ANA,10,\n,10,Why\nU-ANA,900,Too much\n"
    page = client.get(upload(client, pots, text).url)
    told = assert_page_clean(page).text.replace("\xa0", " ")
    for words in (
        "6 rows cannot be given", "Nobody here has this external user id", "is not above zero", "USD has 2 digits",
        "the recipient reads it", "Names nobody", "one award may be at most 250.00 USD",
    ):  # fmt: skip
        assert words in told, words
    assert client.post(page.request["PATH_INFO"]).status_code == 400
    assert Award.objects.count() == 0 and AwardBatch.objects.get().status == "uploaded"


def test_an_excel_file_is_read_as_well(pots, two, as_user):
    from openpyxl import Workbook

    book = Workbook()
    for row in (["Participant", "Amount", "Reason"], ["U-ANA", 12.5, "Typed as a number"]):
        book.active.append(row)
    data = io.BytesIO()
    book.save(data)
    client = as_user(pots.manager)
    client.post(upload(client, pots, data.getvalue(), "a.xlsx").url)
    assert Award.objects.get().amount_minor == 1250


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("name,amount\nx,1\n", "The file has no column participant, reason"),
        ("participant,amount,reason\n", "no rows under its column names"),
        (b"PK\x03\x04broken", "not a readable XLSX"),
        (b"\x00\x01\x02", "neither a CSV nor an XLSX"),
        ("participant,amount,reason\n" + "x,1,r\n" * 1001, "more than 1000 rows"),
        (b"participant,amount,reason\n" + b"x" * (2 * 1024 * 1024), "larger than 2 MiB"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(pots, two, as_user, data, words):
    response = upload(as_user(pots.manager), pots, data)
    assert response.status_code == 400 and words in assert_page_clean(response).text
    assert AwardBatch.objects.count() == 0


def test_a_thousand_rows_ask_the_database_as_often_as_two(pots, two, as_user, django_assert_max_num_queries):
    client = as_user(pots.manager)
    rows = "".join(f"U-ANA,0.01,Reason {number}\n" for number in range(200))
    response = upload(client, pots, f"participant,amount,reason\n{rows}")
    with django_assert_max_num_queries(20):
        assert client.get(response.url).status_code == 200


# --- the recipient ------------------------------------------------------------------------------------------------------------
def test_the_recipient_reads_reason_and_giver_but_not_the_note(pots, as_user):
    pots.give(reason="Saved the renewal", note="canary-note")
    client = as_user(pots.scene.rep_user)
    earning = Earning.objects.get()
    for address in ("/me/", f"/me/earnings/{earning.public_id}/"):
        text = assert_page_clean(client.get(address)).text
        assert "Saved the renewal" in text and str(pots.manager) in text, address
        assert "canary-note" not in text
    assert "canary-note" not in client.get(f"/me/earnings/{earning.public_id}.json").content.decode()
