"""Activities in another currency count by the rate of their day, as soon as there is one."""

from datetime import date
from decimal import Decimal

import pytest

from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.earnings.evaluate import evaluate
from incentives.earnings.selectors import exceptions
from incentives.ledger import exchange
from incentives.ledger.errors import RateInvalid
from incentives.ledger.exchange import RateRow
from incentives.ledger.models import ExchangeRate, FormerRate
from incentives.programs.selectors import definition_of
from tests.earnings.test_evaluate import earned, in_order
from tests.factories import deal, make_connection, make_participant, make_program, make_user, send

pytestmark = pytest.mark.django_db
AUGUST = date(2026, 8, 1), date(2026, 8, 31)


def rate(value: str, days=AUGUST, currency="EUR", to="USD", source="ECB") -> RateRow:
    return RateRow(currency, to, *days, Decimal(value), source)


def set_rates(*rows, actor=None) -> dict:
    done = exchange.set_rates(rows=rows, actor=actor or make_user("finance"))
    evaluate()
    return done


def codes(program) -> list[str]:
    return [row.code for row in exceptions(program, definition_of(program)).rows]


def test_an_activity_waits_for_its_rate_and_counts_when_it_is_there():
    ana, program = make_participant("Ana"), make_program()
    send(make_connection(), deal("D1", ana, "1000.00", currency="EUR"), deal("D2", ana, "100.00"))
    assert (earned(program), codes(program)) == ({"Ana": 200}, ["no_rate"])
    assert set_rates(rate("1.0825")) == {"added": 1, "changed": 0, "unchanged": 0}
    assert (earned(program), codes(program)) == ({"Ana": 2165 + 200}, [])
    assert in_order()
    set_rates(rate("1.1"))
    assert earned(program) == {"Ana": 2200 + 200}
    assert in_order()


def test_the_day_is_that_of_the_program_s_time_zone():
    ana, program = make_participant("Ana"), make_program(time_zone="Pacific/Auckland")
    send(make_connection(), deal("D1", ana, "1000.00", currency="EUR", occurred_at="2026-08-31T13:00:00Z"))
    set_rates(rate("2"), rate("3", (date(2026, 9, 1), date(2026, 9, 1))))
    assert earned(program) == {"Ana": 6000}
    assert in_order()


def test_days_that_lose_their_rate_take_back_what_they_earned():
    ana, program, finance = make_participant("Ana"), make_program(), make_user("finance")
    days = {"occurred_at": "2026-08-20T10:00:00Z"}
    send(
        make_connection(), deal("D1", ana, "1000.00", currency="EUR"), deal("D2", ana, "10.00", currency="EUR", **days)
    )
    set_rates(rate("1"))
    assert earned(program) == {"Ana": 2020}
    found = ExchangeRate.objects.get()
    exchange.change_rate(rate=found, row=rate("1", (date(2026, 8, 1), date(2026, 8, 10))), actor=finance)
    evaluate()
    assert earned(program) == {"Ana": 2000}
    assert in_order()
    for _ in range(2):
        exchange.remove_rate(rate=found, actor=finance, reason="Typing mistake")
    evaluate()
    assert earned(program) == {}
    assert in_order()
    assert not FormerRate.objects.exists()
    actions = AuditEvent.objects.filter(action__startswith="rate.").values_list("action", flat=True)
    assert list(actions) == ["rate.removed", "rate.changed", "rate.set"]


def test_only_facts_in_the_currency_of_a_rate_are_counted_anew():
    ana = make_participant("Ana")
    make_program()
    send(make_connection(), deal("D1", ana, "1.00"), deal("D2", ana, "1.00", currency="EUR"))
    exchange.set_rates(rows=[rate("1.5"), rate("0.9", currency="USD", to="EUR")], actor=make_user("finance"))
    assert evaluate()["credited"] == 1
    assert evaluate()["credited"] == 0


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [rate("1.2", (date(2026, 8, 5), date(2026, 9, 5)))],
            "Row 1: EUR to USD from 2026-08-05 to 2026-09-05 overlaps the rate",
        ),
        ([rate("1.2", (date(2026, 9, 1), date(2026, 9, 2)))] * 2, "Row 2: .* overlaps row 1"),
        ([rate("1.2", currency="USD")], "Row 1: .*another currency"),
        ([rate("1.2", currency="XXX")], "Row 1: XXX is no currency"),
        ([rate("1.2", AUGUST[::-1])], "Row 1: the last day"),
        ([rate("0")], "Row 1: the rate is 0"),
        ([rate("1.12345678901")], "at most 10 digits"),
        ([rate("1.2", (date(2020, 1, 1), date(2026, 1, 1)))], "two years at most"),
    ],
)
def test_what_a_rate_may_not_be_is_refused_with_the_row_named_and_nothing_is_set(rows, words):
    finance = make_user("finance")
    exchange.set_rates(rows=[rate("1.1")], actor=finance)
    good = rate("7", currency="GBP")
    with pytest.raises(RateInvalid, match=words):
        exchange.set_rates(rows=[*rows, good], actor=finance)
    assert list(ExchangeRate.objects.values_list("currency", "rate")) == [("EUR", Decimal("1.1"))]
    assert AuditEvent.objects.filter(action="rate.set").count() == 1


def test_only_finance_sets_rates_and_a_repeat_changes_nothing():
    with pytest.raises(NotAllowed):
        exchange.set_rates(rows=[rate("1.1")], actor=make_user("manager"))
    finance = make_user("finance")
    assert set_rates(rate("1.1"), actor=finance)["added"] == 1
    assert set_rates(rate("1.10"), actor=finance) == {"added": 0, "changed": 0, "unchanged": 1}
    found = ExchangeRate.objects.get()
    assert exchange.change_rate(rate=found, row=exchange.row_of(found), actor=finance).to_credit is False
    assert AuditEvent.objects.filter(action__startswith="rate.").count() == 1


def test_a_change_may_not_overlap_another_rate():
    finance = make_user("finance")
    september = date(2026, 9, 1), date(2026, 9, 30)
    exchange.set_rates(rows=[rate("1.1"), rate("1.2", september)], actor=finance)
    found = ExchangeRate.objects.get(starts_on=september[0])
    with pytest.raises(RateInvalid, match="overlaps the rate that stands from 2026-08-01"):
        exchange.change_rate(rate=found, row=rate("1.2", (date(2026, 8, 31), september[1])), actor=finance)
    found.refresh_from_db()
    assert (found.starts_on, FormerRate.objects.count()) == (september[0], 0)
