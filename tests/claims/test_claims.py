"""Claims through their services: sending, deadlines, duplicates, review, and what an approved one earns."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from incentives.claims import services
from incentives.claims.errors import (
    ChangedMeanwhile,
    DoesNotFit,
    DuplicateClaim,
    Incomplete,
    NewEvidence,
    NotEligible,
    OwnClaim,
    ReasonNeeded,
    SerialPaid,
    TakenByOther,
    TooLate,
)
from incentives.claims.models import Claim, ClaimSerial
from incentives.claims.services import LineValues, outbox
from incentives.core.errors import IllegalTransition, NotAllowed
from incentives.core.models import AuditEvent
from incentives.crm.models import Activity, Connection, Delivery, ObjectState
from incentives.earnings import recompute
from incentives.earnings.models import Earning
from incentives.participants import services as people
from incentives.payouts.checks import check_ledger
from incentives.programs import services as programs
from incentives.programs.models import Enrollment, ProgramStop
from tests.claims.scene import derive, values, with_serials
from tests.factories import deal, make_connection, make_participant, make_user, send

pytestmark = pytest.mark.django_db
STATES = list(Claim.Status.values)


def earned(scene) -> int:
    row = scene.program.participations.filter(participant=scene.person).first()
    return row.earned_minor if row else 0


# --- from a draft to an earning -------------------------------------------------------------------------------------------
def test_an_approved_claim_is_an_ordinary_activity_and_earns_once(scene):
    claim = scene.submitted(values(customer="Wayne Corp.", invoice_number="INV-0077"))
    assert (claim.status, claim.invoice_key, claim.customer_key) == ("submitted", "INV77", "WAYNE")
    assert not Delivery.objects.exists()
    claim = scene.decide(claim, "approve")
    assert Delivery.objects.get().status == "pending"
    derive()
    derive()
    thing = ObjectState.objects.get()
    assert (thing.kind, thing.state, thing.object_type, thing.object_id) == (
        "claim.submitted", "approved", "claim", str(claim.public_id),
    )  # fmt: skip
    assert (thing.amount, thing.quantity, thing.account, thing.partner["id"]) == (
        Decimal(1200), Decimal(3), {"name": "Wayne Corp."}, "acme",
    )  # fmt: skip
    assert (thing.occurred_at.date(), thing.attributes["invoice_number"]) == (date(2026, 7, 1), "INV-0077")
    assert earned(scene) == 3000
    assert Activity.objects.get().kind == "claim.submitted"
    assert list(recompute.check()) == [] and check_ledger() == []


def test_taking_an_approval_back_corrects_the_earning(scene):
    claim = scene.approved()
    derive()
    claim = scene.decide(claim, "reverse", reason="The invoice was cancelled")
    derive()
    assert (claim.status, claim.reason, claim.decided_by) == ("reversed", "The invoice was cancelled", scene.manager)
    assert earned(scene) == 0
    assert sorted(Earning.objects.values_list("amount_minor", flat=True)) == [-3000, 3000]
    assert list(Activity.objects.order_by("pk").values_list("kind", flat=True)) == ["claim.submitted", "deal.deleted"]
    assert list(recompute.check()) == [] and check_ledger() == []


def test_the_reversal_wins_even_when_it_arrives_first(scene):
    claim = scene.approved()
    first = Delivery.objects.get()
    Delivery.objects.filter(pk=first.pk).update(status="failed")
    scene.decide(claim, "reverse")
    derive()
    Delivery.objects.filter(pk=first.pk).update(status="pending")
    derive()
    thing = ObjectState.objects.get()
    assert (thing.state, thing.kind, earned(scene)) == ("deleted", "deal.deleted", 0)


def test_a_refused_decision_leaves_no_fact_behind(scene, monkeypatch):
    claim = scene.submitted()
    monkeypatch.setattr(outbox.intake, "receive_one", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        scene.decide(claim, "approve")
    claim.refresh_from_db()
    assert (claim.status, claim.decided_by) == ("submitted", None)
    assert not AuditEvent.objects.filter(action="claim.approved").exists()


def test_received_is_when_the_claim_first_came_in(scene, clock):
    claim = scene.submitted()
    came = claim.submitted_at
    clock.shift(3 * 86400)
    scene.decide(claim, "approve")
    assert Delivery.objects.get().received_at == came


def test_nothing_from_outside_comes_through_the_connection_of_claims(scene, client):
    scene.approved()
    connection = Connection.objects.get(kind="claims")
    from incentives.crm import credentials, imports
    from incentives.crm import services as crm
    from incentives.crm.errors import OwnConnection

    admin = make_user("administrator")
    for attempt in (
        lambda: crm.rotate_token(connection, actor=admin),
        lambda: crm.add_secret(connection, "bearer", actor=admin),
        lambda: crm.create_connection(name="x", currency="USD", actor=admin, kind="claims"),
        lambda: imports.import_file(connection, __file__, {}),
    ):
        with pytest.raises(OwnConnection):
            attempt()
    Connection.objects.filter(pk=connection.pk).update(token_hash=credentials.sha256("known"))
    assert client.post("/hooks/known/events", "{}", content_type="application/json").status_code == 404


# --- sending ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "field"),
    [({"invoice_number": " - "}, "invoice_number"), ({"invoice_date": None}, "invoice_date"),
     ({"invoice_date": date(2025, 12, 31)}, "invoice_date"), ({"invoice_date": date(2026, 7, 16)}, "invoice_date"),
     ({"customer": " "}, "customer"), ({"amount": None}, "amount"), ({"amount": Decimal(0)}, "amount"),
     ({"lines": ()}, "lines"), ({"lines": (LineValues(quantity=Decimal(1)),)}, "lines"),
     ({"lines": (LineValues(sku="LX-1", quantity=Decimal(0)),)}, "lines")],
)  # fmt: skip
def test_what_is_missing_is_named_and_the_draft_stays(scene, changes, field):
    claim = scene.draft(values(**changes))
    with pytest.raises(Incomplete) as error:
        scene.submit(claim)
    assert list(error.value.details["fields"]) == [field]
    claim.refresh_from_db()
    assert claim.status == "draft" and not AuditEvent.objects.filter(action="claim.submitted").exists()


def test_a_claim_without_proof_is_not_sent(scene):
    with pytest.raises(Incomplete) as error:
        scene.submit(scene.draft(proof=False))
    assert list(error.value.details["fields"]) == ["proofs"]


def test_a_sale_the_program_does_not_reward_is_refused_with_the_reason(scene):
    other = values(lines=(LineValues(sku="AB-1", quantity=Decimal(1)),))
    with pytest.raises(NotEligible, match="LX-"):
        scene.submit(scene.draft(other))


def test_amounts_have_the_digits_of_their_currency(scene):
    claim = scene.draft(values())
    with pytest.raises(DoesNotFit) as error:
        services.save(
            claim_id=claim.pk, values=values(amount=Decimal("10.001")), actor=scene.user, seen_version=claim.version
        )
    assert error.value.details["field"] == "amount"
    claim.refresh_from_db()
    assert claim.amount_minor == 120000


def test_serials_are_counted_once_and_never_more_than_pieces(scene):
    claim = scene.draft()
    for line in (LineValues(sku="LX-1", quantity=Decimal(3), serials=("A1", "a-1")),
                 LineValues(sku="LX-1", quantity=Decimal(1), serials=("A1", "A2"))):  # fmt: skip
        with pytest.raises(DoesNotFit):
            services.save(claim_id=claim.pk, values=values(lines=(line,)), actor=scene.user, seen_version=claim.version)
    assert ClaimSerial.objects.count() == 0


def test_saving_the_same_values_changes_and_records_nothing(scene):
    given = with_serials("S1", "S2")
    claim = scene.draft(given)
    before = AuditEvent.objects.count()
    again = services.save(claim_id=claim.pk, values=given, actor=scene.user, seen_version=claim.version)
    assert (again.version, AuditEvent.objects.count()) == (claim.version, before)


def test_the_deadline_is_the_end_of_the_grace_days(scene, clock):
    program = scene.make_program(name="Half year", ends_on="2026-06-30", grace_days=20)  # open until 21 July, 00:00 UTC
    claims = [scene.draft(values(invoice_date=date(2026, 6, 30)), program=program) for _ in range(2)]
    clock.move_to(datetime(2026, 7, 20, 23, 59, 59, tzinfo=UTC))
    scene.submit(claims[0])
    clock.move_to(datetime(2026, 7, 21, tzinfo=UTC))
    with pytest.raises(TooLate, match="21 Jul 2026, 00:00"):
        scene.submit(claims[1])
    with pytest.raises(NotEligible):
        services.start(program=program, participant=scene.person, actor=scene.user)
    claims[1].refresh_from_db()
    assert claims[1].status == "draft"


def test_a_returned_claim_has_fourteen_days_even_after_the_deadline(scene, clock):
    program = scene.make_program(name="Half year", ends_on="2026-06-30", grace_days=20)
    claims = [scene.submitted(values(invoice_date=date(2026, 6, 30)), program=program) for _ in range(2)]
    clock.move_to(datetime(2026, 7, 20, 12, tzinfo=UTC))
    claims = [scene.decide(claim, "send_back", reason="The photo is blurred") for claim in claims]
    clock.move_to(datetime(2026, 8, 3, 11, 59, 59, tzinfo=UTC))
    claim = scene.submit(claims[0])
    assert (claim.status, claim.submitted_at) == ("submitted", datetime(2026, 7, 15, 12, tzinfo=UTC))
    clock.move_to(datetime(2026, 8, 3, 12, tzinfo=UTC))
    with pytest.raises(TooLate, match="3 Aug 2026"):
        scene.submit(claims[1])


def test_excluded_and_uninvited_people_cannot_claim_and_invited_ones_can(scene):
    Enrollment.objects.create(program=scene.program, participant=scene.person, state="excluded")
    with pytest.raises(NotEligible):
        services.start(program=scene.program, participant=scene.person, actor=scene.user)
    closed = scene.make_program(name="Invited", eligible={"types": ["partner"], "invited_only": True})
    with pytest.raises(NotEligible):
        services.start(program=closed, participant=scene.rival_person, actor=scene.rival_user)
    Enrollment.objects.create(program=closed, participant=scene.rival_person, state="invited")
    assert scene.submitted(person=scene.rival_person, program=closed).status == "submitted"
    assert Claim.objects.count() == 1


def test_a_program_that_ran_out_takes_no_new_claims(scene, clock):
    returned = scene.decide(scene.submitted(), "send_back")
    clock.shift(60)
    draft = scene.draft()
    ProgramStop.objects.create(program=scene.program, stopped_at=draft.created_at)
    with pytest.raises(NotEligible, match="budget"):
        scene.submit(draft)
    assert scene.submit(returned).status == "submitted"  # it came in before


def test_a_sale_is_judged_by_the_version_that_governs_its_day(scene, clock):
    manager, program = scene.program.owner, scene.program
    stricter = {**program.current_definition, "eligible": {"types": ["partner"], "partner_tiers": ["platinum"]}}
    early, late = (scene.draft(values(invoice_date=date(2026, 7, day))) for day in (10, 22))
    programs.edit_draft(program=program, document=stricter, actor=manager)
    programs.launch(program=program, actor=manager, starts_at=datetime(2026, 7, 20, tzinfo=UTC))
    clock.move_to(datetime(2026, 7, 23, tzinfo=UTC))
    with pytest.raises(NotEligible, match="platinum"):
        scene.submit(late)
    scene.decide(scene.submit(early), "approve")
    derive()
    assert earned(scene) == 3000


def test_an_administrator_claims_for_their_people_and_strangers_for_nobody(scene):
    claim = scene.submitted(actor=scene.admin_user)
    assert (claim.participant, claim.submitted_by) == (scene.person, scene.admin_user)
    for stranger in (scene.rival_user, scene.manager, make_user("participant"), make_user("partner_admin")):
        with pytest.raises(NotAllowed):
            services.start(program=scene.program, participant=scene.person, actor=stranger)
        with pytest.raises(NotAllowed):
            services.withdraw(claim_id=claim.pk, actor=stranger)
    assert Claim.objects.count() == 1


def test_who_left_the_partner_cannot_send_any_more(scene):
    claim = scene.draft()
    people.update_participant(scene.person, partner=scene.rival)
    with pytest.raises(NotEligible, match="no longer"):
        scene.submit(Claim.objects.get(pk=claim.pk))


# --- duplicates -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", ["INV-0042", "inv 42", "Inv/00042", "ＩＮＶ－42"])
def test_an_invoice_is_claimed_once_by_a_partner_however_it_is_typed(scene, number):
    first = scene.submitted(values(invoice_number="INV-42"), actor=scene.admin_user)
    second = scene.draft(values(invoice_number=number))
    with pytest.raises(DuplicateClaim) as error:
        scene.submit(second)
    assert error.value.details["other"] == first and first.reference in error.value.user_message
    second.refresh_from_db()
    assert second.status == "draft"


@pytest.mark.parametrize("end", ["reject", "withdraw", "reverse"])
def test_an_invoice_is_free_again_once_its_claim_has_ended(scene, end):
    first = scene.submitted(with_serials("SN-1", invoice_number="INV-42"))
    if end == "withdraw":
        services.withdraw(claim_id=first.pk, actor=scene.user)
    elif end == "reject":
        scene.decide(first, "reject")
    else:
        scene.decide(scene.decide(first, "approve"), "reverse")
    assert scene.submitted(with_serials("SN-1", invoice_number="INV-42")).status == "submitted"


def test_another_program_may_reward_the_same_invoice(scene):
    scene.submitted(values(invoice_number="INV-42"))
    other = scene.make_program(name="Other")
    assert scene.submitted(values(invoice_number="INV-42"), program=other).status == "submitted"


def test_a_serial_number_is_claimed_once_by_a_partner(scene):
    first = scene.submitted(with_serials("SN-00-17"))
    with pytest.raises(DuplicateClaim, match="SN-00-17") as error:
        scene.submit(scene.draft(with_serials("sn 0017", "SN-2")))
    assert error.value.details["other"] == first


def test_a_returned_claim_keeps_holding_its_numbers(scene):
    first = scene.decide(scene.submitted(with_serials("SN-1", invoice_number="INV-42")), "send_back")
    second = scene.submitted(with_serials("SN-2", invoice_number="INV-43"))
    for given in (with_serials("SN-2", invoice_number="INV-44"), with_serials("SN-3", invoice_number="INV-43")):
        with pytest.raises(DuplicateClaim) as error:
            services.save(claim_id=first.pk, values=given, actor=scene.user, seen_version=first.version)
        assert error.value.details["other"] == second
    first.refresh_from_db()
    assert (first.invoice_number, [row.serial for row in first.serials.all()]) == ("INV-42", ["SN-1"])


def test_another_partner_is_not_refused_but_both_claims_are_flagged(scene):
    mine = scene.submitted(values(invoice_number="INV-2026-42", customer="Wayne Ltd"))
    theirs = scene.submitted(values(invoice_number="inv 2026 42", customer="Wayne"), person=scene.rival_person)
    (flag,) = theirs.flags.all()
    assert (flag.kind, flag.other) == ("invoice", mine)
    assert "Acme Resale" in flag.evidence and "customer, day, amount" in flag.evidence
    assert mine.flags.get().other == theirs
    assert set(Claim.objects.with_flagged().filter(flagged=True)) == {mine, theirs}
    scene.decide(mine, "reject")
    assert not Claim.objects.with_flagged().filter(flagged=True, pk=theirs.pk).exists()


def test_a_short_number_alone_is_a_coincidence(scene):
    scene.submitted(values(invoice_number="1001"))
    theirs = scene.submitted(
        values(invoice_number="1001", amount=Decimal(5), invoice_date=date(2026, 3, 1)), person=scene.rival_person
    )
    assert not theirs.flags.exists()


def test_the_same_sale_under_another_number_and_the_same_file_are_flagged(scene):
    first = scene.draft(values(customer="Wayne"), proof=False)
    second = scene.draft(values(customer="WAYNE, Inc."), proof=False)
    from tests.claims.scene import photo, upload

    same = photo()
    for claim in (first, second):
        services.add_proof(claim_id=claim.pk, file=upload(same), actor=scene.user)
        scene.submit(claim)
    assert sorted(second.flags.values_list("kind", flat=True)) == ["file", "sale"]


def test_a_serial_number_is_paid_once_in_a_program_whoever_claims_it(scene):
    mine = scene.submitted(with_serials("SN-9", "SN-10"))
    theirs = scene.submitted(with_serials("SN 9"), person=scene.rival_person)
    assert theirs.flags.get(kind="serial").other == mine
    with pytest.raises(ReasonNeeded):
        scene.decide(mine, "approve")
    mine = scene.decide(mine, "approve", note="Acme sold it")
    with pytest.raises(SerialPaid, match=mine.reference):
        scene.decide(theirs, "approve", note="Nova too")
    theirs.refresh_from_db()
    assert (theirs.status, Delivery.objects.count()) == ("submitted", 1)
    scene.decide(mine, "reverse")
    assert scene.decide(theirs, "approve", note="Nova sold it").status == "approved"


def test_evidence_found_at_the_decision_is_shown_first(scene):
    mine, theirs = (scene.submitted(values(invoice_number=f"INV-2026-{n}"), person=who)
                    for n, who in ((1, scene.person), (2, scene.rival_person)))  # fmt: skip
    Claim.objects.filter(pk=theirs.pk).update(invoice_key=mine.invoice_key)
    with pytest.raises(NewEvidence):
        scene.decide(mine, "approve", note="Fine")
    assert mine.flags.get().other == theirs
    assert scene.decide(mine, "approve", note="Fine after all").status == "approved"


# --- matching -------------------------------------------------------------------------------------------------------------
def test_a_deal_of_the_same_sale_needs_a_reason_or_covers_the_claim(scene):
    rep = make_participant()
    facts = {"account": {"name": "Wayne Corp"}, "occurred_at": "2026-06-20T10:00:00Z"}
    send(make_connection(), deal("D1", rep, "1190.00", **facts), deal("D2", rep, "90.00", **facts),
         deal("D3", rep, "1200.00", account={"name": "Wayne"}, occurred_at="2026-03-01T10:00:00Z"))  # fmt: skip
    claim = scene.submitted(values(customer="Wayne"))
    from incentives.claims.matching import matches

    found = matches(claim)
    assert [(m.deal.object_id, m.score) for m in found] == [("D1", 77), ("D2", 57)]
    assert found[0].why == ("same customer", "amount within 5 %", "11 days apart")
    covered = scene.decide(claim, "reject", reason="Counted as a deal already", covered_by=found[0].deal)
    assert (covered.status, covered.covered_by.object_id) == ("rejected", "D1")


def test_the_same_serial_number_in_a_deal_is_certain(scene):
    rep = make_participant()
    send(make_connection(), deal("D1", rep, "7.00", attributes={"serials": "SN-5; SN-6"},
                                occurred_at="2026-07-02T10:00:00Z"))  # fmt: skip
    claim = scene.submitted(with_serials("SN-6", invoice_date=date(2026, 7, 10)))
    from incentives.claims.matching import matches

    (match,) = matches(claim)
    assert (match.score, match.strong) == (100, True)
    with pytest.raises(ReasonNeeded):
        scene.decide(claim, "approve")
    assert scene.decide(claim, "approve", note="Another unit").status == "approved"


# --- review ---------------------------------------------------------------------------------------------------------------
MOVES = {
    "submit": lambda scene, claim: scene.submit(claim),
    "withdraw": lambda scene, claim: services.withdraw(claim_id=claim.pk, actor=scene.user, seen_version=claim.version),
    **{
        name: (lambda scene, claim, name=name: scene.decide(claim, name))
        for name in ("take", "release", "approve", "send_back", "reject", "reverse")
    },
}
ALLOWED = {
    "draft": {"submit": "submitted", "withdraw": "withdrawn"},
    "submitted": {"take": "in_review", "approve": "approved", "send_back": "returned", "reject": "rejected",
                  "withdraw": "withdrawn"},
    "in_review": {"take": "in_review", "release": "submitted", "approve": "approved", "send_back": "returned",
                  "reject": "rejected", "withdraw": "withdrawn"},
    "returned": {"submit": "submitted", "reject": "rejected", "withdraw": "withdrawn"},
    "approved": {"reverse": "reversed"},
    "rejected": {}, "withdrawn": {"withdraw": "withdrawn"}, "reversed": {},
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_every_step_from_every_state(scene, state):
    for name, step in MOVES.items():
        claim = scene.in_state(state)
        events = AuditEvent.objects.count()
        if name in ALLOWED[state]:
            assert step(scene, claim).status == ALLOWED[state][name]
        else:
            with pytest.raises(IllegalTransition):
                step(scene, claim)
            claim.refresh_from_db()
            assert (claim.status, AuditEvent.objects.count()) == (state, events), name


def test_the_table_of_arrows_is_what_the_steps_do():
    reached = {state: set(steps.values()) - {state} for state, steps in ALLOWED.items()}
    assert {str(old): {str(new) for new in news} for old, news in Claim.NEXT.items()} == reached


@pytest.mark.parametrize("late", ["approve", "reject", "send_back", "take"])
def test_the_second_reviewer_is_told_what_the_first_decided(scene, late):
    claim = scene.submitted()
    scene.decide(claim, "reject", actor=scene.other)
    with pytest.raises(ChangedMeanwhile, match="Max Other rejected"):
        scene.decide(claim, late)  # with the version both had seen
    claim.refresh_from_db()
    assert (claim.status, claim.decided_by) == ("rejected", scene.other)


def test_a_withdrawn_claim_cannot_be_approved_with_an_old_page(scene):
    claim = scene.submitted()
    services.withdraw(claim_id=claim.pk, actor=scene.user, seen_version=claim.version)
    with pytest.raises(ChangedMeanwhile, match="Pat Acme withdrew"):
        scene.decide(claim, "approve")
    assert not Delivery.objects.exists()


def test_only_who_has_taken_a_claim_decides_it(scene):
    claim = scene.decide(scene.submitted(), "take")
    with pytest.raises(TakenByOther, match="Mia Manager"):
        scene.decide(claim, "approve", actor=scene.other)
    claim = scene.decide(claim, "take", actor=scene.other)
    assert claim.reviewer == scene.other
    assert scene.decide(claim, "approve", actor=scene.other).decided_by == scene.other


@pytest.mark.parametrize("role", ["finance", "administrator", "auditor", "partner_admin", "participant"])
def test_only_managers_review(scene, role):
    claim = scene.submitted()
    for name in ("take", "approve", "reject", "send_back"):
        with pytest.raises(NotAllowed):
            scene.decide(claim, name, actor=make_user(role))
    claim.refresh_from_db()
    assert claim.status == "submitted"


def test_nobody_reviews_their_own_or_their_organisations_claim(scene):
    both = make_user("manager", "participant")
    own = make_participant(type="partner", partner=scene.partner, user=both)
    for claim in (scene.submitted(), scene.submitted(person=own)):
        for name in ("take", "approve", "reject", "send_back"):
            with pytest.raises(OwnClaim):
                scene.decide(claim, name, actor=both)
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("name", ["reject", "send_back"])
def test_the_partner_is_told_why(scene, name):
    claim = scene.submitted()
    with pytest.raises(ReasonNeeded):
        scene.decide(claim, name, reason=" ")
    assert scene.decide(claim, name, reason="The photo is blurred").reason == "The photo is blurred"


def test_who_approved_the_claim_does_not_approve_its_payout(scene):
    from incentives.payouts import services as payouts
    from incentives.payouts.errors import SelfApproval
    from incentives.payouts.models import Payout
    from incentives.payouts.selectors import for_decision, objection
    from tests.factories import make_product

    make_product()
    both = make_user("manager", "finance", name="Both")
    from incentives.ledger import services as ledger
    from tests.factories import usd

    ledger.fund(budget=scene.program.budget, amount=usd("100.00"), reference="X", actor=make_user("finance"))
    scene.decide(scene.submitted(), "approve", actor=both)
    derive()
    (payout,) = payouts.build_payouts(program=scene.program).payouts
    with pytest.raises(SelfApproval):
        payouts.approve_payout(payout_id=payout.pk, actor=both)
    assert objection(payout, both) != ""
    assert not for_decision(Payout.objects.all(), both).get().mine
    assert for_decision(Payout.objects.all(), make_user("finance")).get().mine
    payouts.approve_payout(payout_id=payout.pk, actor=make_user("finance"))
