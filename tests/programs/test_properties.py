"""What holds for every program and every history: order, repetition, sums, caps, shares, reversal."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from incentives.programs.rules import Fact, Person, Split, credits_for, parse_definition, rank_standings, score
from incentives.programs.rules.numbers import allocate, half_up
from incentives.programs.rules.simulation import Simulation
from rewards.money import Money

PEOPLE = ("A", "B", "C", "M")
ROSTER = {key: Person(key, team=key, manager="M", partner_tier="gold" if key == "B" else None) for key in PEOPLE}
money = st.integers(1, 500_00).map(lambda minor: f"{minor // 100}.{minor % 100:02d}")
rate = st.integers(1, 5_000).map(lambda n: f"{n // 100}.{n % 100:02d}")
amount = st.one_of(st.integers(0, 3_000_00), st.integers(0, 50)).map(lambda minor: Decimal(minor).scaleb(-2))


@st.composite
def rewards(draw):
    kind = draw(st.sampled_from(["per_unit", "per_deal", "percent", "bands", "tiers", "milestone"]))
    if kind in ("per_unit", "per_deal"):
        return {"type": kind, "amount": draw(money)}
    if kind == "percent":
        return {"type": kind, "rate": draw(rate)}
    levels = sorted(draw(st.sets(st.integers(0, 3000), min_size=1, max_size=4)))
    of = draw(st.sampled_from(["measure", "target"]))
    if kind == "bands":
        found = [{"from": str(level), draw(st.sampled_from(["rate", "amount"])): "1.25"} for level in levels]
        mode, over = draw(st.sampled_from(["marginal", "whole"])), draw(st.sampled_from(["deal", "period"]))
        return {"type": kind, "of": of, "mode": mode, "over": over, "bands": found}
    if kind == "tiers":
        found = [{"at": str(level), "amount": draw(money)} for level in levels]
        return {"type": kind, "of": of, "mode": draw(st.sampled_from(["highest", "each"])), "tiers": found}
    return {"type": kind, "at": [{"count": level + 1, "amount": draw(money)} for level in levels]}


@st.composite
def programs(draw):
    caps = {key: draw(money) for key in draw(st.sets(st.sampled_from(["deal", "period", "participant"])))}
    return parse_definition(
        {
            "name": "P", "currency": "USD", "starts_on": "2026-01-01", "ends_on": "2026-12-31",
            "rewards": draw(st.lists(rewards(), min_size=1, max_size=3)), "caps": caps,
            "period": draw(st.sampled_from(["program", "week", "month", "quarter", "year"])),
            "measure": {"metric": draw(st.sampled_from(["amount", "quantity", "deals"]))},
            "credit": {"to": "splits", "overlays": draw(st.sampled_from([[], [{"to": "manager", "percent": "10"}]]))},
            "partner_multipliers": draw(st.sampled_from([{}, {"gold": "1.5"}])),
        }
    )  # fmt: skip


@st.composite
def facts(draw):
    count = draw(st.integers(0, 12))
    return [draw(fact(str(index))) for index in range(count)]


@st.composite
def fact(draw, id):
    who = draw(st.permutations(PEOPLE[:3]))[: draw(st.integers(1, 3))]
    weights = [draw(st.integers(1, 100)) for _ in who]
    parts = allocate(10_000, weights) if len(who) > 1 else []
    return Fact(
        id=id, kind="deal.won", participant=who[0], amount=draw(amount), currency="USD", quantity=draw(amount),
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=draw(st.integers(0, 365 * 24 - 1))),
        splits=tuple(Split(key, Decimal(part).scaleb(-2)) for key, part in zip(who, parts, strict=False)),
    )  # fmt: skip


TARGETS = {date(2026, 1, 1): Decimal(100), date(2026, 5, 1): Decimal(500)}


def scored(definition, history):
    """participant -> scorecards"""
    credits: dict[str, list] = {}
    for item in history:
        for credit in credits_for(definition, item, ROSTER).credits:
            credits.setdefault(credit.participant, []).append(credit)
    targets = TARGETS if definition.period not in ("program", "year") else {date(2026, 1, 1): Decimal(700)}
    return {who: score(definition, ROSTER[who], targets, own) for who, own in sorted(credits.items())}


@given(programs(), facts(), st.randoms())
def test_neither_order_nor_repetition_changes_anything(definition, history, random):
    expected = scored(definition, history)
    shuffled = history + random.choices(history, k=3) if history else []
    random.shuffle(shuffled)
    assert scored(definition, shuffled) == expected


@given(programs(), facts())
def test_caps_hold_and_lines_are_unique_and_total_what_is_earned(definition, history):
    limits = {name: getattr(definition.caps, name) for name in ("deal", "period", "participant")}
    caps = {name: None if cap is None else int(cap * 100) for name, cap in limits.items()}
    for cards in scored(definition, history).values():
        total = 0
        for card in cards:
            keys = [line.key for line in card.lines]
            assert len(keys) == len(set(keys))
            assert card.earned_minor == sum(line.amount_minor for line in card.lines)
            assert all(0 <= line.amount_minor <= line.uncapped_minor for line in card.lines)
            assert caps["period"] is None or card.earned_minor <= caps["period"]
            deals: dict[str, int] = {}
            for line in card.lines:
                if ":deal:" in line.key:
                    deals[line.fact_id] = deals.get(line.fact_id, 0) + line.amount_minor
            assert caps["deal"] is None or all(paid <= caps["deal"] for paid in deals.values())
            total += card.earned_minor
        assert caps["participant"] is None or total <= caps["participant"]


@given(programs(), fact("d"))
def test_shares_total_the_activity_exactly(definition, deal):
    own = [credit for credit in credits_for(definition, deal, ROSTER).credits if credit.role != "overlay"]
    if own:
        assert sum(credit.share_percent for credit in own) == 100
        assert sum(credit.measure for credit in own) == own[0].whole


@given(fact("d"), st.integers(1, 99_999))
def test_a_per_deal_bonus_is_divided_exactly(deal, minor):
    amount = f"{minor // 100}.{minor % 100:02d}"
    definition = parse_definition(
        {"name": "P", "currency": "USD", "starts_on": "2026-01-01", "ends_on": "2026-12-31", "credit": {"to": "splits"},
         "rewards": [{"type": "per_deal", "amount": amount}]}
    )  # fmt: skip
    assert sum(card.earned_minor for cards in scored(definition, [deal]).values() for card in cards) == minor


@given(programs(), facts())
def test_reversing_everything_earns_nothing(definition, history):
    reversed_ = [Fact(id=item.id, kind="deal.lost", occurred_at=item.occurred_at) for item in history]
    assert scored(definition, reversed_) == {}


@given(st.lists(st.tuples(st.sampled_from(PEOPLE[:3]), st.integers(0, 5)), max_size=9),
       st.sampled_from(["split", "same", "earliest"]), st.sampled_from(["participant", "team"]))  # fmt: skip
def test_prizes_never_exceed_the_pot_except_where_ties_each_get_the_best(entries, ties, by):
    prizes = [{"ranks": "1", "amount": "100.00"}, {"ranks": "2-3", "amount": "33.33"}]
    definition = parse_definition(
        {"name": "P", "currency": "USD", "starts_on": "2026-01-01", "ends_on": "2026-12-31",
         "rewards": [{"type": "rank", "by": by, "ties": ties, "prizes": prizes}]}
    )  # fmt: skip
    history = [Fact(id=str(i), kind="deal.won", participant=who, amount=Decimal(n), currency="USD",
                    occurred_at=datetime(2026, 1, 1 + n, tzinfo=UTC)) for i, (who, n) in enumerate(entries)]  # fmt: skip
    cards = [card for own in scored(definition, history).values() for card in own]
    (found,) = rank_standings(definition, cards, ROSTER)
    (again,) = rank_standings(definition, cards[::-1], ROSTER)
    assert found == again
    total = sum(place.prize_minor for place in found.places)
    pot = sum([10000, 3333, 3333][: len({place.group for place in found.places})])
    assert total == sum(line.amount_minor for line in found.lines.values())
    assert total >= pot if ties == "same" else total == pot
    ranks = [place.rank for place in found.places]
    assert ranks == sorted(ranks)


@given(st.integers(-(10**15), 10**15), st.integers(1, 10**9))
def test_rounding_is_that_of_money(numerator, denominator):
    exact = Fraction(numerator, denominator)
    found = half_up(numerator, denominator)
    assert abs(found - exact) <= Fraction(1, 2)
    if denominator in (10, 100, 1000):
        assert found == Money.from_decimal(Decimal(numerator) / denominator, "JPY").minor
    for digits in (1, 2, 3):
        value = Decimal(numerator).scaleb(-digits)
        assert half_up(numerator, 10**digits) == Money.from_decimal(value, "JPY").minor


@given(st.integers(0, 10**12), st.lists(st.integers(1, 10**6), min_size=1, max_size=8))
def test_allocation_is_exact_and_within_one_of_the_share(total, weights):
    parts = allocate(total, weights)
    assert sum(parts) == total
    assert all(
        abs(Fraction(part) - Fraction(total * weight, sum(weights))) < 1
        for part, weight in zip(parts, weights, strict=True)
    )


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5), st.sampled_from(
    ["deal.won", "deal.updated", "deal.lost", "deal.reopened"])), max_size=12), st.randoms())  # fmt: skip
def test_a_simulation_does_not_depend_on_the_order_of_its_lines(history, random):
    """Each object has one event per version; whichever way they arrive, the newest version stands."""
    events = {(number, version): kind for number, version, kind in history}
    lines = [
        {"external_id": f"{number}:{version}", "kind": kind, "occurred_at": f"2026-02-0{version}T10:00:00Z",
         "participant": {"external_user_id": "A"}, "amount": str(version * 100), "currency": "USD",
         "object": {"type": "deal", "id": str(number), "version": str(version)}}
        for (number, version), kind in events.items()
    ]  # fmt: skip
    document = {"name": "P", "currency": "USD", "starts_on": "2026-01-01", "ends_on": "2026-12-31",
                "rewards": [{"type": "percent", "rate": "10"}]}  # fmt: skip

    def simulated(ordered):
        simulation = Simulation(parse_definition(document))
        simulation.add_person({"external_user_id": "A"})
        for line in ordered:
            simulation.add_activity(line)
        return simulation.run().document()

    expected = simulated(lines)
    random.shuffle(lines)
    assert simulated(lines) == expected
    wins = 0
    for number in {number for number, _ in events}:
        versions = sorted(version for found, version in events if found == number)
        state = [events[number, version] for version in versions if events[number, version] != "deal.updated"]
        if state and state[-1] == "deal.won":
            wins += versions[-1] * 1000
    assert expected["total"] == f"{wins / 100:.2f}"
