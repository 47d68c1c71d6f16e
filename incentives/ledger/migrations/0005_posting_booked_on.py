from datetime import UTC

from django.db import migrations, models

from incentives.core.append_only import append_only
from incentives.ledger.guards import refuse_closed_months

GUARD = append_only("ledger_posting")


def fill(apps, schema_editor):
    """What was posted before counts on the day it was posted; earnings' own days follow in the earnings' migration."""
    GUARD.reverse_code(apps, schema_editor)
    Posting = apps.get_model("ledger", "Posting")
    batch = []
    for posting in Posting.objects.only("posted_at").order_by("pk").iterator(chunk_size=2000):
        posting.booked_on = posting.posted_at.astimezone(UTC).date()
        batch.append(posting)
        if len(batch) == 1000:
            Posting.objects.bulk_update(batch, ["booked_on"])
            batch = []
    Posting.objects.bulk_update(batch, ["booked_on"])
    GUARD.code(apps, schema_editor)


class Migration(migrations.Migration):
    dependencies = [("ledger", "0004_former_rate")]
    operations = [
        migrations.AddField(
            model_name="posting",
            name="booked_on",
            field=models.DateField(
                db_index=True,
                help_text="The accounting day: of an earning its own, else the day (UTC) it was posted. Never in a closed month.",
                null=True,
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        refuse_closed_months("ledger_posting"),
    ]
