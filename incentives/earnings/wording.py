"""A contest's rules in words, for the pages of managers and participants."""

from django.utils.translation import gettext

from incentives.core.templatetags.laurel import money_text
from incentives.earnings.leaderboards import Leaderboard
from incentives.earnings.standings import TIES
from rewards.money import Money


def tie_words(ties: str) -> str:
    return gettext(TIES[ties])


def rule_words(board: Leaderboard) -> list[str]:
    """Who competes, what a tie does, and the minimum. Without prizes only how ties are shown."""
    reward = board.board.reward
    if not board.board.is_contest:
        return [gettext("Everybody by measure over the whole program. Equal measures share a rank.")]
    who = {
        "participant": gettext("Everybody competes for themselves."),
        "team": gettext("Teams compete; a team's prize is divided among its people who added to the measure."),
        "partner": gettext("Partners compete; a partner's prize is divided among its people who added to the measure."),
    }
    words = [who[reward.by], tie_words(reward.ties)]
    if reward.minimum is not None:
        words.append(gettext("Below %(minimum)s no prize is won.") % {"minimum": board.text(reward.minimum)})
    return words


def prize_words(board: Leaderboard) -> list[dict]:
    """`ranks` ("1" or "2-5" with a dash) and `amount` of every prize."""
    currency = board.program.currency
    return [
        {
            "ranks": prize.ranks.replace("-", "\N{EN DASH}"),
            "amount": Money.from_decimal(prize.amount, currency),
        }
        for prize in board.board.reward.prizes
    ]


def prizes_line(board: Leaderboard) -> str:
    """`1: 1,000.00 USD, 2: 200.00 USD`"""
    return ", ".join(f"{prize['ranks']}: {money_text(prize['amount'])}" for prize in prize_words(board))
