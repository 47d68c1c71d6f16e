"""Answering which card a payout becomes: the recipient, somebody for them, or the default after the deadline.

Every change locks the payout's row first, as approving does, so of a choice, a default and an approval at the same moment one
comes after the other and sees what it did. An answer changes freely until the approval that writes the order.
"""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.payouts.errors import ChoiceClosed, ChoiceInvalid, ReasonNeeded
from incentives.payouts.models import Hold, Payout, ProductChoice, RewardPreference
from incentives.payouts.policies import DEFAULT_STEPS
from incentives.payouts.services import options
from incentives.payouts.services.approve import locked
from incentives.payouts.services.automatic import approve_by_policy
from incentives.payouts.services.build import content_hash
from incentives.payouts.services.risk import AFTER_ADDRESS, EMAIL, Found
from rewards.models import Product

How = ProductChoice.How
LIFTED = {
    How.RECIPIENT: "The recipient has chosen.",
    How.STAFF: "Somebody chose for the recipient.",
    How.DEFAULT: "The deadline has passed: the default is sent.",
}


# --- by people -----------------------------------------------------------------------------------------------------------
def choose_reward(*, payout_id: int, product_id: str, actor, always: bool = False) -> ProductChoice:
    """The recipient's word. With `always` it becomes their standing preference for the currency as well.

    Repeating it changes nothing; another product replaces the answer. Raises NotAllowed (not the recipient), ChoiceClosed (no
    question, or the order is written), ChoiceInvalid (not among what may be sent). After an error nothing was written.
    """
    if not actor.can("me.choose"):
        raise NotAllowed
    with transaction.atomic():
        payout = locked(payout_id)
        if payout.participant.user_id is None or payout.participant.user_id != actor.pk:
            raise NotAllowed("Only its recipient chooses this reward.")
        choice, product = _open(payout), None
        if choice.how != How.RECIPIENT or choice.product_code != product_id:
            product = _option(payout, choice, product_id)
            _answer(payout, choice, product, How.RECIPIENT, actor)
        if always:
            _remember(payout.participant, payout.currency, product or _option(payout, choice, product_id), actor)
    return choice


def choose_for(*, payout_id: int, product_id: str, actor, reason: str) -> ProductChoice:
    """Choose in place of somebody who cannot. Whoever does so counts as a maker of the payout for ever and never approves it.

    What the recipient said (also by a preference) stands. Raises NotAllowed (role, the recipient, an approver of it),
    ReasonNeeded, ChoiceClosed, ChoiceInvalid.
    """
    if not actor.can("payouts.choose"):
        raise NotAllowed("Only a program manager or finance may choose for a recipient.")
    if not reason.strip():
        raise ReasonNeeded
    with transaction.atomic():
        payout = locked(payout_id)
        if payout.participant.user_id == actor.pk:
            raise NotAllowed("You receive this payout: choose on your own page.")
        if payout.approvals.filter(actor=actor).exists() or payout.approvals.filter(on_behalf_of=actor).exists():
            raise NotAllowed("You approved this payout, so somebody else must choose for its recipient.")
        choice = _open(payout)
        if choice.how in (How.RECIPIENT, How.PREFERENCE):
            raise ChoiceClosed("The recipient has chosen; only they change it.")
        product = _option(payout, choice, product_id)
        if choice.how != How.STAFF or choice.product_code != product_id:
            choice.staff.add(actor)
            _answer(payout, choice, product, How.STAFF, actor, reason.strip()[:300])
    return choice


def forget_preference(*, actor, currency: str) -> bool:
    """Take back one's own standing preference: new payouts ask again. A repeat changes nothing. Raises NotAllowed."""
    if not actor.can("me.choose"):
        raise NotAllowed
    with transaction.atomic():
        rows = RewardPreference.objects.filter(participant__user=actor, currency=currency)
        row = rows.select_related("participant").first()
        if row is None or not rows.delete()[0]:
            return False
        audit.record("preference.removed", row.participant, actor=actor, before={currency: row.product_code})
    return True


def _remember(participant, currency: str, product: Product, user) -> None:
    values = {"product_code": product.product_id, "product_name": product.name, "chosen_at": timezone.now()}
    before = RewardPreference.objects.filter(participant=participant, currency=currency).first()
    if before is not None and before.product_code == product.product_id:
        return
    RewardPreference.objects.update_or_create(participant=participant, currency=currency, defaults=values)
    audit.record(
        "preference.set",
        participant,
        actor=user,
        before={currency: before.product_code} if before else None,
        after={currency: product.product_id},
    )


def _open(payout: Payout) -> ProductChoice:
    """The payout's question as it stands; call it with the payout locked. Raises ChoiceClosed."""
    choice = options.choice_of(payout)
    if choice is None:
        raise ChoiceClosed("This payout has no choice: its program sends one product.")
    if payout.status != Payout.Status.SUBMITTED or choice.committed_at:
        raise ChoiceClosed
    choice.payout = payout
    return choice


def _option(payout: Payout, choice: ProductChoice, product_id: str) -> Product:
    for product in options.options_of(payout):
        if product.product_id == product_id:
            return product
    raise ChoiceInvalid


def _answer(payout: Payout, choice: ProductChoice, product: Product, how: str, user=None, reason: str = "") -> None:
    """Write the answer, bring the payout and its hash to it, lift the hold, and go on where a policy asks nobody."""
    before = choice.product_code
    values = {
        "product_code": product.product_id,
        "product_name": product.name,
        "how": how,
        "chosen_by": user,
        "chosen_at": timezone.now(),
        "reason": reason,
        "next_reminder_at": None,
    }
    if not ProductChoice.objects.filter(pk=choice.pk, committed_at__isnull=True).update(**values):
        raise ChoiceClosed
    for name, value in values.items():
        setattr(choice, name, value)
    payout.product_code, payout.product_name = product.product_id, product.name
    _rehash(payout, "product_code", "product_name")
    audit.record(
        "choice.made",
        payout,
        actor=user,
        before={"product": before} if before else None,
        after={"product": product.product_id, "how": str(how)},
        reason=reason,
    )
    if _lift(payout, Hold.Kind.CHOICE, LIFTED[how], user):
        approve_by_policy(payout)


def _rehash(payout: Payout, *fields: str) -> None:
    payout.content_hash = content_hash(payout)
    Payout.objects.filter(pk=payout.pk).update(
        content_hash=payout.content_hash, **{name: getattr(payout, name) for name in fields}
    )


def _lift(payout: Payout, kind: str, reason: str, user=None) -> bool:
    rows = payout.holds.filter(kind=kind, lifted_at__isnull=True)
    if not rows.update(lifted_at=timezone.now(), lifted_by=user, lifted_reason=reason):
        return False
    audit.record("hold.lifted", payout, actor=user, after={"kind": kind}, reason=reason)
    return True


def _place(payout: Payout, found: Found) -> None:
    _hold, created = Hold.objects.get_or_create(
        payout=payout,
        kind=found.kind,
        lifted_at=None,
        defaults={"reason": found.reason, "evidence": found.evidence},
    )
    if created:
        audit.record("hold.placed", payout, after={"kind": found.kind}, reason=found.reason)


# --- by the calendar -----------------------------------------------------------------------------------------------------
def follow_choices(now: datetime | None = None, limit: int = 500) -> dict[str, int]:
    """What the sweep does: ask again for what cannot be ordered any more, send the default after the deadline, remind.

    One short transaction per payout; what another process holds is left to it or to the next sweep. A repeat changes nothing.
    """
    now, shelf = now or timezone.now(), options.Shelf()
    return {
        "asked_again": _ask_again(now, shelf, limit),
        "defaulted": _default(now, shelf, limit),
        "reminded": _remind(now, limit),
    }


def _waiting():
    rows = ProductChoice.objects.filter(payout__status=Payout.Status.SUBMITTED, committed_at__isnull=True)
    return rows.select_related("payout").order_by("pk")


def _locked_choice(pk: int) -> tuple[Payout, ProductChoice] | None:
    """The question with its payout's row locked, unless it was decided or somebody is at it."""
    rows = Payout.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
    payout = rows.select_related("budget", "program", "participant").filter(choice=pk, status="submitted").first()
    if payout is None:
        return None
    choice = options.choice_of(payout)
    choice.payout = payout
    return payout, choice


def _gone(choice: ProductChoice, fits: list[Product]) -> bool:
    return choice.answered and choice.product_code not in {product.product_id for product in fits}


def _ask_again(now: datetime, shelf: options.Shelf, limit: int) -> int:
    """Answers that cannot be ordered any more: before the deadline the question is open again, after it the default is sent."""
    answered = _waiting().exclude(product_code="")
    gone = [choice.pk for choice in answered if _gone(choice, shelf.options(choice.payout, choice.allowed))]
    count = 0
    for pk in gone[:limit]:
        with transaction.atomic():
            found = _locked_choice(pk)
            if found is None:
                continue
            payout, choice = found
            fits = shelf.options(payout, choice.allowed)
            if not _gone(choice, fits):
                continue
            if choice.deadline <= now and fits:
                _answer(payout, choice, fits[0], How.DEFAULT)
            else:
                _reopen(payout, choice, now)
            count += 1
    return count


def _reopen(payout: Payout, choice: ProductChoice, now: datetime) -> None:
    before = choice.product_code
    choice.product_code = choice.product_name = choice.how = choice.reason = ""
    choice.chosen_by = choice.chosen_at = None
    choice.asked += 1
    choice.asked_at = now
    choice.next_reminder_at = options.next_reminder(choice, now)
    choice.save()
    audit.record("choice.reopened", payout, before={"product": before}, reason="It cannot be ordered any more.")
    _place(payout, Found(Hold.Kind.CHOICE, options.why_open(choice), options.evidence_of(choice)))
    if choice.deadline > now:
        options.tell(choice)


def _default(now: datetime, shelf: options.Shelf, limit: int) -> int:
    """Open questions whose deadline has passed. One for which nothing can be ordered waits; its hold says so."""
    count = 0
    for row in list(_waiting().filter(product_code="", deadline__lte=now)):
        if count >= limit:
            break
        if not shelf.options(row.payout, row.allowed):
            continue
        with transaction.atomic():
            found = _locked_choice(row.pk)
            if found is None or found[1].answered:
                continue
            payout, choice = found
            _answer(payout, choice, shelf.options(payout, choice.allowed)[0], How.DEFAULT)
            count += 1
    return count


def _remind(now: datetime, limit: int) -> int:
    """Of several that fell due while nothing ran only the newest is told."""
    due = _waiting().filter(product_code="", next_reminder_at__lte=now, deadline__gt=now)
    count = 0
    for pk in list(due.values_list("pk", flat=True)[:limit]):
        with transaction.atomic():
            found = _locked_choice(pk)
            if found is None or found[1].answered:
                continue
            choice = found[1]
            passed = [at for at in options.reminders(choice) if at <= now]
            after = options.next_reminder(choice, now)
            moved = ProductChoice.objects.filter(pk=pk, next_reminder_at__lte=now).update(next_reminder_at=after)
            if moved and passed:
                options.tell(choice, len(passed))
                count += 1
    return count


# --- an address that was missing -------------------------------------------------------------------------------------------
def fill_addresses(limit: int = 500) -> int:
    """Payouts built for somebody without an e-mail address or phone number that is on file now: it is filled in, its checks
    are made up for, and the hold ends. Returns how many. The sweep calls it; a repeat changes nothing."""
    missing = Hold.objects.filter(
        kind=Hold.Kind.CONTACT, lifted_at__isnull=True, payout__status=Payout.Status.SUBMITTED
    ).select_related("payout__participant")
    count = 0
    for hold in missing.order_by("pk"):
        if count >= limit:
            break
        if _address(hold, hold.payout.participant):
            with transaction.atomic():
                count += _fill(hold)
    return count


def _address(hold: Hold, participant) -> str:
    return participant.email if hold.evidence.get("wanted", EMAIL) == EMAIL else participant.phone


def _fill(hold: Hold) -> bool:
    payout = locked(hold.payout_id)
    still = payout.holds.filter(pk=hold.pk, lifted_at__isnull=True).exists()
    address = _address(hold, payout.participant)
    if payout.status != Payout.Status.SUBMITTED or not still or not address:
        return False
    name = "recipient_email" if hold.evidence.get("wanted", EMAIL) == EMAIL else "recipient_phone"
    setattr(payout, name, address)
    _rehash(payout, name)
    found = [reason for check in AFTER_ADDRESS for reason in check(payout)]
    for reason in found:
        _place(payout, reason)
    if found and not payout.steps:
        Payout.objects.filter(pk=payout.pk, steps=[]).update(steps=DEFAULT_STEPS)
        payout.steps = DEFAULT_STEPS
    _lift(payout, Hold.Kind.CONTACT, "The address is on file now.")
    approve_by_policy(payout)
    return True
