"""The recovery pages: the list with its exports, one person, instalments, and a write-off of two people."""

import pytest
from django.urls import reverse

from incentives.payouts import services
from incentives.payouts.models import Recovery, WriteOff
from tests.factories import deal, make_participant, send
from tests.payouts.test_pages_access import overpaid
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
LIST = reverse("payouts:recovery")


def test_the_list_shows_who_owes_what_since_when_and_how_it_comes_back(scene, as_user):
    overpaid(scene)
    text = as_user(scene.finance).get(LIST).content.decode()
    for words in ("Ana Ruiz", "40.00", "From the next payouts", "All of a payout"):
        assert words in text
    assert "Ana Ruiz" not in as_user(scene.finance).get(LIST, {"q": "nobody"}).content.decode()
    assert "Ana Ruiz" not in as_user(scene.finance).get(LIST, {"policy": "none"}).content.decode()
    assert "Ana Ruiz" in as_user(scene.finance).get(LIST, {"policy": "next_payout", "sort": "policy"}).content.decode()
    csv = b"".join(as_user(scene.finance).get(LIST, {"export": "csv"}).streaming_content).decode()
    assert "Ana Ruiz" in csv and "40.00,USD" in csv


def test_the_list_takes_the_same_number_of_queries_for_any_number_of_people(
    scene, as_user, django_assert_max_num_queries
):
    program = scene.program()
    reps = [make_participant(f"Rep {n}") for n in range(6)]
    send(scene.crm, *(deal(f"R{n}", rep, "5000.00", attributes={"for": program.name}) for n, rep in enumerate(reps)))
    for payout in services.build_payouts(program=program).payouts:
        scene.issue(scene.approve(payout))
    send(scene.crm, *(deal(f"R{n}", r, None, version=2, kind="deal.lost") for n, r in enumerate(reps)))
    services.follow_up()
    assert Recovery.objects.filter(recoverable_minor=10_000).count() == 6
    client = as_user(scene.finance)
    with django_assert_max_num_queries(12):
        client.get(LIST)
    one = reverse("payouts:recovery-one", args=[Recovery.objects.first().participation.public_id])
    with django_assert_max_num_queries(26):
        client.get(one)


def test_instalments_are_set_on_the_page(scene, as_user):
    participation = overpaid(scene).participation
    address = reverse("payouts:instalments", args=[participation.public_id])
    refused = as_user(scene.manager).post(address, {"percent": "10", "most": "5", "reason": "x"})
    assert refused.status_code == 400 and "not both" in refused.content.decode()
    done = as_user(scene.manager).post(address, {"percent": "12.5", "reason": "Agreed"}, follow=True)
    assert "At most 12.5% of a payout" in done.content.decode()
    assert_page_clean(done)
    as_user(scene.manager).post(address, {"most": "15.00", "reason": "Agreed"})
    assert Recovery.objects.filter(percent=None, most_minor=1_500).count() == 1
    as_user(scene.manager).post(address, {"reason": "All at once"})
    assert not Recovery.objects.get().in_instalments


def test_a_write_off_is_proposed_and_decided_by_another_person(scene, as_user):
    participation = overpaid(scene).participation
    first = WriteOff.objects.get()
    address = reverse("payouts:write-off-decline", args=[first.public_id])
    assert as_user(scene.finance).post(address, {"reason": " "}).status_code == 400
    as_user(scene.finance).post(address, {"reason": "Too early"})
    propose = reverse("payouts:write-off-propose", args=[participation.public_id])
    asked = as_user(scene.finance).get(propose).content.decode()
    assert "At most 40.00" in asked and 'value="40.00"' in asked
    assert as_user(scene.finance).post(propose, {"amount": "40.01", "reason": "x"}).status_code == 409
    as_user(scene.finance).post(propose, {"amount": "40.00", "reason": "Customer bankrupt"})
    second = WriteOff.objects.get(status="proposed")
    page = as_user(scene.finance).get(second.get_absolute_url())
    assert "another person of finance decides" in page.content.decode()
    approve = reverse("payouts:write-off-approve", args=[second.public_id])
    assert as_user(scene.finance).post(approve).status_code == 403
    done = as_user(scene.other).post(approve, follow=True)
    assert "It no longer reduces later payouts." in done.content.decode()
    assert_page_clean(done)
    assert_page_clean(as_user(scene.other).get(reverse("payouts:recovery-one", args=[participation.public_id])))
    assert Recovery.objects.get().recoverable_minor == 0
    listed = as_user(scene.users["auditor"]).get(reverse("payouts:write-offs"), {"tab": "all"}).content.decode()
    assert "Customer bankrupt" in listed and "Too early" not in listed
