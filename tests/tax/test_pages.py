"""The tax pages by every role, what they show and do, and what other pages keep quiet about."""

import re
from datetime import UTC, date, datetime

import pytest
from django.urls import get_resolver, reverse

from incentives.core.models import AuditEvent
from incentives.tax import services as tax
from incentives.tax.models import OutsideAward, TaxExport, TaxProfile, TaxRule
from tests.factories import usd
from tests.support.html import assert_page_clean
from tests.tax.world import build, contractor, deliver, kinds, w9, wide_products

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def september(db, clock):
    clock.move_to(datetime(2026, 9, 15, 12, tzinfo=UTC))
    wide_products()


@pytest.fixture
def person(scene):
    """Kim: 1,500.00 delivered, 400.00 elsewhere, 100.00 held for the form."""
    person = contractor("Kim Free")
    deliver(scene, build(scene, person, "1500.00"))
    tax.add_awards(rows=[tax.AwardRow(person, date(2026, 3, 1), usd("400.00"), "Trade show")], actor=scene.finance)
    build(scene, person, "100.00")
    return person


@pytest.fixture
def addresses(scene, person) -> dict[str, str]:
    made = tax.make_1099_export(year=2026, actor=scene.finance, everybody=True)
    args = {
        **{f"tax:{n}": [person.public_id] for n in ("participant", "profile", "release")},
        **{f"tax:{n}": [TaxRule.objects.first().pk] for n in ("rule", "rule-remove")},
        "tax:award-cancel": [OutsideAward.objects.get().public_id],
        "tax:export": [made.public_id],
        "tax:export-fetch": [made.public_id, "csv"],
    }
    names = [f"tax:{pattern.name}" for pattern in get_resolver().namespace_dict["tax"][1].url_patterns]
    return {name: reverse(name, args=args.get(name, [])) for name in names}


def test_finance_alone_sees_any_of_it(client, scene, addresses):
    before = AuditEvent.objects.count()
    for role in set(scene.users) - {"finance"}:
        client.force_login(scene.users[role])
        for name, address in addresses.items():
            assert client.get(address).status_code == 404, (role, name)
            assert client.post(address, {"reason": "x", "form_kind": "W-9"}).status_code in {404, 405}, (role, name)
    assert not TaxProfile.objects.exclude(form_kind="").exists()
    assert AuditEvent.objects.count() == before
    client.force_login(scene.finance)
    for name, address in addresses.items():
        answer = client.get(address)
        assert answer.status_code == 200, name
        if name != "tax:export-fetch":
            assert_page_clean(answer)
    client.logout()
    assert client.get(addresses["tax:overview"]).status_code == 302


def test_the_overview_shows_filters_sorts_and_exports(as_user, scene, person, django_assert_max_num_queries):
    client = as_user(scene.finance)
    with django_assert_max_num_queries(20):
        page = client.get("/reports/tax/").content.decode()
    for text in ("Kim Free", "1,500.00", "400.00", "2,000.00"):
        assert text in page
    for query in ("tab=attention&form=missing&classification=non_employee", "q=kim+fr", "country=us"):
        assert "Kim Free" in client.get(f"/reports/tax/?{query}").content.decode(), query
    for query in ("form=on_file", "year=2025", "q=nobody", "tab=reportable", "country=CA", "classification=employee"):
        assert "Kim Free" not in client.get(f"/reports/tax/?{query}").content.decode(), query
    for key in (
        "participant",
        "classification",
        "form",
        "paid",
        "outside",
        "in_flight",
        "threshold",
        "reached",
        "held",
    ):
        assert client.get(f"/reports/tax/?tab=all&sort=-{key}").status_code == 200
    text = b"".join(client.get("/reports/tax/?export=csv").streaming_content).decode("utf-8-sig")
    assert "1500.00" in text and "400.00" in text
    assert client.get("/reports/tax/?export=xlsx").status_code == 200


def test_a_form_is_recorded_on_the_page_and_a_tax_number_is_refused(as_user, scene, person):
    client = as_user(scene.finance)
    url = reverse("tax:profile", args=[person.public_id])
    data = {"form_kind": "W-9", "form_on_file_since": "2026-09-01", "note": "SSN 078-05-1120"}
    refused = client.post(url, data)
    assert refused.status_code == 400 and "identification number" in refused.content.decode()
    assert not TaxProfile.objects.exclude(form_kind="").exists()
    data["note"] = "In the cabinet"
    answer = client.post(url, data, follow=True)
    assert "1 payout goes on." in answer.content.decode()
    shown = client.get(reverse("tax:participant", args=[person.public_id])).content.decode()
    assert "In the cabinet" in shown and "On file" in shown


def test_awards_are_imported_with_a_preview(as_user, scene, person):
    client = as_user(scene.finance)
    text = f"participant,date,amount,source,reference\n{person.email.upper()},2026-04-01,12.50,Raffle,R-1\n"
    preview = client.post("/reports/tax/awards/import/", {"text": text})
    assert preview.status_code == 200 and OutsideAward.objects.count() == 1
    assert client.post("/reports/tax/awards/import/", {"text": text, "action": "apply"}).status_code == 302
    assert OutsideAward.objects.count() == 2
    bad = client.post("/reports/tax/awards/import/", {"text": text + "nobody,2026-04-01,1,x,\n", "action": "apply"})
    assert bad.status_code == 400 and OutsideAward.objects.count() == 2


def test_an_award_is_entered_and_cancelled_on_the_page(as_user, scene, person):
    client = as_user(scene.finance)
    data = {"participant": person.pk, "on": "2026-05-01", "amount": "20.00", "currency": "USD", "source": "Raffle"}
    assert client.post("/reports/tax/awards/new/", data | {"amount": "20.001"}).status_code == 400
    assert client.post("/reports/tax/awards/new/", data).status_code == 302
    award = OutsideAward.objects.get(source="Raffle")
    assert client.post(f"/reports/tax/awards/{award.public_id}/cancel/", {"reason": "Twice"}).status_code == 302
    award.refresh_from_db()
    assert (award.cancelled_by, award.cancel_reason) == (scene.finance, "Twice")
    assert "Raffle" in client.get("/reports/tax/awards/?tab=cancelled").content.decode()


def test_rules_are_added_changed_and_removed_with_their_history(as_user, scene):
    client = as_user(scene.finance)
    data = {
        "country": "DE", "classification": "non_employee", "year_from": "2026", "form_needed": "Bescheinigung",
        "threshold": "250.00", "currency": "EUR", "report_kind": "", "hold_action": "hold_at_threshold", "source": "own",
    }  # fmt: skip
    assert client.post("/reports/tax/rules/new/", data).status_code == 302
    made = TaxRule.objects.get(country="DE")
    assert (made.threshold_minor, made.currency) == (25_000, "EUR")
    assert client.post(made.get_absolute_url(), data | {"threshold": "300.00"}).status_code == 302
    assert "threshold: 25000 → 30000" in client.get(made.get_absolute_url()).content.decode()
    assert client.post(f"{made.get_absolute_url()}remove/", {"reason": "Test"}).status_code == 302
    assert not TaxRule.objects.filter(country="DE").exists()


def test_files_are_made_on_the_pages(as_user, scene, person):
    client = as_user(scene.finance)
    answer = client.post("/reports/tax/exports/1099/", {"year": "2026", "everybody": "on"}, follow=True)
    assert "1900.00" in answer.content.decode()
    data = {
        "first": "2026-08-01",
        "last": "2026-08-31",
        "gross_up": "on",
        "federal": "22",
        "fica": "7.65",
        "state": "0",
    }
    answer = client.post("/reports/tax/exports/w2/", data, follow=True)
    assert answer.status_code == 200 and TaxExport.objects.filter(kind="W-2").count() == 1
    again = client.post("/reports/tax/exports/w2/", data, follow=True)
    assert "shares days with an earlier export" in again.content.decode()
    assert client.post("/reports/tax/exports/w2/", data | {"last": "2026-09-15"}).status_code == 409


def test_the_recipient_reads_whom_to_ask(as_user, scene, settings):
    settings.FINANCE_CONTACT = "payroll@example.com"
    scene.rep.type = "contractor"
    scene.rep.save()
    assert "tax form" not in as_user(scene.rep_user).get("/me/").content.decode()
    payout = build(scene, scene.rep, "2000.00")
    page = as_user(scene.rep_user).get("/me/").content.decode()
    assert "Your reward waits for a tax form: ask payroll@example.com." in page
    w9(scene.rep, scene.finance)
    assert kinds(payout) == []
    assert "tax form" not in as_user(scene.rep_user).get("/me/").content.decode()


SECRETS = re.compile(r"canary|W-8BEN|Foreign person|1,?900\.00")


def test_pages_and_exports_of_others_keep_quiet(client, scene, person):
    w9(person, scene.finance, classification="foreign", form_kind="W-8BEN", note="canary")
    payout = person.payouts.filter(status="submitted").get()
    shown = [payout.get_absolute_url(), "/payouts/?tab=all", f"/participants/{person.public_id}/", "/audit/"]
    shown += ["/payouts/?export=csv", "/audit/?export=csv", "/participants/?export=csv"]
    for role in ("manager", "auditor", "administrator"):
        client.force_login(scene.users[role])
        for page in shown:
            answer = client.get(page)
            if answer.status_code == 200:
                body = b"".join(answer.streaming_content) if answer.streaming else answer.content
                assert not SECRETS.search(body.decode()), (role, page)
