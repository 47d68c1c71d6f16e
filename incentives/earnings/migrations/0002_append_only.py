from django.db import migrations

from incentives.core.append_only import append_only


class Migration(migrations.Migration):
    dependencies = [("earnings", "0001_initial")]
    operations = [append_only("earnings_earning")]
