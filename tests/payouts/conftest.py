"""The provider in this process, as in tests/rewards: `world`; and the scene of the pages' tests."""

import pytest

from tests.payouts.scene import Scene
from tests.rewards.conftest import quiet_nudges, world  # noqa: F401


@pytest.fixture
def scene(db) -> Scene:
    return Scene()


@pytest.fixture
def as_user(client):
    """`as_user(user).get(...)`: the test client signed in as somebody."""

    def enter(user):
        client.force_login(user)
        return client

    return enter
