"""The chain of an earning line: every step with its figures, nobody else's data for the participant, sums to the cent."""

import json
from collections import defaultdict
from datetime import date
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incentives.earnings.chain import chain_of
from incentives.earnings.models import Earning, Participation
from incentives.payouts import services
from incentives.payouts.chain import whole_chain
from incentives.payouts.chain_json import as_json
from incentives.programs import services as programs
from incentives.programs.services import TargetRow
from tests.factories import deal, make_connection, make_participant, make_program, make_user, send, usd
from tests.payouts.scene import LINK, LINKS
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
SPLIT = {"credit": {"to": "splits"}}


def only(**where) -> Earning:
    return Earning.objects.filter(**where).order_by("pk").last()


def splits(**shares) -> list[dict]:
    return [{"participant": {"external_user_id": key}, "percentage": str(part)} for key, part in shares.items()]


def test_a_corrected_split_deal_tells_record_share_measure_cap_and_both_postings(scene):
    make_participant("Ben Secret", external_user_id="BEN")
    scene.rep.external_user_id = "ANA"
    scene.rep.save()
    program = scene.program(**SPLIT, caps={"deal": "50.00"})
    shares = {"splits": splits(ANA=60, BEN=40), "attributes": {"for": program.name}}
    send(scene.crm, deal("D0", scene.rep, "1000.00", occurred_at="2026-02-01T10:00:00Z", **shares))
    send(scene.crm, deal("D1", scene.rep, "3000.00", **shares))
    send(scene.crm, deal("D1", scene.rep, "9000.00", version=2, kind="deal.updated", state="won", **shares))
    earning = only(object__object_id="D1", participation__participant=scene.rep)
    chain = chain_of(earning)
    assert (chain.amount, chain.stands, chain.counting) == (usd("50.00"), True, False)
    assert [(item.amount, item.correction) for item in chain.postings] == [(usd("36.00"), False), (usd("14.00"), True)]
    assert (chain.share.role, chain.share.percent) == ("Split", Decimal(60))
    assert [text.replace("\xa0", " ") for text in (chain.standing.before, chain.standing.after)] == [
        "600.00 USD", "6,000.00 USD",
    ]  # fmt: skip
    assert (chain.reward.uncapped, chain.reward.cut) == (usd("108.00"), usd("58.00"))
    assert chain.reward.sentence == "2 % of 5,400.00 (60 % of 9,000.00) = 108.00"
    assert chain.reward.cut_words == "limited to 50.00 per deal"
    (cause,) = chain.postings[1].because
    assert (cause.kind, [(c.name, c.before, c.after) for c in cause.changes]) == (
        "activity", [("Amount", "3,000", "9,000")],
    )  # fmt: skip
    assert [step.title for step in chain.steps] == ["Deal won", "Deal updated"]
    assert chain.version.number == 1 and chain.reward.rule == "Pays 2 % of the amount of every activity that counts."


def test_another_deal_that_changes_a_line_is_named_as_the_cause(scene):
    program = scene.program(caps={"participant": "30.00"})
    own = {"attributes": {"for": program.name}}
    send(scene.crm, deal("LATE", scene.rep, "1000.00", occurred_at="2026-08-10T10:00:00Z", **own))
    send(scene.crm, deal("EARLY", scene.rep, "1200.00", occurred_at="2026-08-01T10:00:00Z", **own))
    chain = chain_of(only(object__object_id="LATE"))
    assert [item.amount for item in chain.postings] == [usd("20.00"), usd("-14.00")]
    (cause,) = chain.postings[1].because
    assert (cause.text, cause.other) == ("Deal won: deal EARLY", True)


def test_a_line_of_the_whole_period_names_the_deal_that_reached_it_and_the_target(scene):
    tiers = {
        "rewards": [{"type": "tiers", "of": "target", "mode": "each", "tiers": [{"at": "50", "amount": "100.00"}]}]
    }
    program = scene.program(**tiers)
    row = TargetRow(scene.rep, date(2026, 1, 1), Decimal(2000))
    programs.set_targets(program=program, rows=[row], actor=make_user("manager"))
    for number, amount in enumerate(["600.00", "700.00", "100.00"], start=1):
        scene.earn(amount, object_id=f"T{number}", program=program)
    chain = chain_of(only())
    assert (chain.title, chain.amount, chain.reward.level) == (
        "The whole period",
        usd("100.00"),
        "the level 50 % of the target",
    )
    assert [(fact.name, fact.reached) for fact in chain.standing.facts] == [
        ("deal T1", False), ("deal T2", True), ("deal T3", False),
    ]  # fmt: skip
    assert (chain.standing.attainment_before, chain.standing.attainment_after) == (Decimal(0), Decimal(70))


def test_what_is_taken_back_names_the_loss_and_what_becomes_of_the_money(scene):
    program = scene.program()
    scene.earn("5000.00", object_id="GONE", program=program)
    payout = scene.approve(services.build_payouts(program=program).payouts[0])
    send(scene.crm, deal("GONE", scene.rep, "5000.00", version=2, kind="deal.lost", attributes={"for": program.name}))
    whole = whole_chain(only())
    assert (whole.earned.amount, whole.earned.stands) == (usd("0.00"), False)
    assert whole.earned.postings[1].because[0].text == "Deal lost: deal GONE"
    (paid,) = whole.money.payouts
    assert (paid.payout, paid.amount, whole.money.open) == (payout, usd("100.00"), usd("-100.00"))
    assert whole.money.open_words == "It is taken from the next payout."
    assert [(a.decision, a.by) for a in paid.approvals] == [("Approved", str(scene.finance))]
    assert paid.card.number == payout.order.po_number


def test_the_participant_reads_nothing_of_other_people(scene, as_user):
    ben = make_participant("Ben Secret", external_user_id="BEN", email="ben@secret.example")
    scene.rep.external_user_id = "ANA"
    scene.rep.save()
    program = scene.program(**SPLIT, delivery=LINKS)
    shares = {"splits": splits(ANA=60, BEN=40), "attributes": {"for": program.name, "margin": "canary-margin"}}
    send(scene.crm, deal("D1", ben, "9000.00", **shares))
    shares = {**shares, "splits": splits(ANA=50, BEN=50)}
    send(scene.crm, deal("D1", scene.rep, "9000.00", version=2, kind="deal.updated", state="won", **shares))
    payout = next(p for p in services.build_payouts(program=program).payouts if p.participant == scene.rep)
    scene.issue(scene.approve(payout))
    earning = only(participation__participant=scene.rep)
    client = as_user(scene.rep_user)
    page = client.get(f"/me/earnings/{earning.public_id}/")
    text = assert_page_clean(page).text
    document = client.get(f"/me/earnings/{earning.public_id}.json").json()
    assert document["line"]["amount"] == {"amount": "90.00", "currency": "USD"}
    told = text + json.dumps(document)
    hidden = [
        "Ben", "BEN", "secret", str(ben.public_id), str(scene.finance), "canary", LINK, payout.order.po_number,
        scene.crm.name, earning.line_key, "ana@example.com",
    ]  # fmt: skip
    assert [word for word in hidden if word in json.dumps(document)] == []
    assert [word for word in hidden[:-1] if word in told] == []
    (paid,) = document["payouts"]["payouts"]
    assert paid["approvals"] == [{"decision": "Approved", "at": paid["approvals"][0]["at"]}]
    staff = as_user(scene.finance).get(f"/earnings/{earning.public_id}.json").json()
    assert "Ben Secret" in json.dumps(staff) and staff["payouts"]["payouts"][0]["approvals"][0]["by"] == str(
        scene.finance
    )


def test_somebody_elses_line_does_not_exist(scene, as_user):
    scene.earn(program=scene.program())
    stranger = make_user("participant")
    make_participant("Stranger", user=stranger)
    for end in ("/", ".json"):
        assert as_user(stranger).get(f"/me/earnings/{only().public_id}{end}").status_code == 404


def test_an_administrator_sees_the_line_without_its_payouts(scene, as_user):
    payout = scene.payout()
    earning = payout.allocations.get().earning
    document = as_user(scene.users["administrator"]).get(f"/earnings/{earning.public_id}.json").json()
    assert "payouts" not in document


def test_the_pages_ask_as_often_for_a_long_history(scene, as_user, django_assert_max_num_queries):
    program = scene.program(caps={"participant": "5000.00"})
    own = {"attributes": {"for": program.name}}
    send(scene.crm, *(deal(f"D{n}", scene.rep, "100.00", **own) for n in range(40)))
    for version in range(2, 14):
        fact = deal("D1", scene.rep, f"{version}00.00", version=version, kind="deal.updated", state="won", **own)
        send(scene.crm, fact)
    for _round in range(2):
        services.build_payouts(program=program)
        services.follow_up()
    earning = only(object__object_id="D1")
    assert len(chain_of(earning).postings) == 13
    with django_assert_max_num_queries(45):
        assert as_user(scene.finance).get(f"/earnings/{earning.public_id}/").status_code == 200
    with django_assert_max_num_queries(45):
        assert as_user(scene.rep_user).get(f"/me/earnings/{earning.public_id}/").status_code == 200


def test_every_list_of_earnings_links_to_the_line(scene, as_user):
    payout = scene.payout()
    earning = payout.allocations.get().earning
    program, person = payout.program.public_id, scene.rep.public_id
    client = as_user(scene.finance)
    for address in (
        f"/programs/{program}/earnings/", f"/programs/{program}/participants/{person}/",
        f"/activities/{earning.object.public_id}/why/", f"/payouts/{payout.public_id}/",
    ):  # fmt: skip
        assert f'href="/earnings/{earning.public_id}/"' in client.get(address).content.decode(), address
    client = as_user(scene.rep_user)
    for address in ("/me/", "/me/statement/"):
        assert f'href="/me/earnings/{earning.public_id}/"' in client.get(address).content.decode(), address


FACTS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 9000), st.sampled_from(["won", "won", "lost", "reopened"])),
    min_size=1, max_size=7,
)  # fmt: skip


@given(facts=FACTS, cap=st.sampled_from([None, "75.00"]))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_lines_add_up_to_what_is_stored_whatever_happened(facts, cap):
    rewards = [
        {"type": "percent", "rate": "2.5"},
        {
            "type": "tiers",
            "mode": "each",
            "tiers": [{"at": "3000", "amount": "10.00"}, {"at": "9000", "amount": "25.00"}],
        },
    ]
    with transaction.atomic():
        reps, crm = [make_participant("Ana"), make_participant("Ben")], make_connection()
        make_program(rewards=rewards, caps={"participant": cap} if cap else None)
        for version, (number, rep, amount, kind) in enumerate(facts, start=1):
            send(crm, deal(f"D{number}", reps[rep], f"{amount}.00", version=version, kind=f"deal.{kind}"))
        for participation in Participation.objects.all():
            lines: dict[tuple, Earning] = {}
            for earning in participation.earnings.all():
                lines.setdefault((earning.period_start, earning.line_key), earning)
            sums = defaultdict(int)
            for key, earning in lines.items():
                chain = chain_of(earning)
                assert chain.amount.minor == sum(item.amount.minor for item in chain.postings)
                now = (
                    chain.reward.uncapped.minor - (chain.reward.cut.minor if chain.reward.cut else 0)
                    if chain.stands
                    else 0
                )
                assert chain.amount.minor == now
                assert all(item.because for item in chain.postings)
                as_json(whole_chain(earning, own=True))
                sums[key] += chain.amount.minor
            assert sum(sums.values()) == participation.earned_minor
        transaction.set_rollback(True)


def test_a_prize_names_the_seal_and_its_revision():
    from tests.earnings.test_contests import close, contest, receive

    ana, bob, crm = make_participant("Ana"), make_participant("Bob"), make_connection()
    program = contest()
    receive(crm, deal("D1", ana, "300.00"), deal("D2", bob, "200.00"))
    close(program)
    send(crm, deal("D1", ana, "300.00", version=2, kind="deal.lost", occurred_at="2026-08-20T10:00:00Z"))
    chain = chain_of(only(participation__participant=bob))
    assert (chain.amount, chain.stands, chain.reward.level) == (usd("1000.00"), True, "the place in the standing")
    assert [item.because[0].text for item in chain.postings] == [
        "The standing was sealed", "The sealed standing was revised: Deal lost: deal D1.",
    ]  # fmt: skip
    own = chain_of(only(participation__participant=bob), own=True)
    assert own.postings[1].because[0].text == "The sealed standing was revised"
