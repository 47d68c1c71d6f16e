"""The pages of activities, quarantine, connections and the import wizard."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from incentives.crm import imports, services
from incentives.crm.models import Activity, Connection, Delivery, IdentityLink, ImportJob, ObjectState
from tests.crm.conftest import event, process
from tests.crm.test_import import HEADER, ROWS
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def private_folder(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def signed_in(client, administrator):
    client.force_login(administrator)
    return client


@pytest.fixture
def facts(hook, ana):
    hook(event("good"))
    hook(event("bad", currency="XXX", object={"type": "order", "id": "77"}))
    hook(event("who", participant={"external_user_id": "CRM-1"}, object={"type": "order", "id": "88"}))
    process()


def pages(connection) -> list[str]:
    bad = Delivery.objects.get(external_id="bad")
    return [
        reverse("crm:activities"),
        reverse("crm:activity", args=[Activity.objects.get().public_id]),
        reverse("crm:quarantine"),
        reverse("crm:delivery", args=[bad.public_id]),
        reverse("crm:repair", args=[bad.public_id]),
        reverse("crm:dismiss", args=[bad.public_id]),
        reverse("crm:import"),
        reverse("crm:connections"),
        reverse("crm:connection", args=[connection.public_id]),
        reverse("crm:connection-add"),
        reverse("crm:connection-edit", args=[connection.public_id]),
        reverse("crm:connection-secret", args=[connection.public_id]),
        reverse("crm:connection-address", args=[connection.public_id]),
        reverse("crm:connection-pause", args=[connection.public_id]),
        reverse("crm:connection-resume", args=[connection.public_id]),
    ]


def test_every_page_opens_for_an_administrator_and_is_404_for_a_participant(client, administrator, facts, connection):
    addresses = pages(connection)
    assert {client.get(page).status_code for page in addresses} == {302}
    client.force_login(make_user("participant"))
    assert {client.get(page).status_code for page in addresses} == {404}
    client.force_login(administrator)
    assert {page: client.get(page).status_code for page in addresses} == dict.fromkeys(addresses, 200)


def test_an_auditor_looks_and_changes_nothing(client, facts, connection):
    client.force_login(make_user("auditor"))
    assert client.get(reverse("crm:connection", args=[connection.public_id])).status_code == 200
    bad = Delivery.objects.get(external_id="bad")
    for page in (
        reverse("crm:repair", args=[bad.public_id]),
        reverse("crm:dismiss", args=[bad.public_id]),
        reverse("crm:replay"),
        reverse("crm:connection-pause", args=[connection.public_id]),
        reverse("crm:import"),
    ):
        assert client.post(page, {"reason": "x", "ids": [str(bad.public_id)]}).status_code == 404
    bad.refresh_from_db()
    connection.refresh_from_db()
    assert (bad.status, connection.status) == ("quarantined", "active")


def test_a_bad_value_is_mended_in_the_browser(signed_in, facts):
    page = reverse("crm:repair", args=[Delivery.objects.get(external_id="bad").public_id])
    assert signed_in.post(page, {"currency": "EUR"}).status_code == 400  # no reason
    assert signed_in.post(page, {"reason": "x", "amount": "1,5"}).status_code == 400
    assert signed_in.post(page, {"currency": "EUR", "reason": "typing error"}).status_code == 302
    process()
    assert ObjectState.objects.get(object_id="77").currency == "EUR"


def test_an_unknown_id_is_linked_for_good_in_the_browser(signed_in, facts, ben):
    page = reverse("crm:repair", args=[Delivery.objects.get(external_id="who").public_id])
    assert signed_in.post(page, {"participant": ben.pk, "remember": "on", "reason": "asked"}).status_code == 302
    process()
    assert IdentityLink.objects.get().participant == ben
    assert ObjectState.objects.get(object_id="88").participant == ben


def test_ticked_deliveries_are_replayed(signed_in, facts, connection, administrator):
    rows = Delivery.objects.filter(status="quarantined")
    assert rows.count() == 2
    answer = signed_in.post(reverse("crm:replay"), {"ids": [str(row.public_id) for row in rows], "action": "replay"})
    assert answer.status_code == 302
    assert Delivery.objects.filter(status="pending").count() == 2


def test_a_new_connection_shows_its_address_and_key_once(signed_in, client, ana):
    values = {"name": "Shop", "kind": "generic", "currency": "EUR", "time_zone": "Europe/Lisbon"}
    answer = signed_in.post(reverse("crm:connection-add"), values)
    text = answer.content.decode()
    address = re.search(r"http://testserver(/hooks/[^/]+/events)", text).group(1)
    key = re.findall(r'data-copy="([^"]+)"', text)[1]
    assert answer["Cache-Control"] == "no-store"
    headers = {"Authorization": f"Bearer {key}"}
    assert client.post(address, event(), content_type="application/json", headers=headers).status_code == 202
    shown = signed_in.get(reverse("crm:connection", args=[Connection.objects.get().public_id])).content.decode()
    assert key not in shown and address not in shown
    assert signed_in.post(reverse("crm:connection-add"), values).status_code == 400  # the name is taken
    assert Connection.objects.count() == 1


def test_secrets_rotate_and_end_and_the_address_changes(signed_in, hook, connection, ana):
    answer = signed_in.post(reverse("crm:connection-secret", args=[connection.public_id]), {"kind": "bearer"})
    fresh = re.findall(r'data-copy="([^"]+)"', answer.content.decode())[0]
    assert hook(event("a"), key=False, Authorization=f"Bearer {fresh}").status_code == 202
    old = connection.secrets.order_by("pk").first()
    assert signed_in.post(reverse("crm:retire", args=[connection.public_id, old.public_id])).status_code == 302
    assert hook(event("b")).status_code == 401
    signed_in.post(reverse("crm:connection-address", args=[connection.public_id]))
    assert hook(event("c")).status_code == 404


def test_settings_of_a_connection_are_checked(signed_in, connection):
    page = reverse("crm:connection-edit", args=[connection.public_id])
    values = {"name": "ERP", "currency": "EUR", "time_zone": "UTC", "stage_map": '{"Won": "closed"}', "type_map": "{}"}
    assert signed_in.post(page, values).status_code == 400
    assert signed_in.post(page, {**values, "stage_map": '{"Won": "won"}'}).status_code == 302
    connection.refresh_from_db()
    assert connection.stage_map == {"Won": "won"}


def test_a_file_goes_from_upload_to_result_in_the_browser(signed_in, ana, ben):
    feed = services.create_connection(name="Feed", kind="file", currency="USD").connection
    content = "\n".join([HEADER, *ROWS, "B1,Won,never,E-1009,1,MG"]).encode()
    answer = signed_in.post(
        reverse("crm:import"), {"connection": feed.pk, "file": SimpleUploadedFile("deals.csv", content)}
    )
    job = ImportJob.objects.get()
    assert answer.url == reverse("crm:import-job", args=[job.public_id])
    assert "A3" in signed_in.get(answer.url).content.decode()
    choices = {
        "object_id": "id", "stage": "stage", "won": "Won", "lost": "Lost", "participant": "owner",
        "participant_by": "external_user_id", "occurred_at": "closed", "amount": "value", "product": "product",
    }  # fmt: skip
    wrong = signed_in.post(answer.url, {**choices, "object_id": ""})
    assert wrong.status_code == 400 and "object_id" in wrong.content.decode()
    preview = signed_in.post(answer.url, choices).content.decode()
    assert "never" in preview and "Start the import" in preview
    assert not Delivery.objects.exists()
    assert signed_in.post(answer.url, {**choices, "start": "1"}).status_code == 302
    imports.carry_on()
    process()
    page = signed_in.get(answer.url).content.decode()
    assert "Done" in page
    result = b"".join(signed_in.get(reverse("crm:import-result", args=[job.public_id])).streaming_content).decode()
    assert result.splitlines()[-1].startswith("6,,rejected,closed,never,")
    assert ObjectState.objects.filter(kind="deal.won").count() == 2


def test_an_unreadable_upload_is_refused_and_not_kept(signed_in, tmp_path):
    feed = services.create_connection(name="Feed", kind="file", currency="USD").connection
    answer = signed_in.post(
        reverse("crm:import"), {"connection": feed.pk, "file": SimpleUploadedFile("x.xlsx", b"PK\x03\x04nonsense")}
    )
    assert answer.status_code == 400 and "not a readable XLSX" in answer.content.decode()
    assert not ImportJob.objects.exists() and not list((tmp_path / "imports").glob("*"))
