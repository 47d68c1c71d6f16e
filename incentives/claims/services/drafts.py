"""What a partner's person does with a claim: start, fill in, add proofs, send, withdraw."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from incentives.claims import channel, flags, proofs, storage
from incentives.claims.errors import BadProof, ChangedMeanwhile, DoesNotFit, Incomplete, NotEligible, TooLate
from incentives.claims.fingerprints import customer_key, invoice_key, serial_key
from incentives.claims.models import Claim, ClaimLine, ClaimProof, ClaimSerial
from incentives.claims.services import states
from incentives.core import audit
from incentives.core.errors import IllegalTransition, NotAllowed
from incentives.participants.models import Participant
from incentives.programs.models import Program
from rewards.money import MINOR_DIGITS, Money

Status = Claim.Status
MAX_LINES, MAX_SERIALS, MAX_PROOFS, MAX_PROOFS_IN_ALL = 50, 500, 5, 15


@dataclass(frozen=True, slots=True)
class LineValues:
    sku: str = ""
    name: str = ""
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    serials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Values:
    """What was typed; anything may still be missing. `amount` in major units of `currency`."""

    invoice_number: str = ""
    invoice_date: date | None = None
    customer: str = ""
    amount: Decimal | None = None
    currency: str = ""
    note: str = ""
    lines: tuple[LineValues, ...] = field(default=())


def start(*, program: Program, participant: Participant, actor) -> Claim:
    """A new draft for somebody under a program. Raises NotAllowed, NotEligible; nothing is left then."""
    if not actor.can("claims.submit") or not participant.partner_id:
        raise NotAllowed
    if participant.user_id != actor.pk and not states.administers(actor, participant.partner_id):
        raise NotAllowed
    offer = next((offer for offer in channel.offers([participant]) if offer.program == program), None)
    if offer is None:
        raise NotEligible(
            _("%(program)s takes no claims from %(name)s now.") % {"program": program, "name": participant}
        )
    with transaction.atomic():
        claim = Claim.objects.create(
            program=program, partner=participant.partner, participant=participant, created_by=actor,
            currency=program.currency,
        )  # fmt: skip
        audit.record(
            "claim.started", claim, actor=actor, after={"program": program.name, "participant": participant.key}
        )
    return claim


def save(*, claim_id: int, values: Values, actor, seen_version: int) -> Claim:
    """Store what was typed. Values that are the same already change nothing and leave no record.

    Raises: NotAllowed, IllegalTransition (not to be changed any more), ChangedMeanwhile, DoesNotFit, DuplicateClaim (a
    returned claim holds its numbers). Nothing was written then.
    """
    with transaction.atomic():
        claim = states.locked(claim_id, seen_version)
        states.require_actor(actor, claim)
        _require_editable(claim)
        before = shown(claim)
        _assign(claim, values)
        try:
            with transaction.atomic():
                _write(claim, values)
        except IntegrityError as exc:
            keys = [serial_key(serial) for line in values.lines for serial in line.serials]
            raise states.refused(claim, exc, keys) from exc
        after = shown(claim)
        if after != before:
            audit.record("claim.changed", claim, actor=actor, before=before, after=after)
        else:
            transaction.set_rollback(True)
    return Claim.objects.get(pk=claim_id)


def _require_editable(claim: Claim) -> None:
    if not claim.editable:
        raise IllegalTransition(claim, _("changed"))


def shown(claim: Claim) -> dict:
    """The values as the audit trail keeps them."""
    lines = []
    for line in ClaimLine.objects.filter(claim=claim).prefetch_related("serials"):
        serials = [row.serial for row in line.serials.all()]
        price = None if line.unit_price is None else format(line.unit_price, "f")
        lines.append([line.sku, line.name, format(line.quantity, "f"), price, serials])
    return {
        "invoice_number": claim.invoice_number,
        "invoice_date": claim.invoice_date.isoformat() if claim.invoice_date else "",
        "customer": claim.customer,
        "amount": str(claim.amount) if claim.amount else "",
        "note": claim.note,
        "lines": lines,
    }


def _assign(claim: Claim, values: Values) -> None:
    claim.invoice_number = values.invoice_number.strip()[:100]
    claim.invoice_key = invoice_key(claim.invoice_number)
    claim.invoice_date = values.invoice_date
    claim.customer = values.customer.strip()[:200]
    claim.customer_key = customer_key(claim.customer)
    claim.note = values.note.strip()[:2000]
    claim.currency = values.currency or claim.currency
    if claim.currency not in MINOR_DIGITS:
        raise DoesNotFit("currency", _("Expected a currency such as USD."))
    claim.amount_minor = None
    if values.amount is not None:
        try:
            claim.amount_minor = Money.exact(values.amount, claim.currency).minor
        except ValueError as exc:
            text = _("%(currency)s has %(n)s digits after the point.")
            raise DoesNotFit("amount", text % {"currency": claim.currency, "n": MINOR_DIGITS[claim.currency]}) from exc


def _write(claim: Claim, values: Values) -> None:
    """The row and its lines anew. A claim that is live holds its serial numbers from here on."""
    _check_lines(values.lines)
    claim.version += 1
    claim.save()
    claim.lines.all().delete()
    for position, given in enumerate(values.lines):
        line = ClaimLine.objects.create(
            claim=claim, position=position, sku=given.sku.strip()[:100], name=given.name.strip()[:200],
            quantity=given.quantity if given.quantity is not None else Decimal(1), unit_price=given.unit_price,
        )  # fmt: skip
        ClaimSerial.objects.bulk_create(
            ClaimSerial(
                claim=claim, line=line, program_id=claim.program_id, partner_id=claim.partner_id, serial=serial[:100],
                key=serial_key(serial), live=claim.status in Claim.LIVE,
            )
            for serial in given.serials
        )  # fmt: skip


def _check_lines(lines: tuple[LineValues, ...]) -> None:
    if len(lines) > MAX_LINES:
        raise DoesNotFit("lines", _("At most %(n)s products go into one claim.") % {"n": MAX_LINES})
    counts = Counter(serial_key(serial) for line in lines for serial in line.serials)
    if sum(counts.values()) > MAX_SERIALS:
        raise DoesNotFit("lines", _("At most %(n)s serial numbers go into one claim.") % {"n": MAX_SERIALS})
    twice = next((key for key, count in counts.items() if count > 1), None)
    if twice:
        raise DoesNotFit("lines", _("The serial number %(serial)s is there twice.") % {"serial": twice})
    for line in lines:
        if line.serials and line.quantity is not None and len(line.serials) > line.quantity:
            text = _("%(name)s: more serial numbers (%(n)s) than pieces.")
            raise DoesNotFit("lines", text % {"name": line.name or line.sku, "n": len(line.serials)})


# --- proofs -------------------------------------------------------------------------------------------------------------
def add_proof(*, claim_id: int, file, actor) -> ClaimProof:
    """Check an uploaded file by its content and keep it. The same file again gives the proof that is there.

    Raises: NotAllowed, IllegalTransition, BadProof, ProofNotStored; nothing is kept then.
    """
    if not actor.can("claims.submit"):
        raise NotAllowed
    checked = proofs.check(file)
    name = storage.store(checked.content)
    try:
        with transaction.atomic():
            claim = states.locked(claim_id, None)
            states.require_actor(actor, claim)
            _require_editable(claim)
            known = claim.proofs.filter(sha256=checked.sha256).first()
            if known is None:
                _require_room(claim)
                proof = _new_proof(claim, checked, file, name, actor)
    except BaseException:
        storage.remove(name)
        raise
    if known is not None:
        storage.remove(name)
        return known
    return proof


def _require_room(claim: Claim) -> None:
    if claim.proofs.filter(sent=False).count() >= MAX_PROOFS or claim.proofs.count() >= MAX_PROOFS_IN_ALL:
        raise BadProof(_("At most %(n)s files can be sent at a time. Remove one first.") % {"n": MAX_PROOFS})


def _new_proof(claim: Claim, checked: proofs.Checked, file, path: str, actor) -> ClaimProof:
    import hashlib

    proof = ClaimProof.objects.create(
        claim=claim, name=_file_name(file.name, checked.kind), kind=checked.kind, size=len(checked.content),
        sha256=checked.sha256, stored_sha256=hashlib.sha256(checked.content).hexdigest(), path=path, added_by=actor,
    )  # fmt: skip
    audit.record("claim.proof_added", claim, actor=actor, after={"file": proof.name, "sha256": proof.sha256})
    return proof


def _file_name(given: str, kind: str) -> str:
    """The name people see and download under: printable, without a path, with the ending of what the file is."""
    stem = "".join(char for char in (given or "").replace("\\", "/").rpartition("/")[2] if char.isprintable())
    stem = stem.rpartition(".")[0] or stem
    return f"{stem.strip('. ')[:120] or 'proof'}.{proofs.SUFFIX[kind]}"


def remove_proof(*, proof: ClaimProof, actor) -> None:
    """Take away a file that no reviewer has seen. Raises NotAllowed, IllegalTransition; a repeat does nothing."""
    with transaction.atomic():
        claim = states.locked(proof.claim_id, None)
        states.require_actor(actor, claim)
        if not claim.editable or proof.sent:
            raise IllegalTransition(claim, _("changed: a file that was sent stays"))
        deleted, _rows = ClaimProof.objects.filter(pk=proof.pk, sent=False).delete()
        if deleted:
            audit.record("claim.proof_removed", claim, actor=actor, before={"file": proof.name, "sha256": proof.sha256})
            transaction.on_commit(lambda: storage.remove(proof.path), robust=True)


# --- sending ------------------------------------------------------------------------------------------------------------
def submit(*, claim_id: int, actor, seen_version: int) -> Claim:
    """Send a draft, or a returned claim again, for review.

    Raises: NotAllowed, ChangedMeanwhile, IllegalTransition, Incomplete (naming every field), NotEligible, TooLate,
    DuplicateClaim. Nothing was changed then. Claims of one program are sent one after the other, so that two partners who
    send the same invoice at the same moment see each other.
    """
    with transaction.atomic():
        program_id = Claim.objects.values_list("program", flat=True).get(pk=claim_id)
        Program.objects.select_for_update(no_key=True).get(pk=program_id)
        claim = states.locked(claim_id, seen_version)
        states.require_actor(actor, claim)
        if Status.SUBMITTED not in Claim.NEXT[claim.status] or not claim.editable:
            raise IllegalTransition(claim, Status.SUBMITTED.label.lower())
        _require_sendable(claim)
        if error := states.invoice_taken(claim) or states.serial_taken(claim):
            raise error
        again, now = claim.submitted_at is not None, states.now()
        states.move(
            claim, Status.SUBMITTED, actor=actor, after={**shown(claim), "again": again}, submitted_by=actor,
            submitted_at=claim.submitted_at or now, waiting_since=now, reviewer=None,
        )  # fmt: skip
        claim.proofs.update(sent=True)
        flags.refresh(claim)
    return claim


def _require_sendable(claim: Claim) -> None:
    definition = channel.definition_of(claim.program)
    if why := _not_a_person_of(claim):
        raise NotEligible(why)
    if why := channel.too_late(claim, definition):
        raise TooLate(why)
    if missing := missing_in(claim, definition):
        raise Incomplete(missing)
    verdict = channel.verdict(claim)
    if not verdict.counts:
        raise NotEligible(_("%(program)s does not reward this sale. %(why)s")
                          % {"program": claim.program, "why": verdict.why})  # fmt: skip


def _not_a_person_of(claim: Claim) -> str:
    person = claim.participant
    if not (person.active and claim.partner.active and person.partner_id == claim.partner_id):
        return _("%(name)s is no longer an active person of %(partner)s.") % {"name": person, "partner": claim.partner}
    return ""


def missing_in(claim: Claim, definition) -> dict[str, str]:
    """Field -> what is still expected before the claim can be sent."""
    found = {}
    if not claim.invoice_key:
        found["invoice_number"] = _("Expected the number on the invoice.")
    if claim.invoice_date is None:
        found["invoice_date"] = _("Expected the day of the sale.")
    elif not definition.starts_on <= claim.invoice_date <= definition.ends_on:
        text = _("The program rewards sales from %(first)s to %(last)s.")
        found["invoice_date"] = text % {"first": definition.starts_on, "last": definition.ends_on}
    elif channel.occurred_at(claim, definition).date() > states.now().date():
        found["invoice_date"] = _("The sale is in the future.")
    if not claim.customer_key:
        found["customer"] = _("Expected the name of the end customer.")
    if not claim.amount_minor:
        found["amount"] = _("Expected the total of the invoice, more than zero.")
    found |= _missing_lines(claim)
    if not claim.proofs.exists():
        found["proofs"] = _("Add the invoice as a PDF, or a photo of it.")
    return found


def _missing_lines(claim: Claim) -> dict[str, str]:
    lines = list(claim.lines.all())
    if not lines:
        return {"lines": _("Expected at least one product.")}
    if any(not (line.sku or line.name) for line in lines):
        return {"lines": _("Every line needs a product number or a name.")}
    if any(line.quantity <= 0 for line in lines):
        return {"lines": _("Every line needs a quantity of more than zero.")}
    return {}


def withdraw(*, claim_id: int, actor, seen_version: int | None = None) -> Claim:
    """Take back a claim that is not decided; it cannot be sent again. A repeat changes nothing.

    Raises NotAllowed, ChangedMeanwhile, IllegalTransition.
    """
    with transaction.atomic():
        claim = states.locked(claim_id, None)
        states.require_actor(actor, claim)
        if claim.status == Status.WITHDRAWN:
            return claim
        if seen_version is not None and seen_version != claim.version:
            raise ChangedMeanwhile(states.what_happened(claim))
        states.move(claim, Status.WITHDRAWN, actor=actor, decided_at=states.now(), reviewer=None)
    return claim
