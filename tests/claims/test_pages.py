"""The pages of claims: who may open which, filling in without scripts, and what partners never see."""

import re

import pytest
from django.urls import get_resolver, reverse

from incentives.claims.models import Claim
from incentives.core.models import AuditEvent
from incentives.crm.models import Delivery
from tests.claims.scene import derive, upload, values, with_serials
from tests.factories import deal, make_connection, make_participant, make_user, send
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
ROLES = ("manager", "finance", "person", "partner_admin", "rival", "employee", "administrator", "auditor", "superuser",
         "norole")  # fmt: skip
#                M    F    P    PA   riv  emp  A    AU   SU   none
VIEW = "         200  200  404  404  404  404  404  200  404  404"
REVIEW = "       200  404  404  404  404  404  404  404  404  404"
MINE = "         404  404  200  200  200  404  404  404  404  404"
OWN = "          404  404  200  200  404  404  404  404  404  404"
GETS = {
    "list": VIEW, "detail": VIEW, "take": REVIEW, "release": REVIEW, "approve": REVIEW, "return": REVIEW,
    "reject": REVIEW, "covered": REVIEW, "reverse": REVIEW, "mine": MINE, "new": MINE, "my-claim": OWN, "my-edit": OWN,
    "my-withdraw": OWN, "proof": "200  200  200  200  404  404  404  200  404  404",
}  # fmt: skip


@pytest.fixture
def users(scene):
    found = {role: make_user(role) for role in ("finance", "administrator", "auditor")}
    found |= {"manager": scene.manager, "person": scene.user, "partner_admin": scene.admin_user, "norole": make_user()}
    found |= {"rival": scene.rival_user, "superuser": make_user("administrator", is_superuser=True, is_staff=True)}
    found["employee"] = make_user("participant")
    make_participant(user=found["employee"])
    return found


@pytest.fixture
def addresses(scene):
    send(make_connection(), deal("D1", make_participant(), "5.00", occurred_at="2026-07-02T10:00:00Z"))
    from incentives.crm.models import ObjectState

    sent, returned = scene.submitted(), scene.decide(scene.submitted(), "send_back")
    args = {name: [sent.public_id] for name in GETS}
    args |= {"list": [], "mine": [], "new": [], "my-edit": [returned.public_id]}
    args |= {"covered": [sent.public_id, ObjectState.objects.get().public_id], "proof": [sent.proofs.get().public_id]}
    return {name: reverse(f"claims:{name}", args=args[name]) for name in GETS}


def test_every_address_is_in_the_table():
    assert {pattern.name for pattern in get_resolver().namespace_dict["claims"][1].url_patterns} == set(GETS)


def test_every_page_for_every_role(client, users, addresses):
    found = {}
    for number, role in enumerate(ROLES):
        client.force_login(users[role])
        for name, address in addresses.items():
            answer = client.get(address)
            if answer.status_code != int(GETS[name].split()[number]):
                found[name, role] = answer.status_code
            elif answer.status_code == 200 and name != "proof":
                assert_page_clean(answer)
    assert found == {}


def test_a_visitor_is_sent_to_sign_in(client, addresses):
    answers = {name: client.get(address) for name, address in addresses.items()}
    assert {name for name, r in answers.items() if not (r.status_code == 302 and "/accounts/login/" in r.url)} == set()


@pytest.mark.parametrize("role", ["finance", "rival", "employee", "administrator", "auditor", "superuser", "norole"])
def test_posts_of_others_write_nothing(client, users, addresses, role):
    before = list(Claim.objects.values_list("pk", "status", "version"))
    client.force_login(users[role])
    for name in set(GETS) - {"list", "detail", "proof", "mine", "my-claim", "new"}:
        data = {"seen": "2", "reason": "x", "note": "x", "action": "submit"}
        assert client.post(addresses[name], data).status_code == 404, name
    assert list(Claim.objects.values_list("pk", "status", "version")) == before


# --- a partner fills in a claim ---------------------------------------------------------------------------------------------
def data_of(page, **changes) -> dict:
    """The form as a browser would send it: every field with what it shows."""
    html = page.content.decode()
    data = dict(re.findall(r'name="(seen|lines-[A-Z_]+)" value="(\d+)"', html))
    data |= {"invoice_number": "", "invoice_date": "", "customer": "", "amount": "", "currency": "USD", "note": ""}
    return {**data, **changes}


LINE = {"lines-0-sku": "LX-1", "lines-0-name": "Firewall", "lines-0-quantity": "2", "lines-0-unit_price": "",
        "lines-0-serials": "SN-1\nSN-2"}  # fmt: skip
WHOLE = {"invoice_number": "INV-7", "invoice_date": "2026-07-01", "customer": "Wayne", "amount": "1200.50", **LINE}


@pytest.fixture
def editing(client, scene):
    """The address of a new draft's form, signed in as its person."""
    client.force_login(scene.user)
    answer = client.post(reverse("claims:new"), {"program": str(scene.program.public_id)})
    return answer.url


def test_a_claim_is_filled_in_and_sent_without_scripts(client, scene, editing):
    page = client.get(editing)
    answer = client.post(editing, {**data_of(page), "action": "add_line"})
    assert answer.url.endswith("?more=1#products")
    assert client.get(answer.url).content.decode().count('class="claim-line"') == 2  # one, and the template's
    data = data_of(client.get(editing), **WHOLE, action="submit", photo=upload())
    answer = client.post(editing, data)
    claim = Claim.objects.get()
    assert (claim.status, str(claim.amount), claim.invoice_number) == ("submitted", "1,200.50 USD", "INV-7")
    assert answer.url == claim.my_url
    assert [(line.sku, line.quantity) for line in claim.lines.all()] == [("LX-1", 2)]
    assert [row.serial for row in claim.serials.all()] == ["SN-1", "SN-2"]
    page = assert_page_clean(client.get(claim.my_url))
    assert "Nothing to do" in page.text and "Sent" in page.text


def test_what_was_typed_and_the_files_stay_when_something_is_wrong(client, scene, editing):
    data = data_of(client.get(editing), **{**WHOLE, "invoice_date": "2025-01-01"}, action="submit", files=[
        upload(name="a.jpg"), upload(b"<html>", "b.png"),
    ])  # fmt: skip
    answer = client.post(editing, data)
    page = assert_page_clean(answer)
    assert answer.status_code == 400 and "b.png" in page.text and "neither a PDF" in page.text
    claim = Claim.objects.get()
    assert (claim.status, claim.proofs.get().name, claim.customer) == ("draft", "a.jpg", "Wayne")
    answer = client.post(
        editing, {**data_of(client.get(editing), **WHOLE), "invoice_date": "2025-01-01", "action": "submit"}
    )
    html = answer.content.decode()
    assert "The program rewards sales from" in html and 'value="Wayne"' in html and "SN-1" in html
    answer = client.post(editing, {**data_of(client.get(editing), **WHOLE), "amount": "12,50", "action": "submit"})
    assert answer.status_code == 400 and 'value="12,50"' in answer.content.decode()
    assert Claim.objects.get().status == "draft"


def test_a_line_is_added_without_scripts_even_to_a_form_with_errors(client, scene, editing):
    data = data_of(client.get(editing), **{**WHOLE, "amount": "x"}, action="add_line")
    answer = client.post(editing, data)
    assert answer.status_code == 400 and 'name="lines-1-sku"' in answer.content.decode()


def test_a_duplicate_is_refused_with_the_way_to_the_other_claim(client, scene, editing):
    other = scene.submitted(values(invoice_number="inv 7"), actor=scene.admin_user)
    answer = client.post(editing, data_of(client.get(editing), **WHOLE, action="submit", photo=upload()))
    page = assert_page_clean(answer)
    assert answer.status_code == 409 and other.my_url in page.links and "already, with" in page.text


def test_a_colleagues_claim_is_named_but_not_opened_to_who_may_not_see_it(client, scene, editing):
    colleague = make_participant("Lee", type="partner", partner=scene.partner, user=make_user("participant"))
    other = scene.submitted(values(invoice_number="INV-7"), person=colleague)
    answer = client.post(editing, data_of(client.get(editing), **WHOLE, action="submit", photo=upload()))
    page = assert_page_clean(answer)
    assert answer.status_code == 409 and other.reference in page.text and other.my_url not in page.links


def test_two_people_filling_in_one_draft_do_not_overwrite_each_other(client, scene, editing):
    old = data_of(client.get(editing), **WHOLE, action="save")
    client.force_login(scene.admin_user)
    client.post(editing, {**old, "customer": "Stark"})
    client.force_login(scene.user)
    answer = client.post(editing, old)
    assert answer.status_code == 409 and "Ada Acme" in answer.content.decode()
    assert Claim.objects.get().customer == "Stark"


def test_a_file_can_be_taken_away_again(client, scene, editing):
    client.post(editing, data_of(client.get(editing), action="save", files=[upload(), upload()]))
    proof = Claim.objects.get().proofs.first()
    client.post(editing, data_of(client.get(editing), remove_proof=str(proof.public_id)))
    assert Claim.objects.get().proofs.count() == 1


def test_an_administrator_chooses_whose_sale_it_is(client, scene):
    client.force_login(scene.admin_user)
    page = assert_page_clean(client.get(reverse("claims:new")))
    assert "Whose sale" in page.text and "10.00" in page.text and "Rio Nova" not in page.text
    program = str(scene.program.public_id)
    for participant in ("", str(scene.rival_person.public_id), "nonsense"):
        answer = client.post(reverse("claims:new"), {"program": program, "participant": participant})
        assert answer.status_code == 400
    client.post(reverse("claims:new"), {"program": program, "participant": str(scene.person.public_id)})
    assert Claim.objects.get().participant == scene.person
    assert client.post(reverse("claims:new"), {"program": "x"}).status_code == 400


def test_a_returned_claim_is_answered_and_sent_again(client, scene):
    claim = scene.decide(scene.submitted(with_serials("SN-1")), "send_back", reason="Which customer?", note="Looks odd")
    client.force_login(scene.user)
    page = assert_page_clean(client.get(claim.my_url))
    assert "Which customer?" in page.text and "Looks odd" not in page.text and "Mia Manager" not in page.text
    editing = reverse("claims:my-edit", args=[claim.public_id])
    data = data_of(client.get(editing), **{**WHOLE, "customer": "Wayne Enterprises"}, action="submit")
    assert client.post(editing, data).status_code == 302
    claim.refresh_from_db()
    assert (claim.status, claim.customer, claim.proofs.count()) == ("submitted", "Wayne Enterprises", 1)


# --- what others may not see ------------------------------------------------------------------------------------------------
def test_a_partner_never_sees_anything_of_another(client, scene):
    mine = scene.submitted(values(invoice_number="INV-2026-9", customer="Wayne"))
    theirs = scene.submitted(values(invoice_number="INV-2026-9", customer="Wayne"), person=scene.rival_person)
    assert theirs.flags.exists()
    client.force_login(scene.rival_user)
    for address in (theirs.my_url, reverse("claims:mine"), f"{reverse('claims:mine')}?export=csv"):
        answer = client.get(address)
        text = b"".join(answer.streaming_content).decode() if answer.streaming else answer.content.decode()
        assert "Acme" not in text and mine.reference not in text and "lagged" not in text
    assert client.get(mine.my_url).status_code == 404
    scene.decide(theirs, "reject", reason="Counted already", note="Acme Resale sold it")
    assert "Acme" not in client.get(theirs.my_url).content.decode()


def test_an_administrator_sees_their_people_and_a_person_only_themselves(client, scene):
    own = scene.submitted(person=scene.admin)
    colleague = scene.submitted()
    client.force_login(scene.admin_user)
    text = assert_page_clean(client.get(reverse("claims:mine"))).text
    assert own.reference in text and colleague.reference in text
    client.force_login(scene.user)
    text = assert_page_clean(client.get(reverse("claims:mine"))).text
    assert own.reference not in text and colleague.reference in text


# --- review -------------------------------------------------------------------------------------------------------------------
def test_the_queue_filters_exports_and_stays_within_its_queries(client, scene, django_assert_max_num_queries):
    for number in range(12):
        scene.submitted(with_serials(f"SN-{number}"), person=scene.person if number % 2 else scene.rival_person)
    flagged = scene.submitted(with_serials("SN-1"), person=scene.rival_person)
    client.force_login(scene.manager)
    url = reverse("claims:list")
    with django_assert_max_num_queries(16):
        page = assert_page_clean(client.get(url))
    assert "13" in page.texts
    page = assert_page_clean(client.get(url, {"tab": "flagged"}))
    assert flagged.reference in page.text and "Flagged" in page.text
    assert "SN" not in page.text
    for query, count in (({"q": "SN-3"}, 1), ({"partner": scene.partner.pk}, 6), ({"tier": "silver"}, 7),
                         ({"flagged": "true"}, 2), ({"older": "7"}, 0), ({"program": scene.program.pk}, 13)):  # fmt: skip
        answer = client.get(url, {**query, "export": "csv"})
        assert len(b"".join(answer.streaming_content).decode().splitlines()) - 1 == count, query


def test_a_claim_is_shown_beside_its_proof_with_all_that_speaks_against_it(
    client, scene, django_assert_max_num_queries
):
    facts = {"account": {"name": "Wayne"}, "occurred_at": "2026-07-02T10:00:00Z"}
    send(make_connection(), deal("OPP-1", make_participant("Vera Vendor"), "1200.00", **facts))
    scene.submitted(with_serials("SN-1"), person=scene.rival_person)
    claim = scene.submitted(with_serials("SN-1", customer="Wayne"))
    client.force_login(scene.manager)
    with django_assert_max_num_queries(40):
        answer = client.get(claim.get_absolute_url())
    page = assert_page_clean(answer)
    assert "Nova Systems claimed the serial number SN-1" in page.text
    assert "OPP-1" in page.text and "same customer, same amount" in page.text
    assert "It counts once it is approved." in page.text and "Why it is approved anyway" in page.text
    assert reverse("claims:proof", args=[claim.proofs.get().public_id]) in answer.content.decode()


def test_approving_from_the_page_and_what_came_of_it(client, scene):
    claim = scene.submitted()
    client.force_login(scene.manager)
    answer = client.post(reverse("claims:approve", args=[claim.public_id]), {"seen": claim.version, "note": ""})
    assert answer.status_code == 302
    derive()
    page = assert_page_clean(client.get(claim.get_absolute_url()))
    assert "30.00" in page.text and "Approved" in page.text
    client.force_login(scene.user)
    assert "30.00" in assert_page_clean(client.get(claim.my_url)).text


def test_an_old_page_decides_nothing_and_says_who_was_quicker(client, scene):
    claim = scene.submitted()
    scene.decide(claim, "send_back", actor=scene.other)
    client.force_login(scene.manager)
    for name in ("approve", "reject", "return", "take"):
        data = {"seen": claim.version, "reason": "No", "note": "x"}
        answer = client.post(reverse(f"claims:{name}", args=[claim.public_id]), data, follow=True)
        assert "Max Other returned" in answer.content.decode()
    claim.refresh_from_db()
    assert (claim.status, Delivery.objects.count()) == ("returned", 0)


def test_a_deal_covers_a_claim_from_the_page(client, scene):
    facts = {"account": {"name": "Wayne"}, "occurred_at": "2026-07-02T10:00:00Z"}
    send(make_connection(), deal("OPP-1", make_participant(), "1200.00", **facts))
    claim = scene.submitted(values(customer="Wayne"))
    client.force_login(scene.manager)
    address = next(link for link in assert_page_clean(client.get(claim.get_absolute_url())).links if "covered" in link)
    page = assert_page_clean(client.get(address))
    assert "counted already" in page.text
    client.post(address, {"seen": claim.version, "reason": "This sale is counted already.", "note": ""})
    claim.refresh_from_db()
    assert (claim.status, claim.covered_by.object_id) == ("rejected", "OPP-1")
    assert AuditEvent.objects.get(action="claim.rejected").reason == "This sale is counted already."


# --- navigation -----------------------------------------------------------------------------------------------------------------
def test_the_menu_counts_what_waits_and_shows_claims_to_whom_they_concern(client, scene, users):
    scene.submitted()
    client.force_login(scene.manager)
    html = client.get("/claims/").content.decode()
    assert re.search(r'href="/claims/"[^>]*>.*?Claims<span class="count">1</span>', html, re.S)
    for role, shown in (("person", True), ("rival", True), ("employee", False)):
        client.force_login(users[role])
        assert ('href="/me/claims/"' in client.get("/me/").content.decode()) is shown, role
    scene.program.status = "archived"
    scene.program.save()
    client.force_login(scene.rival_user)
    assert 'href="/me/claims/"' not in client.get("/me/").content.decode()
    client.force_login(scene.user)  # has a claim
    assert 'href="/me/claims/"' in client.get("/me/").content.decode()
