"""The claimant, and who sent the claim for them, hear what was decided."""

import pytest
from django.core import mail

from incentives.claims import services
from incentives.core.errors import DomainError
from incentives.notifications.models import Notification
from incentives.notifications.sending import deliver

pytestmark = pytest.mark.django_db


def test_a_decision_is_told_to_the_claimant_with_its_reason(scene):
    claim = scene.submitted()
    services.reject(
        claim_id=claim.pk, actor=scene.manager, seen_version=claim.version, reason="Sold before July", note="x-note"
    )
    assert deliver() >= 1
    message = next(message for message in mail.outbox if message.to == [scene.user.email])
    assert message.subject == f"Your claim {claim.reference}: rejected"
    for text in (message.body, message.alternatives[0][0]):
        assert "Sold before July" in text and claim.my_url in text and "x-note" not in text
    told = {message.to[0] for message in mail.outbox}
    assert told <= {scene.user.email, scene.admin_user.email} and scene.rival_user.email not in told


def test_a_returned_claim_that_was_sent_again_meanwhile_is_not_told(scene):
    claim = scene.submitted()
    services.send_back(claim_id=claim.pk, actor=scene.manager, seen_version=claim.version, reason="Which serial?")
    claim.refresh_from_db()
    services.submit(claim_id=claim.pk, actor=claim.submitted_by, seen_version=claim.version)
    assert deliver() == 0


def test_a_refused_decision_tells_nothing(scene):
    claim = scene.submitted()
    with pytest.raises(DomainError):
        services.reject(claim_id=claim.pk, actor=scene.manager, seen_version=claim.version, reason=" ")
    assert not Notification.objects.exists()
