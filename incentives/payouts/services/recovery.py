"""What was paid too much: keep `recoverable` right, write off, and agree on instalments.

    recoverable = sum over grounds of max(0, delivered - earned - written off)

with the grounds of `netting`. A later payout that withholds makes `delivered` of the ground smaller, a fact that comes back
makes `earned` larger: both bring `recoverable` down. A write-off counts on a ground only up to what is overpaid there, so a
fact that comes back takes the write-off back first and is not paid twice.
"""

from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import F, Max
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.earnings.models import Participation
from incentives.ledger import accounts
from incentives.ledger.models import Account
from incentives.ledger.posting import Move, post_all
from incentives.payouts.errors import ReasonNeeded, RecoveryInvalid, SecondPerson
from incentives.payouts.models import Payout
from incentives.payouts.policies import WROTE
from incentives.payouts.recovery_models import Recovery, WriteOff, WriteOffLine
from incentives.payouts.services.netting import netting_of, overpaid_by_ground, written_off_by_ground
from rewards.money import Money

S = WriteOff.Status
NEXT_PAYOUT, WRITE_OFF, NONE = "next_payout", "write_off", "none"
BY_POLICY = "The program does not recover what was paid too much."
ASKED_BY_POLICY = "The program writes off what was paid too much once finance agrees."
CAME_BACK = "It counts again, so its write-off was taken back."


# --- the ledger -----------------------------------------------------------------------------------------------------------
def adjust_recoverable(participation: Participation, *, kind: str = "recovered") -> None:
    """Bring `recoverable` and the write-offs to what the facts and the delivered payouts say, by the program's policy.

    Call it in the transaction that changed either, with the participation locked before any account. `kind` names in the ledger why less is recoverable: `recovered` (a payout
    that withheld was delivered) or `earned_again`. A repeat finds nothing to move.
    """
    over = overpaid_by_ground(participation)
    if not over and not Recovery.objects.filter(participation=participation).exists():
        return
    book = _Book(participation)
    standing = written_off_by_ground(participation)
    back = {ground: minor - over.get(ground, 0) for ground, minor in standing.items() if minor > over.get(ground, 0)}
    book.take_back(back)
    standing = {ground: minor - back.get(ground, 0) for ground, minor in standing.items()}
    wanted = sum(over.values()) - sum(standing.values())
    book.bring_to(wanted, kind)
    if book.recoverable and policy_of(participation) == NONE:
        book.write_off_by_policy()
    book.close()


def policy_of(participation: Participation) -> str:
    return (participation.program.current_definition.get("payout") or {}).get("recovery") or NEXT_PAYOUT


class _Book:
    """The recoverable account of one participation, locked, and the rows beside it."""

    def __init__(self, participation: Participation):
        self.participation, self.currency = participation, participation.program.currency
        owner = str(participation.public_id)
        own = accounts.participant_accounts([(owner, self.currency)])[owner]
        self.inside = Account.objects.select_for_update(no_key=True).get(pk=own[accounts.RECOVERABLE].pk)
        self.row, _ = Recovery.objects.get_or_create(participation=participation)
        self.recoverable = self.inside.balance_minor
        self.n = self.inside.postings_in.count() + self.inside.postings_out.count()

    def move(self, step: int, kind: str, outside: str, actor=None) -> None:
        """Post `step` minor units into the account (out of it when negative). Keys count the account's postings, so a
        repeat in another transaction meets a key that stands."""
        if not step:
            return
        world = accounts.world(outside, self.currency, book=Account.Book.PARTICIPANT)
        source, destination = (world, self.inside) if step > 0 else (self.inside, world)
        self.n += 1
        key = f"recover:{self.participation.public_id}:{self.n}"
        cause = f"participation:{self.participation.public_id}"
        post_all([Move(key, Money(abs(step), self.currency), source, destination, kind, cause)], actor=actor)
        self.recoverable += step

    def bring_to(self, wanted: int, kind: str) -> None:
        step = wanted - self.recoverable
        self.move(step, "recoverable" if step > 0 else kind, "recovery")

    def take_back(self, grounds: dict[tuple, int]) -> None:
        """Write-offs of facts that count again: the money first becomes recoverable again, then it is earned again."""
        if not grounds:
            return
        self._lines({ground: -minor for ground, minor in grounds.items()}, None, CAME_BACK)
        self.move(sum(grounds.values()), "write_off_undone", "write_off")
        audit.record(
            "write_off.taken_back",
            self.participation,
            after={"amount": str(Money(sum(grounds.values()), self.currency))},
            reason=CAME_BACK,
        )

    def write_off(self, write_off: WriteOff, actor=None) -> None:
        """Write off its amount, the oldest grounds first. Raises RecoveryInvalid when less than that may be written off."""
        left, lines = write_off.amount_minor, {}
        for ground, minor in may_be_written_off(self.participation).items():
            part = min(left, minor)
            if part:
                lines[ground] = part
                left -= part
        if left:
            most = Money(write_off.amount_minor - left, self.currency)
            raise RecoveryInvalid(f"Only {most} can be written off now. Withdraw this proposal and make a new one.")
        self._lines(lines, write_off, write_off.reason)
        self.move(-write_off.amount_minor, "written_off", "write_off", actor)

    def write_off_by_policy(self) -> None:
        minor = sum(may_be_written_off(self.participation).values())
        if not minor:
            return
        now = timezone.now()
        done = WriteOff.objects.create(
            participation=self.participation,
            status=S.APPROVED,
            amount_minor=minor,
            currency=self.currency,
            reason=BY_POLICY,
            by_policy=True,
            decided_at=now,
        )
        self.write_off(done)
        audit.record("write_off.by_policy", done, after={"amount": str(done.amount)}, reason=BY_POLICY)

    def _lines(self, grounds: dict[tuple, int], write_off: WriteOff | None, reason: str) -> None:
        last = self.participation.write_off_lines.aggregate(n=Max("n"))["n"] or 0
        WriteOffLine.objects.bulk_create(
            [
                WriteOffLine(
                    participation=self.participation,
                    write_off=write_off,
                    n=last + number,
                    object_id=fact,
                    period_start=day,
                    amount_minor=minor,
                    reason=reason,
                )
                for number, ((fact, day), minor) in enumerate(grounds.items(), start=1)
            ]
        )

    def close(self) -> None:
        """Copy the sums to the row that lists read."""
        written_off = sum(written_off_by_ground(self.participation).values())
        since = None if not self.recoverable else self.row.since or timezone.now()
        values = {"recoverable_minor": self.recoverable, "written_off_minor": written_off, "since": since}
        Recovery.objects.filter(pk=self.row.pk).update(**values)


def may_be_written_off(participation: Participation) -> dict[tuple, int]:
    """Minor units per ground, oldest first: overpaid, not written off, not withheld by a payout under way, and in sum not
    more than what earnings that are still to be paid leave (those are netted by themselves)."""
    delivered = overpaid_by_ground(participation)
    live = overpaid_by_ground(participation, Payout.LIVE)
    standing = written_off_by_ground(participation)
    netting = netting_of(participation)
    left, found = max(0, netting.overpaid - netting.gross), {}
    for ground, minor in delivered.items():
        part = min(left, min(minor, live.get(ground, 0)) - standing.get(ground, 0))
        if part > 0:
            found[ground] = part
            left -= part
    return found


# --- write-offs -----------------------------------------------------------------------------------------------------------
def propose_write_off(*, participation: Participation, amount: Money, reason: str, actor) -> WriteOff:
    """Propose to give up `amount` of what this participation was paid too much. Nothing changes before finance agrees;
    until then later payouts are still withheld.

    Raises NotAllowed (also for the recipient), ReasonNeeded, RecoveryInvalid (amount, or a proposal is open).
    """
    _require(actor, "recovery.propose", participation)
    if not reason.strip():
        raise ReasonNeeded("Give a reason: finance decides by it, and it is kept in the audit trail.")
    with transaction.atomic():
        participation = _locked(participation.pk)
        adjust_recoverable(participation, kind="earned_again")
        most = Money(sum(may_be_written_off(participation).values()), participation.program.currency)
        if amount.currency != most.currency or not 0 < amount.minor <= most.minor:
            raise RecoveryInvalid(
                f"amount: expected more than nothing and at most {most}, which may be written off now."
            )
        return _propose(participation, amount.minor, reason.strip()[:300], actor)


def _propose(participation: Participation, minor: int, reason: str, actor) -> WriteOff:
    try:
        with transaction.atomic():
            proposal = WriteOff.objects.create(
                participation=participation,
                amount_minor=minor,
                currency=participation.program.currency,
                reason=reason,
                proposed_by=actor,
            )
    except IntegrityError as exc:
        raise RecoveryInvalid("A write-off is proposed already. Decide or withdraw that one first.") from exc
    audit.record("write_off.proposed", proposal, actor=actor, after={"amount": str(proposal.amount)}, reason=reason)
    return proposal


def approve_write_off(*, write_off: WriteOff, actor) -> WriteOff:
    """Another person of finance agrees: the amount no longer reduces later payouts. A repeat changes nothing.

    Raises NotAllowed (also for the recipient), SecondPerson (who proposed it or wrote the program's rules), RecoveryInvalid
    (decided already, or less is left to write off than proposed).
    """
    _require(actor, "recovery.approve", write_off.participation)
    with transaction.atomic():
        participation = _locked(write_off.participation_id)
        row = WriteOff.objects.select_for_update(of=("self",), no_key=True).get(pk=write_off.pk)
        if row.status == S.APPROVED:
            return row
        if actor.pk in _makers(row):
            raise SecondPerson(
                "You proposed this or wrote the program's rules, so another person of finance must decide."
            )
        adjust_recoverable(participation, kind="earned_again")
        _decide(row, S.APPROVED, actor)
        book = _Book(participation)
        book.write_off(row, actor)
        book.close()
        audit.record("write_off.approved", row, actor=actor, after={"amount": str(row.amount)}, reason=row.reason)
        _look_again(participation)
    return row


def decline_write_off(*, write_off: WriteOff, actor, reason: str) -> WriteOff:
    """Finance does not agree: the amount stays recoverable. A repeat changes nothing. Raises as approve_write_off."""
    _require(actor, "recovery.approve", write_off.participation)
    return _end(write_off, S.DECLINED, actor, reason)


def withdraw_write_off(*, write_off: WriteOff, actor, reason: str) -> WriteOff:
    """Take a proposal back, whoever made it. A repeat changes nothing. Raises NotAllowed, ReasonNeeded, RecoveryInvalid."""
    _require(actor, "recovery.propose", write_off.participation)
    return _end(write_off, S.WITHDRAWN, actor, reason)


def _end(write_off: WriteOff, status: str, actor, reason: str) -> WriteOff:
    if not reason.strip():
        raise ReasonNeeded("Give a reason: it is kept in the audit trail.")
    with transaction.atomic():
        row = WriteOff.objects.select_for_update(of=("self",), no_key=True).get(pk=write_off.pk)
        if row.status != status:
            _decide(row, status, actor, reason)
            audit.record(f"write_off.{status}", row, actor=actor, after={"amount": str(row.amount)}, reason=reason)
    return row


def _decide(row: WriteOff, status: str, actor, reason: str = "") -> None:
    """Leave PROPOSED. The UPDATE names the old state: of two deciders one is told."""
    values = {"status": status, "decided_by": actor, "decided_at": timezone.now(), "decision_reason": reason[:300]}
    if not WriteOff.objects.filter(pk=row.pk, status=S.PROPOSED).update(**values):
        raise RecoveryInvalid(f"This write-off is {row.get_status_display().lower()} already. Reload to see it.")
    for name, value in values.items():
        setattr(row, name, value)


def _makers(row: WriteOff) -> set[int]:
    """Who proposed it, and who wrote or published the rules behind it: a policy of theirs may have asked for it."""
    versions = row.participation.earnings.values_list(*(f"version__{role}" for role in WROTE)).distinct()
    return {row.proposed_by_id, *(person for people in versions.order_by() for person in people)} - {None}


def ask_by_policy(participation: Participation) -> None:
    """In a program with `recovery: write_off`, propose what may be written off now; a proposal of Laurel's that no longer
    fits is withdrawn first. People's own proposals are left alone. Call it with the participation locked."""
    if policy_of(participation) != WRITE_OFF:
        return
    minor = sum(may_be_written_off(participation).values())
    standing = participation.write_offs.filter(status=S.PROPOSED).first()
    if standing is not None and (standing.proposed_by_id or standing.amount_minor == minor):
        return
    if standing is not None:
        _decide(standing, S.WITHDRAWN, None, "The amount changed.")
        audit.record("write_off.withdrawn", standing, reason="The amount changed.")
    if minor:
        _propose(participation, minor, ASKED_BY_POLICY, None)


# --- instalments ----------------------------------------------------------------------------------------------------------
def set_instalments(
    *, participation: Participation, actor, reason: str, percent: Decimal | None = None, most: Money | None = None
) -> Recovery:
    """Say how much of each later payout may be withheld at most: `percent` of it, or `most` (minor units); with neither,
    all of it. What is not withheld stays recoverable. A repeat changes nothing.

    Raises NotAllowed (also for the recipient), ReasonNeeded, RecoveryInvalid.
    """
    _require(actor, "recovery.propose", participation)
    if not reason.strip():
        raise ReasonNeeded("Give a reason: it is kept in the audit trail.")
    _check_instalments(participation, percent, most)
    with transaction.atomic():
        participation = _locked(participation.pk)
        row, _ = Recovery.objects.get_or_create(participation=participation)
        before, values = _instalments(row), {"percent": percent, "most_minor": most.minor if most else None}
        Recovery.objects.filter(pk=row.pk).update(**values, set_by=actor, set_at=timezone.now())
        row.refresh_from_db()
        if before != _instalments(row):
            audit.record(
                "recovery.instalments",
                participation,
                actor=actor,
                before=before,
                after=_instalments(row),
                reason=reason,
            )
            _look_again(participation)
    return row


def _check_instalments(participation: Participation, percent: Decimal | None, most: Money | None) -> None:
    if percent is not None and most is not None:
        raise RecoveryInvalid("Give a percentage or an amount, not both.")
    if percent is not None and not (0 < percent <= 100 and percent == percent.quantize(Decimal("0.01"))):
        raise RecoveryInvalid(f"percent: {percent} is not above 0 and at most 100, with two digits after the point.")
    if most is not None and (most.minor <= 0 or most.currency != participation.program.currency):
        raise RecoveryInvalid(f"amount: expected more than nothing, in {participation.program.currency}.")


def _instalments(row: Recovery) -> dict:
    return {"percent": str(row.percent or ""), "most_minor": row.most_minor}


def _require(actor, permission: str, participation: Participation) -> None:
    if not actor.can(permission):
        raise NotAllowed("Your role does not allow this. Managers and finance propose, finance decides.")
    if participation.participant.user_id == actor.pk:
        raise NotAllowed("This is about your own payouts, so somebody else must do it.")


def _look_again(participation: Participation) -> None:
    """What is due changed without a new score: `follow_up` must look."""
    looked = Participation.objects.filter(pk=participation.pk, scored_seq__gt=0, paid_seq__gte=F("scored_seq"))
    looked.update(paid_seq=F("scored_seq") - 1)


def _locked(participation_id: int) -> Participation:
    rows = Participation.objects.select_for_update(of=("self",), no_key=True).select_related("program", "participant")
    return rows.get(pk=participation_id)
