"""Writing tax: profiles, rules, awards made elsewhere, exports; and the one question of payouts, `hold_for`."""

from incentives.tax.services.awards import AwardRow, add_awards, award_problem, cancel_award
from incentives.tax.services.exports import csv_of, make_1099_export, make_w2_export, record_download
from incentives.tax.services.holds import TaxHold, Watch, hold_for
from incentives.tax.services.profiles import release, save_profile
from incentives.tax.services.rules import remove_rule, save_rule

__all__ = [
    "AwardRow",
    "TaxHold",
    "Watch",
    "add_awards",
    "award_problem",
    "cancel_award",
    "csv_of",
    "hold_for",
    "make_1099_export",
    "make_w2_export",
    "record_download",
    "release",
    "remove_rule",
    "save_profile",
    "save_rule",
]
