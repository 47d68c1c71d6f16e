"""The scene of the payouts' pages."""

from tests.payouts.conftest import as_user, scene  # noqa: F401
