"""Many people and workers at once on the same programs, budgets and payouts: what test_many_threads.py sets in motion.

Each kind of work is a function of (company, random); a refusal (DomainError) is an answer, anything else is a failure.
"""

import random
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from django.db import connection, connections

from incentives.core.audit import seal
from incentives.core.errors import DomainError
from incentives.crm import intake
from incentives.crm.ingest import process_deliveries
from incentives.earnings.evaluate import evaluate
from incentives.ledger import services as ledger
from incentives.ledger.exchange import RateRow, set_rates
from incentives.ledger.models import Account
from incentives.participants.services import update_participant
from incentives.payouts import services
from incentives.payouts.models import Hold, Payout, RiskRule, WriteOff
from incentives.payouts.services.months import latest_closed, next_to_close
from incentives.programs import terms
from incentives.programs.enrollment import set_enrollments
from incentives.programs.targets import TargetRow, set_targets
from incentives.tax import services as tax
from rewards.sweep import sweep_once as send_orders
from tests.factories import deal, make_budget, make_connection, make_participant, make_program, make_user, usd

FAULTS = ("504_before", "504_after", "500_after", "not_json", "429", "pending", "400")
DEALS, KNOWN = 60, 40
"""How many deals there are, and how many of them when the threads start."""
STACKING = {"group": "both", "rule": "highest"}


@dataclass
class Company:
    """Two budgets, three programs (one pays at once, one asks for terms), ten reps, people of every role that decides."""

    world: object
    budgets: list = field(default_factory=list)
    programs: list = field(default_factory=list)
    reps: list = field(default_factory=list)
    finance: list = field(default_factory=list)
    managers: list = field(default_factory=list)
    versions: Counter = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    references: int = 0

    def __post_init__(self):
        self.finance = [make_user("finance") for _ in range(12)]
        self.managers = [make_user("manager") for _ in range(4)]
        self.crm = make_connection()
        self.reps = [
            make_participant(type="contractor" if n % 3 == 0 else "employee", user=make_user("participant"))
            for n in range(10)
        ]
        self.budgets = [make_budget(funded="9000.00"), make_budget(funded="1500.00")]
        delivery = {"type": "DigitalDelivery", "channel": "email", "products": ["CVS"]}
        first, second = self.budgets
        self.programs = [
            make_program(budget=first, delivery=delivery, payout={"when": "instant", "recovery": "write_off"}),
            make_program(budget=second, delivery=delivery, payout={"when": "at_close"}, stacking=STACKING),
            make_program(budget=second, delivery=delivery, payout={"when": "instant"}, stacking=STACKING),
        ]
        self.asking = self.programs[2]
        terms.save_terms(program=self.asking, title="Rules", body="Be fair.", actor=self.managers[0])
        terms.publish_terms(program=self.asking, actor=self.managers[0], holds_payouts=True)
        services.save_policy(
            actor=self.finance[0], name="Small", steps=[], up_to_minor=3000, currency="USD", position=1
        )
        services.save_policy(actor=self.finance[0], name="Large", steps=["finance", "finance"], position=2)
        for kind in ("participant", "program", "approver"):
            services.save_rule(actor=self.finance[0], kind=kind, window="day", most_count=400)

    def reference(self) -> str:
        with self.lock:
            self.references += 1
            return f"MIX-{self.references}"

    def receive(self, numbers, chance: random.Random) -> None:
        """The next version of each of these deals, won or lost, of any amount."""
        facts = []
        for number in numbers:
            kind = "deal.won" if chance.random() < 0.75 else "deal.lost"
            rep = self.reps[number % len(self.reps)]
            currency = "EUR" if number % 5 == 0 else "USD"
            fact = deal(f"MIX-{number}", rep, f"{chance.randrange(300, 9000)}.00", kind=kind, currency=currency)
            with self.lock:
                self.versions[number] += 1
                version = self.versions[number]
            fact["external_id"] = f"MIX-{number}-{version}"
            fact["object"]["version"] = f"2026-01-01T{version // 3600:02d}:{version // 60 % 60:02d}:{version % 60:02d}Z"
            facts.append(fact)
        intake.receive_many(self.crm, [intake.prepare(fact) for fact in facts])

    def begin(self) -> None:
        """Every deal known, everything scored and paid as far as it goes by itself."""
        self.receive(range(KNOWN), random.Random(0))
        process_deliveries()
        evaluate()
        services.follow_up()
        for program in self.programs:
            services.build_payouts(program=program, actor=self.managers[1])


def one(rows, chance: random.Random):
    """Any of the first forty rows."""
    found = list(rows[:40])
    return chance.choice(found) if found else None


# --- what each thread does ------------------------------------------------------------------------------------------------
def decide(company: Company, chance: random.Random) -> None:
    payout = one(Payout.objects.filter(status__in=["submitted", "approved"]).order_by("?"), chance)
    actor = chance.choice(company.finance[1:])
    if payout is None:
        return
    match chance.choice(["approve"] * 5 + ["many", "reject", "cancel"]):
        case "approve":
            services.approve_payout(payout_id=payout.pk, actor=actor, seen_hash=payout.content_hash)
        case "many":
            rows = Payout.objects.filter(status="submitted").order_by("?").values_list("pk", "content_hash")[:5]
            services.approve_many(seen=list(rows), actor=actor)
        case "reject":
            services.reject_payout(payout_id=payout.pk, actor=actor, reason="Not now")
        case "cancel":
            services.cancel_payout(payout_id=payout.pk, actor=actor, reason="Not now")


def correct(company: Company, chance: random.Random) -> None:
    """A new or changed fact, and the workers' steps that follow."""
    company.receive(chance.sample(range(DEALS), chance.randint(1, 4)), chance)
    process_deliveries()
    evaluate()
    services.follow_up()


def fund(company: Company, chance: random.Random) -> None:
    """Money in, out, and from one budget to the other. `ledger.transfer` takes the place of the pair once it exists."""
    budget, other = chance.sample(company.budgets, 2)
    amount = usd(f"{chance.randrange(1, 120)}.00")
    actor = chance.choice(company.finance)
    match chance.choice(["fund", "withdraw", "transfer"]):
        case "fund":
            ledger.fund(budget=budget, amount=amount, reference=company.reference(), actor=actor)
        case "withdraw":
            ledger.withdraw(budget=budget, amount=amount, reference=company.reference(), actor=actor)
        case "transfer":
            move_between(budget, other, amount, company.reference(), actor)


def move_between(budget, other, amount, reference: str, actor) -> None:
    ledger.withdraw(budget=budget, amount=amount, reference=reference, actor=actor)
    ledger.fund(budget=other, amount=amount, reference=reference, actor=actor)


def sweep(company: Company, chance: random.Random) -> None:
    services.sweep_once()
    company.world.deliver_hooks()
    send_orders(inline=True, client=company.world.new_client(), seconds=1, limit=20)


def build(company: Company, chance: random.Random) -> None:
    services.build_payouts(program=chance.choice(company.programs), actor=chance.choice(company.managers))


def hold(company: Company, chance: random.Random) -> None:
    if chance.random() < 0.5:
        payout = one(Payout.objects.filter(status="submitted").order_by("?"), chance)
        if payout:
            services.place_hold(payout_id=payout.pk, actor=chance.choice(company.finance), reason="Look at it")
        return
    standing = one(Hold.objects.filter(lifted_at__isnull=True).order_by("?"), chance)
    if standing:
        services.lift_hold(hold_id=standing.pk, actor=chance.choice(company.finance), reason="Seen")


def recover(company: Company, chance: random.Random) -> None:
    """Write-offs and instalments of what was paid too much."""
    proposal = one(WriteOff.objects.filter(status="proposed").order_by("?"), chance)
    actor = chance.choice(company.finance[1:])
    if proposal and chance.random() < 0.6:
        services.approve_write_off(write_off=proposal, actor=actor)
    elif proposal:
        services.withdraw_write_off(write_off=proposal, actor=actor, reason="Later")
    owed = one(company.programs[1].participations.filter(recovery__recoverable_minor__gt=0), chance)
    if owed and chance.random() < 0.5:
        services.set_instalments(participation=owed, actor=actor, reason="Agreed", percent=Decimal("50"))
    elif owed:
        amount = usd(f"{chance.randrange(1, 20)}.00")
        services.propose_write_off(participation=owed, amount=amount, reason="Too little", actor=actor)
    time.sleep(0.05)


def people(company: Company, chance: random.Random) -> None:
    """What recipients and finance do about persons and rules: terms, tax details, limits."""
    rep, actor = chance.choice(company.reps), chance.choice(company.finance[1:])
    match chance.choice(["terms", "tax", "tax", "release", "rule", "text"]):
        case "terms":
            current = terms.current_terms(company.asking)
            terms.accept(terms=current, user=rep.user, seen_digest=current.digest)
        case "text" if chance.random() < 0.2:
            author = company.managers[0]
            terms.save_terms(program=company.asking, title="Rules", body=f"Fair {chance.random()}.", actor=author)
            terms.publish_terms(program=company.asking, actor=author, holds_payouts=True, asks_again=True)
        case "tax":
            form = {"form_kind": "W-9", "form_on_file_since": date(2026, 1, 1)} if chance.random() < 0.5 else {}
            tax.save_profile(participant=rep, actor=actor, note=f"Note {chance.randrange(99)}", **form)
        case "release":
            tax.release(participant=rep, actor=actor, reason="Looked at")
        case "rule":
            services.confirm_rule(rule=RiskRule.objects.order_by("pk").first(), actor=actor)
            services.save_rule(
                actor=company.finance[0],
                rule=RiskRule.objects.order_by("pk").first(),
                most_count=chance.randint(300, 400),
            )


def reorganise(company: Company, chance: random.Random) -> None:
    """What makes many facts due at once: managers, regions, targets, who takes part, exchange rates."""
    rep, other = chance.sample(company.reps, 2)
    program, manager = chance.choice(company.programs), chance.choice(company.managers)
    match chance.choice(["manager", "region", "target", "enrol", "rate"]):
        case "manager":
            update_participant(rep, manager=other if other.manager_id is None and rep.pk < other.pk else None)
        case "region":
            update_participant(rep, region=chance.choice(["North", "South"]))
        case "target":
            rows = [TargetRow(rep, program.starts_on, Decimal(chance.randrange(100, 900))) for rep in (rep, other)]
            set_targets(program=program, rows=rows, actor=manager)
        case "enrol":
            people, state = chance.sample(company.reps, 3), chance.choice(["excluded", None, None])
            set_enrollments(program=program, people=people, state=state, actor=manager)
        case "rate":
            days = date(2026, 1, 1), date(2026, 12, 31)
            rate = RateRow("EUR", "USD", *days, Decimal(chance.randrange(90, 130)) / 100)
            set_rates(rows=[rate], actor=chance.choice(company.finance))
    evaluate()


def close(company: Company, chance: random.Random) -> None:
    """The earliest open month is closed, the latest closed one opened again."""
    actor = chance.choice(company.finance)
    if (month := next_to_close()) and chance.random() < 0.6:
        services.close_month(month=month, actor=actor)
    elif last := latest_closed():
        services.reopen_month(month=last.month, actor=actor, reason="Forgot one")
    time.sleep(0.3)


def check(company: Company, chance: random.Random) -> None:
    """What holds at any moment, also in the middle of everything."""
    below = list(Account.objects.filter(tracked=True, balance_minor__lt=0))
    assert below == [], below
    seal()
    time.sleep(0.3)


WORK = (
    [decide] * 7
    + [correct] * 6
    + [reorganise] * 2
    + [fund] * 4
    + [sweep] * 4
    + [build] * 2
    + [hold] * 2
    + [recover] * 2
    + [people] * 1
)
WORK += [close, check]
assert len(WORK) == 32


# --- setting it in motion -------------------------------------------------------------------------------------------------
@dataclass
class Outcome:
    """How often each kind of work was done or refused, and every exception that was no refusal."""

    done: Counter = field(default_factory=Counter)
    refused: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def run(company: Company, seconds: float, *, seed: int = 1) -> Outcome:
    """All of WORK at once, one thread each, for `seconds`. Every thread has a random source of its own."""
    outcome, start = Outcome(), threading.Barrier(len(WORK))
    end = time.monotonic() + seconds

    def thread(number: int, work) -> None:
        chance = random.Random(seed * 1000 + number)
        try:
            start.wait()
            while time.monotonic() < end and not outcome.failures:
                try:
                    work(company, chance)
                    outcome.done[work.__name__] += 1
                except DomainError as exc:
                    outcome.refused[f"{work.__name__}: {exc.code}"] += 1
        except Exception:
            outcome.failures.append(f"{work.__name__}: {traceback.format_exc()}")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=thread, args=entry) for entry in enumerate(WORK)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    return outcome


def deadlocks() -> int:
    """How many PostgreSQL has ended in this database since it was made, whoever caught the error."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return cursor.fetchone()[0]
