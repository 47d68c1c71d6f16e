"""Claims of Brightwater's partners: what their people sold, with an invoice as proof, and what reviewers made of it."""

import io
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from PIL import Image, ImageDraw, ImageFont

from incentives.accounts.models import User
from incentives.claims import services
from incentives.claims.models import Claim
from incentives.claims.services import LineValues, Values
from incentives.operations.demo_company import people
from incentives.operations.demo_company import programs as documents
from incentives.operations.demo_company.deals import PRODUCTS
from incentives.operations.demo_company.roster import Company

APPROVED, REJECTED, RETURNED, REVERSED, TAKEN, WAITING, DRAFT = (
    "approved", "rejected", "returned", "reversed", "in_review", "submitted", "draft",
)  # fmt: skip
PRICES = {sku: (name, price) for sku, name, _, price, _ in PRODUCTS}
ADMINS = {"harborline": people.PARTNER_ADMIN.name, "summit-it": "Clara Hoffmann", "northgate": "Émile Tremblay"}


@dataclass(frozen=True)
class Sale:
    """`filed` and `sold` in days ago; `fate` is where the claim ends."""

    filed: int
    sold: int
    seller: str
    customer: str
    sku: str
    quantity: int
    fate: str
    words: str = ""
    invoice: str = ""


SALES = (
    Sale(43, 52, "Amara Diallo", "Eastgate Ports", "RLY-24", 4, APPROVED),
    Sale(43, 49, "Lucas Pereira", "Norwood Foods", "RLY-MESH", 12, APPROVED),
    Sale(43, 50, "David Osei", "Pinecrest Health", "RLY-24", 3, APPROVED),
    Sale(43, 47, "Mina Park", "Silverton Energy", "RLY-MESH", 9, APPROVED),
    Sale(43, 46, "Nora Fitzgerald", "Granite Pass Paper Mills", "RLY-24", 2, APPROVED),
    Sale(
        43, 45, "Arjun Patel", "Quarry Lane Logistics", "RLY-MESH", 6, REVERSED, "The customer sent the switches back."
    ),
    Sale(43, 58, "Tariq Aziz", "Dunmore Credit Union", "RLY-MESH", 4, REJECTED, "The invoice is of another reseller."),
    Sale(19, 27, "Amara Diallo", "Alder Creek School District", "RLY-MESH", 16, APPROVED),
    Sale(19, 24, "Rosa Delgado", "Fernhill Logistics", "RLY-24", 3, APPROVED),
    Sale(19, 22, "Stefan Ilic", "Redwater Foods", "RLY-24", 5, APPROVED),
    Sale(19, 23, "Isabel Costa", "Oakhaven Health", "RLY-MESH", 8, APPROVED),
    Sale(
        19,
        21,
        "Layla Hassan",
        "Larkspur Energy",
        "RLY-24",
        2,
        RETURNED,
        "The second page is missing: send all of them.",
    ),
    Sale(2, 6, "Amara Diallo", "Thornbury Ports", "RLY-24", 6, WAITING, invoice="2026-118"),
    Sale(2, 5, "Marco Bianchi", "Kestrel Paper Mills", "RLY-MESH", 10, TAKEN),
    Sale(2, 6, "Felix Braun", "Thornbury Ports Inc.", "RLY-24", 6, WAITING, invoice="2026/118"),
    Sale(2, 4, "Joy Wanjiru", "Birchfield Health", "RLY-MESH", 7, WAITING),
    Sale(2, 3, "Peter Novak", "Cobalt Bay Foods", "RLY-24", 1, DRAFT),
)
"""Two partners claim what looks like one sale: the invoice number and the customer are nearly the same."""


class Desk:
    """Files claims and decides them. The days are those of `SALES`."""

    def __init__(self, company: Company):
        self.company = company
        self.filed: list[tuple[Sale, int]] = []

    @property
    def reviewer(self) -> User:
        return self.company.user(people.MANAGER)

    def file(self, day: int) -> None:
        for number, sale in enumerate(SALES, start=1):
            if sale.filed == day:
                self.filed.append((sale, self._file(sale, 1040 + number)))

    def _file(self, sale: Sale, number: int) -> int:
        person = self.company.participants[sale.seller]
        actor = self.company.users.get(sale.seller) or self.company.users[ADMINS[person.partner.code]]
        sold = (timezone.now() - timedelta(days=sale.sold - sale.filed)).date()
        name, price = PRICES[sale.sku]
        line = LineValues(sale.sku, name, Decimal(sale.quantity), Decimal(price))
        values = Values(
            invoice_number=sale.invoice or f"{person.partner.name[:2].upper()}-{number}", invoice_date=sold,
            customer=sale.customer, amount=Decimal(price * sale.quantity), currency="USD", lines=(line,),
        )  # fmt: skip
        program = self.company.programs[documents.CLAIMS]
        claim = services.start(program=program, participant=person, actor=actor)
        claim = services.save(claim_id=claim.pk, values=values, actor=actor, seen_version=claim.version)
        services.add_proof(claim_id=claim.pk, file=invoice(values, person.partner.name, number), actor=actor)
        if sale.fate != DRAFT:
            services.submit(claim_id=claim.pk, actor=actor, seen_version=claim.version)
        return claim.pk

    def review(self, day: int) -> None:
        """Decide what was filed that day, as far as its fate says so."""
        for sale, pk in self.filed:
            if sale.filed == day:
                self._decide(sale, pk)

    def _decide(self, sale: Sale, pk: int) -> None:
        seen = {"claim_id": pk, "actor": self.reviewer, "seen_version": Claim.objects.get(pk=pk).version}
        if sale.fate in (APPROVED, REVERSED):
            services.approve(**seen)
        elif sale.fate == REJECTED:
            services.reject(**seen, reason=sale.words)
        elif sale.fate == RETURNED:
            services.send_back(**seen, reason=sale.words)
        elif sale.fate == TAKEN:
            services.take(**seen)

    def take_back(self) -> None:
        for sale, pk in self.filed:
            if sale.fate == REVERSED:
                version = Claim.objects.get(pk=pk).version
                services.reverse(claim_id=pk, actor=self.reviewer, seen_version=version, reason=sale.words)


def invoice(values: Values, partner: str, number: int) -> SimpleUploadedFile:
    """A page that looks like one: every second as a photo, the others as a PDF."""
    page = Image.new("L", (620, 440), 255)
    draw, line = ImageDraw.Draw(page), values.lines[0]
    draw.text((40, 36), partner, 0, ImageFont.load_default(28))
    draw.line((40, 80, 580, 80), 120, 2)
    rows = (
        ("Invoice", values.invoice_number), ("Date", f"{values.invoice_date:%d %B %Y}"), ("Sold to", values.customer), ("", ""),
        (f"{line.quantity} x {line.name}", f"{line.unit_price:,.2f}"), ("", ""),
        ("Total", f"{values.currency} {values.amount:,.2f}"),
    )  # fmt: skip
    font = ImageFont.load_default(18)
    for n, (left, right) in enumerate(rows):
        draw.text((40, 110 + 40 * n), left, 0, font)
        draw.text((340, 110 + 40 * n), right, 0, font)
    kind, suffix = ("JPEG", "jpg") if number % 2 else ("PDF", "pdf")
    out = io.BytesIO()
    page.save(out, kind)
    return SimpleUploadedFile(f"invoice-{values.invoice_number.replace('/', '-')}.{suffix}", out.getvalue())
