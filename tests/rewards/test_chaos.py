"""The chaos run, small enough for every test run; by hand with 2,000 orders (tests/rewards/chaos.py)."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

from tests.support.environment import ROOT

pytestmark = pytest.mark.chaos


def run(*arguments: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "tests.rewards.chaos", "--seconds", "240", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=400, check=False,
        env={name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(done.stdout[done.stdout.index("{") :])


@pytest.mark.postgres
@pytest.mark.django_db
def test_killed_workers_and_an_emptied_broker_lose_and_double_nothing():
    url = settings.DATABASES["default"]
    server = f"postgres://{url['USER']}:{url['PASSWORD']}@{url['HOST']}:{url['PORT']}/postgres"
    numbers = run("--orders", "100", "--kill-every", "3", "--database-url", server)
    assert (numbers["problems"], numbers["orders"], numbers["broker_flushes"]) == ([], 100, 2)
    assert numbers["worker_kills"] >= 1
    assert numbers["sandbox"]["cards"] == 100


@pytest.mark.sqlite_only
def test_the_same_on_the_embedded_default():
    numbers = run("--orders", "40", "--kill-every", "4", "--embedded")
    assert (numbers["problems"], numbers["orders"], numbers["sandbox"]["cards"]) == ([], 40, 40)
