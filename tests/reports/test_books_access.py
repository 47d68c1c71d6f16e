"""Who may open which page of the books and of the full export: every address times every role."""

from datetime import date

import pytest
from django.urls import get_resolver, reverse

from incentives.payouts import services
from incentives.reports import export_services, journal_services
from incentives.reports.journal_models import JournalAccount, JournalExport
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db

ROLES = ("manager", "finance", "participant", "partner_admin", "administrator", "auditor", "superuser", "norole")
#        M    F    P    PA   A    AU   SU   none
VIEW = " 404  200  404  404  404  200  404  404"
EDIT = " 404  200  404  404  404  404  404  404"
OWN = "  404  302  404  404  404  404  404  404"
GETS = {
    "reports:accrual": VIEW,
    "reports:accrual-people": VIEW,
    "reports:journal": VIEW,
    "reports:journal-accounts": VIEW,
    "reports:journal-account": VIEW,
    "reports:journal-account-new": EDIT,
    "reports:journal-account-remove": EDIT,
    "reports:journal-proposal": EDIT,
    "reports:journal-exports": VIEW,
    "reports:journal-make": EDIT,
    "reports:journal-export": VIEW,
    "reports:journal-fetch": VIEW,
    "reports:export": EDIT,
    "reports:export-new": EDIT,
    "reports:export-one": EDIT,
    "reports:export-fetch": OWN,  # it is not ready yet
}
POSTS = ("journal-account", "journal-account-new", "journal-account-remove", "journal-proposal", "journal-make", "export-new")  # fmt: skip


@pytest.fixture
def addresses(books) -> dict[str, str]:
    finance = books.scene.finance
    journal_services.use_proposal(actor=finance)
    services.close_month(month=date(2026, 5, 1), actor=finance)
    final = journal_services.make_journal(month=date(2026, 5, 1), actor=finance)
    export = export_services.request_export(actor=finance)
    account = JournalAccount.objects.get(role="bank")
    arguments = {
        "reports:accrual-people": [books.bonus.public_id],
        "reports:journal-account": [account.pk],
        "reports:journal-account-remove": [account.pk],
        "reports:journal-export": [final.public_id],
        "reports:journal-fetch": [final.public_id, "csv"],
        "reports:export-one": [export.public_id],
        "reports:export-fetch": [export.public_id],
    }
    return {name: reverse(name, args=arguments.get(name, [])) for name in GETS}


def test_every_address_of_these_topics_is_in_the_table():
    patterns = get_resolver().namespace_dict["reports"][1].url_patterns
    own = {f"reports:{p.name}" for p in patterns if p.name.startswith(("accrual", "journal", "export"))}
    assert own == set(GETS)


def test_every_page_for_every_role(client, books, addresses):
    found, wanted = {}, {}
    for role in ROLES:
        client.force_login(books.scene.users[role])
        for name, row in GETS.items():
            response = client.get(addresses[name])
            found[role, name] = response.status_code
            wanted[role, name] = int(row.split()[ROLES.index(role)])
            if response.status_code == 200 and "fetch" not in name:
                assert_page_clean(response)
    assert found == wanted
    client.logout()
    assert {client.get(url).status_code for url in addresses.values()} == {302}


def test_nobody_but_finance_changes_the_books(client, books, addresses):
    accounts, journals = JournalAccount.objects.count(), JournalExport.objects.count()
    data = {"role": "bank", "number": "1", "month": "2026-05"}
    for role in set(ROLES) - {"finance"}:
        client.force_login(books.scene.users[role])
        for name in POSTS:
            assert (role, name, client.post(addresses[f"reports:{name}"], data).status_code) == (role, name, 404)
    assert (JournalAccount.objects.count(), JournalExport.objects.count()) == (accounts, journals)
    assert JournalAccount.objects.get(role="bank").number == "1000"
    client.force_login(books.scene.finance)
    saved = client.post(addresses["reports:journal-account"], data, follow=True)
    assert "Bank: 1 is kept." in saved.content.decode()
    client.post(addresses["reports:journal-account-remove"])
    assert not JournalAccount.objects.filter(role="bank").exists()
    added = client.post(addresses["reports:journal-account-new"], {"role": "bank", "number": "77"}, follow=True)
    assert "Bank: 77 is kept." in added.content.decode()
    twice = client.post(addresses["reports:journal-account-new"], {"role": "bank", "number": "78"})
    assert "Change that one" in twice.content.decode()
