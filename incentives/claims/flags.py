"""Other claims of the same sale: found by fingerprints, kept with the evidence, shown to reviewers alone."""

from collections.abc import Iterator

from django.db import transaction
from django.db.models import Q
from django.utils import translation
from django.utils.translation import gettext as _

from incentives.claims.models import Claim, ClaimFlag, ClaimProof, ClaimSerial

Kind = ClaimFlag.Kind
CLOSE_DAYS = 7
LONG_NUMBER = 6
"""Two partners may both have an invoice 1001. A number so long is no coincidence; a shorter one needs a second sign."""


def refresh(claim: Claim) -> list[ClaimFlag]:
    """Find what speaks against `claim` and mark both sides. Returns the marks on `claim` that are new."""
    with transaction.atomic(), translation.override("en"):  # kept for reviewers, whatever the sender reads
        known = set(claim.flags.values_list("kind", "other"))
        found = [(kind, other, text) for kind, other, text in _found(claim) if (kind, other.pk) not in known]
        rows = [ClaimFlag(claim=claim, kind=kind, other=other, evidence=text[:500]) for kind, other, text in found]
        mirrored = [
            ClaimFlag(claim=other, kind=kind, other=claim, evidence=_mirrored(kind, claim)[:500])
            for kind, other, _text in found
        ]
        ClaimFlag.objects.bulk_create(rows + mirrored, ignore_conflicts=True)
    return rows


def _others(claim: Claim):
    return Claim.objects.filter(status__in=Claim.LIVE).exclude(pk=claim.pk).select_related("partner", "program")


def _found(claim: Claim) -> Iterator[tuple[str, Claim, str]]:
    yield from _same_invoice(claim)
    yield from _same_serials(claim)
    yield from _same_sale(claim)
    yield from _same_files(claim)


def _same_invoice(claim: Claim) -> Iterator[tuple[str, Claim, str]]:
    if not claim.invoice_key:
        return
    for other in _others(claim).filter(invoice_key=claim.invoice_key).exclude(partner=claim.partner_id):
        agreeing = _agreeing(claim, other)
        if agreeing or len(claim.invoice_key) >= LONG_NUMBER:
            also = ", ".join(agreeing) or _("the number alone")
            text = _("%(partner)s claimed invoice %(number)s on %(day)s in %(program)s. It agrees in: %(also)s.")
            yield Kind.INVOICE, other, text % {**_told(other), "number": other.invoice_number, "also": also}


def _agreeing(claim: Claim, other: Claim) -> list[str]:
    found = []
    if claim.customer_key and claim.customer_key == other.customer_key:
        found.append(_("customer"))
    if claim.invoice_date and other.invoice_date and abs((claim.invoice_date - other.invoice_date).days) <= CLOSE_DAYS:
        found.append(_("day"))
    if claim.amount is not None and claim.amount == other.amount:
        found.append(_("amount"))
    return found


def _same_serials(claim: Claim) -> Iterator[tuple[str, Claim, str]]:
    keys = [row.key for row in claim.serials.all()]
    rows = ClaimSerial.objects.filter(key__in=keys, live=True).exclude(partner=claim.partner_id)
    by_claim: dict[int, list[str]] = {}
    for pk, serial in rows.order_by("pk").values_list("claim", "serial"):
        by_claim.setdefault(pk, []).append(serial)
    for other in _others(claim).filter(pk__in=by_claim):
        text = _("%(partner)s claimed the serial number %(serial)s on %(day)s in %(program)s.")
        yield Kind.SERIAL, other, text % {**_told(other), "serial": ", ".join(by_claim[other.pk][:10])}


def _same_sale(claim: Claim) -> Iterator[tuple[str, Claim, str]]:
    """Customer, day and amount agree under another invoice number: in this program, or with another partner."""
    if not (claim.customer_key and claim.invoice_date and claim.amount_minor):
        return
    same = Q(customer_key=claim.customer_key, invoice_date=claim.invoice_date)
    same &= Q(amount_minor=claim.amount_minor, currency=claim.currency)
    foreign = ~Q(partner=claim.partner_id) | Q(program=claim.program_id)
    for other in _others(claim).filter(same, foreign).exclude(invoice_key=claim.invoice_key):
        text = _("%(partner)s claimed a sale to the same customer, of the same day and amount, as invoice %(number)s.")
        yield Kind.SALE, other, text % {**_told(other), "number": other.invoice_number}


def _same_files(claim: Claim) -> Iterator[tuple[str, Claim, str]]:
    digests = list(claim.proofs.values_list("sha256", flat=True))
    rows = ClaimProof.objects.filter(sha256__in=digests).exclude(claim=claim)
    foreign = ~Q(partner=claim.partner_id) | Q(program=claim.program_id)
    for other in _others(claim).filter(foreign, pk__in=rows.values("claim")):
        text = _("A proof of this claim is, byte for byte, also a proof of %(claim)s by %(partner)s.")
        yield Kind.FILE, other, text % {**_told(other), "claim": other.reference}


def _told(other: Claim) -> dict:
    day = (other.submitted_at or other.created_at).date().isoformat()
    return {"partner": other.partner.name, "day": day, "program": other.program.name}


def _mirrored(kind: str, claim: Claim) -> str:
    words = {
        Kind.INVOICE: _("%(partner)s claimed the same invoice number later, with %(claim)s."),
        Kind.SERIAL: _("%(partner)s claimed the same serial number later, with %(claim)s."),
        Kind.SALE: _("%(partner)s claimed the same sale later, with %(claim)s."),
        Kind.FILE: _("%(partner)s sent the same file later, with %(claim)s."),
    }[kind]
    return words % {"partner": claim.partner.name, "claim": claim.reference}
