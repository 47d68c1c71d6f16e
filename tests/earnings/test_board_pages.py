"""The leaderboard and the history of its seals, for managers; the boards of participants: who sees what."""

import csv
import io
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.urls import reverse

from incentives.core.models import AuditEvent
from incentives.earnings.snapshots import snapshot_due
from incentives.programs.models import Enrollment, Program
from tests.earnings.test_contests import END, PRIZES, close, contest, receive
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
ROLES = ("manager", "finance", "participant", "partner_admin", "administrator", "auditor", "norole")
VIEWERS = {"manager", "finance", "administrator", "auditor"}


def plain(response) -> str:
    return assert_page_clean(response).text.replace("\xa0", " ")


def address(name: str, program: Program, *more) -> str:
    return reverse(f"earnings:{name}", args=[program.public_id, *more])


@pytest.fixture
def crm():
    return make_connection()


@pytest.fixture
def race(crm):
    """Ana 300, Bob 200, Cyd 100 of teams North, South, South; a second contest by team."""
    north, south = make_team("north", name="North"), make_team("south", name="South")
    people = [make_participant(n, team=t) for n, t in (("Ana Ruiz", north), ("Bob Stone", south), ("Cyd Voss", south))]
    by_team = {"type": "rank", "by": "team", "prizes": [{"ranks": "1", "amount": "90.00"}], "ties": "same"}
    program = contest(rewards=[{"type": "rank", "prizes": PRIZES, "minimum": "150"}, by_team], name="August sprint")
    receive(crm, *[deal(f"D{n}", p, f"{300 - 100 * n}.00") for n, p in enumerate(people)])
    return program, people


# --- who may ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", ROLES)
def test_each_role_opens_what_it_may_and_finds_nothing_else(client, race, role):
    program, _people = race
    close(program)
    client.force_login(make_user(*([] if role == "norole" else [role])))
    standing = program.standings.first()
    for url in (
        address("leaderboard", program),
        address("standing", program),
        address("evidence", program, standing.public_id),
    ):
        assert client.get(url).status_code == (200 if role in VIEWERS else 404), url
        assert client.post(url).status_code == (405 if role in VIEWERS else 404), url
    mine = {"participant", "partner_admin"}
    assert client.get(reverse("portal:boards")).status_code == (200 if role in mine else 404)


def test_a_standing_is_found_under_its_own_program_alone(client, race, crm):
    program, _people = race
    close(program)
    other = contest(name="Other")
    client.force_login(make_user("manager"))
    assert client.get(address("evidence", other, program.standings.first().public_id)).status_code == 404
    assert AuditEvent.objects.filter(action="standing.exported").count() == 0


# --- the manager's board ---------------------------------------------------------------------------------------------------
def test_the_board_states_its_rules_ranks_gaps_and_prizes(client, race):
    program, _people = race
    client.force_login(make_user("manager"))
    text = plain(client.get(address("leaderboard", program)))
    for words in (
        "August sprint", "Individual contest · closes 6 Aug 2026, 00:00 UTC", "Below 150.00 no prize is won.",
        "People who tie share the prizes", "Live", "1 AR Ana Ruiz North", "300.00 USD leads by 100.00 1,000.00 USD",
        "200.00 USD 100.00 behind rank 1 100.00 to a prize of 1,000.00 USD 500.00 USD",
        "50.00 below the minimum for a prize",
    ):  # fmt: skip
        assert words in text, words
    teams = plain(client.get(address("leaderboard", program) + "?tab=1"))
    assert "300.00 USD" in teams and "level with 1 other" in teams and "2 people" in teams
    assert "People who tie each get the best prize" in teams


def test_the_board_is_searched_sorted_and_exported(client, race):
    program, _people = race
    client.force_login(make_user("finance"))
    at = address("leaderboard", program)
    found = plain(client.get(at + "?q=south voss"))
    assert "Cyd Voss" in found and "Ana Ruiz" not in found
    assert "Nobody on this board fits" in plain(client.get(at + "?q=nobody"))
    names = [p for p in plain(client.get(at + "?sort=-name")).split() if p in {"Ruiz", "Stone", "Voss"}]
    assert names[:3] == ["Voss", "Stone", "Ruiz"]
    response = client.get(at + "?export=csv")
    rows = list(csv.reader(io.StringIO(b"".join(response.streaming_content).decode("utf-8-sig"))))
    assert rows[0][:4] == ["Rank", "Since yesterday", "Participant", "Team or partner"]
    assert rows[1][0] == "1" and rows[1][2:6] == ["Ana Ruiz", "North", "300.00", "USD"]
    assert len(rows) == 4
    assert client.get(at + "?export=xlsx").status_code == 200
    exports = AuditEvent.objects.filter(action="list.exported").values_list("after__format", flat=True)
    assert sorted(exports) == ["csv", "xlsx"]


def test_what_refreshes_comes_alone_and_is_not_read_out(client, race):
    program, _people = race
    client.force_login(make_user("manager"))
    headers = {"HX-Request": "true", "HX-Target": "results"}
    part = client.get(address("leaderboard", program), headers=headers).content.decode()
    assert "<html" not in part and 'hx-trigger="every 15s"' in part and 'data-announce="3 rows"' in part
    silent = client.get(address("leaderboard", program), headers=headers | {"HX-Trigger": "live"}).content.decode()
    assert 'data-announce=""' in silent


def test_a_sealed_board_says_so_and_refreshes_no_more(client, race, crm):
    program, people = race
    close(program)
    receive(crm, deal("D9", people[2], "900.00"), at=END + timedelta(hours=1))
    client.force_login(make_user("auditor"))
    send(crm, deal("D0", people[0], "300.00", version=2, kind="deal.lost"))
    page = client.get(address("leaderboard", program))
    text = plain(page)
    for words in ("Sealed 6 Aug 2026, 00:00 UTC · revision 2", "2 activities decided it.", "1 came after the seal"):
        assert words in text, words
    assert 'hx-trigger="every' not in page.content.decode()
    history = plain(client.get(address("standing", program)))
    for words in ("What counts after the seal", "Revision 2 In force", "Deal lost: deal D0.", "1 too late"):
        assert words in history, words
    evidence = client.get(address("evidence", program, program.standings.get(reward_index=0, revision=1).public_id))
    assert evidence["Content-Disposition"] == 'attachment; filename="standing-1-revision-1.json"'
    assert [p["name"] for p in evidence.json()["places"]] == ["Ana Ruiz", "Bob Stone", "Cyd Voss"]
    assert "example.com" not in evidence.content.decode()
    assert AuditEvent.objects.filter(action="standing.exported").count() == 1


def test_a_board_that_is_being_sealed_says_what_it_waits_for(client, race):
    program, _people = race
    Program.objects.filter(pk=program.pk).update(status=Program.Status.CLOSED, closed_at=END)
    client.force_login(make_user("manager"))
    assert "is being sealed" in plain(client.get(address("leaderboard", program)))
    assert "Nothing is sealed yet" in plain(client.get(address("standing", program)))


def test_a_program_without_a_contest_or_people_has_a_board_too(client, crm):
    client.force_login(make_user("manager"))
    program = make_program(name="Plain")
    assert "Nobody is on the board yet" in plain(client.get(address("leaderboard", program)))
    receive(crm, deal("D1", make_participant("Ana"), "10.00"))
    text = plain(client.get(address("leaderboard", program)))
    assert "Everybody by measure over the whole program." in text and "Prize" not in text
    draft = make_program(launched=False)
    assert client.get(address("leaderboard", draft)).status_code == 200


def test_pages_take_as_many_queries_for_many_rows(client, crm, django_assert_max_num_queries):
    program = contest({"by": "team"}, name="Big")
    teams = [make_team() for _ in range(5)]
    receive(crm, *[deal(f"D{n}", make_participant(team=teams[n % 5]), f"{n + 1}.00") for n in range(40)])
    client.force_login(make_user("manager"))
    client.get(address("leaderboard", program))
    cache.clear()
    with django_assert_max_num_queries(16):
        client.get(address("leaderboard", program))
    close(program)
    with django_assert_max_num_queries(16):
        client.get(address("standing", program))


# --- a participant's boards ----------------------------------------------------------------------------------------------------
@pytest.fixture
def as_rep(client):
    def enter(person, role="participant"):
        person.user = make_user(role)
        person.save(update_fields=["user"])
        client.force_login(person.user)
        return client

    return enter


def mine(program: Program, index: int = 0) -> str:
    return reverse("portal:board", args=[program.public_id]) + f"?board={index}"


def test_a_rep_sees_their_place_their_gap_and_short_names_of_others(as_rep, race):
    program, people = race
    client = as_rep(people[1])
    snapshot_due(END - timedelta(days=2))
    text = plain(client.get(mine(program)))
    for words in ("2 / 3", "100.00 behind rank 1", "Prize now 500.00 USD", "100.00 to a prize of 1,000.00 USD",
                  "Bob Stone (you)", "Ana R.", "Cyd V.", "since yesterday"):  # fmt: skip
        assert words in text, words
    assert "Ruiz" not in text and "Voss" not in text
    team = plain(client.get(mine(program, 1)))
    assert "South (yours)" in team and "North" in team
    listed = plain(client.get(reverse("portal:boards")))
    assert "August sprint" in listed and "of 3 · 100.00 behind rank 1" in listed and "prize now 500.00 USD" in listed


def test_people_of_other_organisations_are_shown_by_organisation_only(as_rep, crm):
    acme, zeta = make_partner("acme", name="Acme Resale"), make_partner("zeta", name="Zeta Supply")
    pat, sam = (make_participant(n, type="partner", partner=acme) for n in ("Pat Long", "Sam Hill"))
    zoe = make_participant("Zoe Quick", type="partner", partner=zeta)
    program = contest(eligible={"types": ["partner"]}, name="Channel race")
    receive(crm, deal("D1", pat, "1.00"), deal("D2", sam, "2.00"), deal("D3", zoe, "3.00"))
    text = plain(as_rep(pat, "partner_admin").get(mine(program)))
    assert "Zeta Supply" in text and "Sam H." in text and "Pat Long (you)" in text
    assert "Zoe" not in text and "Quick" not in text


def test_who_is_not_in_the_program_finds_no_board(as_rep, crm):
    ana, bob = make_participant("Ana"), make_participant("Bob", type="contractor")
    program = contest(eligible={"types": ["employee"]}, name="Staff race")
    receive(crm, deal("D1", ana, "1.00"))
    client = as_rep(bob)
    assert client.get(mine(program)).status_code == 404
    assert "Staff race" not in plain(client.get(reverse("portal:boards")))
    Enrollment.objects.create(program=program, participant=bob, state="invited")
    assert "You are not on the board yet" in plain(client.get(mine(program)))
    assert client.get(mine(contest(launched=False))).status_code == 404


def test_a_rep_far_down_sees_the_first_ten_and_their_neighbours(as_rep, crm):
    people = [make_participant(f"Rep{n:02d} X") for n in range(20)]
    program = contest(name="Long race")
    receive(crm, *[deal(f"D{n}", p, f"{100 - n}.00") for n, p in enumerate(people)])
    page = plain(as_rep(people[15]).get(mine(program)))
    shown = [f"Rep{n:02d}" for n in range(20) if f"Rep{n:02d}" in page]
    assert shown == [f"Rep{n:02d}" for n in (*range(10), 14, 15, 16)]
    assert "16 / 20" in page and "20 on the board in all." in page


def test_a_sealed_board_tells_the_rep_what_they_won_and_leaves_the_list_after_a_while(as_rep, race, clock):
    program, people = race
    clock.move_to(END + timedelta(days=1))
    close(program)
    client = as_rep(people[0])
    text = plain(client.get(mine(program)))
    assert "Sealed 6 Aug 2026, 00:00 UTC" in text and "You won 1,000.00 USD" in text
    assert "won 1,000.00 USD" in plain(client.get(reverse("portal:boards")))
    clock.move_to(END + timedelta(days=100))
    client.force_login(people[0].user)
    assert "August sprint" not in plain(client.get(reverse("portal:boards")))
    assert client.get(mine(program)).status_code == 200


def test_the_part_of_a_reps_board_that_refreshes_comes_alone(as_rep, race):
    program, people = race
    part = as_rep(people[0]).get(mine(program), headers={"HX-Request": "true", "HX-Target": "board-now"})
    assert "<html" not in part.content.decode() and "Bob S." in part.content.decode()


def test_a_reps_board_takes_few_queries(as_rep, race, django_assert_max_num_queries):
    program, people = race
    client = as_rep(people[0])
    client.get(mine(program))
    cache.clear()
    with django_assert_max_num_queries(18):
        client.get(mine(program))
