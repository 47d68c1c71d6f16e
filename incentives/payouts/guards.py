"""What the database itself refuses about payouts, as a migration operation (triggers on PostgreSQL and SQLite).

A payout never changes what an approver sees, but for two things while it awaits approval: its product may become the one its
choice names, and an address that was missing may be filled in. The hash changes with either and with nothing else.
The answer itself is written first.
"""

from django.db import migrations

TABLE = "payouts_payout"
FIXED = (
    "public_id",
    "participation_id",
    "program_id",
    "participant_id",
    "budget_id",
    "n",
    "amount_minor",
    "currency",
    "delivery_type",
    "recipient_name",
    "submitted_by_id",
    "created_at",
)
FILLED = ("recipient_email", "recipient_phone")
PRODUCT = ("product_code", "product_name")


def _condition(pg: bool) -> str:
    """True where an UPDATE must be refused."""
    differs = "NEW.{0} IS DISTINCT FROM OLD.{0}" if pg else "NEW.{0} IS NOT OLD.{0}"
    changed = {name: f"({differs.format(name)})" for name in (*FIXED, *FILLED, *PRODUCT, "content_hash")}
    seen = " OR ".join(changed[name] for name in (*FILLED, *PRODUCT))
    hashed = " OR ".join(changed[name] for name in (*FILLED, "product_code"))
    chosen = (
        "EXISTS (SELECT 1 FROM payouts_productchoice c WHERE c.payout_id = NEW.id "
        "AND c.product_code = NEW.product_code AND c.product_name = NEW.product_name)"
    )
    refused = [
        *(changed[name] for name in FIXED),
        f"(({seen}) AND NOT (OLD.status = 'submitted' AND NEW.status = 'submitted'))",
        f"(({changed['product_code']} OR {changed['product_name']}) AND NOT {chosen})",
        *(f"({changed[name]} AND OLD.{name} <> '')" for name in FILLED),
        f"(({hashed}) <> {changed['content_hash']})",
    ]
    return " OR ".join(refused)


def payout_guard():
    """Replaces the triggers of an earlier migration, and whatever is left of them after SQLite rebuilt the table."""

    def forwards(apps, schema_editor):
        pg = schema_editor.connection.vendor == "postgresql"
        message = f"{TABLE} is append-only"
        if not pg:
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {TABLE}_no_update")
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {TABLE}_no_delete")
            schema_editor.execute(
                f"CREATE TRIGGER {TABLE}_no_update BEFORE UPDATE ON {TABLE} WHEN {_condition(pg)} "
                f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
            schema_editor.execute(
                f"CREATE TRIGGER {TABLE}_no_delete BEFORE DELETE ON {TABLE} BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
            return
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {TABLE}_no_update ON {TABLE}")
        schema_editor.execute(
            f"CREATE OR REPLACE FUNCTION {TABLE}_keep() RETURNS trigger AS $$ BEGIN IF {_condition(pg)} THEN "
            f"RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END $$ "
            "LANGUAGE plpgsql"
        )
        schema_editor.execute(
            f"CREATE TRIGGER {TABLE}_no_update BEFORE UPDATE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION {TABLE}_keep()"
        )

    return migrations.RunPython(forwards, migrations.RunPython.noop)
