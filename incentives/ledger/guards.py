"""Database triggers that refuse rows of a closed month, on PostgreSQL and SQLite, as a migration operation.

The services book nothing into a closed month; the trigger makes that true for every other door as well. On SQLite a
migration that rebuilds the table drops it and must repeat the operation, like `core.append_only`.
"""

from django.db import migrations


def refuse_closed_months(table: str, *, day: str = "booked_on", moment: str = "posted_at"):
    """Guard `table`: a row is booked on `day`, or where that is empty on the day (UTC) of `moment`."""
    name = f"{table}_month_open"
    message = f"{table}: booked into a closed month"
    closed = "SELECT 1 FROM ledger_periodclose WHERE reopened_at IS NULL AND month ="

    def forwards(apps, schema_editor):
        backwards(apps, schema_editor)
        if schema_editor.connection.vendor == "postgresql":
            month = f"date_trunc('month', COALESCE(NEW.{day}, (NEW.{moment} AT TIME ZONE 'UTC')::date))::date"
            schema_editor.execute(
                f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger AS $$ BEGIN IF EXISTS ({closed} {month}) THEN "
                f"RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; "
                "END $$ LANGUAGE plpgsql"
            )
            schema_editor.execute(
                f"CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
            )
        else:
            month = f"substr(COALESCE(NEW.{day}, NEW.{moment}), 1, 7) || '-01'"
            schema_editor.execute(
                f"CREATE TRIGGER {name} BEFORE INSERT ON {table} WHEN EXISTS ({closed} {month}) "
                f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )

    def backwards(apps, schema_editor):
        on = f" ON {table}" if schema_editor.connection.vendor == "postgresql" else ""
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}{on}")

    return migrations.RunPython(forwards, backwards)
