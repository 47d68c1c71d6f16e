from django.db import migrations

from incentives.core.seal_trigger import seal_rows


class Migration(migrations.Migration):
    dependencies = [("ledger", "0008_alerts_through_the_outbox"), ("core", "0003_seals")]
    operations = [seal_rows("ledger_posting", "ledger.Posting")]
