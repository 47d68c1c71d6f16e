"""What makes a payout wait: contacts, domains, unusual amounts, structuring, limits; and who lifts it."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from incentives.core.errors import DomainError, NotAllowed
from incentives.payouts import services
from incentives.payouts.checks import check_ledger
from incentives.payouts.contacts import allows, domain_of, email_key, looks_like
from incentives.payouts.errors import ApproverLimit, PayoutOnHold, RuleInvalid, SelfApproval
from incentives.payouts.models import Approval, ApprovalPolicy, ContactKey, Hold, Payout, RiskRule
from incentives.payouts.services.risk import refresh_contact_keys
from tests.factories import deal, make_connection, make_participant, make_product, make_program, make_user, send
from tests.support.html import assert_page_clean


# --- pure -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("email", "key"),
    [
        ("Ana@Example.com", "ana@example.com"),
        ("ana+gifts@example.com", "ana@example.com"),
        ("a.n.a+x@gmail.com", "ana@gmail.com"),
        ("A.na@googlemail.com", "ana@gmail.com"),
        ("a.na@example.com", "a.na@example.com"),
        ("ana@example.com.", "ana@example.com"),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_one_mailbox_has_one_key(email, key):
    assert email_key(email) == key


def test_two_hundred_spellings_are_one_mailbox():
    spellings = {f"{'A.na' if n % 2 else 'an.a'}+{n}@{'gmail' if n % 3 else 'googlemail'}.com" for n in range(200)}
    assert len(spellings) == 200 and {email_key(email) for email in spellings} == {"ana@gmail.com"}


def test_domains():
    assert domain_of("a@Sub.Example.COM") == "sub.example.com"
    assert allows("sub.example.com", {"example.com"}) and not allows("badexample.com", {"example.com"})
    for near in ("exampel.com", "examp1e.com", "exmple.com", "examplee.com", "xn--exmple-cua.com"):
        assert looks_like(near, {"example.com"}) == "example.com", near
    assert looks_like("other.org", {"example.com"}) == ""


# --- at the build ---------------------------------------------------------------------------------------------------------
def kinds(payout) -> list[str]:
    return [hold.kind for hold in payout.holds.order_by("pk")]


pytestmark = pytest.mark.django_db


def test_an_address_that_reaches_another_participant_is_held_with_the_other_as_evidence(scene):
    other = make_participant("Double", email="A.Ruiz+two@gmail.com")
    scene.rep.email = "aruiz@gmail.com"
    scene.rep.save()
    payout = scene.payout()
    (hold,) = payout.holds.all()
    assert (hold.kind, hold.evidence) == ("same_contact", {"participants": [str(other.public_id)]})
    assert "Double" in hold.reason and "@" not in hold.reason
    with pytest.raises(PayoutOnHold):
        services.approve_payout(payout_id=payout.pk, actor=scene.finance)


def test_a_phone_shared_by_two_people_is_held(scene):
    make_participant("Double", phone="+14155550123")
    scene.rep.phone = "+14155550123"
    scene.rep.save()
    assert kinds(scene.payout()) == ["same_contact"]


def test_keys_follow_the_addresses(scene):
    refresh_contact_keys()
    assert refresh_contact_keys() == 0
    scene.rep.email = "new@example.com"
    scene.rep.save()
    assert refresh_contact_keys() == 1
    assert ContactKey.objects.get(participant=scene.rep).email_key == "new@example.com"


def test_only_allowed_domains_pass_once_some_are_named(scene):
    assert kinds(scene.payout()) == []
    program = scene.program()
    services.save_rule(actor=scene.other, kind="domain", domain="Corp.example.net")
    held = scene.payout()
    assert kinds(held) == ["domain"] and "example.com is not among" in held.holds.get().reason
    services.save_rule(actor=scene.other, kind="domain", domain="example.com", program=program)
    assert kinds(scene.payout(program=program)) == []
    assert kinds(scene.payout()) == ["domain"]


def test_an_amount_far_above_the_usual_is_held(scene):
    program = scene.program(name="Usual")
    for number in range(5):
        scene.payout("1000.00", program=program, rep=make_participant(f"R{number}"), approve=True)  # 20.00 each
    assert kinds(scene.payout("5000.00", program=program, rep=make_participant())) == []  # 100.00: not above 100
    assert kinds(scene.payout("5000.50", program=program, rep=make_participant())) == ["unusual"]


def test_four_times_the_usual_is_not_unusual(scene):
    program = scene.program(name="Usual")
    for number in range(5):
        scene.payout("2500.00", program=program, rep=make_participant(f"R{number}"), approve=True)  # 50.00 each
    assert kinds(scene.payout("12500.00", program=program, rep=make_participant())) == []  # exactly 5 times


def test_the_third_amount_just_under_a_limit_is_held(scene):
    ApprovalPolicy.objects.create(name="Small", steps=[], up_to_minor=10_000, position=1)
    program = scene.program()
    first, second = scene.payout("4900.00", program=program), scene.payout("4700.00", program=program)
    assert (first.status, second.status) == ("approved", "approved")
    low = scene.payout("4500.00", program=program)  # 90.00: not above 90 %
    assert kinds(low) == []
    third = scene.payout("4999.00", program=program)
    assert (third.status, kinds(third), third.steps) == ("submitted", ["structuring"], ["finance"])
    assert third.holds.get().evidence["limit_minor"] == 10_000


def test_a_large_amount_does_not_pass_as_several_small_cards(scene):
    ApprovalPolicy.objects.create(name="Small", steps=[], up_to_minor=25_000, position=1)
    program = scene.program()
    scene.earn("25000.00", program=program)  # 500.00 as two cards of 250.00
    payouts = services.build_payouts(program=program).payouts
    assert [(p.amount_minor, p.status, p.steps) for p in payouts] == [(25_000, "submitted", ["finance"])] * 2


def test_a_held_payout_is_not_approved_by_itself_when_the_hold_is_lifted(scene):
    ApprovalPolicy.objects.create(name="All", steps=[], up_to_minor=100_000)
    scene.rep.contact_changed_at = timezone.now()
    scene.rep.save()
    payout = scene.payout()
    services.lift_hold(hold_id=payout.holds.get().pk, actor=scene.finance, reason="Asked Ana")
    services.sweep_once()
    payout.refresh_from_db()
    assert (payout.status, payout.steps) == ("submitted", ["finance"])
    scene.approve(payout)


def test_what_waited_for_funding_alone_is_approved_by_itself_once_there_is_room(scene):
    from incentives.ledger import services as ledger
    from tests.factories import usd

    ApprovalPolicy.objects.create(name="All", steps=[], up_to_minor=100_000)
    program = scene.program(funded="10.00")
    payout = scene.payout(program=program)
    assert (payout.status, kinds(payout)) == ("submitted", ["funding"])
    services.sweep_once()
    payout.refresh_from_db()
    assert payout.status == "submitted"
    with pytest.raises(NotAllowed):
        services.lift_hold(hold_id=payout.holds.get().pk, actor=scene.finance, reason="x")
    ledger.fund(budget=program.budget, amount=usd("90.00"), reference="MORE", actor=scene.finance)
    assert services.sweep_once()["automatic"] == 1
    payout.refresh_from_db()
    assert payout.status == "approved"
    assert check_ledger() == []


def test_who_made_a_payout_does_not_lift_its_hold(scene):
    both = make_user("manager", "finance")
    payout = scene.payout(actor=both)
    hold = services.place_hold(payout_id=payout.pk, actor=scene.manager, reason="Look")
    with pytest.raises(NotAllowed):
        services.lift_hold(hold_id=hold.pk, actor=both, reason="ok")
    assert Hold.objects.get().lifted_at is None


# --- limits ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("rule", "held"),
    [
        ({"kind": "participant", "window": "day", "most_count": 2}, [False, False, True]),
        ({"kind": "participant", "window": "day", "most_minor": 20_000}, [False, False, True]),
        ({"kind": "participant", "window": "month", "most_minor": 9_999}, [True, True, True]),
        ({"kind": "program", "window": "day", "most_count": 1}, [False, True, True]),
        ({"kind": "participant", "window": "day", "most_minor": 1, "currency": "EUR"}, [False, False, False]),
        ({"kind": "participant", "window": "day", "most_count": 0, "is_active": False}, [False, False, False]),
    ],
)
def test_a_limit_holds_what_exceeds_it(scene, rule, held):
    services.save_rule(actor=scene.other, **rule)
    program = scene.program()
    payouts = [scene.payout(program=program) for _ in range(3)]
    assert [kinds(payout) == ["velocity"] for payout in payouts] == held


def test_a_participants_limit_counts_over_programs_and_starts_again_the_next_day(scene, clock):
    services.save_rule(actor=scene.other, kind="participant", window="day", most_count=1)
    clock.move_to(timezone.now().replace(month=8, day=4, hour=0, minute=0))
    first, second = scene.payout(), scene.payout()
    assert (kinds(first), kinds(second)) == ([], ["velocity"])
    services.cancel_payout(payout_id=second.pk, actor=scene.finance, reason="x")
    clock.shift(timedelta(days=1))
    assert kinds(scene.payout()) == []


def test_an_approver_does_not_exceed_their_limit_and_another_one_may(scene):
    services.save_rule(actor=make_user("finance"), kind="approver", window="day", most_minor=10_000)
    program = scene.program()
    first, second = scene.payout(program=program), scene.payout(program=program)
    scene.approve(first)
    before = Approval.objects.count()
    with pytest.raises(ApproverLimit):
        services.approve_payout(payout_id=second.pk, actor=scene.finance)
    assert Approval.objects.count() == before
    services.approve_payout(payout_id=second.pk, actor=scene.other)


def test_whoever_changed_a_limit_alone_approves_nothing_built_after_it(scene):
    rule = services.save_rule(actor=scene.finance, kind="participant", window="day", most_count=50)
    payout = scene.payout()
    with pytest.raises(SelfApproval):
        services.approve_payout(payout_id=payout.pk, actor=scene.finance)
    with pytest.raises(NotAllowed):
        services.confirm_rule(rule=rule, actor=scene.finance)
    services.confirm_rule(rule=rule, actor=scene.other)
    scene.approve(scene.payout())


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "domain", "domain": "nonsense"},
        {"kind": "domain", "domain": "a b.com"},
        {"kind": "participant", "window": "day"},
        {"kind": "participant", "most_count": 1},
        {"kind": "x", "window": "day", "most_count": 1},
        {"kind": "program", "window": "day", "most_minor": -1},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(scene, values):
    with pytest.raises(RuleInvalid):
        services.save_rule(actor=scene.finance, **values)
    assert RiskRule.objects.count() == 0


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_twelve_builds_at_once_exactly_the_limit_passes():
    make_product()
    RiskRule.objects.create(kind="participant", window="day", most_count=5)
    rep, crm, count = make_participant(), make_connection(), 12
    programs = []
    for number in range(count):
        own = {"field": "attributes.for", "op": "eq", "value": f"P{number}"}
        programs.append(make_program(name=f"P{number}", funded="500.00", qualifies=own))
        send(crm, deal(f"D{number}", rep, "5000.00", attributes={"for": f"P{number}"}))
    start, failures = threading.Barrier(count), []

    def build(program):
        try:
            start.wait()
            services.build_payouts(program=program)
        except Exception as exc:
            failures.append(exc)
        finally:
            connection.close()

    threads = [threading.Thread(target=build, args=(program,)) for program in programs]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert failures == []
    assert Payout.objects.count() == count
    assert Hold.objects.filter(kind="velocity").count() == count - 5
    assert check_ledger() == []


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_an_approver_at_twelve_doors_at_once_approves_exactly_their_limit():
    make_product()
    RiskRule.objects.create(kind="approver", window="day", most_count=4)
    program, approver, count = make_program(funded="5000.00"), make_user("finance"), 12
    send(make_connection(), *(deal(f"D{n}", make_participant(), "5000.00") for n in range(count)))
    payouts = services.build_payouts(program=program).payouts
    start, failures = threading.Barrier(count), []

    def approve(payout):
        try:
            start.wait()
            services.approve_payout(payout_id=payout.pk, actor=approver)
        except DomainError as exc:
            failures.append(exc.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=approve, args=(payout,)) for payout in payouts]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert failures == ["approver_limit"] * (count - 4)
    assert Approval.objects.count() == 4
    assert check_ledger() == []


# --- pages ----------------------------------------------------------------------------------------------------------------
def test_the_review_queue_shows_the_evidence_and_lifts_many_with_one_reason(
    scene, as_user, django_assert_max_num_queries
):
    make_participant("Double", email="ana+other@example.com")
    program = scene.program()
    held = [scene.payout(program=program) for _ in range(3)]
    client = as_user(scene.finance)
    with django_assert_max_num_queries(14):
        listed = client.get(reverse("payouts:holds"))
    assert "Same address as somebody else" in listed.content.decode()
    one = held[0].holds.get()
    with django_assert_max_num_queries(24):
        shown = client.get(reverse("payouts:hold-evidence", args=[one.pk]))
    assert_page_clean(shown)
    assert "Double" in shown.content.decode()
    ids = [payout.holds.get().pk for payout in held]
    lift = reverse("payouts:holds-lift")
    asked = client.post(lift, {"ids": ids, "action": "lift"})
    assert_page_clean(asked)
    assert "Lift 3 holds?" in asked.content.decode()
    assert client.post(lift, {"ids": ids, "reason": " "}).status_code == 400
    assert Hold.objects.filter(lifted_at__isnull=True).count() == 3
    done = client.post(lift, {"ids": ids, "reason": "Two accounts of one person"}, follow=True)
    assert "3 holds lifted." in done.content.decode()
    assert set(Hold.objects.values_list("lifted_reason", flat=True)) == {"Two accounts of one person"}
    csv = b"".join(client.get(reverse("payouts:holds"), {"export": "csv", "tab": "all"}).streaming_content).decode()
    assert csv.count("Two accounts of one person") == 3 and "@" not in csv


def test_limits_and_domains_on_their_pages(scene, as_user):
    client = as_user(scene.finance)
    new = reverse("payouts:rule-new")
    assert client.post(new, {"kind": "participant", "currency": "USD"}).status_code == 400
    client.post(new, {"kind": "participant", "window": "day", "most": "500", "currency": "USD", "is_active": "on"})
    rule = RiskRule.objects.get()
    assert (rule.most_minor, rule.edited_by, rule.confirmed_by) == (50_000, scene.finance, None)
    listed = as_user(scene.other).get(reverse("payouts:rules"))
    assert_page_clean(listed)
    assert "500.00 USD in a day" in listed.content.decode()
    confirm = reverse("payouts:rule-confirm", args=[rule.pk])
    as_user(scene.other).post(confirm, {"shown": rule.edited_at.isoformat()})
    rule.refresh_from_db()
    assert rule.confirmed_by == scene.other
