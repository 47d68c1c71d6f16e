"""The provider in this process, as in tests/rewards: `world`."""

from tests.rewards.conftest import quiet_nudges, world  # noqa: F401
