"""A question about an amount: who may do what with it, what a decision records, and that nothing is lost between two."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incentives.core.errors import DomainError, IllegalTransition, NotAllowed
from incentives.core.models import AuditEvent
from incentives.disputes import selectors, services
from incentives.disputes.errors import CannotReopen, NothingChanged, OwnDispute, StaleDispute, TextNeeded
from incentives.disputes.models import Dispute, DisputeMessage
from incentives.disputes.services import Correction
from incentives.earnings.evaluate import evaluate
from incentives.payouts import services as payouts
from tests.factories import deal, make_connection, make_participant, make_program, make_user, send, usd

pytestmark = pytest.mark.django_db
S = Dispute.Status
RECORD = Correction("activity", "x", "Deal updated: deal D1")


def told(dispute) -> list[tuple]:
    return [(m.kind, m.by_staff, m.internal, m.text) for m in dispute.messages.all()]


# --- asking -----------------------------------------------------------------------------------------------------------------
def test_a_question_keeps_what_it_is_about_and_what_that_was_worth(desk):
    dispute = desk.ask(" It was 7,000 ")
    assert (dispute.about, dispute.subject, dispute.status, dispute.program) == (
        "line",
        "deal D1",
        "open",
        desk.program,
    )
    assert (dispute.before, dispute.after, dispute.participant) == (usd("100.00"), None, desk.scene.rep)
    assert told(dispute) == [("question", False, False, "It was 7,000")]
    assert AuditEvent.objects.get(action="dispute.raised").actor == desk.rep


def test_asking_again_about_the_same_line_adds_to_the_open_question(desk):
    first = desk.ask()
    desk.fix()
    again = services.raise_dispute(
        actor=desk.rep, text="And now?", earning=desk.scene.rep.participations.get().earnings.last()
    )
    assert again == first and Dispute.objects.count() == 1
    assert [m.kind for m in first.messages.all()] == ["question", "reply"]
    services.withdraw(dispute=first, actor=desk.rep)
    assert desk.ask() != first


def test_a_missing_deal_needs_words_and_may_name_a_program(desk):
    with pytest.raises(TextNeeded):
        desk.ask(missing="  ")
    loose = desk.ask(missing="Acme renewal")
    placed = desk.ask(missing="Acme upsell", program=desk.program)
    assert (loose.subject, loose.before, placed.before) == ("Acme renewal", None, usd("100.00"))
    assert Dispute.objects.count() == 2


def test_a_reward_and_a_deal_can_be_questioned(desk):
    payout = payouts.build_payouts(program=desk.program).payouts[0]
    assert desk.ask(payout=payout).about == "payout"
    assert desk.ask(record=desk.earning.object, program=desk.program).before == usd("100.00")


def test_nobody_questions_what_is_not_theirs(desk):
    stranger = make_user("participant")
    make_participant("Stranger", user=stranger)
    payout = payouts.build_payouts(program=desk.program).payouts[0]
    for about in ({"earning": desk.earning}, {"payout": payout}, {"record": desk.earning.object}):
        with pytest.raises(NotAllowed):
            services.raise_dispute(actor=stranger, text="Mine!", **about)
    for actor in (desk.manager, desk.scene.finance, make_user("participant"), desk.scene.users["norole"]):
        with pytest.raises(NotAllowed):
            services.raise_dispute(actor=actor, text="Mine!", earning=desk.earning)
    assert not Dispute.objects.exists() and not DisputeMessage.objects.exists()


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_words_are_needed(desk, text):
    with pytest.raises(TextNeeded):
        desk.ask(text)
    assert not Dispute.objects.exists()


# --- deciding ---------------------------------------------------------------------------------------------------------------
def test_a_correction_records_the_difference_by_itself(desk):
    dispute = desk.ask()
    with pytest.raises(NothingChanged, match=r"still worth 100.00 USD"):
        services.correct(dispute=dispute, actor=desk.manager, text="Done", correction=RECORD, seen_version=1)
    desk.fix("7000.00")
    (found,) = selectors.candidates(dispute)
    assert (found.kind, found.label) == ("activity", "Deal updated: deal D1")
    services.correct(dispute=dispute, actor=desk.manager, text="You were right", correction=found, seen_version=1)
    dispute.refresh_from_db()
    assert (dispute.status, dispute.before, dispute.after) == ("corrected", usd("100.00"), usd("140.00"))
    assert (dispute.difference, dispute.correction_label) == (usd("40.00"), "Deal updated: deal D1")
    assert (dispute.decided_by, dispute.version) == (desk.manager, 2)
    event = AuditEvent.objects.get(action="dispute.corrected")
    assert (event.before, event.after["status"]) == ({"status": "open"}, "corrected")


def test_a_correction_on_its_way_says_so(desk):
    dispute = desk.ask()
    own = {"attributes": {"for": desk.program.name}}
    fact = deal("D1", desk.scene.rep, "7000.00", version=2, kind="deal.updated", state="won", **own)
    send(desk.scene.crm, fact, evaluate=False)
    with pytest.raises(NothingChanged, match="still being counted"):
        services.correct(dispute=dispute, actor=desk.manager, text="Done", correction=RECORD, seen_version=1)
    evaluate()
    services.correct(dispute=dispute, actor=desk.manager, text="Done", correction=RECORD, seen_version=1)


def test_an_award_or_a_target_may_be_the_correction(desk):
    from tests.awards.conftest import Pots

    dispute = desk.ask(missing="The kick-off prize")
    Pots(desk.scene).give("25.00", reason="Kick-off prize")
    (found,) = selectors.candidates(dispute)
    assert (found.kind, found.label) == ("award", "Given: Kick-off prize, 25.00 USD")
    services.correct(dispute=dispute, actor=desk.manager, text="Given", correction=found, seen_version=1)


def test_a_question_asked_back_waits_for_the_rep_and_comes_back(desk):
    dispute = desk.ask()
    services.ask_back(dispute=dispute, actor=desk.manager, text="Which deal?", seen_version=1)
    dispute.refresh_from_db()
    assert (dispute.status, dispute.assigned_to, dispute.unread) == ("waiting_for_rep", desk.manager, True)
    services.mark_seen(dispute)
    assert selectors.unread_of(desk.scene.rep) == 0
    services.reply(dispute=dispute, actor=desk.rep, text="D1")
    services.explain(dispute=dispute, actor=desk.other, text="Right as it is", seen_version=3)
    dispute.refresh_from_db()
    assert (dispute.status, dispute.difference, selectors.unread_of(desk.scene.rep)) == ("answered", usd("0.00"), 1)
    assert [kind for kind, *_rest in told(dispute)] == ["question", "asked", "reply", "explained"]


def test_two_managers_at_once_one_is_refused_and_nothing_is_overwritten(desk):
    dispute = desk.ask()
    services.ask_back(dispute=dispute, actor=desk.manager, text="Which?", seen_version=1)
    for act in (services.explain, services.ask_back):
        with pytest.raises(StaleDispute):
            act(dispute=dispute, actor=desk.other, text="No", seen_version=1)
    with pytest.raises(StaleDispute):
        services.assign(dispute=dispute, actor=desk.other, to=desk.other, seen_version=1)
    dispute.refresh_from_db()
    assert (dispute.status, dispute.assigned_to, dispute.messages.count()) == ("waiting_for_rep", desk.manager, 2)


def test_an_answer_that_did_not_see_the_reps_last_words_is_refused(desk):
    dispute = desk.ask()
    services.reply(dispute=dispute, actor=desk.rep, text="One more thing")
    with pytest.raises(StaleDispute):
        services.explain(dispute=dispute, actor=desk.manager, text="No", seen_version=1)


def test_nobody_decides_about_their_own_earning(desk):
    both = make_user("manager", "participant")
    person = make_participant("Both", user=both)
    desk.scene.earn("5000.00", person, program=desk.program)
    earning = person.participations.get().earnings.get()
    dispute = services.raise_dispute(actor=both, text="More", earning=earning)
    for act in (services.explain, services.ask_back):
        with pytest.raises(OwnDispute):
            act(dispute=dispute, actor=both, text="More", seen_version=1)
    with pytest.raises(OwnDispute):
        services.correct(dispute=dispute, actor=both, text="More", correction=RECORD, seen_version=1)
    for act in (lambda: services.note(dispute=dispute, actor=both, text="Secret"),
                lambda: services.assign(dispute=dispute, actor=both, to=None, seen_version=1),
                lambda: services.assign(dispute=dispute, actor=desk.manager, to=both, seen_version=1)):  # fmt: skip
        with pytest.raises(OwnDispute):
            act()
    assert not Dispute.objects.visible_to(both).exists() and Dispute.objects.visible_to(desk.manager).exists()
    with pytest.raises(IntegrityError), transaction.atomic():
        Dispute.objects.filter(pk=dispute.pk).update(decided_by=both)


@pytest.mark.parametrize("role", ["finance", "participant", "administrator", "auditor", "partner_admin", "norole"])
def test_only_a_manager_answers(desk, role):
    dispute, actor = desk.ask(), desk.scene.users[role]
    for act in (services.explain, services.ask_back):
        with pytest.raises(NotAllowed):
            act(dispute=dispute, actor=actor, text="No", seen_version=1)
    with pytest.raises(NotAllowed):
        services.note(dispute=dispute, actor=actor, text="No")
    with pytest.raises(NotAllowed):
        services.assign(dispute=dispute, actor=desk.manager, to=actor, seen_version=1)
    dispute.refresh_from_db()
    assert (dispute.version, dispute.messages.count()) == (1, 1)


def test_a_note_is_for_staff_and_refuses_nobodys_answer(desk):
    dispute = desk.ask()
    services.note(dispute=dispute, actor=desk.other, text="canary-note")
    assert [m.text for m in selectors.thread(dispute, staff=False)] == ["It was 7,000"]
    services.explain(dispute=dispute, actor=desk.manager, text="Right", seen_version=1)


# --- again ------------------------------------------------------------------------------------------------------------------
def test_a_decision_can_be_opened_again_once_and_in_time(desk):
    dispute = desk.ask()
    services.explain(dispute=dispute, actor=desk.manager, text="Right", seen_version=1)
    services.reopen(dispute=dispute, actor=desk.rep, text="Still not")
    services.explain(dispute=dispute, actor=desk.manager, text="Really", seen_version=3)
    with pytest.raises(CannotReopen):
        services.reopen(dispute=dispute, actor=desk.rep, text="No!")
    late = desk.ask()
    services.explain(dispute=late, actor=desk.manager, text="Right", seen_version=1)
    Dispute.objects.filter(pk=late.pk).update(decided_at=timezone.now() - timedelta(days=14, seconds=1))
    with pytest.raises(CannotReopen):
        services.reopen(dispute=late, actor=desk.rep, text="No!")


def test_every_pair_of_states_that_is_no_arrow_is_refused(desk):
    dispute = desk.ask()
    for old in S.values:
        for new in S.values:
            if new == old or new in Dispute.NEXT[old]:
                continue
            Dispute.objects.filter(pk=dispute.pk).update(status=old)
            dispute.refresh_from_db()
            with pytest.raises(IllegalTransition), transaction.atomic():
                services._move(dispute, new, desk.manager, "dispute.test")
            dispute.refresh_from_db()
            assert dispute.status == old
    assert not AuditEvent.objects.filter(action="dispute.test").exists()


def test_what_was_written_stays(desk):
    message = desk.ask().messages.get()
    for change in (lambda: DisputeMessage.objects.update(text="Never said that"), message.delete):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["reply", "withdraw", "reopen", "explain", "correct", "ask", "note", "assign", "fix"]),
        st.booleans(),  # with the version that stands, or an old one
    ),
    max_size=10,
)


@given(acts=ACTS)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_sequence_keeps_state_version_and_thread_in_step(acts):
    with transaction.atomic():
        rep, manager, crm = make_user("participant"), make_user("manager"), make_connection()
        person = make_participant("Ana", user=rep)
        make_program()
        send(crm, deal("D1", person, "5000.00"))
        dispute = services.raise_dispute(actor=rep, text="?", earning=person.participations.get().earnings.get())
        for number, (what, fresh) in enumerate(acts, start=2):
            dispute.refresh_from_db()
            before = (dispute.status, dispute.version, dispute.messages.count())
            seen = {"seen_version": dispute.version if fresh else dispute.version - 1}
            by_rep, by_staff = {"dispute": dispute, "actor": rep}, {"dispute": dispute, "actor": manager}
            run = {
                "reply": lambda by=by_rep: services.reply(**by, text="r"),
                "withdraw": lambda by=by_rep: services.withdraw(**by),
                "reopen": lambda by=by_rep: services.reopen(**by, text="r"),
                "explain": lambda by=by_staff, s=seen: services.explain(**by, text="e", **s),
                "correct": lambda by=by_staff, s=seen: services.correct(**by, text="c", correction=RECORD, **s),
                "ask": lambda by=by_staff, s=seen: services.ask_back(**by, text="a", **s),
                "note": lambda by=by_staff: services.note(**by, text="n"),
                "assign": lambda by=by_staff, s=seen: services.assign(**by, to=manager, **s),
                "fix": lambda n=number: send(
                    crm, deal("D1", person, f"{n}000.00", version=n, kind="deal.updated", state="won")
                ),
            }[what]
            try:
                with transaction.atomic():
                    run()
                refused = False
            except DomainError:
                refused = True
            dispute.refresh_from_db()
            after = (dispute.status, dispute.version, dispute.messages.count())
            if refused:
                assert after == before
            if after[0] != before[0]:
                assert after[0] in Dispute.NEXT[before[0]] and after[1] == before[1] + 1
            if dispute.status in Dispute.DECIDED:
                assert dispute.decided_by == manager and dispute.after is not None
        transaction.set_rollback(True)
