"""What was paid too much: recovered from later payouts, in instalments, or written off by two people."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from incentives.core.errors import DomainError, NotAllowed
from incentives.core.models import AuditEvent
from incentives.ledger.models import Account, Posting
from incentives.payouts import selectors, services
from incentives.payouts.checks import check_ledger
from incentives.payouts.errors import ReasonNeeded, RecoveryInvalid, SecondPerson
from incentives.payouts.models import Payout, Recovery, WriteOff, WriteOffLine
from tests.factories import deal, make_user, send, usd

pytestmark = pytest.mark.django_db


def overpaid(scene, recovery: str = "next_payout", **payout):
    """D1 paid 100.00 and is now worth 60.00; returns the participation."""
    program = scene.program(payout={"when": "at_close", "recovery": recovery, **payout})
    send(scene.crm, deal("D1", scene.rep, "5000.00", attributes={"for": program.name}))
    (paid,) = services.build_payouts(program=program).payouts
    scene.issue(scene.approve(paid))
    scene.now(program, "D1", "3000.00")
    return paid.participation


@pytest.fixture(autouse=True)
def facts(scene):
    """`scene.now(program, "D1", "3000.00")`: the deal as it stands now; payouts have looked."""
    versions = {}

    def now(program, name, amount, **fields):
        versions[name] = version = versions.get(name, 1) + 1
        send(scene.crm, deal(name, scene.rep, amount, version=version, attributes={"for": program.name}, **fields))
        services.follow_up()

    scene.now = now
    yield
    assert check_ledger() == []


def recoverable(participation) -> int:
    account = Account.objects.filter(code=f"participant:{participation.public_id}:recoverable").first()
    assert (account.balance_minor if account else 0) == Recovery.objects.get(
        participation=participation
    ).recoverable_minor
    return account.balance_minor if account else 0


def build(participation) -> list[int]:
    """Built, approved by nobody yet; the amounts agree with what the preview promised."""
    program = participation.program
    preview = selectors.preview_build(program)
    due = selectors.due_by_program(program.__class__.objects.filter(pk=program.pk)).get(program.pk, (0, usd("0")))[1]
    payouts = services.build_payouts(program=program).payouts
    assert preview.total.minor == sum(p.amount_minor for p in payouts)
    assert due.minor == sum(p.amount_minor for p in payouts) + preview.carried.minor
    return [p.amount_minor for p in payouts]


def settle(scene, participation):
    for payout in participation.payouts.filter(status="submitted").order_by("pk"):
        scene.issue(scene.approve(payout))


def write_off(scene, participation, amount="40.00", proposer=None, approver=None) -> WriteOff:
    proposal = services.propose_write_off(
        participation=participation,
        amount=usd(amount),
        reason="Customer went bankrupt",
        actor=proposer or scene.manager,
    )
    return services.approve_write_off(write_off=proposal, actor=approver or scene.finance)


# --- from the next payout -------------------------------------------------------------------------------------------------
def test_what_was_paid_too_much_stays_recoverable_until_a_payout_that_withheld_it_is_delivered(scene):
    participation = overpaid(scene)
    assert recoverable(participation) == 4_000
    scene.now(participation.program, "D2", "2500.00")  # 50.00
    assert recoverable(participation) == 4_000
    assert build(participation) == [1_000]
    assert recoverable(participation) == 4_000
    settle(scene, participation)
    assert recoverable(participation) == 0
    assert [p.amount_minor for p in Posting.objects.filter(kind="recovered")] == [4_000]


def test_a_deal_that_comes_back_is_no_longer_recoverable(scene):
    participation = overpaid(scene)
    scene.now(participation.program, "D1", "5000.00")
    assert recoverable(participation) == 0
    assert Recovery.objects.get().since is None
    assert [p.amount_minor for p in Posting.objects.filter(kind="earned_again")] == [4_000]
    assert build(participation) == []


def test_a_waiting_payout_that_pays_for_a_lost_deal_is_withdrawn_although_another_deal_covers_its_amount(scene):
    program = scene.program()
    send(scene.crm, deal("D1", scene.rep, "5000.00", attributes={"for": program.name}))
    (waiting,) = services.build_payouts(program=program).payouts
    send(scene.crm, deal("D2", scene.rep, "5000.00", attributes={"for": program.name}))
    scene.now(program, "D1", "5000.00", kind="deal.lost")
    waiting.refresh_from_db()
    assert waiting.status == "cancelled"
    (instead,) = services.build_payouts(program=program).payouts
    assert [a.earning.object.external_id for a in instead.allocations.all()] == ["deal:D2:won:1"]


# --- instalments ----------------------------------------------------------------------------------------------------------
def test_an_instalment_in_per_cent_reduces_each_payout_by_no_more_and_the_rest_stays_recoverable(scene):
    participation = overpaid(scene)
    services.set_instalments(
        participation=participation, percent=Decimal(25), actor=scene.manager, reason="Agreed with Ana"
    )
    scene.now(participation.program, "D2", "1500.00")  # 30.00, of which 7.50 are withheld
    assert build(participation) == [2_250]
    settle(scene, participation)
    assert recoverable(participation) == 3_250
    scene.now(participation.program, "D3", "10000.00")  # 200.00: 25 % would be 50.00, 32.50 are left
    assert build(participation) == [16_750]
    settle(scene, participation)
    assert recoverable(participation) == 0
    assert sum(participation.payouts.values_list("amount_minor", flat=True)) == 29_000 == participation_earned(scene)


def participation_earned(scene) -> int:
    return scene.rep.participations.get().earned_minor


def test_an_instalment_as_an_amount(scene):
    participation = overpaid(scene)
    services.set_instalments(participation=participation, most=usd("15.00"), actor=scene.finance, reason="Agreed")
    scene.now(participation.program, "D2", "1500.00")
    assert build(participation) == [1_500]
    scene.now(participation.program, "D3", "1500.00")  # while the first still waits
    assert build(participation) == [1_500]
    settle(scene, participation)
    assert recoverable(participation) == 1_000


def test_a_payout_that_ends_returns_what_it_withheld(scene):
    participation = overpaid(scene)
    services.set_instalments(participation=participation, percent=Decimal(50), actor=scene.manager, reason="Agreed")
    scene.now(participation.program, "D2", "1500.00")
    assert build(participation) == [1_500]
    services.reject_payout(payout_id=Payout.objects.latest("pk").pk, actor=scene.finance, reason="No")
    assert recoverable(participation) == 4_000
    assert build(participation) == [1_500]


def test_a_correction_while_a_payout_waits_withdraws_it_and_the_next_one_withholds_the_instalment(scene):
    participation = overpaid(scene)
    scene.now(participation.program, "D1", "5000.00")
    services.set_instalments(participation=participation, percent=Decimal(10), actor=scene.manager, reason="Agreed")
    scene.now(participation.program, "D2", "2500.00")
    assert build(participation) == [5_000]
    scene.now(participation.program, "D1", "3000.00")
    assert Payout.objects.latest("pk").status == "cancelled"
    assert build(participation) == [4_500]


@pytest.mark.parametrize(
    "values",
    [
        {"percent": Decimal(0)},
        {"percent": Decimal("100.01")},
        {"percent": Decimal("33.333")},
        {"most": usd("0")},
        {"percent": Decimal(5), "most": usd("5")},
    ],
)
def test_an_instalment_that_makes_no_sense_is_refused(scene, values):
    participation = overpaid(scene)
    with pytest.raises(RecoveryInvalid):
        services.set_instalments(participation=participation, actor=scene.manager, reason="x", **values)
    assert Recovery.objects.get().in_instalments is False


# --- writing off ----------------------------------------------------------------------------------------------------------
def test_a_write_off_by_two_people_no_longer_reduces_later_payouts(scene):
    participation = overpaid(scene)
    proposal = services.propose_write_off(
        participation=participation, amount=usd("30.00"), reason="Customer went bankrupt", actor=scene.manager
    )
    assert (recoverable(participation), WriteOffLine.objects.count()) == (4_000, 0)
    services.approve_write_off(write_off=proposal, actor=scene.finance)
    assert recoverable(participation) == 1_000
    posting = Posting.objects.get(kind="written_off")
    assert (posting.amount_minor, posting.destination.code) == (3_000, "world:participant:write_off:USD")
    scene.now(participation.program, "D2", "1500.00")  # 30.00 less the 10.00 that are left
    assert build(participation) == [2_000]
    events = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"write_off.proposed", "write_off.approved"} <= events
    counted = Posting.objects.count(), AuditEvent.objects.count()
    services.approve_write_off(write_off=proposal, actor=scene.finance)
    assert (Posting.objects.count(), AuditEvent.objects.count()) == counted


def test_when_the_deal_comes_back_the_write_off_is_taken_back_and_nothing_is_paid_twice(scene):
    participation = overpaid(scene)
    write_off(scene, participation)
    scene.now(participation.program, "D2", "1500.00")
    assert build(participation) == [3_000]
    settle(scene, participation)
    scene.now(participation.program, "D1", "4000.00")  # 80.00 of the 100.00 that were paid
    assert (recoverable(participation), Recovery.objects.get().written_off_minor) == (0, 2_000)
    scene.now(participation.program, "D1", "5000.00")
    assert (recoverable(participation), Recovery.objects.get().written_off_minor) == (0, 0)
    assert build(participation) == []
    scene.now(participation.program, "D1", "6000.00")  # 120.00: only what is new
    assert build(participation) == [2_000]
    assert [line.amount_minor for line in WriteOffLine.objects.all()] == [4_000, -2_000, -2_000]


def test_a_deal_that_is_lost_again_after_it_came_back_is_recoverable_again(scene):
    participation = overpaid(scene)
    write_off(scene, participation)
    scene.now(participation.program, "D1", "5000.00")
    scene.now(participation.program, "D1", "3000.00")
    assert (recoverable(participation), Recovery.objects.get().written_off_minor) == (4_000, 0)


def refused(error, act):
    before = list(WriteOff.objects.values()), WriteOffLine.objects.count(), Posting.objects.count()
    with pytest.raises(error):
        act()
    assert (list(WriteOff.objects.values()), WriteOffLine.objects.count(), Posting.objects.count()) == before


def test_nobody_writes_off_alone_or_for_themselves(scene):
    participation = overpaid(scene)
    propose = lambda actor, amount="10.00", reason="x": services.propose_write_off(  # noqa: E731
        participation=participation, amount=usd(amount), reason=reason, actor=actor
    )
    receiver = make_user("finance", "manager")
    scene.rep.user = receiver
    scene.rep.save()
    for actor in (
        scene.rep_user,
        scene.users["administrator"],
        scene.users["superuser"],
        scene.users["auditor"],
        receiver,
    ):
        refused(NotAllowed, lambda actor=actor: propose(actor))
    refused(ReasonNeeded, lambda: propose(scene.manager, reason=" "))
    for amount in ("40.01", "0", "-1"):
        refused(RecoveryInvalid, lambda amount=amount: propose(scene.manager, amount))
    proposal = propose(scene.finance)
    refused(RecoveryInvalid, lambda: propose(scene.manager))  # one is open
    for actor, error in ((scene.finance, SecondPerson), (scene.manager, NotAllowed), (receiver, NotAllowed)):
        refused(error, lambda a=actor: services.approve_write_off(write_off=proposal, actor=a))
    services.approve_write_off(write_off=proposal, actor=scene.other)


def test_the_author_of_the_rules_does_not_approve(scene):
    participation = overpaid(scene)
    author = participation.program.current_version.created_by
    author.role_set.create(role="finance")
    proposal = services.propose_write_off(participation=participation, amount=usd("1"), reason="x", actor=scene.manager)
    refused(SecondPerson, lambda: services.approve_write_off(write_off=proposal, actor=author))


def test_a_proposal_that_no_longer_fits_is_refused_and_leaves_nothing(scene):
    participation = overpaid(scene)
    proposal = services.propose_write_off(
        participation=participation, amount=usd("40.00"), reason="x", actor=scene.manager
    )
    scene.now(participation.program, "D1", "4500.00")  # 10.00 are left
    refused(RecoveryInvalid, lambda: services.approve_write_off(write_off=proposal, actor=scene.finance))
    services.decline_write_off(write_off=proposal, actor=scene.finance, reason="Smaller now")
    refused(RecoveryInvalid, lambda: services.approve_write_off(write_off=proposal, actor=scene.finance))
    assert recoverable(participation) == 1_000


def test_what_a_payout_under_way_withholds_is_not_written_off_as_well(scene):
    participation = overpaid(scene)
    scene.now(participation.program, "D2", "2500.00")
    build(participation)
    refused(RecoveryInvalid, lambda: write_off(scene, participation, "0.01"))


def test_the_database_refuses_one_person_twice_and_an_edit(scene):
    proposal = write_off(scene, overpaid(scene))
    for sql in (
        "UPDATE payouts_writeoff SET decided_by_id = proposed_by_id",
        "UPDATE payouts_writeoff SET decided_by_id = NULL",
        "UPDATE payouts_writeoff SET amount_minor = 1",
        "UPDATE payouts_writeoffline SET amount_minor = 1",
        "DELETE FROM payouts_writeoffline",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    proposal.refresh_from_db()
    assert proposal.amount_minor == 4_000


# --- by policy ------------------------------------------------------------------------------------------------------------
def test_a_program_that_does_not_recover_writes_off_by_itself_and_says_so(scene):
    participation = overpaid(scene, "none")
    done = WriteOff.objects.get()
    assert (done.status, done.by_policy, done.amount_minor, done.decided_by) == ("approved", True, 4_000, None)
    assert "does not recover" in done.reason
    assert recoverable(participation) == 0
    scene.now(participation.program, "D2", "1500.00")
    assert build(participation) == [3_000]
    scene.now(participation.program, "D1", "5000.00")
    assert build(participation) == []


def test_a_program_that_writes_off_asks_finance_and_withholds_until_it_is_decided(scene):
    participation = overpaid(scene, "write_off")
    proposal = WriteOff.objects.get()
    assert (proposal.status, proposal.amount_minor, proposal.proposed_by) == ("proposed", 4_000, None)
    scene.now(participation.program, "D1", "2500.00")  # 50.00 too much now: another proposal replaces it
    assert list(WriteOff.objects.order_by("pk").values_list("status", "amount_minor")) == [
        ("withdrawn", 4_000),
        ("proposed", 5_000),
    ]
    services.follow_up()
    assert WriteOff.objects.count() == 2
    scene.now(participation.program, "D2", "1500.00")  # 30.00, netted: 20.00 are left to write off
    assert build(participation) == []
    open_one = WriteOff.objects.get(status="proposed")
    assert open_one.amount_minor == 2_000
    services.approve_write_off(write_off=open_one, actor=scene.finance)
    assert recoverable(participation) == 3_000


def test_an_instant_program_pays_again_after_the_write_off(scene):
    participation = overpaid(scene, "write_off", when="instant")
    services.set_instalments(participation=participation, percent=Decimal(100), actor=scene.manager, reason="x")
    proposal = WriteOff.objects.get()
    services.approve_write_off(write_off=proposal, actor=scene.finance)
    assert services.follow_up()["looked"] == 1
    scene.now(participation.program, "D2", "1500.00")
    assert Payout.objects.latest("pk").amount_minor == 3_000


def test_a_refusal_is_an_error_a_user_may_read():
    assert issubclass(RecoveryInvalid, DomainError)
