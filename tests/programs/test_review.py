"""Review by a second manager: who may, what it binds to, and that nothing passes around it."""

import pytest
from django.db import IntegrityError, transaction

from incentives.core.errors import IllegalTransition, NotAllowed
from incentives.core.models import AuditEvent
from incentives.payouts.policies import makers_of
from incentives.payouts.selectors import objection
from incentives.programs import review, review_limits, services
from incentives.programs.errors import NeedsReview, OwnReview, ProgramInvalid
from incentives.programs.models import Program, ProgramVersion, ReviewLimit
from tests.factories import definition, make_budget, make_program, make_user, usd
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
S = Program.Status


@pytest.fixture
def author():
    return make_user("manager", name="Maya")


@pytest.fixture
def second():
    return make_user("manager", name="Sam")


@pytest.fixture
def big(author):
    """A draft whose budget holds 20,000.00."""
    return make_program(name="Big one", manager=author, launched=False, funded="20000.00")


def draft(program) -> ProgramVersion:
    return program.versions.get(published_at__isnull=True)


def status(program) -> str:
    return Program.objects.get(pk=program.pk).status


# --- the limit -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("funded", "asks"), [("10000.00", False), ("10000.01", True)])
def test_without_a_row_ten_thousand_is_the_limit(author, funded, asks):
    assert review_limits.asks(make_budget(funded=funded), author) is asks


def test_a_limit_is_set_by_finance_and_holds_from_then_on(author, big):
    finance = make_user("finance")
    review_limits.save_limit(currency="USD", amount=usd("50000.00"), actor=finance)
    services.launch(program=big, actor=author)
    events = AuditEvent.objects.filter(action="review_limit.set").values_list("before", "after")
    assert list(events) == [({"limit": "10,000.00 USD"}, {"limit": "50,000.00 USD"})]
    review_limits.save_limit(currency="USD", amount=usd("50000.00"), actor=finance)
    assert AuditEvent.objects.filter(action="review_limit.set").count() == 1


@pytest.mark.parametrize("role", ["manager", "auditor", "participant", "partner_admin"])
def test_nobody_else_sets_a_limit(role):
    with pytest.raises(NotAllowed):
        review_limits.save_limit(currency="USD", amount=usd("1.00"), actor=make_user(role))
    assert ReviewLimit.objects.count() == 0


def test_a_limit_one_set_oneself_does_not_loosen_the_rule(big):
    both = make_user("manager", "finance")
    review_limits.save_limit(currency="USD", amount=usd("900000.00"), actor=both)
    with pytest.raises(NeedsReview):
        services.launch(program=big, actor=both)
    assert status(big) == S.DRAFT and draft(big)


# --- a first launch ------------------------------------------------------------------------------------------------------
def test_above_the_limit_nobody_publishes_alone(author, big):
    with pytest.raises(NeedsReview):
        services.launch(program=big, actor=author)
    assert status(big) == S.DRAFT and draft(big).published_at is None


def test_a_second_manager_publishes_what_they_read(author, second, big):
    asked = review.request_review(program=big, actor=author)
    assert status(big) == S.IN_REVIEW and list(review.waiting_for(second)) == [asked]
    assert list(review.waiting_for(author)) == [] and list(review.waiting_for(make_user("finance"))) == []
    program = review.confirm_review(program=big, actor=second, seen_digest=asked.digest)
    version = program.current_version
    assert (program.status, version.published_by, version.reviewed_by, version.created_by) == (
        S.ACTIVE, second, second, author,
    )  # fmt: skip
    assert list(review.waiting_for(second)) == []
    actions = (
        AuditEvent.objects.filter(target_id=str(program.public_id)).order_by("pk").values_list("action", flat=True)
    )
    assert list(actions)[-5:] == [
        "program.in_review", "program.review_requested", "program.reviewed", "program.active", "program.published",
    ]  # fmt: skip


def test_who_wrote_any_of_it_does_not_review_it(author, second, big):
    third = make_user("manager")
    services.edit_draft(program=big, document=definition(caps={"deal": "9.00"}), actor=second)
    services.edit_draft(program=big, document=definition(caps={"deal": "8.00"}), actor=third)
    asked = review.request_review(program=big, actor=author)
    for who in (author, second, third):
        with pytest.raises(OwnReview):
            review.confirm_review(program=big, actor=who, seen_digest=asked.digest)
        with pytest.raises(OwnReview):
            review.return_review(program=big, actor=who, reason="no")
        with pytest.raises(NeedsReview):
            services.launch(program=big, actor=who)
    assert status(big) == S.IN_REVIEW and draft(big).reviewed_by is None
    assert draft(big).created_by == author and draft(big).edited_by == third


def test_the_database_refuses_a_review_by_the_writer(author, big):
    with pytest.raises(IntegrityError), transaction.atomic():
        ProgramVersion.objects.filter(program=big).update(reviewed_by=author)


@pytest.mark.parametrize("role", ["finance", "administrator", "auditor", "participant", "partner_admin"])
def test_no_other_role_reviews(author, big, role):
    asked = review.request_review(program=big, actor=author)
    who = make_user(role, is_superuser=True)
    with pytest.raises(NotAllowed):
        review.confirm_review(program=big, actor=who, seen_digest=asked.digest)
    with pytest.raises(NotAllowed):
        review.request_review(program=big, actor=who)
    assert status(big) == S.IN_REVIEW


def test_an_edit_during_the_review_sends_it_back(author, second, big):
    asked = review.request_review(program=big, actor=author)
    services.edit_draft(program=big, document=definition(caps={"deal": "5.00"}), actor=author)
    assert status(big) == S.DRAFT and not draft(big).in_review
    with pytest.raises(IllegalTransition):
        review.confirm_review(program=big, actor=second, seen_digest=asked.digest)
    again = review.request_review(program=big, actor=author)
    with pytest.raises(ProgramInvalid):
        review.confirm_review(program=big, actor=second, seen_digest=asked.digest)
    assert status(big) == S.IN_REVIEW
    review.confirm_review(program=big, actor=second, seen_digest=again.digest)


def test_another_budget_during_the_review_sends_it_back(author, big):
    review.request_review(program=big, actor=author)
    services.set_budget(program=big, budget=make_budget(funded="30000.00"), actor=author)
    assert status(big) == S.DRAFT and not draft(big).in_review


def test_it_goes_back_with_a_reason_its_writer_reads(author, second, big, client):
    review.request_review(program=big, actor=author)
    with pytest.raises(ProgramInvalid):
        review.return_review(program=big, actor=second, reason="  ")
    review.return_review(program=big, actor=second, reason="Cap it per deal.")
    assert status(big) == S.DRAFT and draft(big).returned_reason == "Cap it per deal."
    client.force_login(author)
    assert "Cap it per deal." in assert_page_clean(client.get(big.get_absolute_url())).text
    services.edit_draft(program=big, document=definition(caps={"deal": "5.00"}), actor=author)
    assert draft(big).returned_reason == ""


def test_asking_twice_changes_nothing(author, big):
    asked = review.request_review(program=big, actor=author)
    events = AuditEvent.objects.count()
    assert review.request_review(program=big, actor=author).review_requested_at == asked.review_requested_at
    assert AuditEvent.objects.count() == events


# --- a further version, and ways around ------------------------------------------------------------------------------------
def test_a_further_version_waits_while_the_first_one_runs(author, second):
    program = make_program(manager=author, funded="20000.00")
    services.edit_draft(program=program, document=definition(caps={"deal": "5.00"}), actor=author)
    asked = review.request_review(program=program, actor=author, on_publish=True)
    assert status(program) == S.ACTIVE and asked.in_review and program.current_version.number == 1
    done = review.confirm_review(program=program, actor=second, seen_digest=asked.digest)
    version = done.current_version
    assert (version.number, version.reviewed_by) == (2, second)
    assert 0 <= (version.published_at - version.starts_at).total_seconds() < 5


def test_a_small_launch_is_not_moved_to_a_large_budget_alone(author, second):
    program, large = make_program(manager=author, funded="100.00"), make_budget(funded="50000.00")
    with pytest.raises(NeedsReview):
        services.set_budget(program=program, budget=large, actor=author)
    program.refresh_from_db()
    assert program.budget != large
    services.set_budget(program=program, budget=large, actor=second)
    program.refresh_from_db()
    assert program.budget == large


def test_writers_and_reviewers_approve_none_of_its_payouts(author, second, big, client):
    from incentives.payouts import services as payouts
    from tests.factories import deal, make_connection, make_participant, make_product, send

    third = make_user("manager")
    services.edit_draft(program=big, document=definition(caps={"deal": "90.00"}), actor=third)
    asked = review.request_review(program=big, actor=author)
    program = review.confirm_review(program=big, actor=second, seen_digest=asked.digest)
    make_product()
    send(make_connection(), deal("D1", make_participant(), "1000.00"))
    (payout,) = payouts.build_payouts(program=program).payouts
    assert {author.pk, second.pk, third.pk} <= makers_of(payout)
    for who in (author, second, third):
        assert str(objection(payout, who)) == "you wrote or published the rules"


# --- pages -----------------------------------------------------------------------------------------------------------------
def test_the_pages_lead_from_the_question_to_the_publication(author, second, big, client):
    client.force_login(author)
    page = assert_page_clean(client.get(f"{big.get_absolute_url()}launch/")).text
    assert "Its budget holds more than 10,000.00 USD, so a second manager must read and publish it." in page
    answer = client.post(f"{big.get_absolute_url()}launch/", follow=True)
    assert "A second manager is asked to review it." in assert_page_clean(answer).text
    own = assert_page_clean(client.get(f"{big.get_absolute_url()}review/")).text
    assert "another program manager decides" in own and "Send it back" not in own
    assert client.post(
        f"{big.get_absolute_url()}review/", {"action": "publish", "seen": draft(big).digest}
    ).status_code == 403  # fmt: skip
    assert "Waiting for your review" not in assert_page_clean(client.get("/")).text
    client.force_login(second)
    home = assert_page_clean(client.get("/"))
    assert "Waiting for your review" in home.text and f"{big.get_absolute_url()}review/" in home.links
    page = assert_page_clean(client.get(f"{big.get_absolute_url()}review/"))
    assert "Pays 2 % of the amount of every won deal." in page.text and "Written by Maya" in page.text
    refused = client.post(f"{big.get_absolute_url()}review/", {"action": "return", "seen": draft(big).digest})
    assert refused.status_code == 400 and "Say what should change" in assert_page_clean(refused).text
    answer = client.post(
        f"{big.get_absolute_url()}review/", {"action": "publish", "seen": draft(big).digest}, follow=True
    )
    assert "with you as its second manager" in assert_page_clean(answer).text
    assert status(big) == S.ACTIVE
    assert "Nobody asks for a review" in assert_page_clean(client.get(f"{big.get_absolute_url()}review/")).text


def test_taking_it_back_makes_it_a_draft_again(author, big, client):
    review.request_review(program=big, actor=author)
    client.force_login(author)
    client.post(f"{big.get_absolute_url()}review/withdraw/")
    assert status(big) == S.DRAFT


def test_limits_are_set_in_the_browser(client):
    client.force_login(make_user("finance"))
    bad = client.post("/programs/review-limits/set/", {"currency": "JPY", "amount": "1.50"})
    assert bad.status_code == 400 and "JPY has 0 digits after the point." in assert_page_clean(bad).text
    client.post("/programs/review-limits/set/", {"currency": "EUR", "amount": "2500.00"})
    assert "2,500.00 EUR" in assert_page_clean(client.get("/programs/review-limits/")).text
    assert ReviewLimit.objects.get().amount_minor == 250_000


ROLES = ("manager", "finance", "administrator", "auditor", "participant", "partner_admin")
PAGES = {
    "review/": "200 404 404 404 404 404",
    "review/withdraw/": "200 404 404 404 404 404",
    "/programs/review-limits/": "200 200 200 200 404 404",
    "/programs/review-limits/set/": "404 200 200 404 404 404",
}


@pytest.mark.parametrize("role", ROLES)
def test_every_page_for_every_role(author, big, client, role):
    asked = review.request_review(program=big, actor=author)
    client.force_login(make_user(role))
    for page, row in PAGES.items():
        address = page if page.startswith("/") else f"{big.get_absolute_url()}{page}"
        wanted = int(row.split()[ROLES.index(role)])
        assert client.get(address).status_code == wanted, address
        if wanted == 404:
            data = {"action": "publish", "seen": asked.digest, "currency": "USD", "amount": "1"}
            assert client.post(address, data).status_code in (404, 405), address
    assert status(big) == S.IN_REVIEW and ReviewLimit.objects.count() == 0
