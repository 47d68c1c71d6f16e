"""`manage.py rotate_reward_keys`: put every stored claim link under the newest of FIELD_ENCRYPTION_KEYS."""

from django.core.management.base import BaseCommand, CommandError

from rewards.errors import Unreadable
from rewards.services import rotate_keys


class Command(BaseCommand):
    help = "Encrypt stored claim links under the first of FIELD_ENCRYPTION_KEYS. Afterwards the older keys may go."

    def handle(self, **options):
        try:
            count = rotate_keys()
        except Unreadable as exc:
            raise CommandError(
                f"{exc.user_message} Nothing was lost: put the missing key back and run this again."
            ) from exc
        self.stdout.write(f"{count} stored secrets are under the newest key.")
