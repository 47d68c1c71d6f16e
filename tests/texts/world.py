"""A company in which a participant has something on every page: `World(clock)`, then `tour(world, visit)` opens them all."""

from collections.abc import Callable
from datetime import UTC, datetime

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from incentives.accounts.models import User
from incentives.claims.models import Claim
from incentives.disputes import services as disputes
from incentives.earnings import contests
from incentives.earnings.evaluate import evaluate
from incentives.earnings.models import Earning
from incentives.earnings.notices import announce_due
from incentives.notifications import unsubscribe
from incentives.notifications.models import Recipient
from incentives.payouts import services as payouts
from incentives.portal import screens
from incentives.programs import life
from incentives.programs.models import Program, Target
from rewards.orders import change_state
from tests.awards.conftest import Pots
from tests.claims.scene import Scene as Claims
from tests.factories import deal, make_participant, make_partner, make_user, send
from tests.payouts.scene import LINKS, TWO
from tests.payouts.scene import Scene as Payouts

RANK = {"type": "rank", "by": "participant", "prizes": [{"ranks": "1", "amount": "300.00"}]}
TIERS = {
    "type": "tiers",
    "mode": "each",
    "tiers": [{"at": "1000", "amount": "20.00"}, {"at": "90000", "amount": "90.00"}],
}
BANDS = {"type": "bands", "of": "target", "bands": [{"from": "0", "rate": "1"}, {"from": "50", "rate": "2"}]}
Visit = Callable[..., object]


class World:
    """Ana Ruiz sells; Pat Acme is a partner's administrator, Pia Acme one of that partner's people."""

    def __init__(self, clock):
        clock.move_to(datetime(2026, 8, 5, 12, tzinfo=UTC))
        self.scene = Payouts()
        self.rep, self.rep_user = self.scene.rep, self.scene.rep_user
        self.admin_user = self.scene.users["partner_admin"]
        self.manager = self.scene.manager
        self._claims()
        self._money()
        self._choices()
        self._contests()
        self._disputes()
        self.scene.terms(self.links.program)
        self.pots = Pots(self.scene)
        self.award = self.pots.give("50.00")

    def speak(self, language: str) -> None:
        User.objects.update(language=language)

    def _claims(self) -> None:
        desk = Claims.__new__(Claims)
        desk.manager, desk.other = self.manager, make_user("manager")
        desk.partner, desk.rival = self.scene.partner, make_partner("nova", name="Nova Systems")
        desk.admin, desk.admin_user = self.scene.boss, self.admin_user
        desk.user = self.partner_user = make_user("participant", name="Pia Acme")
        desk.person = make_participant("Pia Acme", type="partner", partner=desk.partner, user=desk.user)
        desk.program = desk.make_program(name="Reseller claims", funded="5000.00")
        self.claims = {state: desk.in_state(state) for state in Claim.Status.values}
        self.desk = desk
        evaluate()

    def _money(self) -> None:
        scene = self.scene
        self.waiting = scene.payout("5000.00")
        self.ordered = scene.payout("4000.00", approve=True)
        self.sent = scene.payout("3000.00", approve=True)
        scene.issue(self.sent)
        self.links = scene.payout("2000.00", program=scene.program(delivery=LINKS), approve=True)
        scene.issue(self.links)
        self.pending = scene.payout("2500.00", approve=True)
        with transaction.atomic():
            order = scene.sent(self.pending.order)
            change_state(order, "pending", now=timezone.now(), provider_order_id="p-1", known_since=timezone.now())
        self.refused = scene.payout("1500.00")
        payouts.reject_payout(payout_id=self.refused.pk, actor=scene.finance, reason="Twice")
        self.levels = scene.program(name="Levels", rewards=[TIERS, BANDS], caps={"period": "60.00"}, period="month")
        Target.objects.create(program=self.levels, participant=self.rep, period_start="2026-08-01", value="10000")
        scene.earn("8000.00", object_id="L1", program=self.levels)
        own = {"attributes": {"for": "Levels"}, "kind": "deal.updated", "state": "won"}
        send(scene.crm, deal("L1", self.rep, "3000.00", version=2, **own))  # a correction, with its reason

    def _choices(self) -> None:
        scene = self.scene
        scene.second_product()
        program = scene.program(name="Free choice", delivery=TWO)
        self.to_choose, self.chosen = (scene.payout(program=program) for _number in range(2))
        answer = {"product_id": "OTHER", "actor": self.rep_user, "always": True}
        payouts.choose_reward(payout_id=self.chosen.pk, **answer)
        self.settled = scene.payout(program=program, approve=True)  # by the standing preference

    def _contests(self) -> None:
        scene = self.scene
        self.race = scene.program(
            name="Race", template="contest", rewards=[RANK], starts_on="2026-08-05", ends_on="2026-08-31", grace_days=2
        )
        other = make_participant("Ben Ode", user=make_user("participant", name="Ben Ode"))
        now = {"occurred_at": "2026-08-05T10:00:00Z", "attributes": {"for": "Race"}}
        send(scene.crm, deal("R1", self.rep, "500.00", **now), deal("R2", other, "700.00", **now))
        self.old = scene.program(
            name="Sprint",
            template="contest",
            rewards=[RANK],
            starts_on="2026-08-01",
            ends_on="2026-08-03",
            grace_days=1,
        )
        scene.earn("900.00", program=self.old)
        life.advance_by_date()
        announce_due()
        contests.seal_due(now=timezone.now())
        evaluate()
        self.screen = screens.create_screen(actor=self.manager, name="Floor", programs=[self.race])

    def _disputes(self) -> None:
        mine = Earning.objects.filter(participation__participant=self.rep).order_by("pk")
        self.line = mine.filter(line_key__contains=":deal:").first()
        self.lines = list(mine)
        self.open = disputes.raise_dispute(actor=self.rep_user, text="It was 7,000", earning=self.line)
        asked = disputes.raise_dispute(actor=self.rep_user, text="And this?", payout=self.sent)
        self.asked = disputes.ask_back(dispute=asked, actor=self.manager, text="Which one?", seen_version=asked.version)
        over = disputes.raise_dispute(actor=self.rep_user, text="Mine is gone", missing="OPP-99")
        self.over = disputes.explain(dispute=over, actor=self.manager, text="It is Bob's", seen_version=over.version)


def tour(world: World, visit: Visit) -> None:
    """Every page of participants by `visit(user, path, data=None, expect=200)`: with content, empty, narrowed, with errors
    in its forms. Nothing of it changes what the next round sees."""
    rep, admin, person, newcomer = world.rep_user, world.admin_user, world.partner_user, _newcomer()
    visit(rep, "/", expect=302)
    for user in (rep, admin, person, newcomer):
        for path in (
            "/me/",
            "/me/rewards/",
            "/me/statement/",
            "/me/terms/",
            "/me/boards/",
            "/me/estimate/",
            "/search/",
        ):
            visit(user, path)
    visit(make_user("participant"), "/me/")  # whose account is nobody's yet
    visit(make_user(), "/")
    visit(rep, "/me/rewards/?q=nothing-like-it")
    visit(rep, "/me/rewards/?tab=sent&sort=amount&page=1")
    visit(rep, "/search/?q=Ana")
    visit(rep, "/search/?q=zzzz")
    for period in ("2026-08", "2026-Q3", "all", "2025"):
        visit(rep, f"/me/statement/?period={period}")
    visit(rep, "/me/statement.pdf?period=all")
    visit(rep, reverse("portal:reveal", args=[world.links.public_id]), {})
    visit(rep, "/me/choices/")
    visit(newcomer, "/me/choices/")
    for payout in (world.to_choose, world.chosen, world.settled):
        visit(rep, reverse("portal:choose", args=[payout.public_id]))
    choose = reverse("portal:choose", args=[world.to_choose.public_id])
    visit(rep, choose, {}, expect=400)
    visit(rep, choose, {"product": "NOPE"}, expect=409)
    visit(rep, "/me/choices/forget/", {"currency": "EUR"}, expect=302)
    for line in world.lines:
        visit(rep, reverse("portal:earning", args=[line.public_id]))
    visit(rep, reverse("portal:earning-json", args=[world.line.public_id]))
    closes = {"closes_on": "2026-08-20", "currency": "USD", "quantity": "1"}
    visit(rep, "/me/estimate/?amount=9000&" + "&".join(f"{k}={v}" for k, v in closes.items()))
    visit(rep, "/me/estimate/?amount=-1", expect=400)
    for program in (world.race, world.old, world.levels):
        visit(rep, reverse("portal:board", args=[program.public_id]))
    visit(admin, "/me/people/")
    _terms(world, visit, rep)
    _claims(world, visit, person)
    _disputes(world, visit, rep)
    _account(world, visit, rep)
    visit(None, reverse("portal:wall", args=[world.screen.token]))
    visit(None, "/accounts/login/")
    visit(None, "/accounts/login/", {"login": "x", "password": ""})
    visit(None, "/accounts/password/reset/")
    visit(None, "/accounts/password/reset/done/")
    visit(None, "/accounts/password/reset/key/1-x/")
    visit(None, "/accounts/signup/")
    visit(None, "/accounts/inactive/")
    visit(None, "/nothing-here/", expect=404)


def _newcomer() -> User:
    user = make_user("participant", name="Nia New")
    make_participant("Nia New", user=user)
    return user


def _terms(world: World, visit: Visit, rep: User) -> None:
    (terms,) = world.links.program.terms.all()
    page = reverse("portal:terms-text", args=[terms.public_id])
    visit(rep, page)
    visit(rep, page, {}, expect=400)


def _claims(world: World, visit: Visit, person: User) -> None:
    visit(person, "/me/claims/")
    visit(person, "/me/claims/?q=nothing-like-it")
    visit(person, "/me/claims/new/")
    visit(person, "/me/claims/new/", {}, expect=400)
    for claim in world.claims.values():
        visit(person, reverse("claims:my-claim", args=[claim.public_id]))
    for state in ("draft", "returned"):
        claim = world.claims[state]
        edit = reverse("claims:my-edit", args=[claim.public_id])
        visit(person, edit)
        wrong = {"seen_version": claim.version, "amount": "x", "invoice_date": "x", "action": "submit"}
        visit(person, edit, wrong, expect=400)
        visit(person, reverse("claims:my-withdraw", args=[claim.public_id]))
    proof = world.claims["approved"].proofs.first()
    visit(person, reverse("claims:proof", args=[proof.public_id]))


def _disputes(world: World, visit: Visit, rep: User) -> None:
    visit(rep, "/me/disputes/")
    visit(rep, "/me/disputes/?q=nothing-like-it")
    visit(rep, "/me/disputes/missing/")
    visit(rep, "/me/disputes/missing/", {}, expect=400)
    for about in (f"earning={world.lines[-1].public_id}", f"payout={world.waiting.public_id}"):
        visit(rep, f"/me/disputes/new/?{about}")
        visit(rep, f"/me/disputes/new/?{about}", {}, expect=400)
    for dispute in (world.open, world.asked, world.over):
        visit(rep, dispute.own_url)
    visit(rep, reverse("disputes:reply", args=[world.open.public_id]))
    visit(rep, reverse("disputes:withdraw", args=[world.open.public_id]))
    visit(rep, reverse("disputes:reopen", args=[world.over.public_id]))


def _account(world: World, visit: Visit, rep: User) -> None:
    visit(rep, "/profile/")
    visit(rep, "/profile/", {"name": ""}, expect=400)
    visit(rep, "/profile/notifications/")
    visit(rep, "/profile/notifications/", {"quiet_from": "22:00"}, expect=400)
    visit(rep, "/accounts/email/", expect=302)
    visit(make_user("participant", password="orchard-lantern-26"), "/accounts/password/change/")
    visit(rep, "/accounts/logout/")
    recipient = Recipient.objects.get(user=rep)
    visit(None, unsubscribe.path_for(recipient, ["rewards.sent"]))
    visit(None, unsubscribe.path_for(recipient, ["payouts.waiting"]))
    visit(None, "/notifications/unsubscribe/nobody-made-it/", expect=404)


def program_named(name: str) -> Program:
    return Program.objects.get(name=name)
