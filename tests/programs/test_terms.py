"""Terms: written, published once, accepted by the person themselves, and payouts that wait for it."""

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.payouts import services as payouts
from incentives.payouts.errors import PayoutOnHold
from incentives.payouts.models import Hold, Payout
from incentives.programs import markup, terms
from incentives.programs.errors import StaleTerms, TermsInvalid
from incentives.programs.models import Terms, TermsAcceptance
from tests.factories import (
    deal,
    make_connection,
    make_participant,
    make_product,
    make_program,
    make_user,
    send,
)
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager():
    return make_user("manager", name="Maya")


@pytest.fixture
def ana():
    return make_participant("Ana", user=make_user("participant", email="ana@example.com"))


@pytest.fixture
def program(manager):
    make_product()
    return make_program(name="SPIFF", manager=manager, funded="500.00")


def publish(program, manager, body="Be fair.", title="House rules", **choices) -> Terms:
    terms.save_terms(program=program, title=title, body=body, actor=manager)
    return terms.publish_terms(program=program, actor=manager, **choices)


def agree(text: Terms, person) -> TermsAcceptance:
    return terms.accept(terms=text, user=person.user, seen_digest=text.digest, ip_address="192.0.2.7")


def payout_for(program, person, amount="1000.00") -> Payout:
    send(make_connection(), deal(f"D{Payout.objects.count()}-{person.pk}", person, amount))
    return payouts.build_payouts(program=program).payouts[0]


def open_kinds(payout) -> list[str]:
    return list(payout.holds.filter(lifted_at__isnull=True).values_list("kind", flat=True))


# --- texts -----------------------------------------------------------------------------------------------------------------
def test_a_published_text_never_changes_and_a_change_is_the_next(program, manager):
    first = publish(program, manager)
    second = terms.save_terms(program=program, title="House rules", body="Be fairer.", actor=manager)
    assert (first.number, second.number, terms.current_terms(program)) == (1, 2, first)
    for change in ({"body": "x"}, {"holds_payouts": False}, {"published_at": None}):
        with pytest.raises(DatabaseError), transaction.atomic():
            Terms.objects.filter(pk=first.pk).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        Terms.objects.filter(pk=first.pk).delete()
    first.refresh_from_db()
    assert first.body == "Be fair."


def test_saving_the_same_text_again_writes_nothing(program, manager):
    terms.save_terms(program=program, title="A", body="B", actor=manager)
    events = AuditEvent.objects.count()
    terms.save_terms(program=program, title="A", body="B\r\n", actor=manager)
    assert (Terms.objects.count(), AuditEvent.objects.count()) == (1, events)


@pytest.mark.parametrize(("title", "body"), [("", "x"), ("x", "  "), ("x" * 151, "x"), ("x", "y" * 60_001)])
def test_a_text_must_have_a_title_and_a_body(program, manager, title, body):
    with pytest.raises(TermsInvalid):
        terms.save_terms(program=program, title=title, body=body, actor=manager)
    assert Terms.objects.count() == 0


def test_what_was_read_is_what_is_published(program, manager):
    draft = terms.save_terms(program=program, title="A", body="B", actor=manager)
    terms.save_terms(program=program, title="A", body="C", actor=manager)
    with pytest.raises(TermsInvalid):
        terms.publish_terms(program=program, actor=manager, seen_digest=draft.digest)
    assert terms.current_terms(program) is None
    with pytest.raises(TermsInvalid):
        terms.publish_terms(program=make_program(), actor=manager)


@pytest.mark.parametrize("role", ["finance", "administrator", "auditor", "participant", "partner_admin"])
def test_nobody_else_writes_terms(program, manager, role):
    who = make_user(role)
    with pytest.raises(NotAllowed):
        terms.save_terms(program=program, title="A", body="B", actor=who)
    terms.save_terms(program=program, title="A", body="B", actor=manager)
    with pytest.raises(NotAllowed):
        terms.publish_terms(program=program, actor=who)
    assert terms.current_terms(program) is None


# --- accepting -----------------------------------------------------------------------------------------------------------
def test_an_acceptance_keeps_who_when_where_and_which_text(program, manager, ana):
    text = publish(program, manager)
    row = agree(text, ana)
    assert (row.participant, row.user, row.digest, row.ip_address) == (ana, ana.user, text.digest, "192.0.2.7")
    events = AuditEvent.objects.count()
    assert agree(text, ana) == row and AuditEvent.objects.count() == events
    event = AuditEvent.objects.get(action="terms.accepted")
    assert event.actor == ana.user and event.after["digest"] == text.digest
    for spoil in (lambda: TermsAcceptance.objects.update(digest="x"), TermsAcceptance.objects.all().delete):
        with pytest.raises(DatabaseError), transaction.atomic():
            spoil()


def test_only_the_newest_text_as_it_was_read_is_accepted(program, manager, ana):
    first = publish(program, manager)
    second = publish(program, manager, body="Be fairer.")
    for text, digest in ((first, first.digest), (second, first.digest), (second, "")):
        with pytest.raises(StaleTerms):
            terms.accept(terms=text, user=ana.user, seen_digest=digest)
    draft = terms.save_terms(program=program, title="A", body="Later", actor=manager)
    with pytest.raises(StaleTerms):
        terms.accept(terms=draft, user=ana.user, seen_digest=draft.digest)
    assert TermsAcceptance.objects.count() == 0


def test_nobody_accepts_for_another(program, manager, ana):
    text = publish(program, manager)
    for who in (manager, make_user("administrator"), make_user("participant")):
        with pytest.raises(NotAllowed):
            terms.accept(terms=text, user=who, seen_digest=text.digest)
    assert TermsAcceptance.objects.count() == 0


def test_a_new_text_asks_again_only_when_the_manager_says_so(program, manager, ana):
    assert publish(program, manager, asks_again=False).asks_again  # the first one always asks
    assert not terms.required(program).accepted_by(ana)
    agree(terms.current_terms(program), ana)
    publish(program, manager, body="A comma, mended.", asks_again=False)
    assert terms.required(program).accepted_by(ana)
    publish(program, manager, body="Something else.", asks_again=True)
    assert not terms.required(program).accepted_by(ana)
    publish(program, manager, body="Something else, mended.", asks_again=False)
    assert not terms.required(program).accepted_by(ana)
    agree(terms.current_terms(program), ana)
    assert terms.required(program).accepted_by(ana)


# --- payouts ---------------------------------------------------------------------------------------------------------------
def test_a_payout_waits_until_its_recipient_has_accepted(program, manager, ana):
    text = publish(program, manager)
    payout, finance = payout_for(program, ana), make_user("finance")
    assert open_kinds(payout) == ["terms"]
    with pytest.raises(PayoutOnHold) as refused:
        payouts.approve_payout(payout_id=payout.pk, actor=finance)
    assert "Terms not accepted" in refused.value.user_message
    with pytest.raises(NotAllowed):
        payouts.lift_hold(hold_id=payout.holds.get().pk, actor=finance, reason="please")
    payout.refresh_from_db()
    assert payout.status == "submitted" and payout.approvals.count() == 0
    agree(text, ana)
    assert open_kinds(payout) == [] and payout.holds.get().lifted_at is not None
    assert payouts.approve_payout(payout_id=payout.pk, actor=finance).status == "approved"


def test_who_accepted_before_is_not_held_and_others_stay_held(program, manager, ana):
    ben = make_participant("Ben", user=make_user("participant"))
    text = publish(program, manager)
    agree(text, ana)
    assert open_kinds(payout_for(program, ana)) == []
    held = payout_for(program, ben)
    agree(publish(program, manager, body="Mended", asks_again=False), ana)
    assert open_kinds(held) == ["terms"]


def test_terms_that_do_not_hold_let_payouts_go(program, manager, ana):
    publish(program, manager, holds_payouts=False)
    assert open_kinds(payout_for(program, ana)) == []


def test_a_new_text_holds_and_releases_what_already_waits(program, manager, ana):
    payout = payout_for(program, ana)
    assert open_kinds(payout) == []
    publish(program, manager)
    assert open_kinds(payout) == ["terms"]
    publish(program, manager, body="We trust you.", holds_payouts=False)
    assert open_kinds(payout) == []
    assert list(payout.holds.values_list("kind", flat=True)) == ["terms"]


def test_approving_asks_once_more(program, manager, ana):
    """A text published in the same moment as a build may not have reached the payout."""
    payout = payout_for(program, ana)
    publish(program, manager)
    payout.holds.all().delete()
    with pytest.raises(PayoutOnHold):
        payouts.approve_payout(payout_id=payout.pk, actor=make_user("finance"))
    assert Payout.objects.get(pk=payout.pk).status == "submitted"


def test_accepting_goes_on_where_a_policy_approves_by_itself(program, manager, ana):
    finance = make_user("finance")
    payouts.save_policy(actor=finance, name="Small", steps=[], up_to_minor=100_000, currency="USD")
    text = publish(program, manager)
    payout = payout_for(program, ana)
    assert (payout.status, open_kinds(payout)) == ("submitted", ["terms"])
    agree(text, ana)
    payout.refresh_from_db()
    assert (payout.status, payout.order is not None) == ("approved", True)


def test_a_receiver_that_fails_undoes_the_acceptance(program, manager, ana, monkeypatch):
    text = publish(program, manager)
    payout = payout_for(program, ana)

    def broken(*_args):
        raise RuntimeError

    monkeypatch.setattr("incentives.payouts.services.terms._lift", broken)
    with pytest.raises(RuntimeError):
        agree(text, ana)
    assert TermsAcceptance.objects.count() == 0 and open_kinds(payout) == ["terms"]


# --- pages -----------------------------------------------------------------------------------------------------------------
def test_a_participant_reads_and_accepts(program, manager, ana, client):
    text = publish(program, manager, body="# Rules\n\nBe **fair** & <kind>.\n\n- one\n- two")
    client.force_login(ana.user)
    assert "The terms of a program wait for you." in assert_page_clean(client.get("/me/")).text
    assert "House rules" in assert_page_clean(client.get("/me/terms/")).text
    at = reverse("portal:terms-text", args=[text.public_id])
    page = client.get(at)
    assert_page_clean(page)
    assert "<strong>fair</strong> &amp; &lt;kind&gt;" in page.content.decode()
    refused = client.post(at, {"seen": text.digest})
    assert refused.status_code == 400 and "Tick the box to accept." in assert_page_clean(refused).text
    assert TermsAcceptance.objects.count() == 0
    done = client.post(at, {"seen": text.digest, "agree": "yes"}, follow=True)
    assert "You have accepted “House rules”" in assert_page_clean(done).text
    assert TermsAcceptance.objects.get().ip_address == "127.0.0.1"
    assert "wait for you" not in assert_page_clean(client.get("/me/")).text
    assert "You accepted this text on" in assert_page_clean(client.get(at)).text


def test_a_text_read_before_it_was_replaced_is_not_accepted(program, manager, ana, client):
    first = publish(program, manager)
    publish(program, manager, body="Newer")
    client.force_login(ana.user)
    at = reverse("portal:terms-text", args=[first.public_id])
    assert (
        client.get(at).status_code == 404 and client.post(at, {"seen": first.digest, "agree": "yes"}).status_code == 404
    )
    assert TermsAcceptance.objects.count() == 0


def test_somebody_who_cannot_earn_is_not_asked(manager, ana, client):
    partners_only = make_program(manager=manager, eligible={"types": ["partner"]})
    draft = make_program(manager=manager, launched=False)
    text, unpublished_program = publish(partners_only, manager), publish(draft, manager)
    client.force_login(ana.user)
    assert terms.of_participant(ana) == []
    for one in (text, unpublished_program):
        assert client.get(reverse("portal:terms-text", args=[one.public_id])).status_code == 404


def test_managers_see_who_accepted_and_who_has_not(program, manager, ana, client):
    make_participant("Ben", user=make_user("participant"))
    make_participant("Cleo")
    agree(publish(program, manager), ana)
    client.force_login(make_user("auditor"))
    at = f"/programs/{program.public_id}/terms/"
    page = assert_page_clean(client.get(at)).text
    assert "House rules" in page and "Accepted 1 Not yet 2 their payouts wait" in page
    waiting = assert_page_clean(client.get(f"{at}people/")).text
    assert "Ben" in waiting and "Cleo" in waiting and "Has no account" in waiting and "Ana" not in waiting
    accepted = assert_page_clean(client.get(f"{at}people/?tab=accepted")).text
    assert "Ana" in accepted and "Ben" not in accepted
    rows = b"".join(client.get(f"{at}people/?tab=all&export=csv").streaming_content).decode("utf-8-sig")
    assert rows.count("\n") == 4 and "ana@example.com" in rows


def test_the_manager_writes_and_publishes_in_the_browser(program, manager, client):
    client.force_login(manager)
    at = f"/programs/{program.public_id}/terms/"
    assert "This program has no terms" in assert_page_clean(client.get(at)).text
    refused = client.post(f"{at}edit/", {"title": "Rules", "body": ""})
    assert refused.status_code == 400 and 'value="Rules"' in refused.content.decode()
    client.post(f"{at}edit/", {"title": "Rules", "body": "Be fair."})
    page = client.get(f"{at}publish/")
    assert "Be fair." in assert_page_clean(page).text
    stale = client.post(f"{at}publish/", {"seen": "0" * 64, "asks_again": "on"})
    assert stale.status_code == 400 and terms.current_terms(program) is None
    digest = terms.draft_of(program).digest
    client.post(f"{at}publish/", {"seen": digest, "asks_again": "on"})
    found = terms.current_terms(program)
    assert (found.title, found.asks_again, found.holds_payouts) == ("Rules", True, False)


ROLES = ("manager", "finance", "administrator", "auditor", "participant", "partner_admin")
PAGES = {
    "": "200 200 200 200 404 404", "people/": "200 200 200 200 404 404",
    "edit/": "200 404 404 404 404 404", "publish/": "200 404 404 404 404 404",
}  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_every_page_for_every_role(program, manager, client, role):
    publish(program, manager)
    client.force_login(make_user(role))
    for part, row in PAGES.items():
        address, wanted = f"/programs/{program.public_id}/terms/{part}", int(row.split()[ROLES.index(role)])
        assert client.get(address).status_code == wanted, address
        if wanted == 404:
            assert client.post(address, {"title": "x", "body": "y"}).status_code in (404, 405)
    assert terms.draft_of(program) is None or role == "manager"


def test_query_counts_do_not_grow(program, manager, ana, client):
    def queries(address: str) -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get(address).status_code == 200
        return len(found)

    text = publish(program, manager)
    addresses = [f"/programs/{program.public_id}/terms/", f"/programs/{program.public_id}/terms/people/?tab=all"]
    client.force_login(manager)
    before = [queries(address) for address in addresses]
    for _ in range(8):
        agree(text, make_participant(user=make_user("participant")))
    client.force_login(manager)
    assert [queries(address) for address in addresses] == before
    client.force_login(ana.user)
    few = queries("/me/terms/")
    for _ in range(6):
        publish(make_program(manager=manager), manager)
    assert queries("/me/terms/") == few and len(terms.of_participant(ana)) == 7


# --- markup ------------------------------------------------------------------------------------------------------------------
@pytest.mark.pure
@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("One\ntwo\n\nthree", "<p>One<br>two</p>\n<p>three</p>"),
        ("# Head\ntext", "<h2>Head</h2>\n<p>text</p>"),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("2. a\n3. b", '<ol start="2"><li>a</li><li>b</li></ol>'),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ("**<b>**", "<p><strong>&lt;b&gt;</strong></p>"),
        ("#no heading, **open", "<p>#no heading, **open</p>"),
    ],
)
def test_marks_become_elements_and_everything_else_is_escaped(text, html):
    assert markup.to_html(text) == html


def test_the_hold_kind_is_known_to_every_list():
    assert ("terms", "Terms not accepted") in [(value, str(label)) for value, label in Hold.Kind.choices]
