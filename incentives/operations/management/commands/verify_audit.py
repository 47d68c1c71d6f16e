"""`manage.py verify_audit`: prove that nobody edited, removed, put in or reordered audit events, postings, earnings or approvals."""

import json

from django.core.management.base import BaseCommand, CommandError

from incentives.core import audit, chains, sealing
from incentives.core.models import AuditEvent, SealedRow, UnsealedRow
from incentives.core.snapshot import snapshot


class Command(BaseCommand):
    help = (
        "Check the hash chains of the audit trail and of the books (postings, earnings, approvals) against the rows. "
        "Prints both heads, to be kept elsewhere; exit status 1 and the list of problems when something was tampered with."
    )

    def add_arguments(self, parser):
        parser.add_argument("--json", action="store_true", help="print heads and problems as JSON")
        parser.add_argument(
            "--kept",
            action="append",
            default=[],
            metavar="CHAIN:NUMBER:HASH",
            help="a head printed earlier, for example books:1200:9f3c...; the chain must still pass through it",
        )

    def handle(self, **options):
        kept = [_kept(text) for text in options["kept"]]
        with snapshot():
            problems = [*audit.verify(), *map(str, sealing.verify()), *filter(None, (_passes(*one) for one in kept))]
            heads = chains.heads()
            waiting = {
                chains.AUDIT: AuditEvent.objects.filter(seq__isnull=True).count(),
                chains.BOOKS: UnsealedRow.objects.count(),
            }
        if options["json"]:
            about = {
                name: {"sealed": number, "head": chain, "waiting": waiting[name]}
                for name, (number, chain) in heads.items()
            }
            self.stdout.write(json.dumps({**about, "problems": problems}, ensure_ascii=False))
        else:
            for problem in problems:
                self.stderr.write(problem)
        if problems:
            raise CommandError(f"The trail and the books have {len(problems)} problem(s).")
        if not options["json"]:
            for name, what in ((chains.AUDIT, "The audit trail is whole"), (chains.BOOKS, "The books are whole")):
                number, chain = heads[name]
                head = f"{number} sealed, head {chain}" if number else "nothing sealed yet"
                self.stdout.write(f"{what}: {head}; {waiting[name]} waiting for the next sweep.")


def _kept(text: str) -> tuple[str, int, str]:
    name, number, chain = [*text.split(":"), "", ""][:3]
    if name not in (chains.AUDIT, chains.BOOKS) or not number.isdecimal() or len(chain) != 64:
        raise CommandError(f"--kept {text}: expected for example books:1200:<64 digits>, with audit or books in front.")
    return name, int(number), chain


def _passes(name: str, number: int, chain: str) -> str:
    """What is wrong with the chain at a head that was kept elsewhere."""
    if name == chains.AUDIT:
        stands = AuditEvent.objects.filter(seq=number).values_list("chain", flat=True).first()
    else:
        stands = SealedRow.objects.filter(pk=number).values_list("chain", flat=True).first()
    if stands is None:
        return f"the chain {name} has no number {number}, which was kept elsewhere: its end was removed"
    return (
        ""
        if stands == chain
        else f"the chain {name} has another link at number {number} than was kept: it was made anew"
    )
