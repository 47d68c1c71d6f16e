"""The scene of the payouts' tests."""

from tests.payouts.conftest import as_user, scene

__all__ = ["as_user", "scene"]
