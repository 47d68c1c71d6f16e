"""What a token may be allowed, in one table (docs/api.md repeats it; a test compares).

A scope narrows, it never gives: a request needs the scope, and its token's user needs a permission of `permissions`. While it
runs, the user has no permission but those of the token's scopes, so that a service asks for nothing the token was not given.
"""

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Scope:
    """`opens`: permissions of which any one lets a request in. `uses`: what services behind it may ask for besides."""

    label: object
    opens: tuple[str, ...]
    uses: tuple[str, ...] = ()
    machine: bool = True
    """Whether a machine's token may have it."""

    @property
    def permissions(self) -> frozenset[str]:
        return frozenset(self.opens + self.uses)


SCOPES: dict[str, Scope] = {
    "activities:read": Scope(_("Read activities"), ("activities.view",)),
    "activities:write": Scope(_("Send activities"), ("activities.import",)),
    "participants:read": Scope(_("Read participants"), ("participants.view", "me.view")),
    "participants:write": Scope(_("Add and change participants"), ("participants.edit",), ("participants.view",)),
    "groups:read": Scope(_("Read teams and partners"), ("participants.view",)),
    "programs:read": Scope(_("Read programs and their versions"), ("programs.view",)),
    "programs:write": Scope(_("Write drafts of programs, never publish"), ("programs.edit",), ("programs.view",)),
    "programs:simulate": Scope(_("Validate and simulate definitions"), ("programs.simulate",)),
    "earnings:read": Scope(
        _("Read earnings and their explanations"), ("programs.view", "me.view"), ("payouts.view",)
    ),
    "payouts:read": Scope(_("Read payouts"), ("payouts.view",)),
    "payouts:build": Scope(_("Build payouts, which submits them for approval"), ("payouts.build",), ("payouts.view", "programs.view")),
    "payouts:approve": Scope(
        _("Approve and reject payouts as the person"), ("payouts.approve", "payouts.approve_as_manager"),
        ("payouts.view",), machine=False,
    ),
    "budgets:read": Scope(_("Read budgets"), ("budgets.view",)),
    "orders:read": Scope(_("Read orders, never claim links"), ("orders.view",)),
}  # fmt: skip


def permissions_of(scopes) -> frozenset[str]:
    """All that the user of a token keeps of their own permissions. A name no longer in the table gives nothing."""
    return frozenset().union(*(SCOPES[name].permissions for name in scopes if name in SCOPES))


def offered(user) -> list[tuple[str, Scope]]:
    """The scopes that would do anything for this person or machine."""
    return [
        (name, scope)
        for name, scope in SCOPES.items()
        if (scope.machine or not user.is_service) and any(user.can(wanted) for wanted in scope.opens)
    ]
