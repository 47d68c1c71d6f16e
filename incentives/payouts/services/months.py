"""Closing months: nothing is booked into a closed month any more, until the latest one is opened again with a reason."""

from datetime import date, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.earnings.models import Earning
from incentives.ledger.models import PeriodClose
from incentives.ledger.periods import wait_for_bookings
from incentives.payouts.errors import MonthInvalid, ReasonNeeded

BEHIND = timedelta(hours=12)
"""A month has ended when it has ended everywhere: the last places on earth are 12 hours behind UTC."""


def month_of(day: date) -> date:
    return day.replace(day=1)


def month_after(month: date) -> date:
    return month_of(month.replace(day=28) + timedelta(days=4))


def month_before(month: date) -> date:
    return month_of(month - timedelta(days=1))


def closed_months():
    return PeriodClose.objects.filter(reopened_at__isnull=True)


def latest_closed() -> PeriodClose | None:
    return closed_months().order_by("-month").first()


def first_month() -> date | None:
    """The month of the first thing ever earned; None while nothing was."""
    first = Earning.objects.order_by("pk").first()
    if first is None:
        return None
    booked = Earning.objects.filter(booked_on__isnull=False).order_by("booked_on").first()
    days = [first.posted_at.date(), *([booked.booked_on] if booked else [])]
    return month_of(min(days))


def next_to_close() -> date | None:
    """The one month that may be closed next; None while nothing was ever earned."""
    last = latest_closed()
    return month_after(last.month) if last else first_month()


def has_ended(month: date) -> bool:
    return (timezone.now() - BEHIND).date() >= month_after(month)


def close_month(*, month: date, actor, note: str = "") -> PeriodClose:
    """Close a month that has ended, the earliest open one first. Closing one that is closed returns it unchanged.

    Raises NotAllowed, MonthInvalid (not a first day, not ended, an earlier one is open). What is unfinished is shown by
    `selectors.unfinished` and does not refuse: what comes later is booked on the day it becomes known.
    """
    if not actor.can("periods.close"):
        raise NotAllowed("Only finance may close months.")
    with transaction.atomic():
        wait_for_bookings()
        standing = closed_months().filter(month=month).first()
        if standing is not None:
            return standing
        _check(month)
        try:
            with transaction.atomic():
                closed = PeriodClose.objects.create(
                    month=month, closed_at=timezone.now(), closed_by=actor, note=note.strip()[:300]
                )
        except IntegrityError as exc:  # somebody closed it in the same moment
            raise MonthInvalid(f"{month:%B %Y} was closed by somebody else in this moment. Reload to see it.") from exc
        audit.record("month.closed", closed, actor=actor, after={"month": f"{month:%Y-%m}"}, reason=note)
    return closed


def _check(month: date) -> None:
    if month != month_of(month):
        raise MonthInvalid(f"month: {month} is not the first day of a month.")
    if not has_ended(month):
        raise MonthInvalid(f"{month:%B %Y} has not ended in every time zone yet.")
    wanted = next_to_close()
    if wanted is None:
        raise MonthInvalid("Nothing was earned yet, so there is no month to close.")
    if month > wanted:
        raise MonthInvalid(f"Close {wanted:%B %Y} first: months are closed one after the other.")
    if month < wanted:
        raise MonthInvalid(f"{month:%B %Y} is before everything that was earned; {wanted:%B %Y} is the first to close.")


def reopen_month(*, month: date, actor, reason: str) -> PeriodClose:
    """Open the latest closed month again. Raises NotAllowed, ReasonNeeded, MonthInvalid (it is not the latest closed one)."""
    if not actor.can("periods.close"):
        raise NotAllowed("Only finance may open months again.")
    if not reason.strip():
        raise ReasonNeeded("Give a reason: it is kept with the month and in the audit trail.")
    with transaction.atomic():
        last = latest_closed()
        if last is None or last.month != month:
            only = f" Only {last.month:%B %Y} can be." if last else ""
            raise MonthInvalid(f"{month:%B %Y} cannot be opened: it is not the latest closed month.{only}")
        values = {"reopened_at": timezone.now(), "reopened_by": actor, "reopen_reason": reason.strip()[:300]}
        if not closed_months().filter(pk=last.pk).update(**values):
            raise MonthInvalid(f"{month:%B %Y} was opened by somebody else in this moment. Reload to see it.")
        last.refresh_from_db()
        audit.record("month.reopened", last, actor=actor, after={"month": f"{month:%Y-%m}"}, reason=reason)
    return last
