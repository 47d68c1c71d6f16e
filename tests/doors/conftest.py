"""One person per role, and those whom no role protects: `people`."""

import pytest

from incentives.accounts.models import Role
from tests.factories import make_participant, make_partner, make_user


def make_people() -> dict:
    """label -> user: the six roles; `superuser` (Django's, without a role) and `nobody`, who may do nothing."""
    people = {role: make_user(role) for role in Role.values}
    people["superuser"] = make_user(email="root@example.com", is_superuser=True, is_staff=True)
    people["nobody"] = make_user(email="nobody@example.com")
    make_participant("Ana Doors", user=people["participant"], type="partner", partner=make_partner("door-a"))
    make_participant("Pat Doors", user=people["partner_admin"], type="partner", partner=make_partner("door-b"))
    return people


@pytest.fixture
def people(db) -> dict:
    return make_people()
