"""Writing notices down, gathering them into messages, and sending these: once, later, in digests, or not at all."""

from datetime import UTC, datetime, time, timedelta

import pytest
from django.core import mail
from django.db import transaction

from incentives.notifications import notify, outbox, preferences, sending
from incentives.notifications.gather import gather
from incentives.notifications.models import Delivery, Notification, Recipient
from incentives.notifications.sending import deliver
from tests.factories import make_participant, make_user
from tests.notifications.conftest import DUTY, NEWS, OTHER, gone, states, tell

pytestmark = pytest.mark.django_db


def choose(user, mode: str, *kinds: str, quiet=None):
    return preferences.choose(actor=user, modes=dict.fromkeys(kinds or (NEWS,), mode), quiet=quiet)


def subjects() -> list[str]:
    return [message.subject for message in mail.outbox]


# --- writing down ---------------------------------------------------------------------------------------------------------
def test_a_notice_is_told_once_however_often_it_is_written(ann):
    tell(ann, "a", "a", "b")
    assert Notification.objects.count() == 2
    assert (deliver(), deliver()) == (1, 0)
    assert subjects() == ["News: 2"]
    tell(ann, "a")
    assert deliver() == 0 and Notification.objects.count() == 2


def test_a_notice_of_a_change_that_is_rolled_back_leaves_nothing(ann):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        notify(NEWS, to=ann, key="a")
        1 / 0  # noqa: B018
    assert not Notification.objects.exists() and deliver() == 0


@pytest.mark.django_db(transaction=True)
def test_a_notice_needs_the_transaction_of_its_change(ann):
    with pytest.raises(RuntimeError):
        notify(NEWS, to=ann, key="a")
    with pytest.raises(KeyError):
        notify("test.typo", to=ann, key="a")
    assert not Notification.objects.exists()


def test_addresses_links_and_secrets_are_not_stored(ann):
    with transaction.atomic():
        notify(
            NEWS, to=ann, key="a",
            data={
                "text": "Win for bob@example.com at https://claims.example.test/c/canary", "n": 3, "none": None,
                "list": ["claim_link=abc", {"token": "Bearer abcdefgh12345"}], "long": "x" * 900,
            },
        )  # fmt: skip
    stored = Notification.objects.get().data
    assert stored["text"] == "Win for [email] at [link]"
    assert (stored["n"], stored["none"], stored["list"]) == (
        3,
        None,
        ["claim_link=[secret]", {"token": "Bearer [secret]"}],
    )
    assert len(stored["long"]) == outbox.LONGEST


def test_several_people_are_told_each_for_themselves(ann):
    bob = make_user("finance", email="bob@example.com")
    with transaction.atomic():
        assert notify(NEWS, to=[ann, bob, ann], key="a") == 2
    assert deliver() == 2
    assert sorted(message.to for message in mail.outbox) == [["ann@example.com"], ["bob@example.com"]]


def test_a_participant_is_told_at_their_own_address_until_they_have_an_account(django_assert_max_num_queries):
    rep = make_participant("Ana Ruiz", email="ana@rep.example", language="es")
    with django_assert_max_num_queries(8):  # two of them the savepoint's
        tell(rep, "a")
    assert deliver() == 1
    assert mail.outbox[0].to == ["ana@rep.example"] and "Ana Ruiz" in mail.outbox[0].body
    recipient = Recipient.objects.get()
    assert (recipient.ref, recipient.user, recipient.name) == (f"participant:{rep.public_id}", None, "Ana Ruiz")
    preferences.set_mode(recipient, outbox.registry.get(OTHER), "never", actor=None)
    rep.user = make_user("participant", email="account@example.com")
    rep.save()
    tell(rep, "b")
    tell(rep, "c", kind=OTHER)
    recipient.refresh_from_db()
    assert (Recipient.objects.count(), recipient.user) == (1, rep.user), "the choices made without an account are kept"
    sending.gather(datetime.now(UTC) + timedelta(minutes=5))
    assert states() == [("sent", 1), ("waiting", 1)]
    assert Notification.objects.get(key="c").left_out == "never"


def test_who_may_not_sign_in_any_more_is_not_written_to(ann):
    tell(ann, "a")
    ann.is_active = False
    ann.save()
    assert deliver() == 0
    assert states() == [("cancelled", 1)]


def test_something_is_announced_once():
    with transaction.atomic():
        assert [outbox.once("x"), outbox.once("x"), outbox.once("y")] == [True, False, True]


# --- gathering --------------------------------------------------------------------------------------------------------------
def test_what_comes_in_one_go_is_one_mail_and_the_next_waits_a_little(ann, clock):
    tell(ann, "a", "b")
    assert deliver() == 1
    tell(ann, "c")
    clock.shift(60)
    tell(ann, "d")
    assert deliver() == 0
    clock.shift(60)
    assert deliver() == 1
    assert subjects() == ["News: 2", "News: 2"]


def test_two_kinds_at_once_are_two_mails(ann):
    tell(ann, "a")
    tell(ann, "b", kind=OTHER)
    assert deliver() == 2


def test_the_hourly_digest_takes_every_hourly_kind_together(ann, clock):
    choose(ann, "hourly", NEWS, OTHER)
    tell(ann, "a")
    assert deliver() == 1
    clock.shift(600)
    tell(ann, "b")
    tell(ann, "c", kind=OTHER)
    assert deliver() == 0
    clock.shift(3000)
    assert deliver() == 1
    assert subjects() == ["News: 1", "2 notices from Laurel"]
    body, html = mail.outbox[1].body, mail.outbox[1].alternatives[0][0]
    for text in (body, html):
        assert "about b" in text and "about c" in text and text.count("News: 1") == 2
    assert list(Delivery.objects.values_list("kind", flat=True).order_by("pk")) == ["digest.hourly"] * 2


def test_the_daily_digest_comes_at_eight_in_the_persons_zone(ann, clock):
    ann.time_zone = "America/New_York"
    ann.save()
    choose(ann, "daily")
    clock.move_to(datetime(2026, 3, 7, 14, tzinfo=UTC))  # 9:00 there, on the day before the clocks go forward
    tell(ann, "a")
    assert deliver() == 0
    assert Notification.objects.get().look_at == datetime(2026, 3, 8, 12, tzinfo=UTC)
    clock.move_to(datetime(2026, 3, 8, 11, 59, tzinfo=UTC))
    tell(ann, "b")
    assert deliver() == 0
    clock.move_to(datetime(2026, 3, 8, 12, 0, tzinfo=UTC))
    assert deliver() == 1
    assert subjects() == ["News: 2"]
    tell(ann, "c")
    assert deliver() == 0
    assert Notification.objects.get(key="c").look_at == datetime(2026, 3, 9, 12, tzinfo=UTC)


def test_a_digest_that_was_missed_comes_late_and_once(ann, clock):
    choose(ann, "daily")
    tell(ann, "a")
    clock.shift(timedelta(days=3))
    assert deliver() == 1
    tell(ann, "b")
    assert deliver() == 0


def test_never_means_never_but_not_for_a_duty(ann):
    choose(ann, "never")
    tell(ann, "a")
    tell(ann, "b", kind=DUTY)
    assert deliver() == 1
    assert Notification.objects.get(key="a").left_out == "never"
    with pytest.raises(preferences.PreferenceInvalid):
        choose(ann, "never", DUTY)
    assert outbox.mode_of(ann, DUTY) == "at_once"


def test_quiet_hours_hold_mails_back(ann, clock):
    choose(ann, "at_once", quiet=(time(11), time(13, 30)))
    tell(ann, "a")
    assert deliver() == 0
    clock.move_to(datetime(2026, 7, 15, 13, 29, tzinfo=UTC))
    tell(ann, "b")
    assert deliver() == 0
    clock.shift(60)
    assert deliver() == 1
    assert subjects() == ["News: 2"]


def test_who_changes_their_mind_is_asked_again_about_what_waits(ann, clock):
    choose(ann, "daily")
    tell(ann, "a")
    assert deliver() == 0
    choose(ann, "at_once")
    assert deliver() == 1


def test_no_more_than_twenty_messages_an_hour_go_to_one_person(ann, clock):
    for number in range(30):
        tell(ann, f"k{number}")
        deliver()
        clock.shift(120)
    assert len(mail.outbox) == 20
    clock.shift(3600)
    assert deliver() == 1
    assert subjects()[-1] == "News: 10"


def test_what_could_not_be_told_for_a_week_is_left_out(ann, clock):
    tell(ann, "a")
    clock.shift(timedelta(days=7, seconds=1))
    assert deliver() == 0
    assert Notification.objects.get().left_out == "too old"


def test_a_kind_that_no_longer_exists_is_left_out(ann, kinds):
    tell(ann, "a")
    del kinds[NEWS]
    assert deliver() == 0
    assert Notification.objects.get().left_out == "unknown kind"


def test_many_people_take_a_few_queries_each(django_assert_max_num_queries):
    people = [make_user("manager") for _ in range(30)]
    with django_assert_max_num_queries(9), transaction.atomic():
        notify(NEWS, to=people, key="a")
    with django_assert_max_num_queries(30 * 10 + 3):
        assert gather() == 30


# --- sending ----------------------------------------------------------------------------------------------------------------
def test_what_is_no_longer_true_is_not_sent(ann):
    tell(ann, "a", "b")
    gather()
    gone.add("a")
    assert deliver() == 1 and subjects() == ["News: 1"]
    tell(ann, "c")
    Notification.objects.filter(key="c").update(look_at=None)
    gone.update("bc")
    delivery = Delivery.objects.create(channel="email", recipient=Recipient.objects.get(), kind=NEWS, count=1,
                                       next_attempt_at=datetime(2026, 1, 1, tzinfo=UTC))  # fmt: skip
    Notification.objects.filter(key="c").update(delivery=delivery)
    assert deliver() == 0
    assert states() == [("sent", 2), ("cancelled", 1)] and len(mail.outbox) == 1


def test_a_crash_between_claim_and_sending_sends_it_later_once(ann, clock):
    tell(ann, "a")
    gather()
    taken = sending.claim(Delivery.objects.get().pk, datetime.now(UTC))
    assert deliver() == 0, "somebody has it"
    clock.shift(sending.LEASE)
    assert deliver() == 1
    assert Delivery.objects.get().attempts == 2
    # Who had it wakes up and has no say any more.
    assert sending._again(taken, "late", datetime.now(UTC)) == 0
    assert Delivery.objects.values_list("status", "last_error", "next_attempt_at").get() == ("sent", "", None)


def test_a_crash_between_sending_and_noting_it_sends_it_again_under_the_same_message_id(ann, clock, monkeypatch):
    tell(ann, "a")
    with monkeypatch.context() as patched:
        patched.setattr(sending, "_end", lambda *args, **kwargs: 1 / 0)
        deliver()
    clock.shift(sending.LEASE)
    assert deliver() == 1
    one, two = (message.extra_headers["Message-ID"] for message in mail.outbox)
    assert one == two


def test_a_mail_server_takes_mails_over_one_connection_and_refusals_end_one(ann, mail_server, caplog):
    bob = make_user("manager", email="bob@example.com")
    eve = make_user("manager", email="eve@example.com")
    mail_server.refuse = {"bob@example.com": "550 5.1.1 bob@example.com unknown"}
    tell([ann, bob, eve], "a")
    assert deliver() == 2
    found = dict(Delivery.objects.values_list("recipient__user__email", "status"))
    assert found == {"ann@example.com": "sent", "bob@example.com": "failed", "eve@example.com": "sent"}
    failed = Delivery.objects.get(status="failed")
    assert (failed.last_error, failed.attempts, failed.address) == ("SMTPRecipientsRefused 550", 1, "b…@example.com")
    assert sorted(to for to, _text in mail_server.messages) == [["ann@example.com"], ["eve@example.com"]]
    assert mail_server.connections <= 2
    assert "bob@example.com" not in caplog.text
    assert deliver() == 0


def test_a_refusal_for_now_is_tried_again_over_days(ann, mail_server, clock):
    mail_server.refuse = {"ann@example.com": "450 4.2.1 try later"}
    tell(ann, "a")
    began, waits = datetime.now(UTC), []
    deliver()
    while Delivery.objects.get().status == "waiting":
        row = Delivery.objects.get()
        waits.append((row.next_attempt_at - datetime.now(UTC)).total_seconds() / 60)
        clock.move_to(row.next_attempt_at)
        assert deliver() == 0
    assert waits[:9] == [2, 4, 8, 16, 32, 64, 128, 256, 360]
    assert timedelta(days=5) < datetime.now(UTC) - began < timedelta(days=5, hours=7)
    assert (Delivery.objects.get().status, Delivery.objects.get().last_error) == ("failed", "SMTPRecipientsRefused 450")


def test_a_refused_message_ends_and_a_refused_sender_waits_for_our_settings(ann, mail_server, clock):
    mail_server.data_answer = "554 5.6.0 no"
    tell(ann, "a")
    deliver()
    assert Delivery.objects.values_list("status", "last_error").get() == ("failed", "SMTPDataError 554")
    mail_server.data_answer = "452 4.3.1 full"
    tell(ann, "b")
    clock.shift(120)
    deliver()
    assert states() == [("failed", 1), ("waiting", 1)]


def test_while_the_mail_server_is_away_one_attempt_a_round_is_made(settings, ann):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    tell([ann, *(make_user("manager") for _ in range(4))], "a")
    assert deliver() == 0
    assert sorted(Delivery.objects.values_list("attempts", flat=True)) == [0, 0, 0, 0, 1]
    assert Delivery.objects.get(attempts=1).last_error == "ConnectionRefusedError"


def test_rendering_that_fails_stops_nobody_else(ann, kinds, monkeypatch):
    bob = make_user("finance", email="bob@example.com")
    tell(bob, "a", kind=OTHER)
    tell(ann, "a")
    object.__setattr__(kinds[OTHER], "content", lambda items, reader: 1 / 0)
    assert deliver() == 1
    assert Delivery.objects.get(kind=OTHER).last_error == "ZeroDivisionError"


def test_a_mail_speaks_the_persons_language_and_names_no_address_of_others(ann):
    ann.language = "es"
    ann.save()
    tell(ann, "a")
    deliver()
    (message,) = mail.outbox
    assert '<html lang="es">' in message.alternatives[0][0]
    assert message.extra_headers["Auto-Submitted"] == "auto-generated"


def test_who_lost_the_role_a_kind_is_for_does_not_hear_of_it(ann, kinds):
    object.__setattr__(kinds[NEWS], "permission", "programs.edit")
    tell(ann, "a")
    ann.role_set.all().delete()
    assert deliver() == 0 and states() == [("cancelled", 1)]


def test_the_sweep_leaves_sending_to_workers_and_stands_in_after_half_a_minute(ann, clock):
    tell(ann, "a")
    assert sending.sweep_once() == {"made": 1, "due": 1, "sent": 0}
    clock.shift(30)
    assert sending.sweep_once() == {"made": 0, "due": 1, "sent": 1}
    assert sending.sweep_once() == {"made": 0, "due": 0, "sent": 0}
    assert len(mail.outbox) == 1


def test_what_notices_were_about_is_forgotten_but_not_that_they_were_told(ann, clock):
    tell(ann, "a")
    deliver()
    assert Delivery.objects.get().address == "a…@example.com"
    clock.shift(timedelta(days=91))
    assert (sending.erase_old(90), sending.erase_old(90)) == (1, 0)
    assert Notification.objects.get().data == {} and Delivery.objects.get().address == ""
    tell(ann, "a")
    assert deliver() == 0
