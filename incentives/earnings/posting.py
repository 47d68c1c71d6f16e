"""From what was computed to earnings: the difference to what stands, booked on its day, and in the ledger."""

from collections import defaultdict
from datetime import date
from typing import NamedTuple

from django.db.models import Count, Min, Sum

from incentives.earnings.booking import Books
from incentives.earnings.models import Earning, Scorecard
from incentives.earnings.scoring import Computed
from incentives.ledger import accounts
from incentives.ledger.models import Account
from incentives.ledger.posting import Move, post_all
from incentives.programs.rules.facts import Line
from rewards.money import Money


class Standing(NamedTuple):
    """What stands under one line key: minor units, how many rows, and the day the first was booked on."""

    minor: int = 0
    rows: int = 0
    booked_on: date | None = None


NOTHING = Standing()


def standing_lines(participations) -> dict[int, dict[tuple, Standing]]:
    """participation id -> (period start, line key) -> what stands, from the earnings."""
    standing: dict[int, dict[tuple, Standing]] = defaultdict(dict)
    rows = (
        Earning.objects.filter(participation__in=participations)
        .values_list("participation_id", "period_start", "line_key")
        .annotate(total=Sum("amount_minor"), rows=Count("pk"), first=Min("booked_on"))
        .order_by()
    )
    for pk, period, key, *found in rows:
        standing[pk][period, key] = Standing(*found)
    return standing


def post_differences(participations, computed: list[Computed]) -> list[Earning]:
    """Add the earnings that turn what stands into what was computed, with their postings, and to the participations'
    totals (unsaved). Call it in a transaction that holds the participations."""
    standing, books = standing_lines(participations), Books()
    earnings: list[Earning] = []
    for item in computed:
        new = differences(item, standing[item.participation.pk], books)
        item.participation.earned_minor += sum(earning.amount_minor for earning in new)
        earnings += new
    Earning.objects.bulk_create(earnings, batch_size=500)
    _post_to_ledger(earnings)
    return earnings


def differences(item: Computed, standing: dict[tuple, Standing], books: Books) -> list[Earning]:
    """The earnings that turn what stands into what was computed; none when they agree. Unsaved."""
    lines = {(card.period_start, line.key): line for card in item.scorecards for line in card.lines}
    lines |= {(period, line.key): line for period, line in item.prizes}
    changes = []
    for key, line in lines.items():
        before = standing.get(key, NOTHING)
        if line.amount_minor != before.minor:
            changes.append(_earning(item, key, before, line, books))
    for key, before in standing.items():
        if key not in lines and before.minor:
            changes.append(_earning(item, key, before, None, books))
    return changes


def _earning(item: Computed, key: tuple[date, str], before: Standing, line: Line | None, books: Books) -> Earning:
    """The next row under a key; without a line, the one that takes back what stands."""
    fact_id = line.fact_id if line else _fact_of_key(key[1])
    booked_on, why = books.day_of(item, key[0], line, before.booked_on)
    return Earning(
        participation=item.participation,
        version=item.version_of(line.version if line else None),
        object_id=int(fact_id) if fact_id else None,
        period_start=key[0],
        line_key=key[1],
        n=before.rows + 1,
        amount_minor=(line.amount_minor if line else 0) - before.minor,
        currency=item.participation.program.currency,
        explanation=_words(line, before.minor, item) + why,
        booked_on=booked_on,
    )


def _words(line: Line | None, before: int, item: Computed) -> str:
    was = Money(before, item.participation.program.currency)
    if line is None:
        return f"Taken back: {was} is no longer earned."
    return f"{line.explanation} (corrected, was {was})" if before else line.explanation


def _fact_of_key(key: str) -> str | None:
    """The fact a line key names: `r0:deal:<fact>` and its overlay form carry it, period lines do not."""
    parts = key.split(":")
    return parts[2] if len(parts) > 2 and parts[1] == "deal" and parts[2].isdigit() else None


def _post_to_ledger(earnings: list[Earning]) -> None:
    """accrual -> earned, or back for a correction; one posting per earning."""
    if not earnings:
        return
    owners = {(str(e.participation.public_id), e.currency) for e in earnings}
    own = accounts.participant_accounts(sorted(owners))
    accruals = {currency: _accrual(currency) for currency in {currency for _, currency in owners}}
    moves = []
    for earning in earnings:
        outside = accruals[earning.currency]
        inside = own[str(earning.participation.public_id)][accounts.EARNED]
        source, destination = (outside, inside) if earning.amount_minor > 0 else (inside, outside)
        moves.append(
            Move(
                f"earn:{earning.public_id}",
                Money(abs(earning.amount_minor), earning.currency),
                source,
                destination,
                "earn" if earning.amount_minor > 0 else "unearn",
                f"earning:{earning.public_id}",
                booked_on=earning.booked_on,
            )
        )
    post_all(moves)


def _accrual(currency: str) -> Account:
    return accounts.world("accrual", currency, book=Account.Book.PARTICIPANT)


def _prize_in(item: Computed, period) -> int:
    return sum(line.amount_minor for start, line in item.prizes if start == period)


def store_scorecards(computed: list[Computed]) -> None:
    Scorecard.objects.filter(participation__in=[item.participation for item in computed]).delete()
    Scorecard.objects.bulk_create(
        [
            Scorecard(
                participation=item.participation,
                period_start=card.period_start,
                period_end=card.period_end,
                measure=card.measure,
                target=card.target,
                attainment=None if card.attainment is None else int(card.attainment * 100),
                deals=card.deals,
                amount_minor=card.earned_minor + (prize := _prize_in(item, card.period_start)),
                prize_minor=prize,
                reached_at=card.reached_at,
            )
            for item in computed
            for card in item.scorecards
        ],
        batch_size=500,
    )
