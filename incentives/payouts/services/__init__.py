"""Writing payouts: build, approve, settle. Every door (browser, admin, API, tasks) calls these."""

from incentives.payouts.services.approve import approve_many, approve_payout, cancel_payout, reject_many, reject_payout
from incentives.payouts.services.build import BuildResult, build_payouts
from incentives.payouts.services.choose import choose_for, choose_reward, forget_preference
from incentives.payouts.services.delegations import delegate, revoke_delegation, set_mail_mode
from incentives.payouts.services.escalate import escalate
from incentives.payouts.services.holds import lift_hold, place_hold
from incentives.payouts.services.months import close_month, reopen_month
from incentives.payouts.services.orders import (
    ask_for_review,
    confirm_decision,
    decide_review,
    open_channel,
    propose_decision,
    refresh_catalogue,
    restart,
    resume,
    stop_everything,
    withdraw_decision,
)
from incentives.payouts.services.policies import confirm_policy, save_policy
from incentives.payouts.services.recovery import (
    approve_write_off,
    decline_write_off,
    propose_write_off,
    set_instalments,
    withdraw_write_off,
)
from incentives.payouts.services.rules import confirm_rule, save_rule
from incentives.payouts.services.sweep import follow_up, sweep_once

__all__ = [
    "BuildResult",
    "approve_many",
    "approve_payout",
    "approve_write_off",
    "ask_for_review",
    "build_payouts",
    "cancel_payout",
    "choose_for",
    "choose_reward",
    "close_month",
    "confirm_decision",
    "confirm_policy",
    "confirm_rule",
    "decide_review",
    "decline_write_off",
    "delegate",
    "escalate",
    "follow_up",
    "forget_preference",
    "lift_hold",
    "open_channel",
    "place_hold",
    "propose_decision",
    "propose_write_off",
    "refresh_catalogue",
    "reject_many",
    "reject_payout",
    "reopen_month",
    "restart",
    "resume",
    "revoke_delegation",
    "save_policy",
    "save_rule",
    "set_instalments",
    "set_mail_mode",
    "stop_everything",
    "sweep_once",
    "withdraw_decision",
    "withdraw_write_off",
]
