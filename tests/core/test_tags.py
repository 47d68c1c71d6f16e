"""Money, shares, times and states as people read them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.template import Context, Template
from django.utils import timezone, translation

from incentives.core.looks import look
from incentives.core.templatetags import laurel
from rewards.money import Money
from tests.support.html import assert_page_clean

NOW = datetime(2026, 7, 15, 12, tzinfo=UTC)


def render(source: str, **context) -> str:
    return Template("{% load laurel %}" + source).render(Context(context))


@pytest.mark.parametrize(
    ("language", "value", "text"),
    [
        ("en", Money(123_456_789, "USD"), "1,234,567.89\xa0USD"),
        ("en", Money(-4_250, "USD"), "−42.50\xa0USD"),
        ("en", Money(125_000, "JPY"), "125,000\xa0JPY"),
        ("en", Money(1_234_567, "KWD"), "1,234.567\xa0KWD"),
        ("en", (5, "EUR"), "0.05\xa0EUR"),
        ("en", Money(99_999_999_999_999_999, "USD"), "999,999,999,999,999.99\xa0USD"),
        ("fr", Money(123_456_789, "EUR"), "1\xa0234\xa0567,89\xa0EUR"),
        ("en", None, "–"),
    ],
)
def test_money_reads_as_the_language_writes_it(language, value, text):
    with translation.override(language):
        assert render("{{ value|money }}", value=value) == text


def test_money_from_minor_units_and_currency():
    assert render('{% money_minor 1999 "USD" %}') == "19.99\xa0USD"


def test_money_refuses_a_float():
    with pytest.raises(TypeError):
        laurel.money_text(19.99)


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (Decimal("0.725"), "72.5%"),
        (Decimal("1.2"), "120%"),
        (Decimal("0.33333"), "33.3%"),
        (0, "0%"),
        (None, "–"),
        (Decimal("-0.05"), "−5%"),
    ],
)
def test_a_ratio_as_per_cent(ratio, text):
    assert laurel.percent(ratio) == text


def test_a_share_of_nothing_is_no_number():
    assert laurel.share_of(Money(50, "USD"), Money(0, "USD")) == "–"
    assert laurel.share_of(Money(50, "USD"), Money(200, "USD")) == "25%"
    with pytest.raises(ValueError, match="do not mix"):
        laurel.share_of(Money(50, "USD"), Money(200, "EUR"))


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(minutes=4), "4 min ago"),
        (timedelta(minutes=59, seconds=20), "59 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(hours=-3), "in 3 h"),
        (timedelta(hours=20), "yesterday 16:00"),
        (timedelta(hours=-30), "tomorrow 18:00"),
        (timedelta(days=20), "25 Jun"),
        (timedelta(days=400), "10 Jun 2025"),
    ],
)
def test_a_moment_relative_to_now(before, text):
    with timezone.override("UTC"):
        assert laurel.relative(NOW - before, NOW) == text


def test_yesterday_is_the_persons_yesterday():
    with timezone.override("Asia/Tokyo"):  # 21:00 there; 20 hours before is 01:00 of the same day
        assert laurel.relative(NOW - timedelta(hours=20), NOW) == "today 01:00"


def test_the_exact_time_stands_in_the_title_in_the_persons_zone():
    with timezone.override("America/New_York"):
        html = laurel.when(NOW, "full")
    assert 'datetime="2026-07-15T08:00:00-04:00"' in html
    assert 'title="15 July 2026, 08:00:00 EDT"' in html
    assert ">15 Jul 2026, 08:00 EDT<" in html
    assert laurel.when(date(2026, 7, 1)) == '<time datetime="2026-07-01">1 Jul 2026</time>'
    assert laurel.when(None) == "–"


def test_a_state_is_a_colour_an_icon_and_a_word():
    html = render('{% status_badge "written_off" %}')
    assert 'class="badge badge-quiet"' in html and "<svg" in html and "Written off" in html
    assert look("SUBMITTED")[0] == "info" and look("nobody-listed-this") == ("quiet", "dot")


def test_a_name_cannot_bring_html_along():
    html = render(
        "{% avatar name %}{% status_badge name name %}{% icon 'x' name %}", name='"><script>alert(1)</script>'
    )
    assert "<script" not in html


def test_progress_stays_within_its_bar_and_tells_the_numbers():
    html = render("{% progress part whole 'Budget' %}", part=Money(15_000, "USD"), whole=Money(10_000, "USD"))
    assert 'value="1000"' in html and "150.00\xa0USD of 100.00\xa0USD" in html
    assert 'value="0"' in render("{% progress 0 0 'Nothing' %}")


def test_the_next_tier_says_what_is_missing():
    tiers = [{"at": Money(100_00, "USD"), "reward": "A"}, {"at": Money(400_00, "USD"), "reward": Money(50_00, "USD")}]
    html = render("{% tier_progress value tiers 'Quarter' %}", value=Money(250_00, "USD"), tiers=tiers)
    assert "150.00\xa0USD to the next tier" in html and 'width="62.50%"' in html and "50.00\xa0USD</span>" in html
    assert "Every tier reached" in render("{% tier_progress value tiers %}", value=Money(500_00, "USD"), tiers=tiers)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_charts_are_plain_svg_in_every_language(language):
    rows = [{"label": f"W{n}", "value": Money(n * 1_000, "USD")} for n in range(12)]
    with translation.override(language):
        html = render(
            "{% column_chart rows 'Weeks' %}{% bar_list rows 'Teams' %}{% sparkline values 'Line' %}",
            rows=rows,
            values=[3, 1, 2],
        )
    assert_page_clean(html)
    assert 'width="5.83%"' in html and "0.00,2.00 50.00,20.67 100.00,11.33" in html
    assert render("{% sparkline values 'x' %}", values=[1]).strip() == ""


def test_who_can_is_asked_of_the_person():
    class Person:
        is_authenticated = True

        def can(self, permission):
            return permission == "payouts.view"

    source = "{% can 'payouts.view' as a %}{{ a }} {% if user|can:'payouts.approve' %}yes{% endif %}"
    assert render(source, user=Person()) == "True "
    assert render("{% can 'payouts.view' %}") == "False"
