"""The way to every report: one table, shown by `/reports/`. Which person sees which entry is the report's own permission."""

from django.utils.translation import gettext_lazy as _

REPORTS = (
    (_("Programs and people"), (
        ("reports:results", "reports.view", _("Program results"), _("What each program cost per won amount, who took part and how much each earned, before and after.")),
        ("reports:statements", "reports.view", _("Statements"), _("What one person earned and was paid in a period, as a page and as a PDF.")),
        ("reports:approvals", "reports.view", _("Approvals"), _("Decisions taken and waiting, by whom and how long they took.")),
        ("reports:ageing", "reports.view", _("Unclaimed rewards"), _("Cards delivered and not opened yet, by age.")),
    )),
    (_("Books"), (
        ("reports:reconciliation", "reconciliation.view", _("Reconciliation"), _("Earned, approved, ordered, issued and delivered, by program and day, with every difference and its reason.")),
        ("reports:comparisons", "reconciliation.view", _("Provider comparisons"), _("Each day's comparison of our orders with the provider's list.")),
        ("payouts:months", "periods.view", _("Months"), _("What each month holds by program, and which months are closed.")),
        ("reports:accrual", "accounting.view", _("Accrual"), _("What was earned and is not paid yet, by program and period.")),
        ("reports:journal", "accounting.view", _("Journal"), _("Every money step as a line for the books, with your account numbers.")),
        ("ledger:budgets", "budgets.view", _("Budgets"), _("What is available, reserved, committed and spent.")),
        ("ledger:deposits", "deposits.view", _("Provider deposit"), _("What was paid in at the provider, the estimated balance and what waits for it.")),
        ("ledger:rates", "rates.view", _("Exchange rates"), _("The rates by which activities in other currencies count.")),
        ("tax:overview", "tax.view", _("Tax"), _("Totals against each year's thresholds, forms on file, W-2 and 1099 exports.")),
    )),
    (_("Payouts"), (
        ("payouts:list", "payouts.view", _("Payouts"), _("What is due to people, from the approval to the card.")),
        ("payouts:schedule", "payouts.view", _("Payout schedule"), _("When each program builds its payouts next.")),
        ("payouts:holds", "payouts.view", _("Holds"), _("Payouts that wait for a named reason, with the evidence.")),
        ("payouts:recovery", "recovery.view", _("Recovery"), _("What was paid and is no longer earned, and how it comes back.")),
        ("payouts:write-offs", "recovery.view", _("Write-offs"), _("What was given up, who proposed it and who decided.")),
        ("payouts:orders", "orders.view", _("Orders"), _("Every card ordered at the provider, and its cost.")),
    )),
    (_("Proof"), (
        ("core:audit", "audit.view", _("Audit trail"), _("Who changed what, when and why; chained so that no row can be edited or removed unseen.")),
        ("reports:reveals", "reveals.view", _("Claim links opened"), _("Who revealed which card's link, and when.")),
        ("reports:export", "export.everything", _("Full export"), _("Everything you own, with a program that checks the ledger without Laurel.")),
    )),
)  # fmt: skip
"""(heading, reports): address, permission, name, and what it answers in one sentence. One whose page does not exist is left out."""
