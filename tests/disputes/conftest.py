"""A rep with an earned line, and managers who answer."""

import pytest

from incentives.disputes import services
from incentives.disputes.models import Dispute
from incentives.earnings.models import Earning
from tests.factories import deal, make_user, send
from tests.payouts.conftest import as_user, quiet_nudges, scene

__all__ = ["as_user", "quiet_nudges", "scene"]


class Desk:
    """`desk.ask()` questions the rep's line of deal D1, worth 100.00; `desk.fix()` makes the deal worth 140.00."""

    def __init__(self, scene):
        self.scene = scene
        self.manager, self.rep = scene.manager, scene.rep_user
        self.other = make_user("manager", name="Other Manager")
        self.program = scene.program()
        self.version = 1
        scene.earn("5000.00", object_id="D1", program=self.program)

    @property
    def earning(self) -> Earning:
        return Earning.objects.order_by("pk").first()

    def ask(self, text: str = "It was 7,000", **about) -> Dispute:
        return services.raise_dispute(actor=self.rep, text=text, **(about or {"earning": self.earning}))

    def fix(self, amount: str = "7000.00") -> None:
        self.version += 1
        own = {"attributes": {"for": self.program.name}}
        fact = deal("D1", self.scene.rep, amount, version=self.version, kind="deal.updated", state="won", **own)
        send(self.scene.crm, fact)


@pytest.fixture
def desk(scene) -> Desk:
    return Desk(scene)
