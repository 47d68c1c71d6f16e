"""Two people at once: PostgreSQL with real threads; right on SQLite as well, where one writer works at a time."""

from collections import Counter

import pytest

from incentives.claims import services
from incentives.claims.models import Claim, ClaimSerial
from incentives.core.errors import DomainError
from incentives.crm.models import Delivery
from tests.claims.scene import Scene, values, with_serials
from tests.factories import make_participant, make_user
from tests.payouts.test_races import in_threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene(transactional_db, clock):
    return Scene()


def outcomes_of(count: int, work) -> Counter:
    found = Counter()

    def run(number):
        try:
            work(number)
            found["done"] += 1
        except DomainError as exc:
            found[exc.code] += 1

    in_threads(count, run)
    return found


def colleagues(scene, count: int):
    for _ in range(count):
        yield make_participant(type="partner", partner=scene.partner, user=make_user("participant"))


def test_two_reviewers_decide_one_claim_once(scene):
    claim = scene.submitted()
    people = [make_user("manager") for _ in range(8)]
    steps = ("approve", "reject", "send_back", "take")

    found = outcomes_of(8, lambda n: scene.decide(claim, steps[n % 4], actor=people[n]))
    assert found == {"done": 1, "changed_meanwhile": 7}
    claim.refresh_from_db()
    assert Delivery.objects.count() == (claim.status == "approved")


def test_of_eight_colleagues_with_one_serial_number_one_gets_through(scene):
    claims = [scene.draft(with_serials("SN-1"), person=person) for person in colleagues(scene, 8)]
    found = outcomes_of(8, lambda n: scene.submit(claims[n]))
    assert found == {"done": 1, "duplicate_claim": 7}
    assert ClaimSerial.objects.filter(live=True).count() == Claim.objects.filter(status="submitted").count() == 1


def test_the_constraint_alone_lets_one_through_as_well(scene, monkeypatch):
    """Without the lock and without the look beforehand: two who passed every check meet the unique index."""
    from incentives.claims.services import drafts, states
    from incentives.programs.models import Program

    first, second = (scene.draft(values(invoice_number="INV-1"), person=person) for person in colleagues(scene, 2))
    monkeypatch.setattr(Program.objects, "select_for_update", lambda **_: Program.objects.all(), raising=False)
    real = states.invoice_taken
    answers = iter([None, None])
    monkeypatch.setattr(drafts.states, "invoice_taken", lambda claim: next(answers, None) or None)
    scene.submit(first)
    monkeypatch.setattr(drafts.states, "invoice_taken", lambda claim: next(answers, real(claim)))
    with pytest.raises(DomainError, match=first.reference):
        scene.submit(second)
    assert Claim.objects.filter(status="submitted").count() == 1


def test_two_partners_who_send_one_invoice_at_the_same_moment_see_each_other(scene):
    mine = scene.draft(with_serials("SN-1", invoice_number="INV-2026-1"))
    theirs = scene.draft(with_serials("SN-1", invoice_number="INV-2026-1"), person=scene.rival_person)
    assert outcomes_of(2, lambda n: scene.submit((mine, theirs)[n])) == {"done": 2}
    assert {claim.flags.count() for claim in (mine, theirs)} == {2}  # the invoice and the serial number


def test_two_reviewers_cannot_both_pay_one_serial_number(scene):
    mine = scene.submitted(with_serials("SN-1"))
    theirs = scene.submitted(with_serials("SN-1"), person=scene.rival_person)
    people = (scene.manager, scene.other)
    found = outcomes_of(2, lambda n: scene.decide((mine, theirs)[n], "approve", actor=people[n], note="Fine"))
    assert found == {"done": 1, "serial_paid": 1}
    assert ClaimSerial.objects.filter(paid=True).count() == Delivery.objects.count() == 1


def test_withdrawing_and_approving_at_once_leave_one_of_the_two(scene):
    claim = scene.submitted()

    def work(number):
        if number % 2:
            services.withdraw(claim_id=claim.pk, actor=scene.user, seen_version=claim.version)
        else:
            scene.decide(claim, "approve")

    assert outcomes_of(2, work)["done"] == 1
    claim.refresh_from_db()
    assert Delivery.objects.count() == (claim.status == "approved")
