"""The scene of the payouts' tests."""

from tests.payouts.conftest import as_user, quiet_nudges, scene

__all__ = ["as_user", "quiet_nudges", "scene"]
