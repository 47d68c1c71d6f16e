"""Why a fact earned, or not: every program's view of it, in words and exact amounts."""

from datetime import date
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incentives.crm.models import Activity, ObjectState
from incentives.earnings.explain import explain, waiting, why_never
from incentives.earnings.models import Earning, Participation
from incentives.earnings.selectors import exceptions, participant_lines, program_totals
from incentives.programs import services
from incentives.programs.selectors import definition_of
from incentives.programs.services import TargetRow
from tests.factories import deal, make_connection, make_participant, make_program, make_user, send, usd
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
ROLES = ["manager", "finance", "administrator", "auditor", "participant", "partner_admin"]
VIEWERS = {"manager", "finance", "administrator", "auditor"}
QUOTA = {"rewards": [{"type": "tiers", "of": "target", "tiers": [{"at": "100", "amount": "500.00"}]}]}


def state(object_id: str) -> ObjectState:
    return ObjectState.objects.get(object_id=object_id)


def one(object_id: str):
    (explanation,) = explain(state(object_id))
    return explanation


# --- explain ---------------------------------------------------------------------------------------------------------------
def test_a_deal_that_earned_names_the_condition_the_person_and_the_line():
    ana = make_participant("Ana")
    program = make_program(caps={"deal": "100.00"})
    send(make_connection(), deal("D1", ana, "7000.00"))
    found = one("D1")
    assert (found.program, found.verdict, found.amount, found.reasons) == (program, "earned", usd("100.00"), [])
    assert [(c.text, c.found, c.passed) for c in found.conditions] == [("kind is deal.won", "deal.won", True)]
    (share,) = found.shares
    assert (share.participant, share.role, share.percent, share.period) == (ana, "Owner", Decimal(100), "Whole program")
    assert share.measure.replace("\xa0", " ") == "7,000.00 USD"
    assert [line.explanation for line in share.lines] == ["2 % of 7,000.00 = 140.00, limited to 100.00 per deal"]


def test_each_condition_is_told_with_what_was_found():
    make_program(qualifies={"all": [
        {"field": "amount", "op": "gte", "value": "10000"},
        {"not": {"field": "account.segment", "op": "eq", "value": "SMB"}},
        {"field": "region", "op": "exists"},
    ]})  # fmt: skip
    send(make_connection(), deal("D1", make_participant(), "900.00", account={"segment": "SMB"}))
    found = one("D1")
    assert (found.verdict, found.qualifies, found.amount, found.shares) == ("refused", False, usd("0"), [])
    assert [(c.text, c.found, c.passed) for c in found.conditions] == [
        ("kind is deal.won", "deal.won", True),
        ("amount is at least 10000", "900", False),
        ("not (account segment is SMB)", "SMB", False),
        ("region is given", "missing", False),
    ]


def test_a_deal_just_outside_the_program_says_on_which_day_it_counts():
    make_program(starts_on="2026-07-01", ends_on="2026-08-02")
    make_program(starts_on="2025-07-01", ends_on="2025-08-02", name="Long ago")
    send(make_connection(), deal("D1", make_participant(), "900.00"))
    found = one("D1")
    assert found.verdict == "refused" and found.qualifies
    assert found.reasons == ["It counts on 2026-08-03; the program runs from 2026-07-01 to 2026-08-02."]


def test_splits_and_overlays_show_each_share_and_amounts_that_add_up():
    boss = make_participant("Boss")
    ana, ben = make_participant("Ana", manager=boss), make_participant("Ben")
    make_program(credit={"to": "splits", "overlays": [{"to": "manager", "percent": "10"}]})
    splits = [
        {"participant": {"external_user_id": ana.external_user_id}, "percentage": "60"},
        {"participant": {"external_user_id": ben.external_user_id}, "percentage": "40"},
    ]
    send(make_connection(), deal("D1", ana, "1000.00", splits=splits))
    found = one("D1")
    assert [(s.participant.name, s.role, s.percent, s.amount) for s in found.shares] == [
        ("Ana", "Split", Decimal(60), usd("12.00")),
        ("Ben", "Split", Decimal(40), usd("8.00")),
        ("Boss", "Overlay", Decimal(6), usd("1.20")),
    ]
    assert found.amount == usd("21.20")
    assert found.reasons == ["Ben has no manager to share with."]


def test_a_correction_shows_every_line_and_what_remains():
    ana, crm = make_participant("Ana"), make_connection()
    make_program()
    send(crm, deal("D1", ana, "1000.00"))
    send(crm, deal("D1", ana, "1250.00", version=2, kind="deal.updated", state="won"))
    (share,) = one("D1").shares
    assert [line.amount_minor for line in share.lines] == [2000, 500]
    assert share.amount == usd("25.00")
    send(crm, deal("D1", ana, "1250.00", version=3, kind="deal.lost"))
    found = one("D1")
    assert (found.verdict, found.amount) == ("taken_back", usd("0"))
    (share,) = found.shares
    assert (share.role, [line.amount_minor for line in share.lines]) == ("", [2000, 500, -2500])
    assert [c.passed for c in found.conditions] == [False]


def test_a_deal_that_changed_hands_shows_the_former_owner_as_well():
    ana, ben, crm = make_participant("Ana"), make_participant("Ben"), make_connection()
    make_program()
    send(crm, deal("D1", ana, "1000.00"))
    send(crm, deal("D1", ben, "1000.00", version=2, kind="deal.updated", state="won"))
    assert [(s.participant, s.role, s.amount) for s in one("D1").shares] == [
        (ben, "Owner", usd("20.00")),
        (ana, "", usd("0.00")),
    ]


def test_what_the_period_earns_is_told_beside_the_deal():
    ana, crm = make_participant("Ana"), make_connection()
    program = make_program(**QUOTA)
    services.set_targets(
        program=program, rows=[TargetRow(ana, date(2026, 1, 1), Decimal(1000))], actor=make_user("manager")
    )
    send(crm, deal("D1", ana, "400.00"), deal("D2", ana, "700.00"))
    found = one("D1")
    assert (found.verdict, found.amount) == ("credited", usd("0"))
    (line,) = found.shares[0].period_lines
    assert line.amount == usd("500.00") and "100 % of the target" in line.explanation


def test_a_missing_target_and_a_spent_cap_are_named():
    ana, crm = make_participant("Ana"), make_connection()
    make_program(name="A", **QUOTA)
    make_program(name="B", caps={"participant": "10.00"})
    send(crm, deal("D1", ana, "900.00"), deal("D2", ana, "900.00", occurred_at="2026-08-04T10:00:00Z"))
    quota, capped = explain(state("D2"))
    assert (quota.verdict, capped.verdict) == ("credited", "credited")
    assert quota.shares[0].problems == [
        "Ana has no target for the period from 2026-01-01; what depends on it pays nothing."
    ]
    (text,) = capped.shares[0].unpaid
    assert "limited to nothing, the rest of 10.00 per participant" in text


def test_product_lines_say_which_of_them_are_measured():
    make_program(
        measure={"metric": "quantity", "lines": {"field": "line.family", "op": "eq", "value": "Security"}},
        rewards=[{"type": "per_unit", "amount": "50.00"}],
    )
    lines = [
        {"name": "Firewall", "family": "Security", "quantity": "2"},
        {"sku": "SUP", "family": "Care", "quantity": "1"},
    ]
    send(make_connection(), deal("D1", make_participant(), "900.00", lines=lines))
    found = one("D1")
    assert found.product_lines == [("Firewall", True), ("SUP", False)]
    assert found.amount == usd("100.00")


def test_what_no_program_may_look_at_says_why():
    make_program()
    send(make_connection(), deal("D1", make_participant(), "900.00"))
    fact = state("D1")
    assert why_never(fact) == ""
    fact.baseline = True
    assert "before its connection went live" in why_never(fact)
    fact.baseline, fact.state = False, ObjectState.State.PENDING
    assert why_never(fact) == "The claim waits for approval; it counts from then on."
    (found,) = explain(fact)
    assert "The claim waits for approval; it counts from then on." in found.reasons


def test_a_fact_the_engine_has_not_seen_yet_is_said_to_wait():
    make_program()
    crm, ana = make_connection(), make_participant()
    send(crm, deal("D1", ana, "900.00"), evaluate=False)
    assert waiting(state("D1"))
    assert [(s.participant, s.amount) for s in one("D1").shares] == [(ana, usd("0"))]
    send(crm)
    assert not waiting(state("D1"))


def test_explaining_writes_nothing():
    ana = make_participant()
    make_program()
    send(make_connection(), deal("D1", ana, "900.00"))
    before = (Earning.objects.count(), Participation.objects.values_list("dirty_seq", "scored_seq").get())
    explain(state("D1"))
    assert (Earning.objects.count(), Participation.objects.values_list("dirty_seq", "scored_seq").get()) == before


# --- selectors -------------------------------------------------------------------------------------------------------------
def test_totals_of_programs_are_exact_and_cost_the_same_for_one_and_many():
    ana, ben, crm = make_participant("Ana"), make_participant("Ben"), make_connection()
    program, empty, euro = (
        make_program(),
        make_program(starts_on="2027-01-01", ends_on="2027-02-01"),
        make_program(currency="EUR"),
    )
    send(crm, deal("D1", ana, "1000.00"), deal("D2", ana, "500.00"), deal("D3", ben, "100.00"))
    send(crm, deal("D3", ben, "100.00", version=2, kind="deal.lost"))
    with CaptureQueriesContext(connection) as few:
        program_totals([program])
    with CaptureQueriesContext(connection) as many:
        totals = program_totals([program, empty, euro])
    assert len(few) == len(many) == 3
    found = totals[program.pk]
    assert (found.participants, found.earning, found.activities) == (2, 1, 2)
    assert (found.earned, found.corrected) == (usd("30.00"), usd("-2.00"))
    assert (totals[empty.pk].activities, totals[empty.pk].earned.minor) == (0, 0)
    assert totals[euro.pk].earned.currency == "EUR"


def test_a_statement_adds_up_to_what_was_earned():
    ana, crm = make_participant("Ana"), make_connection()
    make_program()
    make_program()
    send(crm, deal("D1", ana, "1000.00"), deal("D2", ana, "500.00"), deal("D1", ana, "900.00", version=2))
    send(crm, deal("X", make_participant(), "9.00"))
    for participation in Participation.objects.filter(participant=ana):
        assert sum(line.amount_minor for line in participant_lines(participation)) == participation.earned_minor == 2800
    assert sum(line.amount_minor for line in participant_lines(ana)) == 5600


def test_exceptions_name_facts_and_people_and_leave_the_rest_alone():
    ana, crm = make_participant("Ana"), make_connection()
    program = make_program(**QUOTA)
    send(
        crm,
        deal("D1", ana, "900.00"),
        deal("D2", ana, "900.00", currency="EUR"),
        deal("D3", ana, "900.00", kind="deal.lost"),
        deal("D4", ana, "900.00", occurred_at="2025-08-03T10:00:00Z"),
    )
    found = exceptions(program, definition_of(program))
    assert [(row.code, row.participant, row.object and row.object.object_id) for row in found.rows] == [
        ("no_target", ana, None),
        ("no_rate", None, "D2"),
    ]
    assert (found.total, found.looked_at, found.cut) == (2, 3, False)
    short = exceptions(program, definition_of(program), limit=2)
    assert (short.looked_at, short.cut) == (2, True)


# --- pages -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", ROLES)
def test_who_may_see_activities_may_ask_why(client, role):
    ana = make_participant("Ana")
    make_program(name="Two per cent")
    send(make_connection(), deal("D1", ana, "1000.00"))
    at = f"/activities/{state('D1').public_id}/why/"
    assert client.get(at)["Location"].startswith("/accounts/login/")
    client.force_login(make_user(role))
    assert client.get(at).status_code == (200 if role in VIEWERS else 404)
    assert client.get(f"/activities/{uuid4()}/why/").status_code == 404


def test_the_page_takes_the_record_or_its_activity_and_gives_htmx_the_fragment(client):
    ana = make_participant("Ana")
    make_program(name="Two per cent")
    send(make_connection(), deal("D1", ana, "1000.00"))
    client.force_login(make_user("auditor"))
    for public_id in (state("D1").public_id, Activity.objects.get().public_id):
        page = assert_page_clean(client.get(f"/activities/{public_id}/why/"))
        assert "Two per cent Earned 20.00 USD" in page.text
        assert "Owner, 100 % · 1,000.00 USD · Whole program" in page.text
        assert "2 % of 1,000.00 = 20.00" in page.text
    part = client.get(f"/activities/{state('D1').public_id}/why/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part and "Two per cent" in part
    assert_page_clean(part)


def test_a_fact_no_program_looks_at_has_a_page_too(client):
    send(make_connection(), deal("D1", make_participant(), "1000.00"))
    client.force_login(make_user("auditor"))
    page = assert_page_clean(client.get(f"/activities/{state('D1').public_id}/why/"))
    assert "No program looks at it" in page.text


def test_names_and_reasons_are_escaped(client):
    make_program(name="<script>alert(1)</script>", qualifies={"field": "attributes.x", "op": "eq", "value": "<b>"})
    send(make_connection(), deal("D<i>1", make_participant("<img src=x>"), "1000.00", attributes={"x": "<u>"}))
    client.force_login(make_user("manager"))
    html = client.get(f"/activities/{state('D<i>1').public_id}/why/").content.decode()
    assert not [bad for bad in ("<script>alert", "is <b>", "<u>", "<img src=x", "<i>1") if bad in html]
    assert "&lt;b&gt;" in html and "&lt;script&gt;" in html


def test_the_participants_page_shows_measure_target_attainment_and_earned(client):
    ana, ben, crm = make_participant("Ana"), make_participant("Ben"), make_connection()
    manager = make_user("manager")
    program = make_program(manager=manager, period="quarter", **QUOTA)
    services.set_targets(program=program, rows=[TargetRow(ana, date(2026, 7, 1), Decimal(1000))], actor=manager)
    send(crm, deal("D1", ana, "1250.00"), deal("D2", ben, "100.00"))
    client.force_login(manager)
    at = f"/programs/{program.public_id}/participants/"
    page = assert_page_clean(client.get(f"{at}?period=2026-07-01"))
    assert "Ana 1 1,250.00 USD 1,000.00 USD 125% 500.00 USD 500.00 USD" in page.text
    assert "Ben 1 100.00 USD – – 0.00 USD 0.00 USD" in page.text
    for query, shown in (
        ("target=with", "Ana"),
        ("target=without", "Ben"),
        ("q=ben", "Ben"),
        ("sort=-attainment", "Ana"),
    ):
        assert shown in assert_page_clean(client.get(f"{at}?period=2026-07-01&{query}")).texts
    assert "Ben" not in assert_page_clean(client.get(f"{at}?period=2026-07-01&target=with")).texts
    assert "Ana 1" not in assert_page_clean(client.get(f"{at}?period=2026-01-01")).text
    text = b"".join(client.get(f"{at}?period=2026-07-01&export=csv").streaming_content).decode("utf-8-sig")
    assert "1250.00,USD,1000.00,USD,1.25,500.00,USD,500.00,USD" in text


def test_one_participant_has_a_statement_in_the_program(client):
    ana, crm, program = make_participant("Ana"), make_connection(), make_program()
    send(crm, deal("D1", ana, "1000.00"), deal("D1", ana, "900.00", version=2))
    client.force_login(make_user("finance"))
    page = assert_page_clean(client.get(f"/programs/{program.public_id}/participants/{ana.public_id}/"))
    assert "Earned in all 18.00 USD" in page.text and "2 % of 900.00 = 18.00" in page.text
    assert client.get(f"/programs/{program.public_id}/participants/{make_participant().public_id}/").status_code == 404
    client.force_login(make_user("participant"))
    assert client.get(f"/programs/{program.public_id}/participants/{ana.public_id}/").status_code == 404


def test_the_earnings_page_is_filtered_and_exported(client):
    ana, crm, program = make_participant("Ana"), make_connection(), make_program()
    send(crm, deal("D1", ana, "1000.00"), deal("D2", ana, "500.00"))
    send(crm, deal("D2", ana, "500.00", version=2, kind="deal.lost"))
    client.force_login(make_user("finance"))
    at = f"/programs/{program.public_id}/earnings/"
    assert "1–3 of 3" in assert_page_clean(client.get(at)).text
    assert "1–1 of 1" in assert_page_clean(client.get(f"{at}?kind=corrected")).text
    assert "1–2 of 2" in assert_page_clean(client.get(f"{at}?q=D2")).text
    text = b"".join(client.get(f"{at}?export=csv").streaming_content).decode("utf-8-sig")
    assert text.count(",20.00,USD,") == 1 and text.count(",-10.00,USD,") == 1
    assert f"/activities/{state('D1').public_id}/why/" in assert_page_clean(client.get(at)).links


def test_the_exceptions_page_offers_the_next_step(client):
    ana, crm, program = make_participant("Ana"), make_connection(), make_program(**QUOTA)
    send(crm, deal("D1", ana, "900.00"), deal("D2", ana, "900.00", currency="EUR"))
    at = f"/programs/{program.public_id}/exceptions/"
    client.force_login(make_user("manager"))
    page = assert_page_clean(client.get(at))
    assert f"/programs/{program.public_id}/targets/set/?participant={ana.key}&period=2026-01-01" in page.links
    assert "There is no exchange rate from EUR to USD for 2026-08-03." in page.text
    client.force_login(make_user("auditor"))
    assert "A program manager sets the target." in assert_page_clean(client.get(at)).text
    part = client.get(at, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part and "Look at 2 exceptions" in part


def test_query_counts_of_why_do_not_grow_with_the_lines(client):
    ana, crm = make_participant("Ana"), make_connection()
    make_program()
    client.force_login(make_user("auditor"))

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"/activities/{state('D1').public_id}/why/").status_code == 200
        return len(queries)

    for version in range(1, 4):
        send(crm, deal("D1", ana, f"{version}000.00", version=version), evaluate=True)
    before = count()
    for version in range(4, 20):
        send(crm, deal("D1", ana, f"{version}000.00", version=version), deal(f"X{version}", ana, "5.00"))
    assert Earning.objects.filter(object=state("D1")).count() == 19
    assert count() == before
