"""`manage.py seed_demo`: the example company is complete, adds up, and can be signed in to."""

import stat
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from django.core.management import CommandError, call_command
from django.db.models import Count, F, Sum
from django.utils import timezone

from incentives.accounts.models import User
from incentives.claims.models import Claim, ClaimFlag, ClaimProof
from incentives.core import audit
from incentives.crm.models import Activity, Connection, Delivery
from incentives.earnings import recompute
from incentives.earnings.models import Credit, Earning, Scorecard, SealedStanding
from incentives.earnings.selectors import exceptions
from incentives.ledger import deposits
from incentives.ledger.models import Account, Budget, BudgetTransfer
from incentives.ledger.selectors import budget_figures
from incentives.operations.demo_company import deals, people, programs
from incentives.operations.management.commands.seed_demo import Command
from incentives.participants.models import Participant, Partner, Team
from incentives.payouts.checks import check_ledger
from incentives.payouts.models import Approval, Hold, Payout
from incentives.payouts.policies import makers_of
from incentives.programs.models import Program
from incentives.programs.rules.parsing import parse_definition
from rewards import channel
from rewards import services as rewards
from rewards.models import Card, Product, RewardOrder
from rewards.sweep import sweep_once
from tests.factories import make_user, usd

DATABASE = pytest.mark.django_db(transaction=True)


def counts(queryset, field: str) -> dict[str, int]:
    return dict(Counter(queryset.order_by().values_list(field, flat=True)))


@DATABASE
def test_the_example_company_is_complete_and_adds_up(sandbox, tmp_path, client, settings):
    started = timezone.now()
    settings.MEDIA_ROOT = tmp_path / "uploads"
    key = tmp_path / "activity.json"
    call_command("seed_demo", activity_file=str(key), verbosity=0)

    _people_are_there()
    _programs_budgets_and_facts_are_there()
    _five_families_of_programs_have_a_past()
    _corrections_and_exceptions_are_there()
    _claims_stand_in_every_state()
    _payouts_stand_in_every_state()
    _the_reps_page_has_something_on_it()
    assert check_ledger() == []
    assert list(recompute.check()) == []
    assert audit.verify() == []
    assert timezone.now() - started < timedelta(minutes=2), "the clock is the real one again"

    # The provider's books: what was issued is spent, and its faults are off.
    assert httpx.get(f"{sandbox.url}/_sandbox/faults").json()["rules"] == []
    orders = httpx.get(f"{sandbox.url}/_sandbox/orders").json()["orders"]
    issued = sum(Decimal(str(order["face_value"])) for order in orders if order["status"] == "Completed") * 100
    assert issued == sum(figures.spent.minor for figures in budget_figures(Budget.objects.all()).values())
    assert stat.S_IMODE(key.stat().st_mode) == 0o600

    for _, email, password in Command.sign_ins():
        client.logout()
        answer = client.post("/accounts/login/", {"login": email, "password": password})
        assert answer.status_code == 302, email
        assert client.session["_auth_user_id"] == str(User.objects.get(email=email).pk)

    # What was cut short goes on by itself; what is stuck at the provider or with a person stays.
    RewardOrder.objects.filter(state__in=["submitting", "unfunded", "draft"]).update(next_attempt_at=timezone.now())
    sweep_once(inline=True, seconds=20)
    assert counts(RewardOrder.objects.exclude(state__in=RewardOrder.FINAL), "state") == {"pending": 2, "review": 2}
    assert check_ledger() == []

    before = Participant.objects.count(), Payout.objects.count(), User.objects.count()
    with pytest.raises(CommandError, match="has data already"):
        call_command("seed_demo", verbosity=0)
    assert (Participant.objects.count(), Payout.objects.count(), User.objects.count()) == before


def _people_are_there():
    assert (Team.objects.count(), Participant.objects.count()) == (4, 60)
    assert counts(Partner.objects, "tier") == {"gold": 1, "silver": 1, "bronze": 1}
    assert counts(Participant.objects, "type") == {"employee": 33, "contractor": 6, "partner": 21}
    assert not Participant.objects.exclude(email__endswith="@example.com").exists()
    assert Participant.objects.filter(type="employee", manager=None).count() == 1  # who leads sales
    assert not Team.objects.filter(manager=None).exists()
    assert {(user.name, *user.roles) for user in User.objects.all()} == {
        (s.name, s.role) for s in (*people.SIGN_INS, *people.OTHER_PARTNER_ADMINS)
    }
    assert [user.email for user in User.objects.filter(is_staff=True)] == [people.ADMINISTRATOR.email]


def _programs_budgets_and_facts_are_there():
    assert counts(Program.objects, "status") == {
        "active": 8, "draft": 1, "scheduled": 1, "paused": 1, "closing": 1, "closed": 2,
    }  # fmt: skip
    assert not Payout.objects.filter(program__status="closed").exclude(status="fulfilled").exists()
    available = {budget.name: budget_figures([budget])[budget.pk].available.minor for budget in Budget.objects.all()}
    assert available["Roadshow fund"] < 5_000 < 1_000_000 < available["Sales incentives"]
    assert counts(Budget.objects, "parent__name") == {None: 1, "Incentives of the year": 4}
    assert counts(BudgetTransfer.objects, "status") == {"approved": 2, "proposed": 1}
    assert deposits.estimate("USD").deposits == usd("1000000.00")
    assert counts(Delivery.objects.filter(status="quarantined"), "code") == {
        "unknown_participant": 2, "unknown_currency": 1, "occurred_in_future": 1,
    }  # fmt: skip
    assert not Delivery.objects.filter(status__in=["pending", "failed"]).exists()
    days = (timezone.now() - Activity.objects.earliest("received_at").received_at).days
    assert 91 < days < 180
    assert timezone.now() - Activity.objects.latest("received_at").received_at < timedelta(days=2)
    assert Account.objects.filter(bucket="recoverable", balance_minor__gt=0).exists()


def _five_families_of_programs_have_a_past():
    """Each has programs of its template that earned for months; a contest its sealed standing, and one that still runs."""
    named = {document["name"]: key for key, document in programs.documents(timezone.localdate()).items()}
    templates = {"quota", "spiff", "channel", "deal_bonus", "contest"}
    assert set(programs.FAMILIES) == templates
    for template, family in programs.FAMILIES.items():
        own = [program for program in Program.objects.filter(template=template) if named[program.name] in family]
        assert len(own) == len(family)
        earned = {named[p.name]: sum(p.participations.values_list("earned_minor", flat=True)) for p in own}
        assert all(minor > 0 for key, minor in earned.items() if key != programs.TOP_SELLER), earned
        assert min((timezone.localdate() - program.starts_on).days for program in own) >= 40
    standing = SealedStanding.objects.order_by(
        "pk"
    ).first()  # a deal that was lost after the seal made a further revision
    assert (standing.by, standing.program.name) == ("team", "Team race to the summit")
    assert counts(standing.program.payouts, "status").keys() == {"fulfilled"}
    running = Program.objects.get(name="Top sellers of the quarter")
    measures = Scorecard.objects.filter(participation__program=running).values_list("measure", flat=True)
    assert (running.status, len(set(measures)) > 10) == ("active", True)
    _one_sentry_program_pays_a_deal()
    assert Credit.objects.filter(role="overlay").exists()
    seats = Earning.objects.filter(participation__program__name="Sentry Cloud seats SPIFF")
    assert seats.filter(explanation__contains="limited to 40.00 per deal").exists()


def _one_sentry_program_pays_a_deal():
    """Two programs of one stacking group credit the same deals of the same people, and never both pay one."""
    credited, paid = [], []
    for name in ("Sentry launch SPIFF", "Sentry Cloud seats SPIFF"):
        own = {"participation__program__name": name}
        credited.append(set(Credit.objects.filter(**own).values_list("participation__participant", "object")))
        rows = Earning.objects.filter(**own).order_by().values_list("participation__participant", "object")
        paid.append({key[:2] for key in rows.annotate(total=Sum("amount_minor")) if key[2]})
    assert credited[0] & credited[1] and paid[0] and paid[1]
    assert paid[0].isdisjoint(paid[1])


def _corrections_and_exceptions_are_there():
    assert set(counts(Activity.objects, "kind")) == {
        "deal.won", "deal.updated", "deal.reopened", "deal.lost", "deal.deleted", "claim.submitted",
    }  # fmt: skip
    assert Earning.objects.filter(amount_minor__lt=0).exists()
    won = Activity.objects.filter(kind="deal.won")
    assert won.filter(received_at__gt=F("occurred_at") + timedelta(days=1)).exists(), "late"
    owners = Activity.objects.filter(object__object_type="deal", participant__isnull=False).order_by()
    owners = owners.values("object").annotate(owners=Count("participant", distinct=True))
    assert owners.filter(owners__gt=1).exists(), "reassigned"
    quota = Program.objects.get(template="quota")
    found = exceptions(quota, parse_definition(quota.current_version.definition))
    assert Counter(row.code for row in found.rows) == {"no_target": 1, "no_rate": 1}


def _claims_stand_in_every_state():
    assert counts(Claim.objects, "status") == {
        "approved": 9, "submitted": 3, "draft": 1, "in_review": 1, "returned": 1, "rejected": 1, "reversed": 1,
    }  # fmt: skip
    assert set(counts(Claim.objects.filter(status="approved"), "partner__tier")) == {"gold", "silver", "bronze"}
    assert ClaimFlag.objects.count() == 2  # two partners claim what looks like one sale
    assert set(counts(ClaimProof.objects, "kind")) == {"application/pdf", "image/jpeg"}


def _payouts_stand_in_every_state():
    found = counts(Payout.objects, "status")
    assert set(found) == set(Payout.Status.values)
    # approved: one order each in review, unknown, unfunded and ready; ordered: two in progress and one in review
    assert (found["approved"], found["ordered"], found["failed"], found["rejected"]) == (4, 3, 2, 2)
    batched = RewardOrder.State.BATCHED  # off, as in every installation until a policy says otherwise
    assert set(counts(RewardOrder.objects, "state")) == set(RewardOrder.State.values) - {batched}
    assert counts(RewardOrder.objects.filter(state="review"), "review_code") == {"asked_for": 1, "provider_failed": 1}
    assert channel.current().state == "open"
    assert set(counts(Hold.objects.filter(lifted_at=None), "kind")) == {
        "funding", "review", "contact_changed", "tax", "choice"
    }  # fmt: skip
    assert Product.objects.get(allow_cents=True).product_id == "STAYWELL"
    assert {len(payout.steps) for payout in Payout.objects.all()} == {0, 1, 2}
    assert Approval.objects.filter(payout__status="submitted").count() == 1  # the first of two
    for approval in Approval.objects.exclude(actor=None).select_related("payout__participant"):
        assert approval.actor_id not in makers_of(approval.payout) | {approval.payout.participant.user_id}
        assert approval.actor.can("payouts.approve")


def _the_reps_page_has_something_on_it():
    rep = Participant.objects.get(name=people.REP.name)
    assert rep.user.email == people.REP.email
    statuses = counts(rep.payouts, "status")
    assert statuses["fulfilled"] >= 5 and statuses["submitted"] >= 1
    cards = Card.objects.filter(order__payout__participant=rep)
    assert cards.count() >= 3
    revealed = rewards.reveal_card(cards.first().pk, actor_name=rep.name, actor_ref=str(rep.user.public_id))
    assert revealed.link.startswith("https://")
    quota = Scorecard.objects.get(participation__participant=rep, participation__program__template="quota")
    assert 9_000 <= quota.attainment < 10_000  # next: a hundred per cent
    seller = Participant.objects.get(name=people.PARTNER_PERSON.name)
    assert seller.payouts.filter(status="fulfilled", delivery_type="Links").exists()
    assert seller.partner.participants.filter(name=people.PARTNER_ADMIN.name).exists()


@DATABASE
def test_without_a_sandbox_nothing_is_made(settings):
    settings.E2R_BASE_URL = "http://127.0.0.1:9"
    with pytest.raises(CommandError, match="not a running sandbox"):
        call_command("seed_demo", verbosity=0)
    assert not User.objects.exists() and not Participant.objects.exists() and not Connection.objects.exists()


@DATABASE
def test_one_account_is_data_already(settings, tmp_path):
    make_user("administrator")
    with pytest.raises(CommandError, match="has data already"):
        call_command("seed_demo", sandbox_db=str(tmp_path / "books.sqlite3"), verbosity=0)
    assert User.objects.count() == 1 and not (tmp_path / "books.sqlite3").exists()


@pytest.mark.parametrize("day", ["2026-01-01", "2026-03-31", "2028-02-29"])
def test_the_history_is_the_same_on_every_day(day):
    def content(now):
        shown = [(s.source, s.event["kind"], s.event["amount"], s.event["participant"]) for s in deals.history(now)]
        return sorted(shown, key=str)

    now = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    assert content(now) == content(now + timedelta(days=33))
    assert all(sent.at < now for sent in deals.history(now))
    for document in programs.documents(now.date()).values():
        parse_definition(document)


def test_the_amount_of_a_total_is_its_lines():
    now = datetime.fromisoformat("2026-07-01T12:00:00+00:00")
    for sent in deals.history(now):
        assert Decimal(sent.event["amount"]) == sum(Decimal(line["total"]) for line in sent.event["lines"])


def test_there_are_no_two_sign_ins_for_one_role():
    shown = [role for role, _, _ in people.sign_ins()]
    assert len(set(shown)) == len(shown) == 9
    assert all(len(password) >= 12 for _, _, password in people.sign_ins())
