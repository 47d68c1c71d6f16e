from django.db import migrations

from incentives.core.append_only import append_only


class Migration(migrations.Migration):
    """An activity is a fact that was stated: it is never edited and never removed."""

    dependencies = [("crm", "0001_initial")]
    operations = [append_only("crm_activity")]
