"""The trigger that notes each new row of a table for its seal, on PostgreSQL and SQLite, as a migration operation.

On SQLite a migration that rebuilds the table drops it and must repeat the operation, like `core.append_only`.
"""

# ruff: noqa: S608 (table and label are written in migrations, by us)
from django.db import migrations


def seal_rows(table: str, label: str):
    """Note the rows of `table` (model `label`) in `core_unsealedrow`: those to come, and those that are there and neither
    sealed nor noted, which the next sweeps seal. The migration depends on core's 0003."""

    note = 'INSERT INTO core_unsealedrow ("table", row_id)'

    def forwards(apps, schema_editor):
        backwards(apps, schema_editor)
        if schema_editor.connection.vendor == "postgresql":
            # Once per statement, not per row; creating it waits for the table's writers, so the rows below are all.
            schema_editor.execute(
                f"CREATE OR REPLACE FUNCTION {table}_to_seal() RETURNS trigger AS $$ BEGIN "
                f"{note} SELECT '{label}', id FROM added ORDER BY id; "
                "RETURN NULL; END $$ LANGUAGE plpgsql"
            )
            schema_editor.execute(
                f"CREATE TRIGGER {table}_to_seal AFTER INSERT ON {table} REFERENCING NEW TABLE AS added "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_to_seal()"
            )
        else:
            schema_editor.execute(
                f"CREATE TRIGGER {table}_to_seal AFTER INSERT ON {table} BEGIN {note} VALUES ('{label}', NEW.id); END"
            )
        known = " AND ".join(
            f"NOT EXISTS (SELECT 1 FROM {other} o WHERE o.\"table\" = '{label}' AND o.row_id = {table}.id)"
            for other in ("core_sealedrow", "core_unsealedrow")
        )
        schema_editor.execute(f"{note} SELECT '{label}', id FROM {table} WHERE {known} ORDER BY id")

    def backwards(apps, schema_editor):
        on = f" ON {table}" if schema_editor.connection.vendor == "postgresql" else ""
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_to_seal{on}")

    return migrations.RunPython(forwards, backwards)
