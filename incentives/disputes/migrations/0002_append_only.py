from django.db import migrations

from incentives.core.append_only import append_only


class Migration(migrations.Migration):
    """What somebody wrote to somebody else stays as it was written."""

    dependencies = [("disputes", "0001_disputes")]
    operations = [append_only("disputes_disputemessage")]
