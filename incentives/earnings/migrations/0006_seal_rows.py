from django.db import migrations

from incentives.core.seal_trigger import seal_rows


class Migration(migrations.Migration):
    dependencies = [("earnings", "0005_months_stay_closed"), ("core", "0003_seals")]
    operations = [seal_rows("earnings_earning", "earnings.Earning")]
