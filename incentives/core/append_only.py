"""Database triggers that refuse edits and removal, on PostgreSQL and SQLite, as a migration operation.

The application's own code never edits these rows; the triggers make that true for every other door as well.
"""

from django.db import migrations


def append_only(
    table: str,
    *,
    may_change: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
    frozen_when: str = "",
    may_delete: bool = False,
):
    """A migration operation guarding `table`.

    `may_change`: columns that may still be set (all others in `columns` are frozen; with no `may_change` every update is
    refused). `columns`: all guarded columns, needed only with `may_change`. `frozen_when`: an SQL condition on OLD from
    which on a row is frozen; before it the row may change and be removed.
    """

    def forwards(apps, schema_editor):
        pg = schema_editor.connection.vendor == "postgresql"
        guarded = [c for c in columns if c not in may_change]
        differs = " OR ".join(f"NEW.{c} IS DISTINCT FROM OLD.{c}" if pg else f"NEW.{c} IS NOT OLD.{c}" for c in guarded)
        conditions = [f"({part})" for part in (differs, frozen_when) if part]
        when = f" WHEN ({' AND '.join(conditions)})" if conditions else ""
        when_deleted = f" WHEN ({frozen_when})" if frozen_when else ""
        message = f"{table} is append-only"
        backwards(apps, schema_editor)  # a repeat, after a rebuilt table, replaces what is left of the triggers
        if pg:
            # json columns have no equality operator, jsonb (Django's) has
            schema_editor.execute(
                f"CREATE OR REPLACE FUNCTION {table}_guard() RETURNS trigger AS $$ BEGIN "
                f"RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END $$ LANGUAGE plpgsql"
            )
            schema_editor.execute(
                f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} FOR EACH ROW{when} "
                f"EXECUTE FUNCTION {table}_guard()"
            )
            if not may_delete:
                schema_editor.execute(
                    f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW{when_deleted} EXECUTE FUNCTION {table}_guard()"
                )
        else:
            schema_editor.execute(
                f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}{when} BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
            if not may_delete:
                schema_editor.execute(
                    f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}{when_deleted} BEGIN SELECT RAISE(ABORT, '{message}'); END"
                )

    def backwards(apps, schema_editor):
        on = f" ON {table}" if schema_editor.connection.vendor == "postgresql" else ""
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_no_update{on}")
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_no_delete{on}")

    return migrations.RunPython(forwards, backwards)
