"""Names of what payouts tell (payouts.notices says it)."""

from incentives.payouts.models import Payout

WAITING, ON_ITS_WAY, SENT = "payouts.waiting", "rewards.on_its_way", "rewards.sent"
CHOOSE = "rewards.choose"
TOLD = {Payout.Status.ORDERED: ON_ITS_WAY, Payout.Status.FULFILLED: SENT}
"""What the recipient hears when their payout moves to a state."""
