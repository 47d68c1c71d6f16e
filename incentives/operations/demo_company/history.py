"""Five months at Brightwater: programs are launched, deals arrive, managers submit payouts, finance approves, cards go out.

Each day of the story runs as of its own moment (`clock.as_of`), in rising order.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils import timezone
from django.utils.module_loading import import_string

from incentives.core import audit, sealing
from incentives.crm import intake
from incentives.crm.ingest import process_deliveries
from incentives.earnings.evaluate import evaluate
from incentives.ledger import services as ledger
from incentives.ledger import transfers
from incentives.ledger.models import BudgetTransfer
from incentives.ledger.selectors import budget_figures
from incentives.operations.demo_company import deals, people
from incentives.operations.demo_company import programs as documents
from incentives.operations.demo_company.claims import Desk
from incentives.operations.demo_company.clock import as_of
from incentives.operations.demo_company.deals import Sent
from incentives.operations.demo_company.roster import INCENTIVES, LAUNCH, PARTNERS, ROADSHOW, YEAR, Company
from incentives.operations.sweep import SWEEPERS
from incentives.payouts import services as payouts
from incentives.payouts.models import Payout
from incentives.payouts.services.sweep import expire_waiting
from incentives.programs import review, review_limits
from incentives.programs import services as programs
from incentives.programs.models import Program
from incentives.programs.services import TargetRow
from rewards.money import Money
from rewards.sweep import sweep_once

BEGINNING = 152
"""Days ago on which the first program was launched."""
ATTAINMENTS = ("0.86", "1.08", "0.72", "1.31", "0.97", "1.17", "0.58")
REPS_ATTAINMENT = "0.93"
"""The rep of the sign-in page is close to the next tier."""
BUDGETS = {
    documents.RENEWALS: INCENTIVES,
    documents.BONUS: INCENTIVES,
    documents.QUOTA: INCENTIVES,
    documents.SPIFF: LAUNCH,
    documents.CHANNEL: PARTNERS,
    documents.ROADSHOW: ROADSHOW,
    documents.ATTACH: LAUNCH,
    documents.KICKOFF: LAUNCH,
    documents.REFERRAL: PARTNERS,
    documents.SEATS: LAUNCH,
    documents.BIG_DEALS: INCENTIVES,
    documents.CLAIMS: PARTNERS,
    documents.RACE: LAUNCH,
    documents.TOP_SELLER: INCENTIVES,
}
WITHOUT_TARGET = "Wei Zhang"
"""Joined late, and nobody has set a target yet: the quota's exceptions list says so."""
SWEPT = ("incentives.programs.", "incentives.earnings.")
"""What the sweep asks of these apps, a day of the story asks as well."""


class Story:
    """The company's history up to `now`. `live()` tells it; `ending` then writes the last page."""

    def __init__(self, company: Company, now: datetime):
        self.company, self.now, self.desk = company, now, Desk(company)
        self.documents = documents.documents(now.date())
        self.waiting = [*deals.history(now), *deals.troubled(now)]
        self.waiting.sort(key=lambda entry: entry.at)

    # --- days ---------------------------------------------------------------------------------------------------------
    def live(self) -> None:
        """Every day on which something happens, oldest first."""
        plan = self.plan()
        days = {*plan, *range(BEGINNING, 60, -21), *range(60, 16, -9), *range(16, 0, -4)}
        for day in sorted(days, reverse=True):
            with as_of(self.now - timedelta(days=day)):
                self.work()
                for step in plan.get(day, ()):
                    step()
                self.order()

    def plan(self) -> dict[int, tuple[Callable[[], object], ...]]:
        """What people do, by days ago."""
        d = documents
        return {
            152: (lambda: self.launch(d.RENEWALS),),
            92: (lambda: self.launch(d.BONUS, manager=people.SECOND_MANAGER),),
            86: (lambda: self.approve(self.build(d.RENEWALS)),),
            77: (lambda: self.launch(d.QUOTA), lambda: self.launch(d.RACE)),
            72: (lambda: self.launch(d.CHANNEL, manager=people.SECOND_MANAGER),),
            63: (lambda: self.launch(d.BIG_DEALS, manager=people.SECOND_MANAGER), lambda: self.launch(d.CLAIMS)),
            60: (lambda: self.launch(d.SPIFF),),
            55: (lambda: self.launch(d.SEATS),),
            47: (lambda: self.launch(d.ROADSHOW), lambda: self.build_one(d.CHANNEL)),
            44: (lambda: self.approve(self.build(d.BONUS)),),
            43: (lambda: self.desk.file(43),),
            40: (lambda: self.launch(d.ATTACH, manager=people.SECOND_MANAGER), lambda: self.launch(d.TOP_SELLER)),
            38: (lambda: self.desk.review(43),),
            35: (lambda: self.approve(self.build(d.RACE)),),  # its calendar closed it two days ago
            32: (lambda: self.approve(self.build(d.CHANNEL)),),
            24: (lambda: self.approve(self.build(d.ROADSHOW)), self.hand_down),
            19: (lambda: self.desk.file(19), lambda: self.approve(self.build(d.SEATS))),
            18: (lambda: self.approve(self.build(d.ATTACH)), self.take_back_a_renewal),
            15: (lambda: self.desk.review(19), lambda: self.approve(self.build(d.CLAIMS))),
            14: (expire_waiting,),
            6: (self.cut_the_roadshow,),
            4: (lambda: self.build(d.ROADSHOW),),
            2: (lambda: self.pause(d.ATTACH), lambda: self.desk.file(2), lambda: self.build(d.BIG_DEALS)),
            1: (
                self.ask_for_the_roadshow,
                lambda: self.desk.review(2),
                self.desk.take_back,
                self.prepare_next,
                lambda: self.draft(d.REFERRAL),
            ),
        }

    def work(self) -> None:
        """Take in what arrived until now and let it earn."""
        now = timezone.now()
        arrived = [entry for entry in self.waiting if entry.at <= now]
        self.waiting = [entry for entry in self.waiting if entry.at > now]
        receive(self.company, arrived)
        settle_down()

    def order(self) -> None:
        """Send what was approved, and seal what is new, as the sweep does every few seconds."""
        while sweep_once(inline=True, seconds=60)["processed"]:
            pass
        audit.seal(10**6)
        sealing.seal(10**6)

    # --- programs -----------------------------------------------------------------------------------------------------
    def draft(self, name: str, manager: people.SignIn = people.MANAGER) -> Program:
        """Written, with a budget, not launched."""
        budget = self.company.budgets[BUDGETS[name]]
        program = programs.create_program(
            document=self.documents[name], actor=self.company.user(manager), budget=budget
        )
        self.company.programs[name] = program
        return program

    def launch(self, name: str, manager: people.SignIn = people.MANAGER) -> None:
        program, actor = self.draft(name, manager), self.company.user(manager)
        if name == documents.QUOTA:
            programs.set_targets(program=program, rows=self.targets(program), actor=actor)
        if not review_limits.asks(program.budget, actor):
            self.company.programs[name] = programs.launch(program=program, actor=actor)
            return
        other = people.MANAGER if manager is people.SECOND_MANAGER else people.SECOND_MANAGER
        draft = review.request_review(program=program, actor=actor)
        self.company.programs[name] = review.confirm_review(
            program=program, actor=self.company.user(other), seen_digest=draft.digest
        )

    def targets(self, program: Program) -> list[TargetRow]:
        """One per rep, so that some are ahead and some behind; in steps of 5,000."""
        won, rows = deals.won_deals(self.now), []
        reps = [one for one in people.everybody() if one.job == "rep" and one.name != WITHOUT_TARGET]
        for n, person in enumerate(reps):
            wanted = REPS_ATTAINMENT if person.name == people.REP.name else ATTAINMENTS[n % len(ATTAINMENTS)]
            step = 1000 if person.name == people.REP.name else 5000
            value = deals.owned(won, person.key, 77) / Decimal(wanted)
            rounded = max(20_000, round(int(value) / step) * step)
            rows.append(TargetRow(self.company.participants[person.name], program.starts_on, Decimal(rounded)))
        return rows

    def pause(self, name: str) -> None:
        self._change(name, Program.Status.PAUSED, "The budget is being reviewed.")

    def prepare_next(self) -> None:
        self.launch(documents.KICKOFF)

    def _change(self, name: str, status: str, reason: str) -> None:
        actor = self.company.user(people.MANAGER)
        programs.change_status(program=self.company.programs[name], new=status, actor=actor, reason=reason)

    # --- payouts ------------------------------------------------------------------------------------------------------
    def build(self, name: str, participations=None) -> list[Payout]:
        """A manager submits what is due."""
        program = Program.objects.get(pk=self.company.programs[name].pk)
        actor = self.company.user(people.MANAGER)
        return payouts.build_payouts(program=program, actor=actor, participations=participations).payouts

    def build_one(self, name: str) -> list[Payout]:
        """For the first participant who is due something. Nobody decides on it, so it expires after 30 days."""
        shown = {people.PARTNER_PERSON.name, people.PARTNER_ADMIN.name}
        for participation in self.company.programs[name].participations.exclude(participant__name__in=shown):
            if built := self.build(name, [participation]):
                return built
        raise RuntimeError(f"nobody is due anything in {name}")

    def approve(self, built: Iterable[Payout]) -> None:
        """Finance approves, a second of finance where the policy asks for two."""
        for payout in built:
            for who in (people.FINANCE, people.SECOND_FINANCE)[: len(payout.steps)]:
                payouts.approve_payout(
                    payout_id=payout.pk,
                    actor=self.company.user(who),
                    seen_hash=payout.content_hash,
                    ip_address="127.0.0.1",
                )

    # --- turns --------------------------------------------------------------------------------------------------------
    def take_back_a_renewal(self) -> None:
        """A customer withdraws from a renewal that was paid for: the program is closed, so the amount stays recoverable."""
        renewals = [deal for deal in deals.won_deals(self.now) if deal.renewal and not deal.fate]
        deal = next(deal for deal in renewals if self._was_paid(deal))
        event = deals.event_of(deal, "deal.reopened", timezone.now() - timedelta(minutes=5), "Negotiation")
        receive(self.company, [Sent(timezone.now(), deal.source, event)])
        settle_down()

    def _was_paid(self, deal: deals.Deal) -> bool:
        paid = Payout.objects.filter(program=self.company.programs[documents.RENEWALS], status=Payout.Status.FULFILLED)
        return paid.filter(participant__external_user_id=deal.owner.key).exists()

    def transfer(self, to: str, amount: int, reason: str) -> BudgetTransfer:
        """Finance asks for some of the year's money for another budget."""
        budgets = self.company.budgets
        return transfers.propose(
            source=budgets[YEAR], destination=budgets[to], amount=Money(amount, "USD"), reason=reason,
            actor=self.company.user(people.FINANCE),
        )  # fmt: skip

    def hand_down(self) -> None:
        asked = self.transfer(INCENTIVES, 1_000_000, "Second half of the year")
        transfers.approve(transfer=asked, actor=self.company.user(people.SECOND_FINANCE))

    def ask_for_the_roadshow(self) -> None:
        """Nobody has decided it yet."""
        self.transfer(ROADSHOW, 300_000, "More people came than planned")

    def cut_the_roadshow(self) -> None:
        """Finance takes most of a budget back, so that it is nearly empty and what comes later has to wait for funding."""
        budget, finance = self.company.budgets[ROADSHOW], self.company.user(people.FINANCE)
        rest = budget_figures([budget])[budget.pk].available.minor - 4_240
        if rest > 0:
            ledger.withdraw(
                budget=budget,
                amount=Money(rest, "USD"),
                reference="FIN-117",
                actor=finance,
                memo="Moved to next quarter",
            )


def receive(company: Company, sent: list[Sent]) -> None:
    """Store events as the endpoint does and derive their activities."""
    for source, connection in company.connections.items():
        items = [intake.prepare(entry.event) for entry in sent if entry.source == source]
        if items:
            intake.receive_many(connection, items)
    derive()


def derive() -> None:
    """Activities of everything that was received, claims that were approved included."""
    while process_deliveries():
        pass


def settle_down() -> None:
    """Let time do its part, score until nothing is due, then let payouts follow."""
    for name in SWEEPERS:
        if name.startswith(SWEPT):
            import_string(name)()
    evaluate()
    payouts.follow_up()
