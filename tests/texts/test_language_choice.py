"""Whose language a page speaks: the person's own choice, before signing in the browser's; money, days and PDFs go with it."""

from datetime import UTC, datetime

import pytest

from tests.factories import make_participant, make_user
from tests.payouts.scene import Scene

pytestmark = pytest.mark.django_db


def page(client, path: str, **headers) -> str:
    return client.get(path, headers=headers).content.decode().replace("\xa0", " ")


def test_a_visitor_is_answered_in_the_browsers_language_where_there_is_one(client):
    assert "<h1>Iniciar sesión" in page(client, "/accounts/login/", accept_language="es-MX,en;q=0.5")
    french = client.get("/accounts/login/", headers={"accept-language": "fr"})
    assert '<html lang="fr">' in french.content.decode() and french["Content-Language"] == "fr"
    assert "Accept-Language" in french["Vary"]
    assert '<html lang="en">' in page(client, "/accounts/login/", accept_language="ja")


def test_what_somebody_chose_wins_over_the_browser_and_is_chosen_in_the_profile(client):
    user = make_user("participant", name="Ana Ruiz", time_zone="UTC")
    make_participant("Ana Ruiz", user=user)
    client.force_login(user)
    assert '<html lang="en">' in page(client, "/me/", accept_language="fr")
    answer = client.post("/profile/", {"name": "Ana Ruiz", "time_zone": "Europe/Madrid", "language": "es"})
    assert answer.status_code == 302
    user.refresh_from_db()
    assert user.language == "es"
    shown = page(client, "/me/", accept_language="fr")
    assert '<html lang="es">' in shown and "Mis recompensas" in shown
    assert client.post("/profile/", {"name": "A", "time_zone": "UTC", "language": "xx"}).status_code == 400
    client.logout()
    assert '<html lang="fr">' in page(client, "/accounts/login/", accept_language="fr")


def test_money_times_and_the_statement_follow_the_person(client, clock):
    clock.move_to(datetime(2026, 8, 5, 12, tzinfo=UTC))
    scene = Scene()
    scene.earn("61725.00", program=scene.program())
    client.force_login(scene.rep_user)
    assert "1,234.50" in page(client, "/me/statement/?period=all")
    type(scene.rep_user).objects.filter(pk=scene.rep_user.pk).update(language="fr", time_zone="Europe/Paris")
    shown = page(client, "/me/statement/?period=all")
    assert "1 234,50" in shown and "1,234.50" not in shown
    assert "2 % de 61 725,00 = 1 234,50" in shown
    assert "14:00:00 CEST" in page(client, "/me/")  # 12:00 UTC by the stopped clock
    file = client.get("/me/statement.pdf?period=all").content
    assert file.startswith(b"%PDF") and b"/Lang (fr)" in file
