"""Payouts approved together leave as lines of one order where their policy says so: money, cards and books stay each payout's own
(promises 5 to 10; docs/decisions/0008-batches.md)."""

import contextlib
import importlib.util
import json
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.urls import reverse

from incentives.accounts.models import User, UserRole
from incentives.core.errors import IllegalTransition, NotAllowed
from incentives.ledger import deposits
from incentives.ledger.models import Posting
from incentives.payouts import budget_panels, services, wording
from incentives.payouts.checks import check_ledger
from incentives.payouts.errors import PolicyInvalid
from incentives.payouts.models import Approval, ApprovalPolicy, Payout
from incentives.payouts.reconcile import reconcile
from incentives.reports.export_writer import VERIFIER
from rewards import failpoints
from rewards import services as rewards
from rewards.failpoints import SimulatedCrash
from rewards.models import Card, RewardOrder
from tests.factories import deal, make_connection, make_participant, make_program, make_user, send
from tests.payouts.test_payouts import figures
from tests.payouts.test_settle import CVS, cash
from tests.rewards.conftest import _disarmed  # noqa: F401

pytestmark = pytest.mark.django_db

LINKS = {"delivery": {"type": "Links", "products": ["CVS"]}}


class Bulk:
    """People who earned 2 % of their deal, and finance, who approves all of them with one request."""

    def __init__(self, world, *, lines=3, steps=("finance",), deals=("5000.00", "2500.00", "1500.00"), **program):
        self.world, self.crm, self.finance = world, make_connection(), make_user("finance")
        self.policy = services.save_policy(
            actor=make_user("finance"), name="Bulk", currency="USD", position=1, steps=list(steps), batch_lines=lines,
            **({} if steps else {"up_to_minor": 100_000}),
        )  # fmt: skip
        program.setdefault("funded", "1000.00")
        self.program = make_program(**(program if "delivery" in program else {**program, **CVS}))
        self.reps = [make_participant(f"Rep {n}", email=f"rep{n}@x.example") for n in range(len(deals))]
        self.users = [make_user("participant", name=f"Rep {n}") for n in range(len(deals))]
        for rep, user in zip(self.reps, self.users, strict=True):
            rep.user = user
            rep.save()
        send(self.crm, *(deal(f"D{n}", rep, deals[n]) for n, rep in enumerate(self.reps)))

    def build(self):
        self.payouts = services.build_payouts(program=self.program).payouts
        return self.payouts

    def approve(self, actor=None):
        return services.approve_many(
            seen=[(payout.pk, payout.content_hash) for payout in self.payouts], actor=actor or self.finance
        )

    def states(self):
        for payout in self.payouts:
            payout.refresh_from_db()
        return [(payout.status, payout.order and payout.order.state) for payout in self.payouts]

    @property
    def batch(self) -> RewardOrder:
        return RewardOrder.objects.get(line_count__isnull=False)

    def agree(self):
        """Ledger, orders and the provider say the same."""
        report = reconcile(rewards.list_provider_orders(client=self.world.client))
        assert [str(difference) for difference in report.differences if difference.serious] == []
        assert report.ours_minor == report.theirs_minor
        return report


@pytest.fixture
def bulk(world):
    made = Bulk(world)
    made.build()
    return made


# --- approved -------------------------------------------------------------------------------------------------------------
def test_bulk_approval_makes_one_order_of_the_payouts(bulk):
    assert all(outcome.ok for outcome in bulk.approve())
    assert bulk.states() == [("approved", "batched")] * 3
    assert [payout.order.line for payout in bulk.payouts] == [1, 2, 3]
    assert (bulk.batch.state, bulk.batch.amount_minor, bulk.batch.attempt_count) == ("draft", 18_000, 0)
    assert [line["Value"] for line in json.loads(bytes(bulk.batch.body))["LineItems"]] == [100, 50, 30]
    assert figures(bulk.program.budget) == (82_000, 0, 18_000, 0)
    assert Approval.objects.count() == 3
    assert {approval.seen["together"] for approval in Approval.objects.all()} == {3}
    bulk.world.sweep()
    assert bulk.states() == [("fulfilled", "completed")] * 3
    assert [request.body for request in bulk.world.posts()] == [bytes(bulk.batch.body)]
    assert figures(bulk.program.budget) == (82_000, 0, 0, 18_000)
    for bucket, minor in (("cards", 18_000), ("discount", -630), ("fees", 0), ("deposit", -17_370)):
        assert cash(bucket) == minor
    assert bulk.batch.cost_minor == 17_370
    assert check_ledger() == []
    report = bulk.agree()
    assert (report.orders, report.ours_minor) == (1, 18_000)


def test_more_than_fit_make_several_orders_and_what_is_alone_goes_by_itself(world):
    bulk = Bulk(world, deals=("5000.00",) * 7)
    bulk.build()
    bulk.approve()
    assert sorted(RewardOrder.objects.exclude(line_count=None).values_list("line_count", flat=True)) == [3, 3]
    assert [payout.order.batch_id is None for payout in Payout.objects.order_by("pk")] == [False] * 6 + [True]
    world.sweep()
    assert bulk.states() == [("fulfilled", "completed")] * 7
    assert len(world.posts()) == 3
    bulk.agree()


def test_without_the_policys_word_each_is_an_order_of_its_own_and_so_is_one_approved_alone(world):
    bulk = Bulk(world, lines=None)
    bulk.build()
    bulk.approve()
    assert bulk.states() == [("approved", "draft")] * 3
    assert not RewardOrder.objects.exclude(line_count=None).exists()
    assert world.sweep()["processed"] == 3


def test_one_approved_alone_does_not_wait(bulk):
    services.approve_payout(payout_id=bulk.payouts[0].pk, actor=bulk.finance)
    bulk.world.sweep()
    assert bulk.states() == [("fulfilled", "completed"), ("submitted", None), ("submitted", None)]
    payout = bulk.payouts[0]
    parts = (bulk.program.public_id, payout.participant.public_id, payout.n)  # as ever
    assert payout.order.po_number == rewards.po_number(parts)


def test_a_refusal_of_one_leaves_the_others_their_batch(bulk):
    services.place_hold(payout_id=bulk.payouts[1].pk, actor=bulk.finance, reason="look at it")
    assert [outcome.ok for outcome in bulk.approve(make_user("finance"))] == [True, False, True]
    assert [payout.order_id and payout.order.line for payout in Payout.objects.order_by("pk")] == [1, None, 2]
    assert figures(bulk.program.budget) == (82_000, 5_000, 13_000, 0)


@pytest.mark.parametrize("second", [False, True])
def test_two_approvals_make_the_batch_with_the_second(world, second):
    bulk = Bulk(world, steps=("finance", "finance"))
    bulk.build()
    bulk.approve()
    assert not RewardOrder.objects.exists()
    if second:
        bulk.approve(make_user("finance"))
        assert bulk.batch.line_count == 3


def test_what_a_policy_approves_by_itself_leaves_in_batches_too(world):
    bulk = Bulk(world, steps=())
    bulk.build()
    assert bulk.states() == [("approved", "batched")] * 3
    world.sweep()
    assert bulk.states() == [("fulfilled", "completed")] * 3
    assert len(world.posts()) == 1
    bulk.agree()


def test_an_instant_program_leaves_in_batches_with_the_sweep(world):
    bulk = Bulk(world, steps=(), payout={"when": "instant"})
    services.sweep_once()
    bulk.payouts = list(Payout.objects.order_by("pk"))
    assert bulk.states() == [("approved", "batched")] * 3
    assert (bulk.batch.line_count, bulk.batch.state) == (3, "draft")


@pytest.mark.parametrize("lines", [0, 1, 26])
def test_a_policy_says_2_to_25(lines):
    finance = make_user("finance")
    with pytest.raises(PolicyInvalid):
        services.save_policy(actor=finance, name="Bulk", currency="USD", steps=["finance"], batch_lines=lines)
    assert not ApprovalPolicy.objects.exists()


# --- cards ----------------------------------------------------------------------------------------------------------------
def test_everybody_gets_their_own_card_and_sees_no_one_elses(world, client):
    bulk = Bulk(world, deals=("5000.00", "5000.00", "2500.00"), **LINKS)
    bulk.build()
    bulk.approve()
    world.sandbox.options |= {"echo_lines": False, "shuffle": True}
    world.sweep()
    assert bulk.states() == [("fulfilled", "completed")] * 3
    found = {}
    for n, payout in enumerate(bulk.payouts):
        client.force_login(bulk.users[n])
        for address in (reverse("portal:me"), reverse("portal:rewards"), reverse("portal:statement")):
            text = client.get(address).content.decode()
            assert all(f"Rep {other}" not in text for other in range(3) if other != n)
            assert bulk.batch.po_number not in text
        link = client.post(reverse("portal:reveal", args=[payout.public_id])).content.decode()
        for other in bulk.payouts:
            if other != payout:
                assert client.post(reverse("portal:reveal", args=[other.public_id])).status_code == 404
        (card,) = payout.order.cards.all()
        found[n] = rewards.reveal_card(card.pk, actor_name="Rep", actor_ref=str(n)).link
        assert found[n] in link
    assert len(set(found.values())) == 3
    theirs = json.loads(world.sandbox.store._rows("SELECT lines FROM orders")[0][0])
    key = world.sandbox.store.by_po(bulk.batch.po_number)["id"].removeprefix("ord-")
    fifty = next(n for n, line in enumerate(theirs, start=1) if line["Value"] == "50")
    assert found[2] == f"https://claim.sandbox.example/claim/{key}{fifty}0"


# --- refusals -------------------------------------------------------------------------------------------------------------
def test_a_refused_batch_falls_apart_and_only_the_bad_one_fails(bulk):
    bulk.approve()
    numbers = [payout.order.po_number for payout in Payout.objects.order_by("pk")]
    bulk.world.faults({"fault": "400", "po": bulk.batch.po_number}, {"fault": "400", "po": numbers[1]})
    bulk.world.settle()
    assert bulk.batch.state == "rejected"
    assert bulk.states() == [("fulfilled", "completed"), ("failed", "rejected"), ("fulfilled", "completed")]
    assert [payout.order.po_number for payout in bulk.payouts] == numbers
    assert figures(bulk.program.budget) == (87_000, 0, 0, 13_000)
    assert Posting.objects.filter(kind="release").count() == 1
    bulk.agree()
    (again,) = services.build_payouts(program=bulk.program).payouts  # what was not paid is due again
    assert again.amount_minor == 5_000


def test_an_unknown_outcome_stays_with_the_batch(bulk):
    bulk.approve()
    bulk.world.faults({"fault": "504_after", "next": 1})
    bulk.world.sweep()
    assert bulk.states() == [("approved", "batched")] * 3
    assert figures(bulk.program.budget) == (82_000, 0, 18_000, 0)
    bulk.world.settle()
    assert bulk.states() == [("fulfilled", "completed")] * 3
    assert {request.body for request in bulk.world.posts()} == {bytes(bulk.batch.body)}
    bulk.agree()


def test_while_the_provider_works_on_it_every_payout_is_ordered(bulk):
    bulk.approve()
    bulk.world.faults({"fault": "pending", "seconds": 100, "next": 1})
    bulk.world.sweep()
    assert bulk.states() == [("ordered", "batched")] * 3
    assert budget_panels.costs_of([bulk.program.budget])[bulk.program.budget.pk].expected.minor == 17_370
    bulk.world.settle()
    assert bulk.states() == [("fulfilled", "completed")] * 3
    bulk.agree()


def test_the_deposit_counts_each_card_once(bulk):
    def shown():
        now = deposits.estimate("USD")
        return now.cost.minor, now.in_flight.minor, now.waiting.minor, now.waiting_count

    bulk.approve()
    assert shown() == (0, 17_370, 0, 0)
    bulk.world.faults({"fault": "422", "next": 1}, {"fault": "line_failed", "line": 2, "next": 1})
    bulk.world.sweep()
    assert bulk.batch.state == "unfunded"
    assert shown() == (0, 0, 17_370, 3)
    rewards.resume_unfunded(actor_name="Finance")
    bulk.world.sweep()
    assert bulk.batch.state == "review"
    assert shown() == (12_545, 4_825, 0, 0)


def test_one_failed_line_settles_the_others_and_two_people_release_it(bulk):
    bulk.approve()
    bulk.world.faults({"fault": "line_failed", "line": 2, "next": 1})
    bulk.world.sweep()
    assert bulk.states() == [("fulfilled", "completed"), ("approved", "batched"), ("fulfilled", "completed")]
    assert (bulk.batch.state, bulk.batch.review_code) == ("review", "provider_failed")
    assert figures(bulk.program.budget) == (82_000, 0, 5_000, 13_000)
    bulk.agree()
    what = {"order": bulk.batch, "decision": "fail", "reason": "Their support", "evidence": "Ticket 7"}
    for user in bulk.users:
        UserRole.objects.create(user=user, role="finance")
        with pytest.raises(NotAllowed, match="receive"):
            services.propose_decision(actor=User.objects.get(pk=user.pk), **what)
    proposal = services.propose_decision(actor=bulk.finance, **what)
    services.confirm_decision(proposal=proposal, actor=make_user("finance"))
    assert bulk.states() == [("fulfilled", "completed"), ("failed", "failed"), ("fulfilled", "completed")]
    assert bulk.batch.state == "completed"
    assert figures(bulk.program.budget) == (87_000, 0, 0, 13_000)
    assert bulk.payouts[1].outcome == "Their support"
    assert cash("cards") == 13_000 and -cash("deposit") == bulk.batch.cost_minor == 12_545
    report = bulk.agree()
    assert report.ours_minor == 13_000


def test_cancelling_one_gives_an_unsent_batch_up_and_is_refused_afterwards(bulk):
    bulk.approve()
    services.cancel_payout(payout_id=bulk.payouts[0].pk, actor=bulk.finance, reason="left the company")
    assert bulk.states() == [("cancelled", "cancelled"), ("approved", "draft"), ("approved", "draft")]
    assert (bulk.batch.state, figures(bulk.program.budget)) == ("cancelled", (92_000, 0, 8_000, 0))
    bulk.world.settle()
    assert [status for status, _ in bulk.states()] == ["cancelled", "fulfilled", "fulfilled"]
    bulk.agree()


def test_cancelling_one_of_a_batch_that_left_is_refused(bulk):
    bulk.approve()
    bulk.world.faults({"fault": "timeout_before", "next": 1})
    bulk.world.sweep()
    with pytest.raises(IllegalTransition):
        services.cancel_payout(payout_id=bulk.payouts[0].pk, actor=bulk.finance, reason="too late")
    assert bulk.states() == [("approved", "batched")] * 3


def test_reconcile_names_what_differs_about_a_batch(bulk):
    bulk.approve()
    bulk.world.sweep()
    (theirs,) = rewards.list_provider_orders(client=bulk.world.client)
    line = replace(theirs.lines[0], value=theirs.lines[0].value + 1)
    codes = [d.code for d in reconcile([replace(theirs, lines=(line, *theirs.lines[1:]))]).differences]
    assert codes == ["amount"]
    assert [d.code for d in reconcile([]).differences] == ["not_listed"]
    assert [d.code for d in reconcile([theirs, replace(theirs, id="ord-2")]).differences] == ["twice"]


# --- crashes --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize(
    "crash", ["BP1", "BP2", "BP3", "CP6", "CP7", "CP9", "CP10", "CP11", "CP12", "CP17", "BP4", "BP5"]
)
def test_promise_8_a_batch_killed_anywhere_loses_nothing_and_doubles_nothing(world, crash, refused):
    bulk = Bulk(world, **LINKS)
    bulk.build()
    failpoints.arm(crash)
    with contextlib.suppress(SimulatedCrash):
        bulk.approve()
    bulk.approve()  # the approver tries again
    world.faults(*([{"fault": "400", "next": 1}] if refused else []))
    for _ in range(40):
        with contextlib.suppress(SimulatedCrash):
            world.sweep()
        assert check_ledger() == []
        if not Payout.objects.filter(status__in=("submitted", "approved", "ordered")).exists():
            break
        if RewardOrder.objects.filter(state="review").exists():
            break
        world.advance(200)
    sent_as_batch = RewardOrder.objects.exclude(line_count=None).exists()
    review = RewardOrder.objects.filter(state="review")
    if review.exists():
        assert refused and review.get().review_code == "refused_after_unknown"
        assert world.books()["cards"] == 0 or not sent_as_batch
        return
    statuses = [status for status, _ in bulk.states()]
    assert statuses.count("failed") == (1 if refused and not sent_as_batch else 0)
    issued = [payout for payout in bulk.payouts if payout.status == "fulfilled"]
    assert len(issued) == 3 - statuses.count("failed")
    assert world.books()["cards"] == Card.objects.count() == len(issued)
    assert all(payout.order.cards.count() == 1 for payout in issued)
    bulk.agree()


FAULTS = ("504_after", "timeout_before", "reset_after", "400", "422", "pending", "line_failed", "line_failed")


@pytest.mark.parametrize("seed", range(10))
def test_whatever_the_provider_does_the_books_agree(world, seed):
    """A batch of two to six, faults drawn for it and its lines, a person who asks again: every cent where it belongs."""
    draw = random.Random(seed)
    amounts = [draw.choice(("5000.00", "2500.00", "1500.00")) for _ in range(draw.randint(2, 6))]
    world.sandbox.options |= {"shuffle": draw.random() < 0.5, "echo_lines": draw.random() < 0.5}
    bulk = Bulk(world, lines=6, deals=amounts, **(LINKS if draw.random() < 0.5 else {}))
    bulk.build()
    bulk.approve()
    chosen = draw.sample(FAULTS, draw.randint(1, 3))
    world.faults(*({"fault": fault, "next": 1, "line": draw.randint(1, 6)} for fault in chosen))
    for _ in range(3):
        world.settle()
        if world.channel().state == "paused":
            rewards.resume_unfunded(actor_name="Finance")
        for order in RewardOrder.objects.filter(state="review"):
            rewards.resolve_review(order.pk, decision="retry", actor_name="Ada", reason="look again")
    world.settle()
    assert check_ledger() == []
    bulk.agree()
    issued = list(Payout.objects.filter(status="fulfilled"))
    face = sum(payout.amount_minor for payout in issued)
    assert (world.books()["cards"], cash("cards")) == (len(issued), face)
    assert world.books()["face_value"] == f"{face / 100:.2f}"
    assert -cash("deposit") == sum(payout.order.cost_minor for payout in issued)


# --- what people see ------------------------------------------------------------------------------------------------------
def test_pages_show_that_payouts_share_an_order(bulk, as_user):
    bulk.approve()
    line = Payout.objects.get(pk=bulk.payouts[1].pk).order
    assert wording.order_in_words(line).startswith(
        f"It goes to the provider with 2 others, as one line of the order {bulk.batch.po_number}. Ready to be sent"
    )
    staff = as_user(bulk.finance)
    page = staff.get(reverse("payouts:order", args=[bulk.batch.public_id])).content.decode()
    assert all(f"Rep {n}" in page for n in range(3)) and "Cards in this order" in page
    page = staff.get(reverse("payouts:order", args=[line.public_id])).content.decode()
    assert bulk.batch.po_number in page and "line 2 of 3" in page
    page = staff.get(reverse("payouts:detail", args=[bulk.payouts[1].public_id])).content.decode()
    assert bulk.batch.po_number in page
    page = staff.get(reverse("payouts:orders") + "?tab=flight").content.decode()
    assert bulk.batch.po_number in page and line.po_number not in page and "3 people’s cards" in page
    bulk.world.sweep()
    page = staff.get(reverse("payouts:orders") + "?tab=completed").content.decode()
    assert bulk.batch.po_number in page and line.po_number not in page
    page = staff.get(reverse("payouts:orders") + "?tab=all").content.decode()
    assert bulk.batch.po_number in page and line.po_number in page


def test_a_recipient_in_finance_is_offered_no_decision(bulk, as_user):
    bulk.approve()
    bulk.world.faults({"fault": "line_failed", "line": 2, "next": 1})
    bulk.world.sweep()
    resolve = reverse("payouts:resolve", args=[bulk.batch.public_id])
    UserRole.objects.create(user=bulk.users[0], role="finance")
    address = reverse("payouts:order", args=[bulk.batch.public_id])
    assert resolve not in as_user(bulk.users[0]).get(address).content.decode()
    assert resolve in as_user(bulk.finance).get(address).content.decode()


def test_the_standalone_verifier_understands_batches_and_names_what_does_not_fit(bulk, tmp_path):
    spec = importlib.util.spec_from_file_location("laurel_verify", VERIFIER)
    verifier = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(verifier)
    bulk.approve()
    bulk.world.faults({"fault": "line_failed", "line": 2, "next": 1})
    bulk.world.sweep()
    call_command("export", out=str(tmp_path / "out"))
    out = tmp_path / "out"
    assert verifier.verify(out)[1] == []
    path = out / "data/rewards.RewardOrder.jsonl"
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    batch = next(n for n, row in enumerate(rows) if row["line_count"])
    line = next(n for n, row in enumerate(rows) if row["line"] == 1)
    for index, change, words in (
        (batch, {"amount_minor": 1}, "amount_minor is 1, its lines say 18000"),
        (batch, {"cost_minor": 1}, "was charged 1, its lines say 12545"),
        (batch, {"state": "rejected"}, "is rejected, but lines of it were issued"),
        (line, {"batch_id": None, "line": None}, "has 2 lines, expected 1 to 3, each once"),
        (line, {"line": 2}, "has 3 lines, expected 1 to 3, each once"),
        (line, {"cost_minor": 1}, "was charged 12545"),
    ):
        changed = [row | change if n == index else row for n, row in enumerate(rows)]
        path.write_text("".join(f"{json.dumps(row)}\n" for row in changed))
        assert any(words in problem for problem in verifier.verify(out, books_only=True)[1]), change


def test_an_order_waits_a_minute_for_its_batch_and_then_goes_by_itself(bulk):
    failpoints.arm("BP1")
    with pytest.raises(SimulatedCrash):
        bulk.approve()
    assert bulk.states() == [("approved", "draft")] * 3
    assert {payout.order.next_attempt_at - payout.order.created_at for payout in bulk.payouts} == {timedelta(minutes=1)}
    bulk.world.advance(61)
    bulk.world.sweep()
    assert bulk.states() == [("fulfilled", "completed")] * 3
    assert len(bulk.world.posts()) == 3
