"""Who was shown a claim link and when: for finance and auditors, and never the link."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from rewards import services as rewards
from rewards.models import CardReveal
from tests.factories import make_participant, make_user
from tests.payouts.scene import ANSWER, LINK, LINKS
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db


def card(scene, rep=None, program=None):
    return scene.issue(scene.payout(program=program or scene.program(delivery=LINKS), rep=rep, approve=True))


def shown(answer) -> list[tuple]:
    rows = [row["object"] for row in answer.context["rows"]]
    return [(row.actor_name, row.own, row.times, bool(row.request)) for row in rows]


def test_each_time_is_listed_with_who_and_in_which_request(scene, as_user):
    payout = card(scene)
    for _time in range(2):
        assert as_user(scene.rep_user).post(f"/me/rewards/{payout.public_id}/reveal/").status_code == 200
    other = card(scene)
    rewards.reveal_card(other.order.cards.get().pk, actor_name="Shell", actor_ref="shell")
    client = as_user(scene.users["auditor"])
    answer = client.get("/reports/reveals/")
    assert_page_clean(answer)
    own = str(scene.rep_user)
    assert shown(answer) == [("Shell", False, 1, False), (own, True, 2, True), (own, True, 2, True)]
    html = answer.content.decode()
    assert LINK not in html and ANSWER not in html and "ana@example.com" not in html
    assert payout.get_absolute_url() in html
    assert shown(client.get("/reports/reveals/?tab=others")) == [("Shell", False, 1, False)]
    assert shown(client.get("/reports/reveals/?tab=again")) == [(own, True, 2, True)] * 2
    assert shown(client.get(f"/reports/reveals/?program={other.program.public_id}")) == [("Shell", False, 1, False)]
    assert shown(client.get("/reports/reveals/?until=2020-01-01")) == []
    assert len(shown(client.get(f"/reports/reveals/?q={payout.order.po_number}"))) == 2
    for kind in ("csv", "xlsx"):
        file = b"".join(client.get(f"/reports/reveals/?export={kind}").streaming_content)
        assert LINK.encode() not in file and ANSWER.encode() not in file
    text = b"".join(client.get("/reports/reveals/?export=csv").streaming_content).decode()
    assert text.count("\n") == 4 and text.count("Somebody else") == 1 and text.count("The recipient") == 2
    assert payout.order.po_number in text and CardReveal.objects.count() == 3


def test_only_finance_and_auditors_see_it(scene, client):
    card(scene)
    for role, user in scene.users.items():
        client.force_login(user)
        wanted = 200 if role in ("finance", "auditor") else 404
        assert client.get("/reports/reveals/").status_code == wanted, role
        if wanted == 404:
            assert client.get("/reports/reveals/?export=csv").status_code == 404
    client.force_login(scene.users["auditor"])
    assert "/reports/reveals/" in client.get("/reports/").content.decode()
    client.force_login(scene.users["manager"])
    assert "/reports/reveals/" not in client.get("/reports/").content.decode()


def test_the_page_asks_as_often_for_two_hundred_rows(scene, as_user):
    client = as_user(scene.finance)
    program = scene.program(delivery=LINKS)

    def reveal(times: int, name: str) -> None:
        rep = make_participant(name, user=make_user("participant"))
        payout = card(scene, rep, program)
        for _time in range(times):
            rewards.reveal_card(payout.order.cards.get().pk, actor_name=name, actor_ref=str(rep.user.public_id))

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get("/reports/reveals/?per=100").status_code == 200
        return len(found)

    reveal(10, "Few")
    few = queries()
    for number in range(3):
        reveal(70, f"Many {number}")
    assert queries() == few
