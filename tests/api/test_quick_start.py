"""The commands of docs/api.md, run as they stand by a shell against a running server."""

import json
import re
import shutil
import subprocess

import pytest

from incentives.crm.models import Connection, Delivery
from tests.api.conftest import token_for
from tests.factories import make_connection, make_participant, make_user
from tests.support.environment import ROOT

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


def commands() -> list[str]:
    text = (ROOT / "docs" / "api.md").read_text()
    part = text[text.index("<!-- quick start") : text.index("## Tokens")]
    return re.findall(r"```sh\n(.*?)```", part, re.DOTALL)


@pytest.mark.django_db(transaction=True)
def test_the_quick_start_does_what_it_says(live_server, settings):
    settings.ALLOWED_HOSTS = ["*"]
    make_participant("Ana Silva", external_user_id="E-1009")
    erp = make_connection("ERP", kind=Connection.Kind.API, currency="EUR")
    made = token_for(make_user("manager"), "activities:write", "activities:read", connection=erp)
    exports, *calls = commands()
    own = {"LAUREL": live_server.url, "LAUREL_TOKEN": made.secret}
    assert re.findall(r"export (\w+)=", exports) == list(own)
    answers = []
    for call in calls:
        done = subprocess.run(
            ["sh", "-e"], input=call, env={"PATH": "/usr/bin:/bin", **own}, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
    sent, listed = answers
    assert (sent["accepted"], sent["results"][0]["external_id"]) == (1, "erp-20455-won")
    assert Delivery.objects.get().connection == erp
    assert set(listed) == {"data", "next_cursor"}
