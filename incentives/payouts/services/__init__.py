"""Writing payouts: build, approve, settle. Every door (browser, admin, API, tasks) calls these."""

from incentives.payouts.services.approve import approve_many, approve_payout, cancel_payout, reject_many, reject_payout
from incentives.payouts.services.build import BuildResult, build_payouts
from incentives.payouts.services.holds import lift_hold, place_hold
from incentives.payouts.services.sweep import follow_up, sweep_once

__all__ = [
    "BuildResult",
    "approve_many",
    "approve_payout",
    "build_payouts",
    "cancel_payout",
    "follow_up",
    "lift_hold",
    "place_hold",
    "reject_many",
    "reject_payout",
    "sweep_once",
]
