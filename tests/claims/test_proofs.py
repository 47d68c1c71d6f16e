"""What may be kept as proof: read by content; hostile files; where files lie and who gets them."""

import io
import zlib

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from PIL import Image
from pypdf.generic import DictionaryObject, NameObject, TextStringObject

from incentives.claims import proofs, services, storage
from incentives.claims.errors import BadProof, ProofNotStored
from incentives.claims.models import ClaimProof
from incentives.core.errors import IllegalTransition, NotAllowed
from tests.claims.scene import pdf, photo, upload
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def bomb() -> bytes:
    """A PNG of a few hundred bytes that says it has 30,000 x 30,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    size = (30_000).to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def with_action(writer):
    action = DictionaryObject({NameObject("/S"): NameObject("/Launch"), NameObject("/F"): TextStringObject("calc.exe")})
    writer._root_object[NameObject("/OpenAction")] = writer._add_object(action)


def with_script(writer):
    action = {NameObject("/S"): NameObject("/JavaScript"), NameObject("/JS"): TextStringObject("app.alert(1)")}
    writer.pages[0][NameObject("/AA")] = DictionaryObject({NameObject("/O"): DictionaryObject(action)})


def encrypted(writer):
    writer.encrypt("secret")


HOSTILE = {
    "empty": b"",
    "html named png": b"<html><script>alert(1)</script></html>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "html before a pdf": lambda: b"<script>alert(1)</script>" + pdf(),
    "gif": lambda: photo("GIF"),
    "half a jpeg": lambda: photo(size=(400, 400), quality=95)[:600],
    "half a png": lambda: photo("PNG", size=(400, 400))[:300],
    "bomb": bomb,
    "pdf with a script": lambda: pdf(with_script),
    "pdf that starts a program": lambda: pdf(with_action),
    "pdf with an attachment": lambda: pdf(lambda writer: writer.add_attachment("run.exe", b"MZ")),
    "pdf with a password": lambda: pdf(encrypted),
    "half a pdf": lambda: pdf()[:200],
    "no pdf": b"%PDF-1.7 nothing %%EOF",
    "heic": b"\0\0\0\x18ftypheic" + b"\0" * 100,
    "too large": b"\xff\xd8\xff" + b"\0" * (11 * 1024 * 1024),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_and_nothing_is_kept(scene, name):
    claim = scene.draft(proof=False)
    content = HOSTILE[name]() if callable(HOSTILE[name]) else HOSTILE[name]
    with pytest.raises(BadProof):
        services.add_proof(claim_id=claim.pk, file=upload(content, "invoice.png"), actor=scene.user)
    assert not ClaimProof.objects.exists()
    assert not storage.folder().exists() or list(storage.folder().iterdir()) == []


def test_an_electronic_invoice_may_carry_its_data_as_xml(scene):
    content = pdf(lambda writer: writer.add_attachment("factur-x.xml", b"<Invoice/>"))
    proof = services.add_proof(claim_id=scene.draft(proof=False).pk, file=upload(content, "e.pdf"), actor=scene.user)
    assert (proof.kind, proof.name) == ("application/pdf", "e.pdf")


def test_where_a_photo_was_taken_is_not_kept_and_it_stands_upright(scene):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    exif.get_ifd(0x8825)[1] = "N"
    content = photo(size=(60, 40), exif=exif.tobytes()) + b"<script>appended</script>"
    proof = services.add_proof(claim_id=scene.draft(proof=False).pk, file=upload(content), actor=scene.user)
    kept = storage.read(proof)
    picture = Image.open(io.BytesIO(kept))
    assert picture.size == (40, 60) and not picture.getexif() and b"script" not in kept and b"Exif" not in kept


@pytest.mark.parametrize("kind,mode", [("PNG", "RGBA"), ("PNG", "P"), ("PNG", "LA"), ("JPEG", "CMYK"), ("JPEG", "L")])
def test_pictures_of_every_kind_are_written_anew(kind, mode):
    out = io.BytesIO()
    Image.new(mode, (30, 20)).save(out, kind)
    checked = proofs.check(upload(out.getvalue()))
    assert Image.open(io.BytesIO(checked.content)).size == (30, 20)


def test_names_and_places_are_ours(scene):
    file = SimpleUploadedFile("x.jpg", photo())
    file._name = "../../etc/passwd\x00.php"
    proof = services.add_proof(claim_id=scene.draft(proof=False).pk, file=file, actor=scene.user)
    assert proof.name == "passwd.jpg" and proof.path.isalnum() and len(proof.path) == 32
    path = storage.folder() / proof.path
    assert oct(path.stat().st_mode & 0o777) == "0o600"


def test_the_same_file_again_is_the_same_proof_and_a_sixth_is_refused(scene):
    claim, content = scene.draft(proof=False), photo()
    first = services.add_proof(claim_id=claim.pk, file=upload(content), actor=scene.user)
    assert services.add_proof(claim_id=claim.pk, file=upload(content), actor=scene.user) == first
    for _ in range(4):
        services.add_proof(claim_id=claim.pk, file=upload(), actor=scene.user)
    with pytest.raises(BadProof):
        services.add_proof(claim_id=claim.pk, file=upload(), actor=scene.user)
    assert ClaimProof.objects.count() == len(list(storage.folder().iterdir())) == 5


def test_a_full_disk_leaves_nothing_behind(scene, monkeypatch):
    claim = scene.draft(proof=False)
    monkeypatch.setattr(storage.os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(ProofNotStored):
        services.add_proof(claim_id=claim.pk, file=upload(), actor=scene.user)
    assert not ClaimProof.objects.exists() and list(storage.folder().iterdir()) == []


def test_a_refused_row_takes_its_file_with_it(scene):
    claim = scene.submitted()
    files = set(storage.folder().iterdir())
    with pytest.raises(IllegalTransition):
        services.add_proof(claim_id=claim.pk, file=upload(), actor=scene.user)
    with pytest.raises(NotAllowed):
        services.add_proof(claim_id=scene.draft(proof=False).pk, file=upload(), actor=scene.rival_user)
    assert set(storage.folder().iterdir()) == files


def test_what_a_reviewer_saw_stays_and_the_rest_can_be_removed(scene, django_capture_on_commit_callbacks):
    claim = scene.decide(scene.submitted(), "send_back")
    seen = claim.proofs.get()
    more = services.add_proof(claim_id=claim.pk, file=upload(), actor=scene.user)
    with pytest.raises(IllegalTransition):
        services.remove_proof(proof=seen, actor=scene.user)
    with django_capture_on_commit_callbacks(execute=True):
        services.remove_proof(proof=more, actor=scene.user)
    assert list(claim.proofs.all()) == [seen]
    assert [path.name for path in storage.folder().iterdir()] == [seen.path]


def test_the_file_is_a_download_that_nothing_runs_in(client, scene):
    proof = scene.submitted().proofs.get()
    client.force_login(scene.manager)
    answer = client.get(reverse("claims:proof", args=[proof.public_id]))
    assert answer.content == storage.read(proof)
    assert answer["Content-Type"] == "image/jpeg" and answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"] == 'attachment; filename="invoice.jpg"'
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer["Cache-Control"] == "private, no-store"


def test_only_who_sees_the_claim_gets_its_files(client, scene):
    draft, sent = scene.draft(), scene.submitted()
    people = {
        scene.manager: (404, 200), make_user("finance"): (404, 200), make_user("auditor"): (404, 200),
        scene.user: (200, 200), scene.admin_user: (200, 200), scene.rival_user: (404, 404),
        make_user("administrator", is_superuser=True): (404, 404), make_user("participant"): (404, 404),
        make_user("partner_admin"): (404, 404), make_user(): (404, 404),
    }  # fmt: skip
    for user, wanted in people.items():
        client.force_login(user)
        found = tuple(
            client.get(reverse("claims:proof", args=[claim.proofs.get().public_id])).status_code
            for claim in (draft, sent)
        )
        assert found == wanted, user


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"<html>")])
def test_a_missing_or_changed_file_is_said_so(client, scene, damage):
    proof = scene.submitted().proofs.get()
    damage(storage.folder() / proof.path)
    client.force_login(scene.user)
    answer = client.get(reverse("claims:proof", args=[proof.public_id]))
    assert answer.status_code == 410 and "missing or damaged" in answer.content.decode()
