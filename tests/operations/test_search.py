"""One search over every list, by what each person may see."""

import pytest
from django.urls import resolve, reverse

from incentives.core import search
from incentives.core.listing import ListPage
from tests.factories import make_participant, make_partner, make_program, make_user
from tests.payouts.conftest import as_user, quiet_nudges, scene  # noqa: F401
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db


def found(client, query: str) -> dict[str, list[str]]:
    """List title -> links of its rows."""
    response = client.get("/search/", {"q": query})
    assert_page_clean(response)
    return {part.title: [line["link"] for line in part.rows] for part in response.context["found"]}


def test_every_list_named_is_a_list_page():
    assert all(issubclass(resolve(reverse(name)).func.view_class, ListPage) for name in search.LISTS)


def test_a_manager_finds_a_person_and_what_belongs_to_them(scene, as_user):  # noqa: F811
    payout = scene.payout("4000.00", approve=True)
    order = payout.order
    client = as_user(scene.users["manager"])
    by_name = found(client, payout.recipient_name)
    assert by_name["Participants"] == [reverse("participants:detail", args=[payout.participant.public_id])]
    assert by_name["Payouts"] == [payout.get_absolute_url()]
    assert found(client, order.po_number) == {"Orders": [reverse("payouts:order", args=[order.public_id])]}


@pytest.mark.parametrize("role", ["administrator", "participant", "norole"])
def test_nobody_finds_what_their_lists_would_not_show(client, role):
    make_program(name="Zebra bonus")
    make_participant("Zebra Finch")
    client.force_login(make_user(*([] if role == "norole" else [role])))
    expected = {"Programs", "Participants"} if role == "administrator" else set()
    assert set(found(client, "zebra")) == expected


def test_every_word_must_match_and_one_letter_is_too_few(client):
    make_participant("Zebra Finch")
    client.force_login(make_user("manager"))
    assert found(client, "zebra sparrow") == {} and found(client, "z") == {}
    assert set(found(client, "finch zebra")) == {"Participants"}


def test_the_first_few_are_shown_and_the_list_has_the_rest(client, django_assert_max_num_queries):
    for n in range(9):
        make_partner(f"zeb-{n}", name=f"Zebra {n}")
    client.force_login(make_user("manager"))
    with django_assert_max_num_queries(24):
        response = client.get("/search/", {"q": "zebra"}, headers={"hx-target": "found"})
    (part,) = response.context["found"]
    assert (len(part.rows), part.more) == (5, True)
    assert b"<html" not in response.content
    assert len(client.get(part.all_url).context["rows"]) == 9


def test_who_is_not_signed_in_is_sent_to_sign_in(client):
    assert client.get("/search/?q=zebra").status_code == 302
