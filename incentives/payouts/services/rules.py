"""Limits and allowed domains: finance changes them, a second person confirms, as with approval policies."""

import re

from django.db import transaction
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.payouts.errors import RuleInvalid
from incentives.payouts.models import RiskRule

PERMISSION = "payouts.approve"
FIELDS = ("kind", "program", "window", "currency", "most_minor", "most_count", "domain", "is_active")
DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+")


def save_rule(*, actor, rule: RiskRule | None = None, **values) -> RiskRule:
    """Make a rule, or change the given one; `values` are those of FIELDS. A change without a difference writes nothing.

    Until `confirm_rule`, payouts built from now on are not the editor's to approve (promise 6).
    Raises NotAllowed, RuleInvalid.
    """
    if not actor.can(PERMISSION):
        raise NotAllowed("Only finance may change limits and domains.")
    with transaction.atomic():
        row = RiskRule.objects.select_for_update(of=("self",)).get(pk=rule.pk) if rule else RiskRule()
        before = shown(row) if rule else {}
        for name in FIELDS:
            if name in values:
                setattr(row, name, values[name])
        _check(row)
        if before == shown(row):
            return row
        row.edited_by, row.edited_at, row.confirmed_by = actor, timezone.now(), None
        row.save()
        audit.record("rule.changed" if rule else "rule.created", row, actor=actor, before=before, after=shown(row))
    return row


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
    """The second person's word on a change. A repeat changes nothing. Raises NotAllowed (also for who changed it),
    RuleInvalid (it changed in between)."""
    if not actor.can(PERMISSION):
        raise NotAllowed("Only finance may confirm limits and domains.")
    if rule.edited_by_id == actor.pk:
        raise NotAllowed("You made this change; another person of finance must confirm it.")
    with transaction.atomic():
        same = RiskRule.objects.filter(pk=rule.pk, edited_at=rule.edited_at, edited_by__isnull=False)
        if not same.exists():
            raise RuleInvalid("This was changed in between. Reload and look again.")
        if same.filter(confirmed_by__isnull=True).update(confirmed_by=actor):
            audit.record("rule.confirmed", rule, actor=actor, after=shown(rule))
    rule.refresh_from_db()
    return rule


def shown(row: RiskRule) -> dict:
    return {name: str(getattr(row, name) or "") if name == "program" else getattr(row, name) for name in FIELDS}
