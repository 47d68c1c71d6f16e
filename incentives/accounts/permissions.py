"""Who may do what: one table (source: design, section 8). Doors ask `user.can("payouts.approve")` and nothing else.

Approving is finance's and the manager's step, never an administrator's by virtue of the role, and being a Django superuser
grants nothing here. Services check separation of duties on top: nobody approves what they made or receive.
"""

from functools import cache

from incentives.accounts.models import Role

M, F, P, PA, A, AU = Role.MANAGER, Role.FINANCE, Role.PARTICIPANT, Role.PARTNER_ADMIN, Role.ADMINISTRATOR, Role.AUDITOR

GRANTS: dict[str, frozenset[str]] = {
    "programs.view": frozenset({M, F, A, AU}),
    "programs.edit": frozenset({M}),
    "programs.publish": frozenset({M}),
    "programs.simulate": frozenset({M, F}),
    "programs.review": frozenset({M}),
    "review_limits.view": frozenset({M, F, A, AU}),
    "review_limits.edit": frozenset({F, A}),
    "activities.view": frozenset({M, F, A, AU}),
    "activities.import": frozenset({M, A}),
    "activities.repair": frozenset({M, A}),
    "participants.view": frozenset({M, F, A, AU}),
    "participants.edit": frozenset({M, A}),
    "claims.view": frozenset({M, F, AU}),
    "claims.review": frozenset({M}),
    "claims.submit": frozenset({P, PA}),
    "awards.view": frozenset({M, F, AU}),
    "awards.give": frozenset({M}),
    "disputes.view": frozenset({M, F, AU}),
    "disputes.answer": frozenset({M}),
    "disputes.raise": frozenset({P, PA}),
    "payouts.view": frozenset({M, F, AU}),
    "payouts.build": frozenset({M}),
    "payouts.approve": frozenset({F}),
    "payouts.approve_as_manager": frozenset({M}),
    "payouts.cancel": frozenset({M, F}),
    "payouts.choose": frozenset({M, F}),
    "holds.place": frozenset({M, F}),
    "holds.lift": frozenset({F}),
    "budgets.view": frozenset({M, F, AU}),
    "budgets.fund": frozenset({F}),
    "deposits.view": frozenset({M, F, AU}),
    "deposits.edit": frozenset({F}),
    "rates.view": frozenset({M, F, AU}),
    "rates.edit": frozenset({F}),
    "periods.view": frozenset({M, F, AU}),
    "periods.close": frozenset({F}),
    "recovery.view": frozenset({M, F, AU}),
    "recovery.propose": frozenset({M, F}),
    "recovery.approve": frozenset({F}),
    "orders.view": frozenset({M, F, AU}),
    "orders.resolve": frozenset({F}),
    "catalogue.refresh": frozenset({M, F, A}),
    "tax.view": frozenset({F}),
    "tax.edit": frozenset({F}),
    "accounting.view": frozenset({F, AU}),
    "accounting.edit": frozenset({F}),
    "reconciliation.view": frozenset({M, F, AU}),
    "reconciliation.edit": frozenset({F}),
    "reveals.view": frozenset({F, AU}),
    "export.everything": frozenset({F}),
    "webhooks.edit": frozenset({A}),
    "tokens.edit": frozenset({A}),
    "reports.view": frozenset({M, F, AU}),
    "reports.export": frozenset({M, F, AU}),
    "reports.remind": frozenset({M, F}),
    "connections.view": frozenset({M, A, AU}),
    "connections.edit": frozenset({A}),
    "notifications.view": frozenset({A, AU}),
    "notifications.edit": frozenset({A}),
    "users.edit": frozenset({A}),
    "audit.view": frozenset({F, A, AU}),
    "me.view": frozenset({P, PA}),
    "me.reveal": frozenset({P, PA}),
    "me.choose": frozenset({P, PA}),
}

SERVICE_MAY = frozenset({
    "activities.view", "activities.import", "participants.view", "participants.edit", "programs.view", "programs.edit",
    "programs.simulate", "payouts.view", "payouts.build", "budgets.view", "orders.view", "reports.view",
})  # fmt: skip
"""What a machine may do at most; the scopes of its token narrow it. It reads and prepares: it never publishes, approves,
lifts a hold, moves money into or out of a budget, or counts as a second person."""


@cache
def roles_with(permission: str) -> frozenset[str]:
    """The roles that grant `permission`. KeyError for a permission that is not in the table: a typo must not pass."""
    return GRANTS[permission]
