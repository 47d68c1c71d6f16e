"""Partners, their people, a channel program and claims in every state."""

import io
import itertools
from datetime import date
from decimal import Decimal

from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from incentives.claims import services
from incentives.claims.models import Claim
from incentives.claims.services import LineValues, Values
from incentives.crm.ingest import process_deliveries
from incentives.earnings.evaluate import evaluate
from tests.factories import make_participant, make_partner, make_program, make_user

_n = itertools.count(1)
CLAIMS = {"field": "kind", "op": "eq", "value": "claim.submitted"}


def photo(kind: str = "JPEG", size=(60, 40), **save) -> bytes:
    """A picture whose bytes differ from every other one's."""
    number = next(_n)
    if kind == "JPEG":
        save.setdefault("comment", f"photo {number}")
    picture = Image.new("RGB", size, (number % 256, number // 256 % 256, 90))
    out = io.BytesIO()
    picture.save(out, kind, **save)
    return out.getvalue()


def upload(content: bytes | None = None, name: str = "invoice.jpg") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, photo() if content is None else content)


def pdf(build=None, **options) -> bytes:
    """A one-page PDF; `build(writer)` may add to it."""
    from pypdf import PdfWriter

    writer, out = PdfWriter(), io.BytesIO()
    writer.add_blank_page(200, 200)
    writer.add_metadata({"/Title": f"Invoice {next(_n)}"})
    if build:
        build(writer)
    writer.write(out)
    return out.getvalue()


def values(**changes) -> Values:
    number = next(_n)
    fields = {
        "invoice_number": f"INV-2026-{number:05}",
        "invoice_date": date(2026, 7, 1),
        "customer": f"Customer {number}",
        "amount": Decimal("1200.00"),
        "currency": "USD",
        "lines": (LineValues(sku="LX-1", name="Firewall", quantity=Decimal(3)),),
    }
    return Values(**{**fields, **changes})


def with_serials(*serials: str, **changes) -> Values:
    line = LineValues(sku="LX-1", name="Firewall", quantity=Decimal(max(len(serials), 1)), serials=serials)
    return values(lines=(line,), **changes)


class Scene:
    """`scene.submitted()` is a claim that waits for review; `scene.person` works for `scene.partner`."""

    def __init__(self):
        self.manager, self.other = make_user("manager", name="Mia Manager"), make_user("manager", name="Max Other")
        self.partner = make_partner("acme", name="Acme Resale", tier="gold")
        self.rival = make_partner("nova", name="Nova Systems", tier="silver")
        self.user = make_user("participant", name="Pat Acme")
        self.person = make_participant("Pat Acme", type="partner", partner=self.partner, user=self.user)
        self.admin_user = make_user("partner_admin", name="Ada Acme")
        self.admin = make_participant("Ada Acme", type="partner", partner=self.partner, user=self.admin_user)
        self.rival_user = make_user("participant", name="Rio Nova")
        self.rival_person = make_participant("Rio Nova", type="partner", partner=self.rival, user=self.rival_user)
        self.program = self.make_program(name="Reseller claims")

    def make_program(self, **changes):
        settings = {
            "template": "channel",
            "eligible": {"types": ["partner"]},
            "qualifies": {"all": [CLAIMS, {"field": "lines.sku", "op": "starts_with", "value": "LX-"}]},
            "measure": {"metric": "quantity"},
            "rewards": [{"type": "per_unit", "amount": "10.00"}],
            "grace_days": 10,
        }
        return make_program(**{**settings, **changes})

    def draft(self, given: Values | None = None, *, person=None, actor=None, program=None, proof: bool = True) -> Claim:
        person = person or self.person
        actor = actor or person.user
        claim = services.start(program=program or self.program, participant=person, actor=actor)
        claim = services.save(claim_id=claim.pk, values=given or values(), actor=actor, seen_version=claim.version)
        if proof:
            services.add_proof(claim_id=claim.pk, file=upload(), actor=actor)
        return claim

    def submit(self, claim: Claim, actor=None) -> Claim:
        return services.submit(claim_id=claim.pk, actor=actor or claim.participant.user, seen_version=claim.version)

    def submitted(self, given: Values | None = None, **more) -> Claim:
        return self.submit(self.draft(given, **more), more.get("actor"))

    def decide(self, claim: Claim, what: str, actor=None, **more) -> Claim:
        """`what` names a service: approve, reject, send_back, take, release or reverse."""
        if what in ("reject", "send_back", "reverse"):
            more.setdefault("reason", "Because of the invoice")
        service = getattr(services, what)
        return service(claim_id=claim.pk, actor=actor or self.manager, seen_version=claim.version, **more)

    def approved(self, given: Values | None = None, **more) -> Claim:
        claim = self.submitted(given, **more)
        return self.decide(claim, "approve", note="Looked at")

    def in_state(self, state: str) -> Claim:
        """A claim in any state, made the way people make it."""
        if state == "draft":
            return self.draft()
        claim = self.submitted()
        way = {"submitted": [], "in_review": ["take"], "returned": ["send_back"], "approved": ["approve"],
               "rejected": ["reject"], "reversed": ["approve", "reverse"], "withdrawn": []}[state]  # fmt: skip
        for step in way:
            claim = self.decide(claim, step)
        if state == "withdrawn":
            claim = services.withdraw(claim_id=claim.pk, actor=self.user)
        return claim


def derive() -> None:
    """What the workers do."""
    while process_deliveries():
        pass
    evaluate()
