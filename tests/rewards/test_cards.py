"""Claim links at rest, revealed and under changing keys."""

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection

from rewards import services
from rewards.errors import EvidenceNeeded, Unreadable
from rewards.models import Card, CardReveal


@pytest.fixture
def card(world):
    world.order(links=True)
    world.sweep()
    return Card.objects.get()


def test_a_secret_moved_to_another_card_does_not_open(world, card):
    world.order(links=True)
    world.sweep()
    other = Card.objects.exclude(pk=card.pk).get()
    Card.objects.filter(pk=other.pk).update(sealed=card.sealed)
    with pytest.raises(Unreadable):
        services.reveal_card(other.pk, actor_name="A", actor_ref="user:1")
    assert CardReveal.objects.count() == 0


def test_nobody_without_a_name_sees_a_link(card):
    with pytest.raises(EvidenceNeeded):
        services.reveal_card(card.pk, actor_name=" ", actor_ref="user:1")
    assert CardReveal.objects.count() == 0


def test_keys_rotate_without_losing_a_link(card, settings, capsys):
    old, new = settings.FIELD_ENCRYPTION_KEYS[0], Fernet.generate_key().decode()
    link = services.reveal_card(card.pk, actor_name="A", actor_ref="user:1").link
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    call_command("rotate_reward_keys")
    assert capsys.readouterr().out == "1 stored secrets are under the newest key.\n"
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert services.reveal_card(card.pk, actor_name="A", actor_ref="user:1").link == link
    settings.FIELD_ENCRYPTION_KEYS = [old]
    with pytest.raises(CommandError, match="put the missing key back"):
        call_command("rotate_reward_keys")


def test_a_rotated_key_mints_a_new_token_rather_than_stopping(world, settings):
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    world.order()
    assert world.sweep()["processed"] == 1


def test_no_link_and_no_token_is_in_any_table(world, card):
    """Every text column of every table of ours, for the link itself and for the bearer token."""
    link = services.reveal_card(card.pk, actor_name="A", actor_ref="user:1").link
    bearer = world.transport.requests[-1].headers["authorization"].removeprefix("Bearer ")
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table.startswith("rewards_"):
                cursor.execute(f"SELECT * FROM {table}")
                dump = repr(cursor.fetchall())
                assert link not in dump and bearer not in dump, table
