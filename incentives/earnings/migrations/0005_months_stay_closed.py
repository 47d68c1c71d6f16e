from django.db import migrations

from incentives.core.append_only import append_only
from incentives.ledger.guards import refuse_closed_months

GUARD = append_only("ledger_posting")


def fill(apps, schema_editor):
    """Postings of earnings made before postings had a day of their own."""
    Earning, Posting = apps.get_model("earnings", "Earning"), apps.get_model("ledger", "Posting")
    GUARD.reverse_code(apps, schema_editor)
    rows = Earning.objects.filter(booked_on__isnull=False).values_list("public_id", "booked_on")
    for public_id, booked_on in rows.order_by("pk").iterator(chunk_size=2000):
        Posting.objects.filter(key=f"earn:{public_id}").exclude(booked_on=booked_on).update(booked_on=booked_on)
    GUARD.code(apps, schema_editor)


class Migration(migrations.Migration):
    dependencies = [("earnings", "0004_contest_seal_and_snapshots"), ("ledger", "0005_posting_booked_on")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop), refuse_closed_months("earnings_earning")]
