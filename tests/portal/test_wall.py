"""Leaderboards for a screen on the wall: no sign-in, taken back at once, and no more of a name than the program allows."""

import re
from datetime import UTC, datetime

import pytest
from django.urls import reverse

from incentives.core.models import AuditEvent
from incentives.portal import screens
from incentives.portal.models import WallScreen
from incentives.programs import services as programs
from tests.earnings.test_contests import PRIZES, close, contest, receive
from tests.factories import (
    deal,
    make_connection,
    make_participant,
    make_partner,
    make_program,
    make_team,
    make_user,
)
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db


@pytest.fixture
def race():
    """Ana Ruiz 300, Bob Stone 200, and Pia Lang of a reseller 100."""
    north, reseller = make_team("north", name="North"), make_partner("acme", name="Acme Partners")
    ana, bob = make_participant("Ana Ruiz", team=north), make_participant("Bob Stone", team=north)
    pia = make_participant("Pia Lang", partner=reseller, type="partner")
    program = contest(rewards=[{"type": "rank", "prizes": PRIZES}], name="August sprint")
    receive(make_connection(), *[deal(f"D{n}", p, f"{300 - 100 * n}.00") for n, p in enumerate((ana, bob, pia))])
    return program


@pytest.fixture
def manager():
    return make_user("manager")


def make(manager, *shown, **more) -> screens.Made:
    return screens.create_screen(actor=manager, name="Sales floor", programs=list(shown), **more)


def wall(client, token: str, **headers):
    return client.get(f"/boards/{token}/", headers=headers)


def text_of(response) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", response.content.decode())).replace("\xa0", " ")


def test_a_screen_shows_its_board_to_whoever_stands_before_it(client, race, manager):
    made = make(manager, race)
    response = wall(client, made.token)
    assert (response.status_code, response["Cache-Control"], response["Referrer-Policy"]) == (
        200,
        "no-store",
        "no-referrer",
    )
    shown = text_of(response)
    assert "August sprint" in shown and "Ana R." in shown and "Bob S." in shown and "Acme Partners" in shown
    assert "Ruiz" not in shown and "Lang" not in shown and "Sign in" not in shown
    assert "300.00" in shown
    assert re.findall(r'(?:href|src)="([^"]+)"', response.content.decode().split("<body", 1)[1]) == []


@pytest.mark.parametrize(
    ("names", "expected", "hidden"),
    [
        ("full", {"Ana Ruiz", "Bob Stone", "Pia Lang"}, set()),
        ("hidden", {"North", "Acme Partners"}, {"Ana", "Bob", "Pia"}),
    ],
)
def test_names_and_amounts_are_shown_as_the_program_allows(client, race, manager, names, expected, hidden):
    made = make(manager, race)
    programs.set_board_display(program=race, actor=manager, names=names, amounts=False)
    shown = text_of(wall(client, made.token))
    assert all(name in shown for name in expected) and not any(name in shown for name in hidden)
    assert "300.00" not in shown and "200.00" not in shown


def test_an_address_nobody_made_or_that_was_taken_back_is_not_there(client, race, manager):
    made = make(manager, race)
    assert wall(client, "made-up").status_code == 404
    screens.revoke_screen(screen=made.screen, actor=manager)
    screens.revoke_screen(screen=made.screen, actor=manager)
    assert wall(client, made.token).status_code == 404
    assert AuditEvent.objects.filter(action="screen.revoked").count() == 1
    with pytest.raises(screens.ScreenInvalid):
        screens.renew_address(screen=made.screen, actor=manager)


def test_a_new_address_ends_the_one_before(client, race, manager):
    made = make(manager, race)
    again = screens.renew_address(screen=made.screen, actor=manager)
    assert [wall(client, one.token).status_code for one in (made, again)] == [404, 200]


def test_the_token_is_stored_and_recorded_nowhere_in_clear(race, manager):
    made = make(manager, race)
    assert made.token not in str(WallScreen.objects.values()) and made.token not in repr(made)
    assert made.token not in str(list(AuditEvent.objects.values("before", "after", "reason")))


def test_several_boards_take_turns_the_same_everywhere(client, race, manager):
    other = contest(rewards=[{"type": "rank", "prizes": PRIZES}], name="Second race")
    made = make(manager, race, other, seconds=30)
    seen = [
        screens.board_at(made.screen, datetime(2026, 8, 3, 12, 0, second, tzinfo=UTC)) for second in (0, 29, 30, 59)
    ]
    names = [board.program.name for board, _turn, _turns in seen]
    assert names[0] == names[1] != names[2] == names[3] and {turns for _, _, turns in seen} == {2}


def test_a_refresh_gets_the_board_alone_and_asks_little(client, race, manager, django_assert_max_num_queries):
    made = make(manager, race)
    wall(client, made.token)
    with django_assert_max_num_queries(9):
        response = wall(client, made.token, hx_target="wall")
    assert response.content.decode().lstrip().startswith("<main") and "<html" not in response.content.decode()


def test_a_sealed_contest_is_shown_as_final(client, race, manager):
    made = make(manager, race)
    close(race)
    shown = text_of(wall(client, made.token))
    assert "final" in shown and "left" not in shown


def test_an_empty_and_a_sleeping_screen_say_what_will_come(client, manager):
    program = make_program(name="Fresh", manager=manager)
    made = make(manager, program)
    assert "Nobody is on the board yet" in text_of(wall(client, made.token))
    type(program).objects.update(status="archived")
    assert "No board to show yet" in text_of(wall(client, made.token))


# --- where it is made -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "role", ["manager", "finance", "participant", "partner_admin", "administrator", "auditor", "norole"]
)
def test_each_role_opens_what_it_may(client, race, manager, role):
    made = make(manager, race)
    client.force_login(make_user(*([] if role == "norole" else [role])))
    key = [made.screen.public_id]
    views = [reverse("portal:screens"), reverse("portal:screen", args=key)]
    edits = [
        reverse("portal:screen-new"),
        *(reverse(f"portal:screen-{n}", args=key) for n in ("edit", "address", "revoke")),
    ]
    edits.append(reverse("earnings:board-display", args=[race.public_id]))
    may_view = role in ("manager", "finance", "administrator", "auditor")
    assert {client.get(url).status_code for url in views} == {200 if may_view else 404}
    assert {client.get(url).status_code for url in edits} == {200 if role == "manager" else 404}
    if role != "manager":
        assert {client.post(url, {"name": "X"}).status_code for url in edits} == {404}
        assert WallScreen.objects.filter(revoked_at=None).count() == 1


def test_a_manager_makes_changes_and_takes_back_a_screen(client, race, manager):
    client.force_login(manager)
    values = {"name": "Lobby", "programs": [race.pk], "seconds": "20", "look": "light"}
    page = assert_page_clean(client.post(reverse("portal:screen-new"), values))
    address = re.search(r"http://testserver(/boards/[\w-]+/)", page.text).group(1)
    assert client.get(address).status_code == 200
    screen = WallScreen.objects.get()
    client.post(reverse("portal:screen-edit", args=[screen.public_id]), values | {"name": "Canteen"})
    assert "Canteen" in assert_page_clean(client.get(reverse("portal:screens"))).text
    client.post(reverse("portal:screen-revoke", args=[screen.public_id]))
    assert client.get(address).status_code == 404
    actions = list(
        AuditEvent.objects.filter(target_type="portal.wallscreen").order_by("pk").values_list("action", flat=True)
    )
    assert actions == ["screen.created", "screen.changed", "screen.revoked"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": " "}, "name"),
        ({"programs": []}, "programs"),
        ({"seconds": "4"}, "seconds"),
        ({"look": "pink"}, "look"),
    ],
)
def test_bad_input_makes_no_screen(client, race, manager, wrong, says):
    client.force_login(manager)
    values = {"name": "Lobby", "programs": [race.pk], "seconds": "20", "look": "light"} | wrong
    response = client.post(reverse("portal:screen-new"), values)
    assert response.status_code == 400 and says in response.content.decode()
    assert not WallScreen.objects.exists()
