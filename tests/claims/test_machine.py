"""Any sequence of steps by anybody, with old and new versions, keeps claims, fingerprints, facts and earnings in step."""

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from incentives.claims import services
from incentives.claims.models import Claim, ClaimSerial
from incentives.core.errors import DomainError
from incentives.core.models import AuditEvent
from incentives.crm.models import ObjectState
from incentives.earnings import recompute
from tests.claims.scene import Scene, derive, with_serials

STEPS = ("take", "release", "approve", "reject", "send_back", "reverse")
SERIALS, INVOICES = ("SN-1", "SN-2", "SN-3"), ("INV-1001", "INV-1002", "INV-1003")


class Machine(RuleBasedStateMachine):
    """Two partners fight over three invoices and three serial numbers; two reviewers look at versions old and new."""

    @initialize()
    def begin(self):
        self.scene, self.seen, self.log = Scene(), {}, {}

    @rule(mine=st.booleans(), serial=st.sampled_from(SERIALS), invoice=st.sampled_from(INVOICES))
    def send(self, mine, serial, invoice):
        person = self.scene.person if mine else self.scene.rival_person
        given = with_serials(serial, invoice_number=invoice, invoice_date=date(2026, 7, 1))
        claim = self.scene.draft(given, person=person)
        self.log[claim.pk] = ["draft"]
        self.attempt(claim, lambda: self.scene.submit(claim))

    @rule(data=st.data(), step=st.sampled_from(STEPS), who=st.booleans(), old=st.booleans())
    def review(self, data, step, who, old):
        if claim := self.some(data):
            version = max(claim.version - old, 1)
            actor = self.scene.manager if who else self.scene.other
            more = {"reason": "R"} if step in ("reject", "send_back", "reverse") else {}
            more |= {"note": "N"} if step == "approve" else {}
            act = getattr(services, step)
            self.attempt(claim, lambda: act(claim_id=claim.pk, actor=actor, seen_version=version, **more), old)

    @rule(data=st.data(), again=st.booleans())
    def answer(self, data, again):
        if claim := self.some(data):
            if again:
                self.attempt(claim, lambda: self.scene.submit(claim))
            else:
                user = claim.participant.user
                self.attempt(claim, lambda: services.withdraw(claim_id=claim.pk, actor=user))

    @rule()
    def work(self):
        derive()

    def some(self, data):
        known = list(Claim.objects.order_by("pk"))
        return data.draw(st.sampled_from(known)) if known else None

    def attempt(self, claim, act, old=False):
        """A step moves along the arrows and is recorded, or it is refused and nothing at all has changed."""
        before, events = Claim.objects.values().get(pk=claim.pk), AuditEvent.objects.count()
        try:
            act()
        except DomainError:
            assert Claim.objects.values().get(pk=claim.pk) == before
            assert AuditEvent.objects.count() == events
            return
        now = Claim.objects.get(pk=claim.pk)
        if now.version != before["version"]:
            assert not old
            self.log[claim.pk].append(now.status)

    @invariant()
    def states_follow_the_arrows(self):
        for path in getattr(self, "log", {}).values():
            for here, there in pairwise(path):
                direct = there in Claim.NEXT[here]
                assert direct or (here, there) == ("in_review", "in_review"), path  # taken over by a colleague

    @invariant()
    def nothing_is_claimed_or_paid_twice(self):
        live = [
            (c.program_id, c.partner_id, c.invoice_key)
            for c in Claim.objects.filter(status__in=Claim.LIVE)
        ]  # fmt: skip
        assert len(live) == len(set(live))
        for row in ClaimSerial.objects.select_related("claim"):
            assert row.live == (row.claim.status in Claim.LIVE) and row.paid == (row.claim.status == "approved")
        paid = list(ClaimSerial.objects.filter(paid=True).values_list("program", "key"))
        assert len(paid) == len(set(paid))

    def teardown(self):
        if not hasattr(self, "scene"):
            return
        derive()
        counting = {str(c.public_id) for c in Claim.objects.filter(status="approved")}
        standing = ObjectState.objects.filter(kind="claim.submitted", state="approved")
        assert set(standing.values_list("object_id", flat=True)) == counting
        earned = sum(p.earned_minor for p in self.scene.program.participations.all())
        assert earned == 1000 * len(counting)
        assert list(recompute.check()) == []


@pytest.mark.django_db
def test_any_sequence_of_steps(db, clock, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    from django.db import transaction

    class Isolated(Machine):
        def __init__(self):
            super().__init__()
            self.block = transaction.atomic()
            self.block.__enter__()

        def teardown(self):
            try:
                super().teardown()
            finally:
                transaction.set_rollback(True)
                self.block.__exit__(None, None, None)

    run_state_machine_as_test(Isolated, settings=quick())


def quick():
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=12, stateful_step_count=15, deadline=None, suppress_health_check=checks)
