"""The scene of the claims' tests, at the stopped clock of 15 July 2026, with a folder of its own for proofs."""

import pytest

from tests.claims.scene import Scene


@pytest.fixture(autouse=True)
def private_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "uploads"


@pytest.fixture
def scene(db, clock) -> Scene:
    return Scene()
