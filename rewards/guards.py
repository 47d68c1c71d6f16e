"""Database triggers that refuse edits and removal, on PostgreSQL and SQLite, as a migration operation.

The same idea guards the ledger; it is repeated here because `rewards` imports nothing of the application around it.
"""

from django.db import migrations


def guard(table: str, *, columns: tuple[str, ...] = (), when: str = "", may_delete: bool = False):
    """Freeze `columns` of `table` (all of a row when none are given) from the moment the SQL condition `when` on OLD
    holds (always, when empty), and refuse removal of rows."""

    def forwards(apps, schema_editor):
        pg = schema_editor.connection.vendor == "postgresql"
        differs = " OR ".join(f"NEW.{c} IS DISTINCT FROM OLD.{c}" if pg else f"NEW.{c} IS NOT OLD.{c}" for c in columns)
        conditions = " AND ".join(f"({part})" for part in (differs, when) if part)
        message = f"{table}: this row may not change any more"
        clause = f" WHEN ({conditions})" if conditions else ""
        if pg:
            schema_editor.execute(
                f"CREATE OR REPLACE FUNCTION {table}_guard() RETURNS trigger AS $$ BEGIN "
                f"RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END $$ LANGUAGE plpgsql"
            )
            body = f"EXECUTE FUNCTION {table}_guard()"
        else:
            body = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        schema_editor.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} FOR EACH ROW{clause} {body}")
        if not may_delete:
            schema_editor.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW {body}")

    def backwards(apps, schema_editor):
        on = f" ON {table}" if schema_editor.connection.vendor == "postgresql" else ""
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_no_update{on}")
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_no_delete{on}")

    return migrations.RunPython(forwards, backwards)
