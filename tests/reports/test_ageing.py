"""Cards nobody opened by age, what is known of each, and reminders: once a week, on record, without the claim link."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.notifications import preferences, sending
from incentives.notifications.models import Notification
from incentives.notifications.registry import Mode
from incentives.reports import ageing
from incentives.reports.errors import CannotRemind
from incentives.reports.models import RewardReminder
from rewards import services as rewards
from rewards.models import RewardOrder
from tests.factories import make_participant, make_user
from tests.payouts.scene import ANSWER, LINK, LINKS
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 7, 15, 12, tzinfo=UTC)


def card(scene, *, days: int, amount: str = "5000.00", delivery=LINKS, rep=None, program=None):
    """A delivered card of 2 % of the amount, `days` UTC days before today."""
    program = program or scene.program(delivery=delivery)
    payout = scene.issue(scene.payout(amount, program=program, rep=rep, approve=True))
    RewardOrder.objects.filter(pk=payout.order_id).update(finished_at=timezone.now() - timedelta(days=days))
    return payout


def open_it(payout):
    rewards.reveal_card(payout.order.cards.get().pk, actor_name="Ana", actor_ref="ana")


MAILED = {"type": "DigitalDelivery", "channel": "email", "products": "any"}


def mails(later: timedelta = timedelta(0)) -> list:
    """What leaves of reminders; that a card was sent is told by another kind."""
    mail.outbox.clear()
    sending.deliver(timezone.now() + later)
    return [message for message in mail.outbox if "wait" in message.subject]


def rows_of(response) -> list[tuple]:
    return [(r["object"].pk, r["object"].opening) for r in response.context["rows"]]


def test_what_is_known_of_a_card_and_what_is_not(scene, as_user):
    unopened, opened = card(scene, days=3), card(scene, days=40)
    mailed = card(scene, days=95, delivery=MAILED)
    scene.payout(approve=True)  # ordered, not delivered
    open_it(opened)
    client = as_user(scene.finance)
    pages = {tab: client.get(f"/reports/ageing/?tab={tab}") for tab in ("unopened", "unknown", "opened", "all")}
    assert {tab: rows_of(page) for tab, page in pages.items()} == {
        "unopened": [(unopened.pk, "unopened")],
        "unknown": [(mailed.pk, "not_known")],
        "opened": [(opened.pk, "opened")],
        "all": [(mailed.pk, "not_known"), (opened.pk, "opened"), (unopened.pk, "unopened")],
    }
    for page in pages.values():
        html = page.content.decode()
        assert_page_clean(page)
        assert LINK not in html and ANSWER not in html and "ana@example.com" not in html
    assert "neither that a mail was read nor that a link was followed" in html
    file = b"".join(client.get("/reports/ageing/?tab=all&export=csv").streaming_content).decode()
    assert LINK not in file and file.count("\n") == 4 and "Over 90 days" in file and "Not known" in file


@pytest.mark.parametrize(
    ("days", "band"),
    [(0, "0-30"), (30, "0-30"), (31, "31-60"), (60, "31-60"), (61, "61-90"), (90, "61-90"), (91, "91-")],
)
def test_each_day_is_in_one_band(scene, days, band):
    payout = card(scene, days=days)
    today = timezone.now().astimezone(UTC).date()
    rows = ageing.delivered_cards()
    assert [key for key, *_ in ageing.BANDS if rows.filter(ageing.in_band(key, today)).exists()] == [band]
    assert ageing.band_of(days) == band
    assert rows.get() == payout


def test_ages_add_up_by_program_and_by_person(scene, as_user):
    one, two = scene.program(delivery=LINKS, name="One"), scene.program(delivery=LINKS, name="Two")
    ben = make_participant("Ben")
    card(scene, days=5, program=one, amount="5000.00")
    card(scene, days=45, program=one, amount="1000.00", rep=ben)
    card(scene, days=100, program=two, amount="2000.00", rep=ben)
    open_it(card(scene, days=1, program=two, amount="9000.00"))
    client = as_user(scene.finance)

    def groups(query: str) -> list:
        found = client.get(f"/reports/ageing/{query}").context["groups"]
        return [(line.label, [(n, sum.minor) for n, sum in line.cells], line.total.minor) for line in found]

    assert groups("") == [
        ("One", [(1, 10000), (1, 2000), (0, 0), (0, 0)], 12000),
        ("Two", [(0, 0), (0, 0), (0, 0), (1, 4000)], 4000),
    ]
    assert groups("?by=person") == [
        ("Ana Ruiz", [(1, 10000), (0, 0), (0, 0), (0, 0)], 10000),
        ("Ben", [(0, 0), (1, 2000), (0, 0), (1, 4000)], 6000),
    ]
    assert groups("?band=91-") == [("Two", [(0, 0), (0, 0), (0, 0), (1, 4000)], 4000)]


# --- reminding ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", ["manager", "finance"])
def test_a_reminder_leads_to_the_own_page_and_is_on_record(scene, as_user, role):
    payout = card(scene, days=9)
    answer = as_user(scene.users[role]).post("/reports/ageing/remind/", {"ids": str(payout.public_id)}, follow=True)
    assert "The recipient of 1 card is reminded." in answer.content.decode()
    (message,) = mails()
    text = message.body + message.alternatives[0].content
    assert message.to == [scene.rep_user.email] and message.subject == "A reward waits for you"
    assert "/me/rewards/" in message.body and "100.00" in text
    assert LINK not in text and ANSWER not in text and "reveal" not in text
    event = AuditEvent.objects.get(action="reward.reminded")
    assert (event.actor_name, event.target_id) == (str(scene.users[role]), str(payout.public_id))
    assert RewardReminder.objects.get().count == 1


def test_one_mail_for_several_cards_of_one_person(scene):
    cards = [card(scene, days=9), card(scene, days=10, delivery=MAILED)]
    ageing.remind_many(payouts=cards, actor=scene.manager)
    (message,) = mails()
    assert message.subject == "2 rewards wait for you" and "spam folder" in message.body
    assert mails(timedelta(hours=1)) == []


def test_once_a_week_per_card_whoever_asks(scene):
    payout = card(scene, days=9)
    ageing.remind(payout_id=payout.pk, actor=scene.manager, now=NOW)
    for later in (timedelta(0), timedelta(days=6, hours=23)):
        with pytest.raises(CannotRemind, match="seven days"):
            ageing.remind(payout_id=payout.pk, actor=scene.finance, now=NOW + later)
    reminder = RewardReminder.objects.get()
    assert (reminder.count, reminder.asked_by, reminder.asked_at) == (1, scene.manager, NOW)
    assert AuditEvent.objects.filter(action="reward.reminded").count() == 1
    again = ageing.remind(payout_id=payout.pk, actor=scene.finance, now=NOW + timedelta(days=7))
    assert (again.count, again.asked_by) == (2, scene.finance)
    assert Notification.objects.filter(kind=ageing.KIND).count() == 2
    assert AuditEvent.objects.filter(action="reward.reminded").count() == 2


def test_nobody_is_reminded_of_what_they_opened_or_cannot_open(scene, as_user):
    opened, strange = card(scene, days=9), card(scene, days=9, rep=make_participant("No Account"))
    open_it(opened)
    waiting = scene.payout()
    for payout, words in ((opened, "opened it already"), (strange, "no account"), (waiting, "not delivered")):
        with pytest.raises(CannotRemind, match=words):
            ageing.remind(payout_id=payout.pk, actor=scene.manager)
    page = as_user(scene.finance).get("/reports/ageing/?tab=all")
    assert [row["tick"] for row in page.context["rows"]] == [None, None]
    answer = as_user(scene.finance).post("/reports/ageing/remind/", {"ids": [str(strange.public_id), "x"]}, follow=True)
    assert "Invite the person first." in answer.content.decode()
    assert not RewardReminder.objects.exists() and not AuditEvent.objects.filter(action="reward.reminded").exists()
    assert mails() == []


@pytest.mark.parametrize("role", ["participant", "partner_admin", "administrator", "auditor", "superuser", "norole"])
def test_others_remind_nobody(scene, as_user, role):
    payout = card(scene, days=9)
    assert as_user(scene.users[role]).post("/reports/ageing/remind/", {"ids": str(payout.public_id)}).status_code == 404
    with pytest.raises(NotAllowed):
        ageing.remind(payout_id=payout.pk, actor=scene.users[role])
    assert not RewardReminder.objects.exists()


def test_what_was_opened_before_the_mail_left_is_not_reminded_of(scene):
    payout = card(scene, days=9)
    ageing.remind(payout_id=payout.pk, actor=scene.manager, now=NOW)
    open_it(payout)
    assert mails() == []


def test_who_turned_reminders_off_gets_none_and_the_asker_is_told(scene, as_user):
    payout = card(scene, days=9)
    preferences.choose(actor=scene.rep_user, modes={ageing.KIND: Mode.NEVER})
    with pytest.raises(CannotRemind, match="turned reminders off"):
        ageing.remind(payout_id=payout.pk, actor=scene.manager)
    page = as_user(scene.finance).get("/reports/ageing/?tab=all")
    assert [row["tick"] for row in page.context["rows"]] == [None]
    assert not RewardReminder.objects.exists() and not Notification.objects.filter(kind=ageing.KIND).exists()


def test_the_page_asks_as_often_for_many_cards(scene, as_user):
    client = as_user(scene.finance)

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get("/reports/ageing/?tab=all").status_code == 200
        return len(found)

    ageing.remind(payout_id=card(scene, days=1).pk, actor=scene.manager)
    few = queries()
    for number in range(6):
        card(scene, days=number * 20, rep=make_participant(f"Rep {number}", user=make_user("participant")))
    assert queries() == few


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_people_at_once_remind_once(scene):
    import threading

    from django.db import connections

    payout, results = card(scene, days=9), []
    start = threading.Barrier(4)

    def press(actor):
        start.wait()
        try:
            ageing.remind(payout_id=payout.pk, actor=actor)
            results.append("reminded")
        except CannotRemind:
            results.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=press, args=[actor]) for actor in (scene.manager, scene.finance, scene.other, scene.manager)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["refused"] * 3 + ["reminded"]
    assert RewardReminder.objects.get().count == 1 and AuditEvent.objects.filter(action="reward.reminded").count() == 1
