"""Any sequence of what a whole company does, with provider faults: promises 3 to 9 hold after every step (hypothesis).

Beside test_properties.py (one program, facts, decisions, faults) this has two programs on two budgets, money moved between and out
of them, awards, questions answered by a correction, recovery by write-off and instalments, months closed and opened, holds,
policies changed and confirmed, tax details, products that leave the catalogue, and webhooks that are lost, late, forged or doubled.
"""

import contextlib
import json
from collections import Counter, defaultdict
from datetime import date
from decimal import Decimal

import hypothesis
import pytest
from django.db import transaction
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from incentives.awards import services as awards
from incentives.awards.models import Award
from incentives.core.errors import DomainError
from incentives.crm import intake
from incentives.crm.ingest import process_deliveries
from incentives.disputes import services as disputes
from incentives.disputes.models import Dispute
from incentives.earnings import recompute
from incentives.earnings.evaluate import evaluate
from incentives.earnings.models import Earning
from incentives.ledger import services as ledger
from incentives.ledger.models import Account
from incentives.payouts import services
from incentives.payouts.checks import check_ledger
from incentives.payouts.models import Approval, ApprovalPolicy, Hold, Payout, WriteOff
from incentives.payouts.policies import makers_of
from incentives.payouts.reconcile import reconcile
from incentives.payouts.services.months import latest_closed, next_to_close
from incentives.programs import services as programs
from incentives.tax import services as tax
from rewards import services as rewards
from rewards.models import Product, RewardOrder
from tests.factories import deal, make_budget, make_connection, make_participant, make_program, make_user, usd
from tests.reports.flow_checks import assert_reasons_add_up
from tests.rewards.conftest import World

FAULTS = [
    "504_before", "504_after", "reset_after", "500_after", "not_json", "truncated", "401", "400", "pending", "429",
    "conflict_id", "hook_early", "hook_never", "hook_twice", "hook_forged",
]  # fmt: skip
OPEN = ("draft", "submitting", "pending", "unfunded")
S = Payout.Status
ORDER_STATES = {
    S.SUBMITTED: {None}, S.REJECTED: {None}, S.EXPIRED: {None},
    S.APPROVED: {"draft", "submitting", "unfunded", "review"},
    S.ORDERED: {"pending", "submitting", "unfunded", "review"},
    S.FULFILLED: {"completed"}, S.FAILED: {"rejected", "failed"}, S.CANCELLED: {None, "cancelled"},
}  # fmt: skip
"""State of a payout -> the states its order may be in."""


def legal(payout) -> bool:
    return (payout.order and payout.order.state) in ORDER_STATES[payout.status]


class Company:
    """The people, programs and budgets, and the steps they take. Every step may be refused; a refusal changes nothing."""

    def __init__(self, world: World):
        self.world = world
        rewards.refresh_catalogue(client=world.client)
        self.managers = [make_user("manager") for _ in range(2)]
        self.finance = [make_user("finance") for _ in range(3)]
        kinds = ("employee", "contractor", "employee")
        self.reps = [make_participant(type=kind, user=make_user("participant")) for kind in kinds]
        self.crm = make_connection()
        self.budgets = [make_budget(funded="400.00"), make_budget(funded="120.00")]
        delivery = {"type": "DigitalDelivery", "channel": "email", "products": ["CVS"]}
        own = {"manager": self.managers[0], "delivery": delivery}
        self.programs = [
            make_program(budget=self.budgets[0], payout={"when": "instant", "recovery": "next_payout"}, **own),
            make_program(budget=self.budgets[1], payout={"when": "at_close", "recovery": "write_off"}, **own),
        ]
        pot = awards.make_pot(
            actor=self.managers[0], budget=self.budgets[0], name="Spot", currency="USD", starts_on="2026-01-01",
            ends_on="2026-12-31", deal_cap=250, products=["CVS"],
        )  # fmt: skip
        self.pot = programs.launch(program=pot, actor=self.managers[0])
        services.save_policy(
            actor=self.finance[0], name="Small", steps=[], up_to_minor=2000, currency="USD", position=1
        )
        self.large = services.save_policy(actor=self.finance[0], name="Large", steps=["finance", "finance"], position=2)
        for policy in ApprovalPolicy.objects.all():
            services.confirm_policy(policy=policy, actor=self.finance[1])
        self.versions: Counter = Counter()
        self.count = 0

    def work(self) -> None:
        """What workers do when something came in."""
        while process_deliveries():
            pass
        evaluate()
        services.follow_up()

    def reference(self) -> str:
        self.count += 1
        return f"R{self.count}"


def nth(rows, number: int):
    """The `number`-th of the rows, counted round; None without any."""
    found = list(rows[:30])
    return found[number % len(found)] if found else None


def machine_for(monkeypatch):
    class Machine(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.block = transaction.atomic()
            self.block._from_testcase = True  # as Django's TestCase marks its own, so that durable blocks may nest
            self.block.__enter__()
            self.world = World(monkeypatch)
            self.company = Company(self.world)
            self.sent: dict[str, tuple] = {}

        def teardown(self):
            transaction.set_rollback(True)
            self.block.__exit__(None, None, None)

        @initialize(amounts=st.lists(st.integers(900, 6000), min_size=2, max_size=4))
        def some_business(self, amounts):
            for number, amount in enumerate(amounts):
                self.fact(number, amount, "deal.won")
            services.build_payouts(program=self.company.programs[1], actor=self.company.managers[1])

        # --- facts and awards
        @rule(
            number=st.integers(0, 4),
            amount=st.integers(0, 9000),
            kind=st.sampled_from(["deal.won"] * 3 + ["deal.lost"]),
        )
        def fact(self, number, amount, kind):
            self.company.versions[number] += 1
            rep = self.company.reps[number % 3]
            event = deal(f"D{number}", rep, f"{amount}.00", version=self.company.versions[number], kind=kind)
            intake.receive_one(self.company.crm, intake.prepare(event))
            self.company.work()

        @rule(rep=st.integers(0, 2), amount=st.integers(5, 90), cancel=st.booleans())
        def award(self, rep, amount, cancel):
            given = Award.objects.filter(status="given").first()
            with contextlib.suppress(DomainError):
                if cancel and given:
                    awards.cancel_award(award=given, actor=self.company.managers[1], reason="Given twice")
                else:
                    awards.give_award(
                        program=self.company.pot, participant=self.company.reps[rep], amount=usd(f"{amount}.00"),
                        reason="Good work", actor=self.company.managers[1],
                    )  # fmt: skip
            self.company.work()

        @rule(which=st.integers(0, 20), amount=st.integers(100, 8000))
        def question_answered_by_a_correction(self, which, amount):
            line = nth(Earning.objects.filter(amount_minor__gt=0, object__object_type="deal").order_by("pk"), which)
            if line is None:
                return
            rep = line.participation.participant
            with contextlib.suppress(DomainError):
                disputes.raise_dispute(actor=rep.user, text="It was another amount", earning=line)
            self.fact(int(line.object.object_id[1:]), amount, "deal.won")
            for dispute in Dispute.objects.filter(status="open"):
                with contextlib.suppress(DomainError):
                    disputes.correct(
                        dispute=dispute, actor=self.company.managers[0], text="Now right", seen_version=dispute.version,
                        correction=disputes.Correction("activity", "", "The record"),
                    )  # fmt: skip

        # --- money
        @rule(which=st.integers(0, 1), what=st.sampled_from(["fund", "withdraw", "move"]), amount=st.integers(1, 250))
        def budgets(self, which, what, amount):
            one, other = self.company.budgets[which], self.company.budgets[1 - which]
            given = {
                "amount": usd(f"{amount}.00"),
                "reference": self.company.reference(),
                "actor": self.company.finance[2],
            }
            with contextlib.suppress(DomainError), transaction.atomic():
                if what in ("withdraw", "move"):
                    ledger.withdraw(budget=one, **given)
                if what in ("fund", "move"):
                    ledger.fund(budget=other if what == "move" else one, **given)

        @rule(which=st.integers(0, 9), step=st.sampled_from(["propose", "approve", "decline", "instalments"]))
        def recover(self, which, step):
            actor = self.company.finance[which % 3]
            proposal = WriteOff.objects.filter(status="proposed").first()
            program = self.company.programs[which % 2]
            owed = nth(program.participations.filter(recovery__recoverable_minor__gt=0).order_by("pk"), which)
            with contextlib.suppress(DomainError):
                if step == "approve" and proposal:
                    services.approve_write_off(write_off=proposal, actor=actor)
                elif step == "decline" and proposal:
                    services.decline_write_off(write_off=proposal, actor=actor, reason="No")
                elif step == "propose" and owed:
                    services.propose_write_off(
                        participation=owed, amount=usd(f"{which + 1}.00"), reason="Lost", actor=actor
                    )
                elif step == "instalments" and owed:
                    services.set_instalments(participation=owed, actor=actor, reason="Agreed", percent=Decimal(50))
            services.follow_up()

        @rule(close=st.booleans())
        def months(self, close):
            actor, last, following = self.company.finance[0], latest_closed(), next_to_close()
            with contextlib.suppress(DomainError):
                if close and following:
                    services.close_month(month=following, actor=actor)
                elif last:
                    services.reopen_month(month=last.month, actor=actor, reason="Something was missing")

        # --- payouts
        @rule(which=st.integers(0, 1))
        def build(self, which):
            with contextlib.suppress(DomainError):
                services.build_payouts(program=self.company.programs[which], actor=self.company.managers[1])

        @rule(
            which=st.integers(0, 9), who=st.integers(0, 2), what=st.sampled_from(["approve"] * 5 + ["reject", "cancel"])
        )
        def decide(self, which, who, what):
            payout = nth(Payout.objects.filter(status__in=["submitted", "approved"]).order_by("pk"), which)
            if payout is None:
                return
            actor = self.company.finance[who]
            with contextlib.suppress(DomainError):
                if what == "approve":
                    services.approve_payout(payout_id=payout.pk, actor=actor, seen_hash=payout.content_hash)
                elif what == "reject":
                    services.reject_payout(payout_id=payout.pk, actor=actor, reason="No")
                else:
                    services.cancel_payout(payout_id=payout.pk, actor=actor, reason="No")

        @rule(who=st.integers(0, 2))
        def decide_many(self, who):
            seen = list(Payout.objects.filter(status="submitted").values_list("pk", "content_hash"))
            services.approve_many(seen=seen, actor=self.company.finance[who])

        @rule(which=st.integers(0, 9), place=st.booleans())
        def hold(self, which, place):
            payout = nth(Payout.objects.filter(status="submitted").order_by("pk"), which)
            standing = nth(Hold.objects.filter(lifted_at=None).order_by("pk"), which)
            with contextlib.suppress(DomainError):
                if place and payout:
                    services.place_hold(payout_id=payout.pk, actor=self.company.managers[1], reason="Look")
                elif standing:
                    services.lift_hold(hold_id=standing.pk, actor=self.company.finance[1], reason="Seen")

        @rule(who=st.integers(0, 2), confirm=st.booleans(), steps=st.integers(1, 2))
        def policy(self, who, confirm, steps):
            actor, row = self.company.finance[who], ApprovalPolicy.objects.get(pk=self.company.large.pk)
            with contextlib.suppress(DomainError):
                if confirm:
                    services.confirm_policy(policy=row, actor=actor)
                else:
                    services.save_policy(actor=actor, policy=row, name="Large", steps=["finance"] * steps, position=2)

        @rule(what=st.sampled_from(["elsewhere", "form", "no form", "abroad", "release"]))
        def tax_details(self, what):
            person, actor = self.company.reps[1], self.company.finance[1]
            form = {"form_kind": "W-9", "form_on_file_since": date(2026, 1, 1)}
            with contextlib.suppress(DomainError):
                if what == "elsewhere":
                    row = tax.AwardRow(person, date(2026, 3, 1), usd("1990.00"), self.company.reference())
                    tax.add_awards(rows=[row], actor=actor)
                elif what == "release":
                    tax.release(participant=person, actor=actor, reason="Looked at")
                else:
                    values = {"form": form, "no form": {}, "abroad": {"country": "DE"}}[what]
                    tax.save_profile(participant=person, actor=actor, **values)

        # --- the provider
        @rule(faults=st.lists(st.sampled_from(FAULTS), max_size=3), seconds=st.sampled_from([5, 400, 4000]))
        def order(self, faults, seconds):
            self.world.faults(*({"fault": fault, "next": 1, "seconds": 5} for fault in faults))
            self.world.sweep()
            self.world.deliver_hooks()
            self.world.advance(seconds)

        @rule(listed=st.booleans())
        def catalogue(self, listed):
            """The product leaves the catalogue, or is back."""
            Product.objects.filter(product_id="CVS").update(orderable=listed)

        @rule(which=st.integers(0, 9), damaged=st.booleans(), times=st.integers(1, 3))
        def webhook(self, which, damaged, times):
            """Late, doubled, before its time or with a wrong token: it only makes somebody look."""
            order = nth(RewardOrder.objects.filter(hook_hash__isnull=False).order_by("pk"), which)
            if order is None:
                return
            address = json.loads(bytes(order.body))["WebhookSettings"]["FulfillmentComplete"]
            for _ in range(times):
                status = self.world.post_hook(address[:-3] + "xxx" if damaged else address)
                assert status == (404 if damaged else 204)

        @rule(who=st.integers(0, 2), stop=st.booleans())
        def channel(self, who, stop):
            with contextlib.suppress(DomainError):
                if stop:
                    services.stop_everything(actor=self.company.finance[who], reason="Something is wrong")
                else:
                    services.restart(actor=self.company.finance[who], reason="It was nothing")
                    services.open_channel(actor=self.company.finance[who], reason="It was nothing")

        @rule()
        def time_passes_until_all_is_settled(self):
            self.world.faults()
            Product.objects.filter(product_id="CVS").update(orderable=True)
            for who in (0, 1):
                with contextlib.suppress(DomainError):
                    services.restart(actor=self.company.finance[who], reason="It was nothing")
            services.open_channel(actor=self.company.finance[2], reason="It was nothing")
            self.world.settle(rounds=12, step=4000)
            services.sweep_once()
            self.world.settle(rounds=12, step=4000)
            assert not RewardOrder.objects.filter(state__in=OPEN).exists()
            found = reconcile(rewards.list_provider_orders(client=self.world.client)).differences
            assert [str(difference) for difference in found if difference.serious] == []
            assert check_ledger() == []
            assert_reasons_add_up(rows=True)

        # --- what holds after every step
        @invariant()
        def promises_2_to_5_what_is_stored_is_what_facts_give_and_balances(self):
            assert list(recompute.check()) == []
            assert check_ledger() == []
            assert not Account.objects.filter(tracked=True, balance_minor__lt=0).exists()
            assert_reasons_add_up()

        @invariant()
        def promise_6_every_order_has_its_approvals(self):
            for payout in Payout.objects.filter(order__isnull=False).select_related("participant"):
                approvals = list(payout.approvals.filter(decision=Approval.Decision.APPROVED))
                people = [approval.actor_id for approval in approvals]
                if payout.steps:
                    assert len(people) == len(set(people)) == len(payout.steps)
                    assert not set(people) & (makers_of(payout) | {payout.participant.user_id, None})
                else:
                    assert people == [None] and payout.amount_minor <= 2000

        @invariant()
        def promise_7_one_number_one_body_one_card(self):
            theirs = Counter(order["po"] for order in self.world.sandbox.store.everything())
            assert set(theirs.values()) <= {1}
            for order in RewardOrder.objects.all():
                known = self.sent.setdefault(order.reference, (order.po_number, bytes(order.body), order.amount_minor))
                assert known == (order.po_number, bytes(order.body), order.amount_minor)
            assert set(theirs) <= {po for po, _body, _amount in self.sent.values()}

        @invariant()
        def promises_8_and_9_what_is_issued_is_spent(self):
            assert [p for p in Payout.objects.select_related("order") if not legal(p)] == []
            issued, known = defaultdict(int), {o.po_number: o for o in RewardOrder.objects.select_related("payout")}
            for order in self.world.sandbox.store.everything():
                ours = known[order["po"]]
                assert ours.state not in ("draft", "cancelled"), (
                    "a card was sold for what never left, or was taken back"
                )
                if order["status"].startswith("Completed"):
                    assert ours.state not in ("rejected", "failed")
                    issued[ours.state == "completed"] += ours.amount_minor
            spent = sum(a.balance_minor for a in Account.objects.filter(bucket="spent", budget__isnull=False))
            assert spent == issued[True]
            waiting = sum(a.balance_minor for a in Account.objects.filter(bucket="committed", budget__isnull=False))
            assert issued[False] <= waiting, "what the provider issued and we do not know yet is still committed"

    return Machine


@pytest.mark.django_db
def test_promises_3_to_9_hold_after_every_step_of_any_company(monkeypatch, quiet_nudges, settings):
    settings.E2R_WEBHOOKS, settings.BASE_URL = True, "https://laurel.example"
    profile = hypothesis.settings(
        max_examples=9, stateful_step_count=16, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine_for(monkeypatch), settings=profile)
