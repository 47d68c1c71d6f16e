"""What holds of the reconciliation at any moment, for the machines that do everything to the books."""

from django.db.models import Sum

from incentives.earnings.models import Earning
from incentives.ledger.models import Posting
from incentives.payouts.models import Payout
from incentives.programs.models import Program
from incentives.reports import flow


def assert_reasons_add_up(*, rows: bool = False) -> None:
    """Every difference is explained to the cent, the columns are the books', and (`rows`) so are the rows of each day."""
    found = flow.lines(flow.Scope())
    assert [(line, line.open_gaps) for line in found if line.open_gaps] == []
    together = {stage: sum(line.minors[stage] for line in found) for stage in flow.STAGES}

    def total(things) -> int:
        return things.aggregate(n=Sum("amount_minor"))["n"] or 0

    assert together["earned"] == total(Earning.objects.all())
    assert together["approved"] == total(Payout.objects.filter(order__isnull=False))
    assert together["issued"] == total(Posting.objects.filter(kind="settle"))
    for line in found if rows else ():
        sums: dict[str, int] = {}
        for item in flow.items(Program.objects.get(pk=line.program_id), line.day):
            sums[item.code] = sums.get(item.code, 0) + item.minor
        assert sums == {code: minor for code, (minor, _rows) in line.reasons.items()}
