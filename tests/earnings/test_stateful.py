"""Any sequence of facts, corrections, versions, targets, enrolments, rates and stops: what is stored is what recomputing from
nothing gives, to the cent (promises 1 to 4)."""

import contextlib
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import transaction
from django.db.models import Sum
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from incentives.core.errors import DomainError
from incentives.earnings import recompute
from incentives.earnings.evaluate import compute, evaluate
from incentives.earnings.models import Credit, Earning, Participation
from incentives.earnings.running import running_programs
from incentives.ledger import exchange
from incentives.ledger import services as ledger
from incentives.ledger.accounts import EARNED
from incentives.ledger.exchange import RateRow
from incentives.ledger.models import Account, ExchangeRate, PeriodClose
from incentives.ledger.selectors import check_postings
from incentives.participants import services as people
from incentives.programs import services as programs
from incentives.programs.services import TargetRow
from tests.factories import deal, make_connection, make_participant, make_partner, make_program, make_user, send, usd

GROUP = {"group": "g", "rule": "highest"}
PER_DEAL, PERCENT = {"type": "per_deal", "amount": "3.33"}, {"type": "percent", "rate": "2"}
MILESTONE = {"type": "milestone", "at": [{"count": 2, "amount": "7.00"}]}
OF_TARGET = {"type": "bands", "of": "target", "bands": [{"from": "0", "rate": "0.5"}, {"from": "100", "rate": "1"}]}
OVER_DEAL = {
    "type": "bands",
    "over": "deal",
    "mode": "whole",
    "bands": [{"from": "100", "rate": "1"}, {"from": "3000", "rate": "4"}],
}
REWARDS = [[PERCENT, PER_DEAL, OF_TARGET, MILESTONE], [OVER_DEAL, PER_DEAL], [MILESTONE, PERCENT], [OF_TARGET]]
CAPS = [
    {},
    {"deal": "60.00", "period": "90.00", "participant": "150.00"},
    {"participant": "75.00"},
    {"period": "40.00"},
]
STARTS = [None, None, *(datetime(2026, month, day, tzinfo=UTC) for month, day in ((7, 1), (8, 1), (8, 3), (10, 1)))]
DAYS = ["2026-06-30", "2026-07-01", "2026-08-03", "2026-09-30", "2026-11-01"]
KINDS = ["deal.won"] * 8 + ["deal.updated", "deal.reopened", "deal.lost", "deal.deleted"]
MONTHS = [
    (date(2026, 6, 1), date(2026, 6, 30)),
    (date(2026, 7, 1), date(2026, 8, 31)),
    (date(2026, 9, 1), date(2026, 12, 31)),
]

FACT = st.fixed_dictionaries({
    "number": st.integers(0, 5), "rep": st.integers(0, 3), "amount": st.integers(0, 900_000), "day": st.sampled_from(DAYS),
    "kind": st.sampled_from(KINDS), "currency": st.sampled_from(["USD", "USD", "EUR"]), "quantity": st.integers(0, 40),
    "with_whom": st.sampled_from([None, None, 0, 1, 3]), "share": st.integers(1, 99), "later": st.booleans(),
})  # fmt: skip

SOLD = {
    "amount": 120_000, "day": "2026-08-03", "kind": "deal.won", "currency": "USD", "quantity": 10, "with_whom": None,
    "share": 50, "later": False,
}  # fmt: skip
OPENING = [
    {},
    {"with_whom": 0},
    {"currency": "EUR"},
    {"amount": 300_000},
    {"day": "2026-07-01", "kind": "deal.updated"},
]


class Earnings(RuleBasedStateMachine):
    """Four people, two programs that stack and stop, one that pays by the unit. A refused rule changes nothing."""

    def __init__(self):
        super().__init__()
        self.block = transaction.atomic()
        self.block._from_testcase = True  # as Django's TestCase marks its own, so that durable blocks may nest
        self.block.__enter__()
        self.manager, self.finance = make_user("manager"), make_user("finance")
        self.crm = make_connection()
        self.partner = make_partner("gold-one", tier="gold")
        boss = make_participant("Boss")
        self.reps = [make_participant("Ana", manager=boss), make_participant("Bob"), boss]
        self.reps.append(make_participant("Cyd", type="partner", partner=self.partner))
        overlays = [{"to": "manager", "percent": "10"}]
        shared = {"period": "quarter", "credit": {"to": "splits", "overlays": overlays}, "stacking": GROUP}
        self.programs = [
            make_program(name="Main", manager=self.manager, rewards=REWARDS[0], caps=CAPS[1], **shared),
            make_program(
                name="Beside", manager=self.manager, rewards=[{"type": "percent", "rate": "3"}], stacking=GROUP,
                eligible={"types": ["employee"]}, qualifies={"field": "amount", "op": "gte", "value": "500"},
                stop_when_spent=True, funded="30.00", partner_multipliers={"gold": "1.5"},
            ),
            make_program(
                name="Units", manager=self.manager, measure={"metric": "quantity"}, counts_by="close_date", period="month",
                rewards=[{"type": "per_unit", "amount": "5.00"}], caps={"participant": "200.00"},
            ),
        ]  # fmt: skip
        self.versions: dict[int, int] = defaultdict(int)
        self.bag: list[dict] = []
        self.n = 0
        self.rate(MONTHS[1], 11_000)
        self.fact([dict(SOLD, number=n, rep=n % 4, **more) for n, more in enumerate(OPENING)])

    def teardown(self):
        try:
            self.everything_deleted()
        finally:
            transaction.set_rollback(True)
            self.block.__exit__(None, None, None)

    # --- facts -----------------------------------------------------------------------------------------------------------
    @rule(facts=st.lists(FACT, min_size=1, max_size=3))
    def fact(self, facts):
        """The next versions of deals; some are kept back, so that versions overtake each other."""
        events = [(self.event(**fact), fact["later"]) for fact in facts]
        self.bag += [event for event, _ in events]
        send(self.crm, *(event for event, later in events if not later))

    def event(self, number, rep, amount, day, kind, currency, quantity, with_whom, share, later) -> dict:
        self.versions[number] += 1
        extra = {"state": "won"} if kind == "deal.updated" else {}
        if with_whom is not None and with_whom != rep:
            both = (self.reps[rep], share), (self.reps[with_whom], 100 - share)
            extra["splits"] = [
                {"participant": {"external_user_id": p.external_user_id}, "percentage": str(n)} for p, n in both
            ]
        return deal(
            f"D{number}", self.reps[rep], f"{amount // 100}.{amount % 100:02}", version=self.versions[number], kind=kind,
            currency=currency, quantity=f"{quantity / 4}", close_date=day, occurred_at=f"{day}T10:00:00Z", **extra,
        )  # fmt: skip

    @rule(shuffle=st.randoms(use_true_random=False), count=st.integers(1, 6))
    def deliver(self, shuffle, count):
        """Some of what was ever sent, in any order: kept back or delivered before."""
        some = shuffle.sample(self.bag, min(count, len(self.bag)))
        send(self.crm, *some)

    # --- what governs ------------------------------------------------------------------------------------------------------
    @rule(
        which=st.integers(0, 2), starts_at=st.sampled_from(STARTS), rewards=st.sampled_from(REWARDS), caps=st.sampled_from(CAPS),
        stacking=st.sampled_from([None, GROUP, {"group": "g", "rule": "first"}]),
    )  # fmt: skip
    def publish(self, which, starts_at, rewards, caps, stacking):
        base = self.programs[which].newest_version.definition
        changes = {"caps": caps, "stacking": stacking, "rewards": base["rewards"] if which == 2 else rewards}
        document = {key: value for key, value in (base | changes).items() if value is not None}
        with contextlib.suppress(DomainError):
            programs.edit_draft(program=self.programs[which], document=document, actor=self.manager)
            programs.launch(program=self.programs[which], actor=self.manager, starts_at=starts_at)
        evaluate()

    @rule(rep=st.integers(0, 3), month=st.sampled_from([4, 7, 10]), value=st.integers(1, 5000))
    def target(self, rep, month, value):
        rows = [TargetRow(self.reps[rep], date(2026, month, 1), Decimal(value))]
        programs.set_targets(program=self.programs[0], rows=rows, actor=self.manager)
        evaluate()

    @rule(which=st.integers(0, 2), rep=st.integers(0, 3), state=st.sampled_from(["invited", "excluded", None]))
    def enroll(self, which, rep, state):
        programs.set_enrollment(
            program=self.programs[which], participant=self.reps[rep], state=state, actor=self.manager
        )
        evaluate()

    @rule(days=st.sampled_from(MONTHS), value=st.integers(1, 30_000))
    def rate(self, days, value):
        """Set, or (every third figure) taken away."""
        standing = ExchangeRate.objects.filter(starts_on=days[0]).first()
        if standing is not None and value % 3 == 0:
            exchange.remove_rate(rate=standing, actor=self.finance)
        else:
            row = RateRow("EUR", "USD", *days, Decimal(value).scaleb(-4))
            exchange.set_rates(rows=[row], actor=self.finance)
        evaluate()

    @rule(rep=st.integers(0, 1), boss=st.sampled_from([None, 1, 2]), gone=st.booleans())
    def move(self, rep, boss, gone):
        manager = None if boss in (None, rep) else self.reps[boss]
        ended_on = date(2026, 8, 2) if gone else None
        people.update_participant(self.reps[rep], manager=manager, ended_on=ended_on)
        evaluate()

    # --- money -------------------------------------------------------------------------------------------------------------
    @rule(amount=st.integers(1, 80))
    def fund_and_go_on(self, amount):
        self.n += 1
        budget = self.programs[1].budget
        ledger.fund(budget=budget, amount=usd(f"{amount}.00"), reference=f"F{self.n}", actor=self.finance)
        with contextlib.suppress(DomainError):
            programs.resume_stopped(program=self.programs[1], actor=self.manager, reason="Funded")
        evaluate()

    @rule(month=st.integers(6, 9))
    def close_a_month(self, month):
        month = date(2026, month, 1)
        PeriodClose.objects.get_or_create(
            month=month,
            reopened_at=None,
            defaults={"closed_by": self.finance, "closed_at": datetime(2026, 11, 1, tzinfo=UTC)},
        )

    # --- what always holds ---------------------------------------------------------------------------------------------------
    @invariant()
    def stored_is_computed_is_explained(self):
        assert list(recompute.check()) == []
        assert check_postings() == []
        rows = list(Participation.objects.select_related("program", "participant"))
        stored = dict(Earning.objects.values_list("participation").annotate(total=Sum("amount_minor")).order_by())
        accounts = dict(Account.objects.filter(bucket=EARNED).values_list("code", "balance_minor"))
        for item in compute(rows):
            lines = [line for card in item.scorecards for line in card.lines]
            total = sum(line.amount_minor for line in lines)
            assert total == stored.get(item.participation.pk, 0) == item.participation.earned_minor
            assert total == accounts.get(f"participant:{item.participation.public_id}:{EARNED}", 0)
            assert all(line.explanation for line in lines)

    @invariant()
    def caps_hold(self):
        for running in running_programs():
            caps = [segment.definition.caps for segment in running.timeline.segments]
            for participation in running.program.participations.all():
                if all(cap.participant for cap in caps):
                    assert participation.earned_minor <= max(cap.participant for cap in caps) * 100
                for card in participation.scorecards.all():
                    cap = running.timeline.of_period(card.period_start).definition.caps.period
                    assert cap is None or card.amount_minor <= cap * 100

    @invariant()
    def shares_are_at_most_the_whole(self):
        shares = Credit.objects.exclude(role="overlay").values("object", "participation__program").order_by()
        for row in shares.annotate(share=Sum("share_percent"), part=Sum("measure")):
            own = Credit.objects.filter(object=row["object"], participation__program=row["participation__program"])
            assert row["share"] <= 100
            assert row["part"] <= own[0].whole

    def everything_deleted(self):
        for number in self.versions:
            send(self.crm, deal(f"D{number}", self.reps[0], None, version=59, kind="deal.deleted"))
        self.stored_is_computed_is_explained()
        assert not Participation.objects.filter(earned_minor__gt=0).exists()
        assert not Account.objects.filter(bucket=EARNED, balance_minor__gt=0).exists()


@pytest.mark.django_db
def test_any_sequence_gives_what_recomputing_from_nothing_gives():
    profile = settings(max_examples=5, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Earnings, settings=profile)
