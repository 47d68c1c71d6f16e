"""Files of rows: whatever refuses them is told on the page, on each of the pages that take one."""

import pytest
from django.urls import reverse

from incentives.core.errors import DomainError
from tests.factories import make_participant, make_program, make_user

pytestmark = pytest.mark.django_db

PAGES = {  # url name -> (who, the service that applies the rows, one good row)
    "programs:import-targets": (
        "manager", "incentives.programs.services.set_targets", "participant,period_start,value\n{who},2026-01-01,10\n",
    ),
    "programs:import-people": (
        "manager", "incentives.programs.services.set_enrollments", "participant,state\n{who},invited\n",
    ),
    "ledger:import-rates": (
        "finance", "incentives.ledger.exchange.set_rates", "currency,to_currency,starts_on,rate\nEUR,USD,2026-07-01,1.1\n",
    ),
    "tax:awards-import": (
        "finance", "incentives.tax.services.add_awards", "participant,date,amount,source\n{who},2026-03-01,9.00,Fair\n",
    ),
}  # fmt: skip


@pytest.fixture(params=PAGES)
def page(request, client):
    """(address, service, text of a file with one good row), signed in as who may."""
    role, service, text = PAGES[request.param]
    person = make_participant()
    args = [make_program().public_id] if request.param.startswith("programs:") else []
    client.force_login(make_user(role))
    return reverse(request.param, args=args), service, text.format(who=person.key)


def test_a_refusal_while_applying_is_told_and_the_rows_stay(client, page, monkeypatch):
    address, service, text = page

    def refuse(**kwargs):
        raise DomainError("Somebody closed it in between. Reload and look again.")

    monkeypatch.setattr(service, refuse)
    answer = client.post(address, {"text": text, "action": "apply"})
    shown = answer.content.decode()
    assert answer.status_code == 400
    assert "Somebody closed it in between. Reload and look again." in shown
    assert answer.context["source"].strip() and 'value="apply"' in shown


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Choose a file, or paste its lines."),
        ("nothing,of,this\n1,2,3\n", "The first line must name the columns"),
        (None, "The file has no rows under its first line."),
    ],
)
def test_a_file_that_is_none_is_refused_in_words(client, page, text, told):
    address, _service, good = page
    answer = client.post(address, {"text": good.split("\n")[0] + "\n" if text is None else text})
    assert answer.status_code == 400 and told in answer.content.decode()


def test_more_rows_than_fit_are_refused(client, page, monkeypatch):
    address, _service, good = page
    monkeypatch.setattr("incentives.core.row_files.MOST_ROWS", 2)
    head, row = good.strip().split("\n")
    answer = client.post(address, {"text": "\n".join([head, row, row, row])})
    assert answer.status_code == 400 and "More than 2 rows. Split the file." in answer.content.decode()
