"""Limits and allowed domains: finance changes them, a second person confirms, as with approval policies."""

import re

from django.db import transaction

from incentives.payouts.errors import RuleInvalid
from incentives.payouts.models import RiskRule
from incentives.payouts.services.confirmed import confirm_change, require, write_change

FIELDS = ("kind", "program", "window", "currency", "most_minor", "most_count", "domain", "is_active")
DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+")


def save_rule(*, actor, rule: RiskRule | None = None, **values) -> RiskRule:
    """Make a rule, or change the given one; `values` are those of FIELDS. A change without a difference writes nothing.

    Until `confirm_rule`, payouts built from now on are not the editor's to approve (promise 6).
    Raises NotAllowed, RuleInvalid.
    """
    require(actor, "change limits and domains")
    with transaction.atomic():
        row = RiskRule.objects.select_for_update(of=("self",), no_key=True).get(pk=rule.pk) if rule else RiskRule()
        before = shown(row) if rule else {}
        for name in FIELDS:
            if name in values:
                setattr(row, name, values[name])
        _check(row)
        return write_change(row, actor=actor, before=before, shown=shown, kind="rule")


def _check(row: RiskRule) -> None:
    if row.kind == RiskRule.Kind.DOMAIN:
        row.domain, row.window, row.most_minor, row.most_count = row.domain.strip().lower(), "", None, None
        if not DOMAIN.fullmatch(row.domain):
            raise RuleInvalid("domain: expected for example example.com.")
        return
    row.domain = ""
    if row.kind not in RiskRule.Kind.values or row.window not in RiskRule.Window.values:
        raise RuleInvalid("kind and window: choose what is limited, in a day or in a month.")
    if row.most_minor is None and row.most_count is None:
        raise RuleInvalid("Give the largest amount, the largest number, or both.")
    if (row.most_minor or 0) < 0 or (row.most_count or 0) < 0:
        raise RuleInvalid("A limit is not below zero.")


def confirm_rule(*, rule: RiskRule, actor) -> RiskRule:
    """As confirm_change. Raises NotAllowed, RuleInvalid (it changed in between)."""
    require(actor, "confirm limits and domains")
    changed = RuleInvalid("This was changed in between. Reload and look again.")
    return confirm_change(rule, actor=actor, shown=shown, kind="rule", changed=changed)


def shown(row: RiskRule) -> dict:
    return {name: str(getattr(row, name) or "") if name == "program" else getattr(row, name) for name in FIELDS}
