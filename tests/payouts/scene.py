"""People, programs, payouts and orders in every state, for the tests of pages."""

import itertools
import uuid

from django.db import transaction
from django.utils import timezone

from incentives.payouts import services
from incentives.programs import terms
from rewards import vault
from rewards.models import Card, OrderAttempt, RewardOrder
from rewards.orders import change_state
from tests.factories import (
    deal,
    make_connection,
    make_participant,
    make_partner,
    make_product,
    make_program,
    make_user,
    send,
)

LINK = "https://claims.example.test/c/canary-4f1d"
ANSWER = "blue-canary-horse"
_n = itertools.count(1)
LINKS = {"type": "Links", "products": ["DEMO"]}
TWO = {"type": "DigitalDelivery", "channel": "email", "products": ["DEMO", "OTHER"]}
MAILED = {"type": "DigitalDelivery", "channel": "email", "products": ["DEMO"]}
"""`scene.program(delivery=TWO)` after `scene.second_product()` lets the recipient choose; other programs send DEMO."""


class Scene:
    """`scene.payout("5000.00")` is a payout of 2 % of a deal for the rep Ana; `scene.issue(payout)` delivers it."""

    def __init__(self):
        make_product()
        self.users = {
            role: make_user(role, name=f"{role} person".replace("_", " ").title())
            for role in ("manager", "finance", "participant", "partner_admin", "administrator", "auditor")
        }
        self.users["superuser"] = make_user("administrator", is_superuser=True, is_staff=True, name="Super User")
        self.users["norole"] = make_user(name="No Role")
        self.manager, self.finance, self.rep_user = (self.users[r] for r in ("manager", "finance", "participant"))
        self.other = make_user("finance", name="Other Finance")
        self.partner = make_partner("acme", name="Acme Resale", tier="gold")
        self.rep = make_participant("Ana Ruiz", user=self.rep_user, email="ana@example.com")
        self.boss = make_participant("Pat Acme", type="partner", partner=self.partner, user=self.users["partner_admin"])
        self.crm = make_connection()

    def program(self, **changes):
        """A program for its own deals and for those that name none."""
        changes.setdefault("funded", "10000.00")
        changes.setdefault("name", f"Scene {next(_n)}")
        if changes.get("currency", "USD") == "USD":
            changes.setdefault("delivery", MAILED)
        own = {"field": "attributes.for", "op": "eq", "value": changes["name"]}
        changes.setdefault("qualifies", {"any": [own, {"not": {"field": "attributes.for", "op": "exists"}}]})
        return make_program(manager=changes.pop("manager", None) or make_user("manager"), **changes)

    def second_product(self, product_id: str = "OTHER", **fields):
        return make_product(product_id, **fields)

    def earn(self, amount: str = "5000.00", rep=None, object_id: str = "", program=None) -> None:
        """A deal that counts in `program` alone, or in all of them."""
        attributes = {"for": program.name} if program else {}
        send(self.crm, deal(object_id or f"OPP-{next(_n)}", rep or self.rep, amount, attributes=attributes))

    def payout(self, amount: str = "5000.00", *, program=None, rep=None, actor=None, approve: bool = False):
        program = program or self.program()
        self.earn(amount, rep, program=program)
        payout = services.build_payouts(program=program, actor=actor).payouts[0]
        return self.approve(payout) if approve else payout

    def approve(self, payout):
        services.approve_payout(payout_id=payout.pk, actor=self.finance)
        payout.refresh_from_db()
        return payout

    def terms(self, program, **choices):
        """Published terms of a program."""
        author = make_user("manager")
        terms.save_terms(program=program, title="House rules", body="Be **fair**.", actor=author)
        return terms.publish_terms(program=program, actor=author, **choices)

    @transaction.atomic
    def sent(self, order: RewardOrder) -> RewardOrder:
        """A call is on its way and nobody knows its outcome."""
        now = timezone.now()
        change_state(order, "submitting", now=now, first_sent_at=now, attempt_count=1)
        OrderAttempt.objects.create(order=order, number=1, gen=order.gen, body_sha256=order.body_sha256, started_at=now)
        return order

    @transaction.atomic
    def review(self, order: RewardOrder) -> RewardOrder:
        self.sent(order)
        change_state(
            order, "review", now=timezone.now(), code="mismatch", reason="The provider names another value.",
            last_problem="The provider names another value.", review_code="mismatch", next_attempt_at=None,
        )  # fmt: skip
        return order

    @transaction.atomic
    def issue(self, payout, link: str = LINK):
        """The provider issued the card; of a Links order its claim link is kept, encrypted."""
        order = self.sent(payout.order)
        number = next(_n)
        change_state(
            order, "completed", now=timezone.now(), provider_order_id=f"ord-{number}", known_since=timezone.now(),
            cost_minor=order.expected_cost_minor,
        )  # fmt: skip
        if order.delivery_type == "Links":
            public_id = uuid.uuid4()
            sealed = vault.seal(f"card:{public_id}", {"link": link, "answer": ANSWER})
            Card.objects.create(public_id=public_id, order=order, sealed=sealed, created_at=timezone.now())
        payout.refresh_from_db()
        return payout
