"""The provider in this process and the scene of payouts: `scene`, `as_user`."""

from tests.payouts.conftest import as_user, scene  # noqa: F401
from tests.rewards.conftest import quiet_nudges, world  # noqa: F401
