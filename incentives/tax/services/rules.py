"""The rows that say what is asked, held and reported, by country, classification and year. Finance edits them."""

from django.db import connection, transaction

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.tax.errors import RuleInvalid
from incentives.tax.identifiers import refuse_identifiers
from incentives.tax.models import Classification, TaxRule
from rewards.money import MINOR_DIGITS

FIELDS = (
    "country", "classification", "year_from", "year_to", "form_needed", "threshold_minor", "currency", "report_kind",
    "hold_action", "source",
)  # fmt: skip
YEARS = range(2000, 2101)


def save_rule(*, actor, rule: TaxRule | None = None, **values) -> TaxRule:
    """Add a row, or change the given one; `values` are those of FIELDS, amounts in minor units.

    A row without a last year ends by itself the year before a later row of the same country and classification begins;
    other overlaps are refused. A saved change without a difference writes nothing. Holds that stand stay: lowering is never
    automatic. Raises NotAllowed, IdentifierRefused, RuleInvalid.
    """
    _require(actor)
    with transaction.atomic():
        _lock()
        row = TaxRule.objects.get(pk=rule.pk) if rule is not None else TaxRule()
        before = shown(row) if row.pk else {}
        for name in FIELDS:
            if name in values:
                setattr(row, name, values[name])
        row.country, row.form_needed, row.source = (
            row.country.strip().upper(),
            row.form_needed.strip(),
            row.source.strip(),
        )
        _check(row)
        _make_room(row, actor)
        after = shown(row)
        if before != after:
            row.save()
            audit.record(
                "tax_rule.changed" if before else "tax_rule.added", row, actor=actor, before=before, after=after
            )
    return row


def remove_rule(*, rule: TaxRule, actor, reason: str) -> None:
    """Take a row away. A repeat does nothing. Raises NotAllowed, RuleInvalid (no reason)."""
    _require(actor)
    if not reason.strip():
        raise RuleInvalid("Give a reason; it stays in the audit trail.")
    with transaction.atomic():
        _lock()
        row = TaxRule.objects.filter(pk=rule.pk).first()
        if row is not None:
            audit.record("tax_rule.removed", row, actor=actor, before=shown(row), reason=reason.strip())
            row.delete()


def _make_room(row: TaxRule, actor) -> None:
    """End the open row before this one; refuse any other row whose years overlap."""
    others = TaxRule.objects.filter(country=row.country, classification=row.classification).exclude(pk=row.pk)
    for other in others:
        apart = (other.year_to is not None and other.year_to < row.year_from) or (
            row.year_to is not None and row.year_to < other.year_from
        )
        if apart:
            continue
        if other.year_to is None and other.year_from < row.year_from and row.year_to is None:
            before = shown(other)
            other.year_to = row.year_from - 1
            other.save(update_fields=["year_to"])
            audit.record("tax_rule.changed", other, actor=actor, before=before, after=shown(other))
        else:
            raise RuleInvalid(f"The years overlap those of “{other}”. Change its years first.")


def _check(row: TaxRule) -> None:
    refuse_identifiers(row.form_needed, row.source)
    if row.country and not (len(row.country) == 2 and row.country.isascii() and row.country.isalpha()):
        raise RuleInvalid("country: two letters such as US, or empty for every other country.")
    if row.classification not in Classification.values or row.report_kind not in TaxRule.Report.values:
        raise RuleInvalid("classification and report: choose one of the list.")
    if row.year_from not in YEARS or (row.year_to is not None and row.year_to not in YEARS):
        raise RuleInvalid("years: expected numbers such as 2026.")
    if row.year_to is not None and row.year_to < row.year_from:
        raise RuleInvalid("last year: cannot be before the first.")
    if row.currency not in MINOR_DIGITS:
        raise RuleInvalid("currency: expected a code such as USD.")
    if row.threshold_minor is not None and row.threshold_minor < 0:
        raise RuleInvalid("threshold: cannot be below zero.")
    if row.hold_action not in TaxRule.Action.values:
        raise RuleInvalid("hold: choose one of the list.")
    if row.hold_action == TaxRule.Action.AT_THRESHOLD and (row.threshold_minor is None or not row.form_needed):
        raise RuleInvalid(
            "A hold at the threshold needs the threshold (0 for the first cent) and the form that lifts it."
        )
    if len(row.form_needed) > 20 or len(row.source) > 300:
        raise RuleInvalid("The form's name may have 20 characters, the source 300.")


def shown(row: TaxRule) -> dict:
    return {name: getattr(row, name) for name in FIELDS}


def _lock() -> None:
    """One writer of rules at a time: what a check for overlaps has not seen must not be added beside it."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE tax_taxrule IN SHARE ROW EXCLUSIVE MODE")


def _require(actor) -> None:
    if not actor.can("tax.edit"):
        raise NotAllowed("Only finance may change tax rules.")
