"""Available money moved from one budget to another, and funding too large for one person: one person of finance proposes,
another decides."""

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import IllegalTransition, NotAllowed
from incentives.ledger import accounts
from incentives.ledger.errors import BudgetInvalid, SameHands
from incentives.ledger.models import Account, Budget, BudgetTransfer, Posting
from incentives.ledger.posting import post
from incentives.ledger.services import MOST, check_movement
from rewards.money import Money

S = BudgetTransfer.Status
WAITING = Q(status=S.PROPOSED)


def visible_transfers(user):
    return BudgetTransfer.objects.all() if user.can("budgets.view") else BudgetTransfer.objects.none()


def to_decide(user):
    """What this person may decide: proposals of others, the oldest first."""
    if not user.can("budgets.fund"):
        return BudgetTransfer.objects.none()
    waiting = BudgetTransfer.objects.filter(WAITING).exclude(proposed_by=user)
    return waiting.select_related("source", "destination", "proposed_by").order_by("pk")


def propose(*, source: Budget, destination: Budget, amount: Money, reason: str, actor) -> BudgetTransfer:
    """Ask for `amount` (minor units) to be moved. Nothing is held until somebody else approves it.

    Raises NotAllowed, BudgetInvalid (same budget, currencies differ, amount not positive or absurd, no reason, inactive).
    """
    _require(actor)
    reason = " ".join(reason.split())[:200]
    _check(source, destination, amount, reason)
    with transaction.atomic():
        transfer = BudgetTransfer.objects.create(
            source=source,
            destination=destination,
            amount_minor=amount.minor,
            currency=amount.currency,
            reason=reason,
            proposed_by=actor,
        )
        audit.record("transfer.proposed", transfer, actor=actor, reason=reason, after=_told(transfer))
    return transfer


def propose_funding(*, budget: Budget, amount: Money, reference: str, actor, memo: str = "") -> BudgetTransfer:
    """Ask for `amount` to be allocated from outside, for which one person does not suffice. Nothing is booked until somebody
    else approves. A proposal of the same document and amount that waits is returned unchanged.

    Raises NotAllowed, BudgetInvalid (as `services.fund`; the document was booked or is proposed with another amount).
    """
    _require(actor)
    check_movement(budget, amount, reference)
    _in_use(budget)
    reference = reference.strip()
    with transaction.atomic():
        Budget.objects.select_for_update(no_key=True).get(pk=budget.pk)  # two proposals of one document take turns
        _not_booked(budget, reference)
        values = {"destination": budget, "source": None, "reference": reference}
        open_one = BudgetTransfer.objects.filter(**values, status=S.PROPOSED).first()
        if open_one is not None:
            if open_one.amount != amount:
                raise BudgetInvalid(f"{reference} is proposed already, with {open_one.amount}. Decide that one first.")
            return open_one
        transfer = BudgetTransfer.objects.create(
            **values,
            amount_minor=amount.minor,
            currency=amount.currency,
            reason=(" ".join(memo.split()) or reference)[:200],
            proposed_by=actor,
        )
        audit.record("transfer.proposed", transfer, actor=actor, reason=memo, after=_told(transfer))
    return transfer


def approve(*, transfer: BudgetTransfer, actor) -> BudgetTransfer:
    """Move the money. A repeat on an approved transfer returns it unchanged.

    Raises NotAllowed, SameHands (the proposer), InsufficientFunds and BudgetInvalid (the document was booked meanwhile, the
    budget is no longer in use): it stays proposed; IllegalTransition.
    Source: docs/architecture.md, promises 5 and 6.
    """
    _require(actor)
    with transaction.atomic():
        transfer = _locked(transfer)
        if transfer.status == S.APPROVED:
            return transfer
        _another(transfer, actor)
        _in_use(transfer.destination)
        _decide(transfer, S.APPROVED, actor)
        _move(transfer, actor)
    return transfer


def _move(transfer: BudgetTransfer, actor) -> None:
    key, kind = f"transfer:{transfer.public_id}", "transfer"
    if transfer.is_funding:
        _not_booked(transfer.destination, transfer.reference)
        key, kind = f"alloc:{transfer.destination.public_id}:{transfer.reference}", "allocate"
        source = accounts.world("funding", transfer.currency, book=Account.Book.BUDGET)
    else:
        source = accounts.budget_accounts(transfer.source)[accounts.AVAILABLE]
    post(
        key,
        transfer.amount,
        source,
        accounts.budget_accounts(transfer.destination)[accounts.AVAILABLE],
        kind=kind,
        cause=f"transfer:{transfer.public_id}",
        memo=transfer.reason,
        actor=actor,
    )


def _not_booked(budget: Budget, reference: str) -> None:
    if Posting.objects.filter(key=f"alloc:{budget.public_id}:{reference}").exists():
        raise BudgetInvalid(f"The document {reference} was booked for {budget} already. Nothing was changed.")


def _in_use(budget: Budget) -> None:
    if not budget.is_active:
        raise BudgetInvalid(f"{budget.name} is inactive. Choose a budget in use.")


def decline(*, transfer: BudgetTransfer, actor, note: str) -> BudgetTransfer:
    """Refuse it, with a reason; nothing moves. A repeat changes nothing. Raises NotAllowed, SameHands, IllegalTransition."""
    _require(actor)
    with transaction.atomic():
        transfer = _locked(transfer)
        if transfer.status != S.DECLINED:
            _another(transfer, actor)
            _decide(transfer, S.DECLINED, actor, note)
    return transfer


def withdraw(*, transfer: BudgetTransfer, actor, note: str = "") -> BudgetTransfer:
    """Take one's own proposal back. A repeat changes nothing. Raises NotAllowed (somebody else's), IllegalTransition."""
    _require(actor)
    with transaction.atomic():
        transfer = _locked(transfer)
        if transfer.proposed_by_id != actor.pk:
            raise NotAllowed("Only the person who proposed a transfer may withdraw it; decline it instead.")
        if transfer.status != S.WITHDRAWN:
            _decide(transfer, S.WITHDRAWN, actor, note)
    return transfer


def _locked(transfer: BudgetTransfer) -> BudgetTransfer:
    rows = BudgetTransfer.objects.select_for_update(of=("self",), no_key=True).select_related("source", "destination")
    return rows.get(pk=transfer.pk)


def _decide(transfer: BudgetTransfer, new: str, actor, note: str = "") -> None:
    """The only code that changes a status. The row must still be as it was read: right without row locks as well."""
    old = transfer.status
    if new not in BudgetTransfer.NEXT.get(old, ()):
        raise IllegalTransition(transfer, S(new).label.lower())
    values = {"status": new, "decided_by": actor, "decided_at": timezone.now(), "note": note.strip()[:200]}
    if not BudgetTransfer.objects.filter(pk=transfer.pk, status=old).update(**values):
        raise IllegalTransition(transfer, S(new).label.lower())
    for name, value in values.items():
        setattr(transfer, name, value)
    audit.record(
        f"transfer.{new}",
        transfer,
        actor=actor,
        reason=note,
        before={"status": old},
        after={"status": new, **_told(transfer)},
    )


def _another(transfer: BudgetTransfer, actor) -> None:
    if transfer.proposed_by_id == actor.pk:
        raise SameHands("You proposed this transfer; another person of finance must decide it. You may withdraw it.")


def _told(transfer: BudgetTransfer) -> dict:
    source = transfer.reference if transfer.is_funding else str(transfer.source)
    return {"from": source, "to": str(transfer.destination), "amount": str(transfer.amount)}


def _require(actor) -> None:
    if not actor.can("budgets.fund"):
        raise NotAllowed("Only finance may move money between budgets.")


def _check(source: Budget, destination: Budget, amount: Money, reason: str) -> None:
    if source.pk == destination.pk:
        raise BudgetInvalid("Choose two different budgets.")
    if source.currency != destination.currency:
        raise BudgetInvalid(
            f"{source.name} is kept in {source.currency} and {destination.name} in {destination.currency}. "
            "Money moves between budgets of one currency only."
        )
    if amount.currency != source.currency:
        raise BudgetInvalid(f"{source.name} is kept in {source.currency}; the amount is in {amount.currency}.")
    _in_use(destination)
    if amount.minor <= 0:
        raise BudgetInvalid("Give an amount above zero.")
    if amount.decimal > MOST:
        raise BudgetInvalid(f"{amount} is more than one movement may carry ({MOST:,}). Check the number.")
    if not reason:
        raise BudgetInvalid("Say why the money should move; the person who decides reads it.")
