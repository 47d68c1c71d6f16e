"""Any sequence of what can happen to one person in a year: the totals are what was delivered and what was awarded elsewhere."""

from datetime import UTC, date, datetime, timedelta

import hypothesis.strategies as st
import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings

from incentives.ledger.models import Posting
from incentives.payouts import services as payouts
from incentives.payouts.checks import check_ledger
from incentives.payouts.models import Payout
from incentives.tax import services as tax
from incentives.tax.models import OutsideAward
from incentives.tax.selectors import year_lines
from incentives.tax.services.holds import utc_today
from rewards.models import RewardOrder
from tests.factories import deal, send, usd
from tests.payouts.scene import Scene
from tests.tax.world import WIDE, build, contractor, deliver, w9, wide_products

pytestmark = pytest.mark.django_db
KINDS = st.sampled_from(["earn", "correct", "deliver", "outside", "cancel", "form"])
STEPS = st.lists(st.tuples(KINDS, st.integers(1, 300_000)), max_size=12)


class Undo(Exception):
    pass


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_totals_are_deliveries_and_awards_whatever_happens(clock, steps):
    clock.move_to(datetime(2026, 9, 15, 12, tzinfo=UTC))
    with pytest.raises(Undo), transaction.atomic():
        run(steps)
        raise Undo


def run(steps):
    scene = Scene()
    wide_products()
    person = contractor()
    program = scene.program(rewards=[{"type": "percent", "rate": "100"}], delivery=WIDE, funded="1000000.00")
    for version, (step, cents) in enumerate(steps):
        amount = f"{cents / 100:.2f}"
        if step in ("earn", "correct"):
            name = "OPP" if step == "correct" else f"OPP-{version}"
            send(scene.crm, deal(name, person, amount, version=version, attributes={"for": program.name}))
            payouts.follow_up()
            payouts.build_payouts(program=program)
        elif step == "deliver":
            free = [p for p in Payout.objects.filter(status="submitted") if not p.holds.filter(lifted_at=None)]
            for payout in free[:1]:
                deliver(scene, payout)
        elif step == "outside":
            row = tax.AwardRow(person, date(2026, 2, 1), usd(amount), "Elsewhere", f"R-{version}")
            tax.add_awards(rows=[row], actor=scene.finance)
        elif step == "cancel" and (award := OutsideAward.objects.filter(cancelled_at=None).first()):
            tax.cancel_award(award=award, actor=scene.finance, reason="Wrong")
        elif step == "form" and cents % 2:
            w9(person, scene.finance)
        check(person)


def check(person):
    (line,) = year_lines(2026, [person.pk])
    mine = Payout.objects.filter(participant=person)
    delivered = sum(p.amount_minor for p in mine.filter(status="fulfilled"))
    elsewhere = sum(a.amount_minor for a in OutsideAward.objects.filter(cancelled_at=None))
    moving = sum(p.amount_minor for p in mine.filter(status__in=["submitted", "approved", "ordered"]))
    assert (line.paid.minor, line.outside.minor, line.in_flight.minor) == (delivered, elsewhere, moving)
    assert sum(p.amount_minor for p in Posting.objects.filter(kind="paid")) == delivered
    if line.form == "missing" and not OutsideAward.objects.exists():
        assert delivered < 200_000
    assert check_ledger() == []


def test_a_payout_counts_on_the_utc_day_of_its_paid_posting(scene):
    wide_products()
    payout = deliver(scene, build(scene, contractor(), "12.34"))
    posting = Posting.objects.get(key=f"paid:{payout.public_id}")
    order = RewardOrder.objects.get(pk=payout.order_id)
    assert abs(posting.posted_at - order.finished_at) < timedelta(seconds=30)
    assert year_lines(utc_today().year, [payout.participant_id])[0].paid == usd("12.34")


def test_a_correction_after_the_delivery_makes_the_next_delivery_smaller(scene, clock):
    clock.move_to(datetime(2026, 9, 15, 12, tzinfo=UTC))
    wide_products()
    person = contractor()
    program = scene.program(rewards=[{"type": "percent", "rate": "100"}], delivery=WIDE)
    mine = {"attributes": {"for": program.name}}
    send(scene.crm, deal("A", person, "100.00", **mine))
    deliver(scene, payouts.build_payouts(program=program).payouts[0])
    send(scene.crm, deal("A", person, "70.00", version=2, **mine), deal("B", person, "50.00", **mine))
    payouts.follow_up()
    (second,) = payouts.build_payouts(program=program).payouts
    deliver(scene, second)
    assert year_lines(2026, [person.pk])[0].paid == usd("120.00")


def test_the_year_of_everybody_is_a_constant_number_of_queries(scene, django_assert_max_num_queries):
    for number in range(30):
        contractor(f"Kim {number}")
    with django_assert_max_num_queries(8):
        assert len(year_lines(utc_today().year)) >= 30
