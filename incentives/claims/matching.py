"""Deals known already that may be the sale of a claim: paid once as a deal, it should not be paid again as a claim."""

import json
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from incentives.claims.fingerprints import customer_key, serial_key
from incentives.claims.models import Claim
from incentives.crm.models import ObjectState

DAYS = 30
TOLERANCE = Decimal("0.05")
SHOWN_FROM, STRONG_FROM = 50, 80
"""Points out of 100: from the first a deal is shown, from the second approving needs a reason."""
CANDIDATES, SHOWN, SERIALS = 500, 10, 20
CUSTOMER, AMOUNT, DAY, PARTNER = 40, 25, 20, 15


@dataclass(frozen=True, slots=True)
class Match:
    """A deal, its points from 0 to 100, and what agrees, in words."""

    deal: ObjectState
    score: int
    why: tuple[str, ...]

    @property
    def strong(self) -> bool:
        return self.score >= STRONG_FROM

    @property
    def customer(self) -> str:
        return str(self.deal.account.get("name", ""))


def matches(claim: Claim) -> list[Match]:
    """The likeliest deals first. One query; nothing for a claim without date or amount."""
    if claim.invoice_date is None or claim.amount is None:
        return []
    serials = {row.key: row.serial for row in claim.serials.all()}
    found = [_scored(claim, deal, serials) for deal in _candidates(claim, list(serials.values()))]
    likely = [match for match in found if match.score >= SHOWN_FROM]
    return sorted(likely, key=lambda match: (-match.score, -match.deal.pk))[:SHOWN]


def _candidates(claim: Claim, serials: list[str]):
    amount = claim.amount.decimal
    near = Q(amount__gte=amount * (1 - TOLERANCE), amount__lte=amount * (1 + TOLERANCE))
    near |= Q(account__name__icontains=claim.customer) if claim.customer else Q()
    for serial in serials[:SERIALS]:
        near |= Q(attributes__icontains=serial)
    first, last = (claim.invoice_date + timedelta(days=days) for days in (-DAYS - 1, DAYS + 1))
    deals = ObjectState.objects.filter(near, kind__in=("deal.won", "deal.updated", "deal.reopened"))
    deals = deals.filter(occurred_at__date__range=(first, last)).exclude(object_type="claim")
    return deals.select_related("participant__partner", "connection").order_by("-pk")[:CANDIDATES]


def _scored(claim: Claim, deal: ObjectState, serials: dict[str, str]) -> Match:
    points, why = 0, []
    for gained, words in (_customer(claim, deal), _amount(claim, deal), _day(claim, deal), _partner(claim, deal)):
        points += gained
        why += [words] if words else []
    shared = _shared_serials(deal, serials)
    if shared:
        points, why = 100, [_("serial number %(serial)s") % {"serial": ", ".join(shared[:5])}, *why]
    return Match(deal, min(points, 100), tuple(why))


def _customer(claim: Claim, deal: ObjectState) -> tuple[int, str]:
    named = customer_key(str(deal.account.get("name", "")))
    if not named or not claim.customer_key:
        return 0, ""
    if named == claim.customer_key:
        return CUSTOMER, _("same customer")
    shorter, longer = sorted((set(named.split()), set(claim.customer_key.split())), key=len)
    return (CUSTOMER // 2, _("similar customer")) if shorter <= longer else (0, "")


def _amount(claim: Claim, deal: ObjectState) -> tuple[int, str]:
    if deal.amount is None or deal.currency != claim.currency:
        return 0, ""
    amount = claim.amount.decimal
    if deal.amount == amount:
        return AMOUNT, _("same amount")
    if amount and abs(deal.amount - amount) <= amount * TOLERANCE:
        return AMOUNT - 5, _("amount within 5 %")
    return 0, ""


def _day(claim: Claim, deal: ObjectState) -> tuple[int, str]:
    days = abs(((deal.close_date or deal.occurred_at.date()) - claim.invoice_date).days)
    if days > DAYS:
        return 0, ""
    words = ngettext("%(n)s day apart", "%(n)s days apart", days) % {"n": days} if days else _("same day")
    return DAY - DAY * days // (2 * DAYS), words


def _partner(claim: Claim, deal: ObjectState) -> tuple[int, str]:
    stated = {str(value).casefold() for value in deal.partner.values()}
    owner = deal.participant.partner_id if deal.participant else None
    if owner == claim.partner_id or {claim.partner.code.casefold(), claim.partner.name.casefold()} & stated:
        return PARTNER, _("same partner")
    return 0, ""


def _shared_serials(deal: ObjectState, serials: dict[str, str]) -> list[str]:
    if not serials:
        return []
    texts = {serial_key(text) for text in _texts([deal.attributes, deal.lines])}
    return [serial for key, serial in serials.items() if key in texts]


def _texts(value) -> list[str]:
    """Every text in attributes and lines, and every piece of a list typed into one field."""
    if isinstance(value, dict):
        return [text for member in value.values() for text in _texts(member)]
    if isinstance(value, list):
        return [text for member in value for text in _texts(member)]
    return str(value if isinstance(value, str) else json.dumps(value)).replace(";", ",").split(",")
