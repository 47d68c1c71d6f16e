"""The signed link that ends mails of a kind without signing in (RFC 8058). It can do nothing else."""

from django.core import signing
from django.db import transaction
from django.urls import reverse

from incentives.notifications import registry
from incentives.notifications.models import Recipient
from incentives.notifications.preferences import set_mode
from incentives.notifications.registry import Kind, Mode

SALT = "notifications.unsubscribe"


def path_for(recipient: Recipient, kinds: list[str]) -> str:
    """Without an end: the law wants it to work for long, and all it can do is make Laurel quieter."""
    token = signing.dumps([str(recipient.public_id), sorted(kinds)], salt=SALT, compress=True)
    return reverse("notifications:unsubscribe", args=[token])


def read(token: str) -> tuple[Recipient, list[Kind]] | None:
    """Whose mails of which kinds, as far as they may be left; None for a link nobody made."""
    try:
        public_id, names = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        return None
    recipient = Recipient.objects.filter(public_id=public_id).select_related("user").first()
    if recipient is None:
        return None
    kinds = [one for name in names if (one := registry.find(name)) and not one.duty]
    return recipient, kinds


def stop(recipient: Recipient, kinds: list[Kind]) -> None:
    """No more mails of these kinds. A repeat changes and records nothing."""
    with transaction.atomic():
        for one in kinds:
            set_mode(recipient, one, Mode.NEVER, actor=None, reason="Unsubscribed by the link in a mail.")
