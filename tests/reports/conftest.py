"""The scene of the payouts' pages, and books in which everything happened."""

import pytest

from tests.payouts.conftest import as_user, scene  # noqa: F401
from tests.reports.books import Books


@pytest.fixture
def books(scene, clock):  # noqa: F811
    return Books(scene, clock)
