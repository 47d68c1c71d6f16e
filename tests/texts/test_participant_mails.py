"""Every e-mail that participants get, in every language: each text asked for while it is made has a translation."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.utils import timezone

from incentives.accounts import services as accounts
from incentives.accounts.models import User
from incentives.earnings import contests
from incentives.earnings.evaluate import evaluate
from incentives.earnings.notices import announce_due
from incentives.notifications import registry
from incentives.notifications.models import Notification
from incentives.notifications.sending import deliver
from incentives.programs import life
from incentives.reports import ageing
from tests.factories import make_user
from tests.texts.asked import listening
from tests.texts.world import World

pytestmark = pytest.mark.django_db
LANGUAGES = [code for code, _name in django_settings.LANGUAGES if code != "en"]
SUBJECTS = {
    "es": {
        "Tu invitación a Laurel", "Elige una contraseña nueva para Laurel", "Una recompensa te espera",
        "Ha empezado el concurso «Race»", "Ha terminado el concurso «Race»",
    },
    "fr": {
        "Votre invitation à Laurel", "Choisissez un nouveau mot de passe pour Laurel", "Une récompense vous attend",
        "Le concours « Race » a commencé", "Le concours « Race » est terminé",
    },
}  # fmt: skip
ENGLISH = re.compile(r"\b(the|your|you|and|it was|look at|hello|reward|with|after|signing|no more)\b", re.IGNORECASE)
DATA = re.compile(
    r"https?://\S+|Reseller claims|House rules|Because of the invoice|And this\?|It was 7,000|Mine is gone"
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_mail_to_participants_speaks_the_language(client, clock, settings, tmp_path, language):
    settings.MEDIA_ROOT = tmp_path / "uploads"
    world = World(clock)
    administrator = world.scene.users["administrator"]
    User.objects.update(language=language)
    with listening(language) as asked:
        deliver()
        for moment in (datetime(2026, 8, 19, tzinfo=UTC), datetime(2026, 9, 3, 12, tzinfo=UTC)):
            clock.move_to(moment)
            life.advance_by_date()
            announce_due()
            contests.seal_due(now=timezone.now())
            evaluate()
            announce_due()  # of a contest that ended only once it is sealed
            deliver()
        guest = make_user("participant", email="guest@example.com", password="orchard-lantern-26", language=language)
        accounts.send_invitation(user=make_user("participant", language=language), actor=administrator)
        for address in (guest.email, "nobody-here@example.com"):
            client.post("/accounts/password/reset/", {"email": address}, headers={"accept-language": language})
        cards = list(ageing.delivered_cards().filter(participant=world.rep).order_by("pk"))
        for some in (cards[:1], cards[1:]):
            ageing.remind_many(payouts=some, actor=world.manager)
            clock.shift(timedelta(minutes=10))
            deliver()
    told = set(Notification.objects.filter(delivery__isnull=False).values_list("kind", flat=True))
    mine = {one.name for one in registry.every() if not one.duty and one.concerns(world.rep_user)}
    assert mine - told == set(), "kinds of notices to participants that the world does not bring about"
    assert asked.untranslated() == []
    people = {world.rep_user.email, world.partner_user.email, world.admin_user.email, guest.email, world.rep.email}
    mails = [message for message in mail.outbox if set(message.to) & people]
    assert len(mails) > 8
    subjects = {message.subject.removeprefix("[testserver] ").replace("\xa0", " ") for message in mail.outbox}
    assert SUBJECTS[language] - subjects == set(), "\n".join(sorted(subjects))
    for message in mails:
        text = DATA.sub("", f"{message.subject}\n{message.body}")
        assert ENGLISH.findall(text) == [], text
        for html, _kind in message.alternatives:
            assert f'<html lang="{language}">' in html
