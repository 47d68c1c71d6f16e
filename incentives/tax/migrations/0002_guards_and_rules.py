"""Triggers behind the append-only rows, and the rules of the United States.

Sources of the figures:
- 600.00 for 2025: 26 U.S.C. 6041(a); Instructions for Forms 1099-MISC and 1099-NEC (2025), box 3.
- 2,000.00 for payments made after 2025-12-31: Public Law 119-21 (One Big Beautiful Bill Act), section 70433, which amends section
  6041(a). From 2027 on it is adjusted for inflation, rounded to 100: finance adds a row when the figure is published.
- employees: prizes and awards to employees are wages, reported on Form W-2 (the same Instructions, box 3; Publication 15).
- foreign persons: Form W-8BEN instead of W-9 (Instructions for the Requester of Form W-9); source of income and withholding are a
  person's decision, so every payout is looked at. People in other countries wait until their form is on file.
"""

from django.db import migrations

from incentives.core.append_only import append_only

AWARD = (
    "public_id", "participant_id", "on", "amount_minor", "currency", "source", "reference", "entered_by_id", "entered_at",
)  # fmt: skip
CANCEL = ("cancelled_by_id", "cancelled_at", "cancel_reason")
OLD = "26 U.S.C. 6041(a); Instructions for Forms 1099-MISC and 1099-NEC (2025), box 3"
NEW = "Public Law 119-21, section 70433: payments made after 2025-12-31; adjusted for inflation from 2027 on"
WAGES = "Instructions for Forms 1099-MISC and 1099-NEC, box 3: awards to employees are reported on Form W-2; Publication 15"
ABROAD = "Instructions for the Requester of Form W-9: foreign persons give a Form W-8"
RULES = [  # country, classification, from, to, form, threshold, report, hold, source
    ("US", "employee", 2025, None, "", None, "W-2", "none", WAGES),
    ("US", "non_employee", 2025, 2025, "W-9", 60_000, "1099-MISC", "hold_at_threshold", OLD),
    ("US", "non_employee", 2026, None, "W-9", 200_000, "1099-MISC", "hold_at_threshold", NEW),
    ("US", "exempt", 2025, None, "", None, "", "none", "Instructions for Forms 1099-MISC and 1099-NEC, exceptions"),
    ("", "foreign", 2025, None, "W-8BEN", None, "", "always_review", ABROAD),
    ("", "employee", 2025, None, "", None, "", "none", "Paid through the payroll of their country"),
    ("", "non_employee", 2025, None, "W-8BEN", 0, "", "hold_at_threshold", ABROAD),
    ("", "exempt", 2025, None, "", None, "", "none", ""),
]
FIELDS = (
    "country", "classification", "year_from", "year_to", "form_needed", "threshold_minor", "report_kind", "hold_action",
    "source",
)  # fmt: skip


def add_rules(apps, schema_editor):
    rule = apps.get_model("tax", "TaxRule")
    rule.objects.bulk_create([rule(currency="USD", **dict(zip(FIELDS, row, strict=True))) for row in RULES])


def remove_rules(apps, schema_editor):
    apps.get_model("tax", "TaxRule").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("tax", "0001_initial")]
    operations = [
        append_only("tax_taxprofilechange"),
        append_only("tax_taxexport"),
        append_only(
            "tax_outsideaward", columns=(*(f'"{c}"' if c == "on" else c for c in AWARD), *CANCEL), may_change=CANCEL
        ),
        migrations.RunPython(add_rules, remove_rules),
    ]
