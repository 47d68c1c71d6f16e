"""What is held for tax, and what lets it go. The clock stands on 2026-09-15: the threshold is 2,000.00."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.ledger.models import ExchangeRate
from incentives.payouts import services as payouts
from incentives.payouts.models import Hold, Payout
from incentives.payouts.services.policies import save_policy
from incentives.tax import services as tax
from incentives.tax.errors import IdentifierRefused, ProfileInvalid
from incentives.tax.models import OutsideAward, TaxProfile, TaxProfileChange
from incentives.tax.selectors import year_lines
from rewards.money import Money
from tests.factories import make_participant, make_partner, usd
from tests.tax.world import build, contractor, deliver, kinds, w9, wide_products

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def products(db, clock):
    clock.move_to(datetime(2026, 9, 15, 12, tzinfo=UTC))
    wide_products()


@pytest.mark.parametrize(("last", "held"), [("999.99", []), ("1000.00", ["tax"]), ("1000.01", ["tax"])])
def test_the_payout_that_reaches_the_threshold_is_held(scene, last, held):
    person = contractor()
    deliver(scene, build(scene, person, "1000.00"))
    assert kinds(build(scene, person, last)) == held


def test_what_is_in_flight_counts(scene):
    person = contractor()
    assert kinds(build(scene, person, "1999.99")) == []
    assert kinds(build(scene, person, "0.01")) == ["tax"]


def test_an_employee_and_an_exempt_person_are_never_held(scene):
    assert kinds(build(scene, make_participant(), "4000.00")) == []
    person = contractor()
    tax.save_profile(participant=person, actor=scene.finance, classification="exempt")
    assert kinds(build(scene, person, "4000.00")) == []


def test_in_2025_the_threshold_was_600(scene, clock):
    clock.move_to(datetime(2025, 12, 31, 23, 59, tzinfo=UTC))
    person = contractor()
    assert tax.hold_for(person, usd("599.99")) is None
    assert tax.hold_for(person, usd("600.00")).kind == "tax"
    clock.move_to(datetime(2026, 1, 1, tzinfo=UTC))
    assert tax.hold_for(person, usd("1999.99")) is None
    assert tax.hold_for(person, usd("2000.00")).kind == "tax"


def test_the_year_ends_at_midnight_utc(scene):
    person = contractor()
    deliver(scene, build(scene, person, "1500.00"), on=datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert kinds(build(scene, person, "1999.99")) == []
    deliver(scene, Payout.objects.latest("pk"), on=datetime(2026, 1, 1, tzinfo=UTC))
    (now,) = year_lines(2026, [person.pk])
    (before,) = year_lines(2025, [person.pk])
    assert (now.paid, before.paid) == (usd("1999.99"), usd("1500.00"))
    assert kinds(build(scene, person, "0.01")) == ["tax"]


def test_recording_the_form_lets_the_persons_payouts_go_and_nobody_elses(scene):
    person, other = contractor(), contractor("Lee Free")
    mine, theirs = build(scene, person, "2000.00"), build(scene, other, "2000.00")
    profile, placed, lifted = w9(person, scene.finance)
    assert (placed, lifted) == (0, 1)
    assert (kinds(mine), kinds(theirs)) == ([], ["tax"])
    assert (profile.seen_by, profile.form_on_file_since) == (scene.finance, date(2026, 1, 1))
    assert profile.seen_at is not None
    hold = mine.holds.get()
    assert (hold.lifted_by, hold.lifted_reason[:7]) == (scene.finance, "Finance")
    deliver(scene, mine)
    assert kinds(build(scene, person, "4000.00")) == []
    assert w9(person, scene.finance)[1:] == (0, 0)
    assert TaxProfileChange.objects.count() == 1


def test_taking_the_form_away_holds_what_waits(scene):
    person = contractor()
    w9(person, scene.finance)
    payout = build(scene, person, "2000.00")
    assert kinds(payout) == []
    _, placed, lifted = tax.save_profile(participant=person, actor=scene.finance)
    assert (placed, lifted, kinds(payout)) == (1, 0, ["tax"])
    assert TaxProfile.objects.get(participant=person).seen_by is None


def test_a_form_that_expired_or_is_another_one_does_not_count(scene):
    person = contractor()
    w9(person, scene.finance, form_expires_on=date(2026, 9, 14))
    assert tax.hold_for(person, usd("2000.00")).kind == "tax"
    w9(person, scene.finance, form_expires_on=date(2026, 9, 15))
    assert tax.hold_for(person, usd("2000.00")) is None
    w9(person, scene.finance, form_kind="W-8BEN")
    assert tax.hold_for(person, usd("2000.00")).kind == "tax"


def test_a_foreign_person_is_reviewed_every_time(scene):
    person = contractor()
    w9(person, scene.finance, classification="foreign", form_kind="W-8BEN")
    payout = build(scene, person, "10.00")
    assert kinds(payout) == ["tax_review"]
    assert tax.release(participant=person, actor=scene.finance, reason="Treaty checked") == 1
    assert kinds(payout) == []
    assert tax.release(participant=person, actor=scene.finance, reason="Treaty checked") == 0
    assert kinds(build(scene, person, "10.00")) == ["tax_review"]
    _, placed, _ = w9(person, scene.finance, classification="foreign", form_kind="W-8BEN", country="CA")
    assert placed == 0 and kinds(payout) == []  # what a person let go stays let go


def test_somebody_in_another_country_waits_for_the_form_from_the_first_cent(scene):
    person = make_participant("Émile", type="partner", partner=make_partner(country="CA"))
    payout = build(scene, person, "0.01")
    assert kinds(payout) == ["tax"]
    w9(person, scene.finance, form_kind="W-8BEN-E")
    assert kinds(payout) == []


def test_an_award_made_elsewhere_counts_holds_and_lets_nothing_go_when_cancelled(scene):
    person = contractor()
    payout = build(scene, person, "1500.00")
    row = tax.AwardRow(person, date(2026, 3, 1), usd("500.00"), "Trade show")
    assert tax.add_awards(rows=[row], actor=scene.finance) == {"added": 1, "unchanged": 0}
    assert kinds(payout) == ["tax"]
    tax.cancel_award(award=OutsideAward.objects.get(), actor=scene.finance, reason="Entered twice")
    assert kinds(payout) == ["tax"]
    assert year_lines(2026, [person.pk])[0].outside == usd("0.00")


def test_an_amount_in_another_currency_counts_by_the_rate_of_its_day_or_is_reviewed(scene):
    person = contractor()
    row = tax.AwardRow(person, date(2026, 3, 1), Money(100_000, "EUR"), "Paris office")
    tax.add_awards(rows=[row], actor=scene.finance)
    assert tax.hold_for(person, usd("1.00")).kind == "tax_review"
    ExchangeRate.objects.create(
        currency="EUR", to_currency="USD", starts_on="2026-03-01", ends_on="2026-03-01", rate=Decimal("1.1")
    )
    assert tax.hold_for(person, usd("899.99")) is None
    assert tax.hold_for(person, usd("900.00")).kind == "tax"


def test_a_policy_that_asks_nobody_never_passes_a_tax_hold(scene):
    save_policy(actor=scene.other, name="Auto", steps=[], position=1, up_to_minor=500_000)
    payout = build(scene, contractor(), "2000.00")
    assert (payout.status, kinds(payout)) == ("submitted", ["tax"])
    w9(payout.participant, scene.finance)
    payouts.sweep_once()
    payout.refresh_from_db()
    assert (payout.status, payout.steps) == ("submitted", ["finance"])


@pytest.mark.parametrize("role", ["manager", "participant", "partner_admin", "administrator", "auditor", "superuser"])
def test_only_finance_records_tax_details(scene, role):
    person = contractor()
    with pytest.raises(NotAllowed):
        w9(person, scene.users[role])
    with pytest.raises(NotAllowed):
        tax.add_awards(rows=[tax.AwardRow(person, date(2026, 3, 1), usd("1.00"), "x")], actor=scene.users[role])
    assert not TaxProfile.objects.exists() and not OutsideAward.objects.exists()


def test_nobody_records_their_own(scene):
    person = contractor(user=scene.finance)
    payout = build(scene, person, "2000.00")
    with pytest.raises(NotAllowed):
        w9(person, scene.finance)
    assert kinds(payout) == ["tax"]
    assert w9(person, scene.other)[2] == 1


NUMBERS = ["123-45-6789", "123456789", "12-3456789", "SSN 123 45 6789.", "１２３-45-6789", "123–45–6789", "12\u200b3456789",
           "12/345/67890", "900-70-0000 (ITIN)", "1.2.3.4.5.6.7.8.9"]  # fmt: skip


@pytest.mark.parametrize("text", NUMBERS)
def test_a_tax_number_is_refused_wherever_text_goes(scene, text):
    person = contractor()
    with pytest.raises(IdentifierRefused) as refused:
        w9(person, scene.finance, note=f"Called, said {text}")
    assert text not in refused.value.user_message
    with pytest.raises(IdentifierRefused):
        tax.release(participant=person, actor=scene.finance, reason=text)
    assert not TaxProfile.objects.exists()


@pytest.mark.parametrize(
    "text", ["Seen 2026-01-15 and 2026-02-01", "Form W-9 rev. 10-2018", "3 pages, 12 boxes", "15/01/2026"]
)
def test_dates_and_small_numbers_are_not_tax_numbers(scene, text):
    w9(contractor(), scene.finance, note=text)


@pytest.mark.parametrize(
    "changes",
    [
        {"form_on_file_since": None}, {"form_kind": ""}, {"form_on_file_since": date(2026, 9, 16)}, {"country": "USA"},
        {"form_expires_on": date(2025, 12, 31)}, {"classification": "robot"},
    ],
)  # fmt: skip
def test_a_profile_that_does_not_fit_is_refused(scene, changes):
    with pytest.raises(ProfileInvalid):
        w9(contractor(), scene.finance, **changes)
    assert not TaxProfile.objects.exists()


def test_the_audit_trail_and_the_holds_say_nothing_of_the_details(scene):
    person = contractor()
    build(scene, person, "2000.00")
    w9(person, scene.finance, classification="foreign", note="canary-note")
    row = tax.AwardRow(person, date(2026, 3, 1), usd("777.77"), "canary-source")
    tax.add_awards(rows=[row], actor=scene.finance)
    told = [f"{e.action} {e.target_label} {e.before} {e.after} {e.reason}" for e in AuditEvent.objects.all()]
    told += [f"{hold.kind} {hold.reason} {hold.lifted_reason}" for hold in Hold.objects.all()]
    assert any("tax_profile.recorded" in text for text in told)
    assert any("outside_award.entered" in text for text in told)
    for word in ("canary", "777", "foreign", "W-9", "non_employee"):
        assert not [text for text in told if word in text]
