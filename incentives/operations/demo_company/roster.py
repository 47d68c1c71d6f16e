"""People, teams, partners, connections, budgets and policies: what has to be there before the first deal."""

from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone

from incentives.accounts import services as accounts
from incentives.accounts.models import User
from incentives.core import audit
from incentives.crm import services as crm
from incentives.crm.models import Connection
from incentives.ledger import deposits, transfers, tree
from incentives.ledger import services as ledger
from incentives.ledger.models import Budget
from incentives.operations.demo_company import people
from incentives.operations.demo_company.deals import CRM, PORTAL
from incentives.participants import services as participants
from incentives.participants.models import Participant, Partner, Team
from incentives.payouts.models import ApprovalPolicy
from incentives.programs.models import Program
from incentives.tax import services as tax
from rewards import services as rewards
from rewards.models import Product
from rewards.money import Money

STEP = ApprovalPolicy.Step
POLICIES = (  # name, position, up to (minor units), steps
    ("Small rewards go out by themselves", 10, 2_500, []),
    ("Finance approves", 20, 100_000, [STEP.FINANCE]),
    ("Two of finance above 1,000", 30, None, [STEP.FINANCE, STEP.FINANCE]),
)
INCENTIVES, LAUNCH, PARTNERS, ROADSHOW = "Sales incentives", "Sentry launch fund", "Partner rewards", "Roadshow fund"
YEAR, YEAR_FUNDED = "Incentives of the year", "150000.00"
"""The budget over all others. Its money goes down by transfers."""
FUNDED = {INCENTIVES: "60000.00", LAUNCH: "25000.00", PARTNERS: "20000.00", ROADSHOW: "900.00"}


@dataclass
class Company:
    """What the history works with. Users and participants by name, programs by their short names."""

    users: dict[str, User] = field(default_factory=dict)
    participants: dict[str, Participant] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    budgets: dict[str, Budget] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)
    hook_token: str = ""
    hook_key: str = ""

    def user(self, who: people.SignIn) -> User:
        return self.users[who.name]


def found_company() -> Company:
    """Everybody and everything but programs and deals."""
    company = Company()
    _users(company)
    _groups_and_people(company)
    _connections(company)
    _budgets(company)
    _deposit(company)
    _policies(company.user(people.FINANCE))
    _catalogue(company.user(people.FINANCE))
    _tax_forms(company)
    return company


def _users(company: Company) -> None:
    """The administrator is made as `createsuperuser` does it, and invites the others."""
    first = people.ADMINISTRATOR
    admin = User.objects.create_superuser(first.email, people.PASSWORD, name=first.name)
    company.users[first.name] = admin
    for one in (*people.SIGN_INS, *people.OTHER_PARTNER_ADMINS):
        if one is first:
            continue
        user = accounts.invite(email=one.email, name=one.name, roles={one.role}, actor=admin)
        user.password = admin.password  # the same password, so the same hash will do: hashing is slow on purpose
        accounts.record_password(user)
        accounts.change_profile(user=user, name=user.name, time_zone="America/New_York", language="en")
        company.users[one.name] = user


def _groups_and_people(company: Company) -> None:
    admin = company.user(people.ADMINISTRATOR)
    teams: dict[str, Team] = {
        code: participants.create_team(actor=admin, code=code, name=name, region=region)
        for code, (name, region, *_) in people.TEAMS.items()
    }
    partners: dict[str, Partner] = {
        code: participants.create_partner(actor=admin, code=code, name=name, tier=tier, region=region, country=country)
        for code, (name, tier, region, country, *_) in people.PARTNERS.items()
    }
    for one in people.everybody():
        company.participants[one.name] = participants.create_participant(
            actor=admin,
            external_user_id=one.key,
            employee_number=f"E{one.number}" if one.type == "employee" else "",
            email=people.email_of(one.name),
            name=one.name,
            type=one.type,
            team=teams.get(one.team),
            partner=partners.get(one.partner),
            manager=company.participants.get(one.manager),
            country=one.country,
            time_zone=one.time_zone,
            user=company.users.get(one.name),
        )
    for code, (_, _, _, lead, *_) in people.TEAMS.items():
        participants.update_team(teams[code], actor=admin, manager=company.participants[lead])


def _connections(company: Company) -> None:
    admin = company.user(people.ADMINISTRATOR)
    for source, name in ((CRM, "Brightwater CRM"), (PORTAL, "Partner portal")):
        issued = crm.create_connection(name=name, currency="USD", time_zone="America/New_York", actor=admin)
        company.connections[source] = issued.connection
        if source == CRM:
            company.hook_token, company.hook_key = issued.token, issued.secrets["bearer"]


def _budgets(company: Company) -> None:
    """The year's money is more than one person funds alone; each of two people funds some of the others."""
    finance, second = company.user(people.FINANCE), company.user(people.SECOND_FINANCE)
    year = ledger.create_budget(name=YEAR, currency="USD", actor=finance)
    asked = transfers.propose_funding(
        budget=year, amount=_usd(YEAR_FUNDED), reference="FIN-100", actor=finance, memo="Approved by the board"
    )
    transfers.approve(transfer=asked, actor=second)
    company.budgets[YEAR] = year
    for number, (name, amount) in enumerate(FUNDED.items(), start=1):
        actor = second if name in {PARTNERS, ROADSHOW} else finance
        budget = ledger.create_budget(name=name, currency="USD", actor=finance)
        ledger.fund(
            budget=budget, amount=_usd(amount), reference=f"FIN-{100 + number}", actor=actor, memo="Yearly plan"
        )
        company.budgets[name] = tree.place(budget=budget, parent=year, actor=finance)


def _deposit(company: Company) -> None:
    """What the sandbox holds at first, paid in by two wires; the second was typed wrongly at first."""
    finance, today = company.user(people.FINANCE), timezone.now().date()

    def paid_in(amount: str, reference: str):
        return deposits.enter(amount=_usd(amount), on=today, reference=reference, actor=finance)

    paid_in("600000.00", "WIRE 2207")
    wrong = paid_in("40000.00", "WIRE 2208")
    deposits.reverse_entry(entry=wrong, reason="The wire was of 400,000.00", actor=finance)
    paid_in("400000.00", "WIRE 2208 corrected")
    deposits.set_low(currency="USD", low=_usd("100000.00"), actor=finance)


def _usd(amount: str) -> Money:
    return Money(int(amount.replace(".", "")), "USD")


def _tax_forms(company: Company) -> None:
    """Finance has seen the forms of the partner abroad, but for the one who joined last."""
    finance = company.user(people.FINANCE)
    abroad = [one for one in company.participants.values() if one.country != people.HOME]
    for one in abroad[:-1]:
        tax.save_profile(participant=one, actor=finance, form_kind="W-8BEN", form_on_file_since=timezone.now().date())


def _policies(actor: User) -> None:
    for name, position, up_to, steps in POLICIES:
        with transaction.atomic():
            policy = ApprovalPolicy.objects.create(name=name, position=position, up_to_minor=up_to, steps=steps)
            audit.record("policy.created", policy, actor=actor, after={"up_to_minor": up_to, "steps": steps})


def _catalogue(actor: User) -> None:
    """The provider's products; one of them may have values to the cent."""
    rewards.refresh_catalogue(force=True)
    with transaction.atomic():
        product = Product.objects.get(product_id="STAYWELL")
        Product.objects.filter(pk=product.pk).update(allow_cents=True)
        audit.record(
            "product.allow_cents", product, actor=actor, before={"allow_cents": False}, after={"allow_cents": True}
        )
