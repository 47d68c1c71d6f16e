"""A contest from its first deal to prizes paid, closed at midnight in its own time zone, and a reversal after that."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse

from incentives.core import audit
from incentives.earnings import recompute
from incentives.earnings.models import Participation, SealedStanding
from incentives.ledger import accounts
from incentives.operations.sweep import sweep
from incentives.payouts import services
from incentives.payouts.checks import check_ledger
from incentives.payouts.models import Payout
from tests.factories import deal, make_connection, make_participant, make_program, make_user, send
from tests.payouts.scene import Scene
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
PRIZES = [{"ranks": "1", "amount": "200.00"}, {"ranks": "2", "amount": "100.00"}, {"ranks": "3", "amount": "50.00"}]


class Season:
    """A contest of 16 to 18 July with two days of grace; moments are local ones of its time zone."""

    def __init__(self, zone: str, clock):
        self.zone, self.clock = ZoneInfo(zone), clock
        self.scene = Scene()
        self.crm = make_connection()
        self.people = {name: make_participant(name) for name in ("Ana", "Bob", "Cyd", "Dee")}
        self.to(15, 9)
        self.program = make_program(
            template="contest", starts_on="2026-07-16", ends_on="2026-07-18", grace_days=2, time_zone=zone,
            rewards=[{"type": "rank", "prizes": PRIZES}], funded="1000.00", name="July sprint",
        )  # fmt: skip

    def to(self, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
        moment = datetime(2026, 7, day, hour, minute, second, tzinfo=self.zone).astimezone(UTC)
        self.clock.move_to(moment)
        return moment

    def won(self, who: str, object_id: str, amount: str, at: datetime, **fields) -> None:
        """A deal won at `at` that reaches us now."""
        fields.setdefault("kind", "deal.won")
        send(self.crm, deal(object_id, self.people[who], amount, occurred_at=at.isoformat(), **fields))

    def local(self, *parts: int) -> datetime:
        return datetime(2026, 7, *parts, tzinfo=self.zone)

    @property
    def prizes(self) -> dict[str, int]:
        rows = Participation.objects.filter(program=self.program).exclude(earned_minor=0)
        return dict(rows.values_list("participant__name", "earned_minor"))

    def payouts(self, **where) -> list[tuple]:
        rows = Payout.objects.filter(program=self.program, **where).order_by("pk")
        return [(p.recipient_name, p.amount_minor, str(p.status)) for p in rows]

    def recoverable(self, who: str) -> int:
        participation = Participation.objects.get(program=self.program, participant=self.people[who])
        owner = str(participation.public_id), self.program.currency
        found = accounts.participant_accounts([owner])[owner[0]][accounts.RECOVERABLE]
        found.refresh_from_db()
        return found.balance_minor

    def books_are_right(self) -> bool:
        return list(recompute.check()) == [] and check_ledger() == []


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Auckland"])
def test_a_contest_closes_at_its_own_midnight_pays_and_survives_a_reversal(zone, clock, client):
    season = Season(zone, clock)
    play(season)
    seal(season)
    pay(season)
    reverse_the_winner(season)
    read_the_history(season, client)


def play(season: Season) -> None:
    season.to(16, 10)
    season.won("Ana", "D1", "300.00", season.local(16, 9))
    season.to(19, 0, 0, 5)
    season.won("Bob", "D2", "500.00", season.local(18, 23, 59, 59))  # in the last second of the last day
    season.won("Dee", "D4", "900.00", season.local(19, 0))  # one second later: outside
    sweep()
    season.to(20, 15)  # in the days of grace
    season.won("Cyd", "D3", "400.00", season.local(17, 12))
    sweep()
    assert season.prizes == {} and season.books_are_right()


def seal(season: Season) -> None:
    season.to(20, 23, 59, 59)
    sweep()
    assert SealedStanding.objects.count() == 0
    close = season.to(21)
    season.won("Ana", "D5", "900.00", season.local(17, 8))  # in the window, and received at the seal: too late
    season.clock.shift(timedelta(seconds=40))
    sweep()
    standing = SealedStanding.objects.get()
    assert (standing.revision, standing.sealed_at) == (1, close)
    assert [(p["rank"], p["name"], p["measure"]) for p in standing.places] == [
        (1, "Bob", "500"), (2, "Cyd", "400"), (3, "Ana", "300"),
    ]  # fmt: skip
    assert (standing.evidence["facts"], standing.evidence["late_facts"]) == (3, 1)
    assert season.prizes == {"Bob": 20_000, "Cyd": 10_000, "Ana": 5_000}
    sweep()
    assert SealedStanding.objects.count() == 1 and season.books_are_right()


def pay(season: Season) -> None:
    season.program.refresh_from_db()
    if season.payouts() == []:  # at close: by a manager, who then may not approve
        services.build_payouts(program=season.program, actor=make_user("manager"))
    assert sorted(season.payouts()) == [
        ("Ana", 5_000, "submitted"), ("Bob", 20_000, "submitted"), ("Cyd", 10_000, "submitted"),
    ]  # fmt: skip
    for payout in Payout.objects.filter(program=season.program):
        season.scene.issue(season.scene.approve(payout))
    assert {status for _name, _amount, status in season.payouts()} == {"fulfilled"}
    assert season.books_are_right()


def reverse_the_winner(season: Season) -> None:
    season.to(24, 9)
    season.won("Bob", "D2", "500.00", season.local(24, 8), version=2, kind="deal.lost")
    season.clock.shift(timedelta(seconds=20))
    sweep()
    assert [s.revision for s in SealedStanding.objects.order_by("revision")] == [1, 2]
    assert season.prizes == {"Cyd": 20_000, "Ana": 10_000}
    assert {who: season.recoverable(who) for who in ("Ana", "Bob", "Cyd")} == {"Ana": 0, "Bob": 20_000, "Cyd": 0}
    if not season.payouts(status="submitted"):
        services.build_payouts(program=season.program, actor=make_user("manager"))
    assert sorted(season.payouts(status="submitted")) == [("Ana", 5_000, "submitted"), ("Cyd", 10_000, "submitted")]
    assert season.books_are_right()
    audit.seal()
    assert audit.verify() == []


def read_the_history(season: Season, client) -> None:
    client.force_login(season.scene.users["auditor"])
    page = assert_page_clean(client.get(reverse("earnings:standing", args=[season.program.public_id])))
    text = page.text.replace("\xa0", " ")
    for words in ("Revision 2 In force", "Deal lost: deal D2.", "Sealed 21 Jul 2026, 00:00", "Revision 1",
                  "Sealed when the program closed.", "Bob 1 – 500.00 USD – 200.00 USD –",
                  "Cyd 2 1 400.00 USD 100.00 USD 200.00 USD"):  # fmt: skip
        assert words in text, words
    newest = SealedStanding.objects.get(revision=2)
    evidence = client.get(reverse("earnings:evidence", args=[season.program.public_id, newest.public_id]))
    document = evidence.json()
    assert (document["revision"], document["inputs_digest"]) == (2, newest.inputs_digest)
    assert [p["prize_minor"] for p in document["places"]] == [20_000, 10_000]
    assert document["definition"]["rewards"][0]["ties"] == "split"
    assert document["evidence"]["causes"][0]["object"] == "deal D2"
