"""The pages of disputes: who may open them, the way from an amount to its answer, and what stays internal."""

import pytest
from django.urls import get_resolver, reverse

from incentives.disputes import services
from incentives.disputes.models import Dispute, DisputeMessage
from incentives.payouts import services as payouts
from tests.factories import make_participant, make_user
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
ROLES = ("manager", "finance", "participant", "partner_admin", "administrator", "auditor", "superuser", "norole")
#                    M    F    P    PA   A    AU   SU   none
VIEW = "             200  200  404  404  404  200  404  404"
ANSWER = "           200  404  404  404  404  404  404  404"
OWN = "              404  404  200  404  404  404  404  404"
MINE = "             404  404  200  200  404  404  404  404"
GETS = {
    "disputes:list": VIEW,
    "disputes:dispute": VIEW,
    **{f"disputes:{name}": ANSWER for name in ("explain", "correct", "ask", "note", "assign")},
    "disputes:mine": MINE,
    "disputes:missing": MINE,
    "disputes:raise": OWN,
    **{f"disputes:{name}": OWN for name in ("own", "reply", "withdraw", "reopen")},
}
ONE = ("dispute", "explain", "correct", "ask", "note", "assign", "own", "reply", "withdraw", "reopen")


@pytest.fixture
def addresses(desk) -> dict[str, str]:
    dispute = desk.ask()
    found = {name: reverse(name, args=[dispute.public_id] if name.split(":")[1] in ONE else []) for name in GETS}
    found["disputes:raise"] += f"?earning={desk.earning.public_id}"
    return found


def test_every_address_is_in_the_table():
    patterns = get_resolver().namespace_dict["disputes"][1].url_patterns
    assert {f"disputes:{pattern.name}" for pattern in patterns} == set(GETS)


def test_every_page_for_every_role(client, scene, addresses):
    found, wanted = {}, {}
    for place, role in enumerate(ROLES):
        client.force_login(scene.users[role])
        for name, address in addresses.items():
            response = client.get(address)
            found[name, role], wanted[name, role] = response.status_code, int(GETS[name].split()[place])
            if response.status_code == 200:
                assert_page_clean(response)
    assert {key: (got, wanted[key]) for key, got in found.items() if got != wanted[key]} == {}


def test_a_visitor_is_sent_to_sign_in(client, addresses):
    assert {client.get(address).status_code for address in addresses.values()} == {302}


@pytest.mark.parametrize("role", ["finance", "partner_admin", "administrator", "auditor", "superuser", "norole"])
def test_posts_of_others_write_nothing(client, scene, addresses, role):
    client.force_login(scene.users[role])
    data = {"text": "x", "seen": 1, "correction": "other:"}
    for name, address in addresses.items():
        if name != "disputes:missing" or role != "partner_admin":
            assert client.post(address, data).status_code in {404, 405}, name
    assert DisputeMessage.objects.count() == 1 and Dispute.objects.get().version == 1


def test_another_participant_sees_nothing_of_it(desk, as_user):
    dispute = desk.ask()
    stranger = make_user("participant")
    make_participant("Stranger", user=stranger)
    client = as_user(stranger)
    for name in ("own", "reply", "withdraw", "reopen"):
        assert client.post(reverse(f"disputes:{name}", args=[dispute.public_id]), {"text": "x"}).status_code in {
            404,
            405,
        }
    assert client.get(f"/me/disputes/new/?earning={desk.earning.public_id}").status_code == 404
    for wrong in ("", "?earning=x", "?payout=1", "?record=nobody"):
        assert client.get(f"/me/disputes/new/{wrong}").status_code == 404
    assert client.get("/me/disputes/").context["total"] == 0


def test_from_the_amount_to_the_answer(desk, as_user):
    client = as_user(desk.rep)
    page = client.get(f"/me/earnings/{desk.earning.public_id}/")
    ask = f"/me/disputes/new/?earning={desk.earning.public_id}"
    assert f'href="{ask}"' in page.content.decode()
    response = client.post(ask, {"text": "It was 7,000"})
    dispute = Dispute.objects.get()
    assert response.url == dispute.own_url
    assert "Being looked at" in assert_page_clean(client.get(f"/me/earnings/{desk.earning.public_id}/")).text
    services.note(dispute=dispute, actor=desk.other, text="canary-note")
    desk.fix()
    client = as_user(desk.manager)
    assert "Open disputes" in assert_page_clean(client.get("/")).text
    page = client.get(f"/disputes/{dispute.public_id}/")
    text = assert_page_clean(page).text.replace("\xa0", " ")
    assert "Worth 140.00 USD now, 100.00 USD when it was questioned." in text and "canary-note" in text
    assert "How the amount came about" in text and "Deal updated: deal D1" in text
    form = page.context["correct_form"]
    choice = form.fields["correction"].choices[0][0]
    client.post(f"/disputes/{dispute.public_id}/correct/", {"correction": choice, "text": "You were right", "seen": 1})
    client = as_user(desk.rep)
    assert "1 of your questions has news" in assert_page_clean(client.get("/me/")).text
    text = assert_page_clean(client.get(dispute.own_url)).text.replace("\xa0", " ")
    assert "You were right" in text and "100.00 USD → 140.00 USD" in text and "canary-note" not in text
    assert "questions has news" not in client.get("/me/").content.decode()


def test_a_stale_answer_is_shown_with_what_was_typed_and_sends_nothing(desk, as_user):
    dispute = desk.ask()
    services.reply(dispute=dispute, actor=desk.rep, text="More")
    response = as_user(desk.manager).post(
        f"/disputes/{dispute.public_id}/explain/", {"text": "Typed before", "seen": 1}
    )
    assert response.status_code == 409 and "Somebody was quicker" in response.content.decode()
    assert "Typed before" in response.content.decode() and Dispute.objects.get().status == "open"


def test_missing_payout_and_withdraw_by_the_forms(desk, as_user):
    payout = payouts.build_payouts(program=desk.program).payouts[0]
    client = as_user(desk.rep)
    data = {"missing": "Acme renewal", "program": desk.program.public_id, "text": "Closed in May"}
    client.post("/me/disputes/missing/", data)
    assert "Ask about it" in client.get("/me/rewards/").content.decode()
    client.post(f"/me/disputes/new/?payout={payout.public_id}", {"text": "Never came"})
    client.post(f"/me/disputes/new/?record={desk.earning.object.public_id}", {"text": "Mine alone"})
    assert list(Dispute.objects.order_by("pk").values_list("about", flat=True)) == ["missing", "payout", "record"]
    staff = as_user(desk.manager)
    for dispute in Dispute.objects.all():
        assert_page_clean(staff.get(f"/disputes/{dispute.public_id}/"))
    missing = Dispute.objects.get(about="missing")
    client = as_user(desk.rep)
    client.post(f"{missing.own_url}withdraw/", {"text": ""})
    missing.refresh_from_db()
    assert missing.status == "withdrawn"
    assert client.post(f"{missing.own_url}reply/", {"text": "x"}).status_code == 302
    assert missing.messages.count() == 2


def test_the_queue_asks_as_often_for_many(desk, as_user, django_assert_max_num_queries):
    for number in range(30):
        desk.ask(missing=f"Deal {number}")
    client = as_user(desk.manager)
    with django_assert_max_num_queries(16):
        page = client.get("/disputes/")
    assert page.context["total"] == 30
    assert client.get("/disputes/?tab=mine").context["total"] == 0
    assert client.get("/disputes/?q=Deal+17").context["total"] == 1
    export = b"".join(client.get("/disputes/?tab=all&export=csv").streaming_content).decode()
    assert export.count("\n") == 31
    dispute = desk.ask()
    with django_assert_max_num_queries(60):
        client.get(f"/disputes/{dispute.public_id}/")
