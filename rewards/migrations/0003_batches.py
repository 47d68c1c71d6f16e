import django.db.models.deletion
from django.db import migrations, models

STATES = [
    ("draft", "Ready to send"),
    ("batched", "In a batch"),
    ("submitting", "Being sent"),
    ("pending", "Accepted, in progress"),
    ("unfunded", "Waiting for funding"),
    ("review", "Needs a person"),
    ("completed", "Issued"),
    ("rejected", "Refused by the provider"),
    ("failed", "Failed"),
    ("cancelled", "Cancelled"),
]
DIFFERS = " OR ".join(f"NEW.{name} {{differs}} OLD.{name}" for name in ("batch_id", "line"))


def batch_once(apps, schema_editor):
    """Which batch an order was a line of, and which one, is set once; how many lines a batch has, when it is made."""
    pg = schema_editor.connection.vendor == "postgresql"
    differs = "IS DISTINCT FROM" if pg else "IS NOT"
    body = (
        "EXECUTE FUNCTION rewards_rewardorder_guard()"
        if pg
        else "BEGIN SELECT RAISE(ABORT, 'rewards_rewardorder: this row may not change any more'); END"
    )
    schema_editor.execute(
        "CREATE TRIGGER rewards_rewardorder_batch_once BEFORE UPDATE ON rewards_rewardorder FOR EACH ROW WHEN ("
        f"(OLD.batch_id IS NOT NULL AND ({DIFFERS.format(differs=differs)})) OR NEW.line_count {differs} OLD.line_count"
        f") {body}"
    )


def batch_any(apps, schema_editor):
    on = " ON rewards_rewardorder" if schema_editor.connection.vendor == "postgresql" else ""
    schema_editor.execute(f"DROP TRIGGER IF EXISTS rewards_rewardorder_batch_once{on}")


class Migration(migrations.Migration):
    dependencies = [("rewards", "0002_guards")]
    operations = [
        migrations.AlterField(
            "rewardorder", "state", models.CharField(choices=STATES, default="draft", max_length=12)
        ),
        migrations.AddField(
            "rewardorder",
            "batch",
            models.ForeignKey(
                blank=True,
                help_text="The order that carries this one as a line, or carried it until it fell apart. Set once.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="lines",
                to="rewards.rewardorder",
            ),
        ),
        migrations.AddField(
            "rewardorder",
            "line",
            models.PositiveSmallIntegerField(blank=True, help_text="Which line of the batch, from 1.", null=True),
        ),
        migrations.AddField(
            "rewardorder",
            "line_count",
            models.PositiveSmallIntegerField(
                blank=True, help_text="Of a batch: its lines. Empty for an order of one card.", null=True
            ),
        ),
        migrations.AddConstraint(
            "rewardorder",
            models.UniqueConstraint(
                condition=models.Q(("batch__isnull", False)), fields=("batch", "line"), name="order_line_once_per_batch"
            ),
        ),
        migrations.RunPython(batch_once, batch_any),
    ]
