"""What programs tell the layers below, which they may not import."""

from django.dispatch import Signal

terms_changed = Signal()
"""Sent inside the transaction in which terms were published or accepted: `program`, and `participant` or None for
everybody. A receiver that raises undoes the change."""
