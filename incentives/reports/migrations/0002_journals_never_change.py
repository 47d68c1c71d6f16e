from django.db import migrations

from incentives.core.append_only import append_only


class Migration(migrations.Migration):
    dependencies = [("reports", "0001_books_and_exports")]
    operations = [append_only("reports_journalexport")]
