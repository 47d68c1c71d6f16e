from django.db import migrations

from rewards.guards import guard

ORDER = (
    "public_id",
    "channel_id",
    "reference",
    "po_number",
    "content_hash",
    "approval_hash",
    "product_id",
    "delivery_type",
    "recipient",
    "amount_minor",
    "currency",
    "body",
    "body_sha256",
    "hook_hash",
)


def first_sent_once(apps, schema_editor):
    """first_sent_at is set once: the window in which a number is surely remembered counts from it."""
    pg = schema_editor.connection.vendor == "postgresql"
    differs = "NEW.first_sent_at IS DISTINCT FROM OLD.first_sent_at" if pg else "NEW.first_sent_at IS NOT OLD.first_sent_at"
    body = (
        "EXECUTE FUNCTION rewards_rewardorder_guard()"
        if pg
        else "BEGIN SELECT RAISE(ABORT, 'rewards_rewardorder: this row may not change any more'); END"
    )
    schema_editor.execute(
        "CREATE TRIGGER rewards_rewardorder_sent_once BEFORE UPDATE ON rewards_rewardorder FOR EACH ROW "
        f"WHEN (OLD.first_sent_at IS NOT NULL AND {differs}) {body}"
    )


def first_sent_any(apps, schema_editor):
    on = " ON rewards_rewardorder" if schema_editor.connection.vendor == "postgresql" else ""
    schema_editor.execute(f"DROP TRIGGER IF EXISTS rewards_rewardorder_sent_once{on}")


class Migration(migrations.Migration):
    dependencies = [("rewards", "0001_initial")]
    operations = [
        # Number, body, amount, product and recipient never change, sent or not: another content is another order.
        guard("rewards_rewardorder", columns=ORDER),
        migrations.RunPython(first_sent_once, first_sent_any),
        guard("rewards_orderattempt", when="OLD.outcome <> ''"),
        guard("rewards_orderevent"),
        guard("rewards_channelevent"),
        guard("rewards_cardreveal"),
        guard("rewards_card", columns=("public_id", "order_id", "position", "provider_card_id", "created_at")),
    ]
