"""In a real browser: recording a form lets the payout go. With real threads: two programs at once never slip past the threshold."""

import pytest

from incentives.payouts import services
from incentives.payouts.models import Hold, Payout
from incentives.tax import services as tax
from tests.factories import deal, make_connection, make_participant, make_product, make_program, make_user, send
from tests.payouts.scene import Scene
from tests.payouts.test_races import in_threads
from tests.tax.world import WIDE, build, contractor, kinds, w9, wide_products


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_finance_records_a_form_and_the_hold_is_lifted(page, sign_in):
    scene = Scene()
    wide_products()
    payout = build(scene, contractor("Kim Free"), "2000.00")
    sign_in(page, scene.finance)
    page.goto(payout.get_absolute_url())
    page.get_by_text("Tax form missing").first.wait_for()
    page.goto("/reports/tax/?tab=attention")
    page.get_by_role("link", name="Kim Free").click()
    page.get_by_text("1 payout is held").wait_for()
    page.get_by_role("link", name="Record details").click()
    page.get_by_label("Form on file").fill("W-9")
    page.get_by_label("On file since").fill("2026-01-02")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("1 payout goes on.").wait_for()
    assert kinds(payout) == []
    page.goto(payout.get_absolute_url())
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("Approved: 2,000.00 USD for Kim Free will be ordered.").wait_for()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("known", [True, False], ids=["with a profile", "without"])
def test_two_programs_paying_one_person_at_once_do_not_both_slip_under_the_threshold(known):
    """Without a profile the second builder waits for the first one's row; with one it waits for the row's lock."""
    finance = make_user("finance")
    make_product("WIDE", values=(1, 500_000))
    crm = make_connection()
    rewards = [{"type": "per_deal", "amount": "1200.00"}]
    programs = [make_program(funded="50000.00", rewards=rewards, delivery=WIDE) for _ in range(2)]
    for number in range(8):
        person = make_participant(type="contractor")
        if known:
            tax.save_profile(participant=person, actor=finance, classification="non_employee")
        send(crm, deal(f"D{number}", person, "1.00"))
        mine = [program.participations.filter(participant=person) for program in programs]
        in_threads(2, lambda n, mine=mine: services.build_payouts(program=programs[n], participations=mine[n]))
        made = Payout.objects.filter(participant=person)
        held = Hold.objects.filter(payout__in=made, kind="tax", lifted_at__isnull=True)
        assert (made.count(), held.count()) == (2, 1)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_recording_a_form_while_payouts_are_built_leaves_none_held():
    make_product("WIDE", values=(1, 500_000))
    person, finance = make_participant(type="contractor"), make_user("finance")
    rewards = [{"type": "per_deal", "amount": "2000.00"}]
    programs = [make_program(funded="9000.00", rewards=rewards, delivery=WIDE) for _ in range(4)]
    send(make_connection(), deal("D", person, "1.00"))

    def work(number):
        if number == 4:
            w9(person, finance)
        else:
            services.build_payouts(program=programs[number])

    in_threads(5, work)
    assert Payout.objects.count() == 4
    assert not Hold.objects.filter(kind="tax", lifted_at__isnull=True).exists()
    tax.save_profile(participant=person, actor=finance)
    assert Hold.objects.filter(kind="tax", lifted_at__isnull=True).count() == 4
