"""Cards that were delivered and not opened as far as Laurel knows, and reminding their recipients.

What can be known (docs/provider.md; the provider documents no report of opening, redemption or card balance):

- a card given as a claim link is opened in Laurel, and each time is recorded: `opened` or `unopened`;
- a card the provider mails or posts itself is `not_known`: its order is complete, nothing says whether the mail was read.

Whether a card that was opened has been spent is never known.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import IntegrityError, transaction
from django.db.models import Case, CharField, Count, F, Min, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from incentives.core import audit
from incentives.core.errors import DomainError, NotAllowed
from incentives.payouts.models import Payout
from incentives.reports.ageing_models import RewardReminder
from incentives.reports.errors import CannotRemind
from incentives.reports.periods import moment
from rewards.models import CardReveal, DeliveryType
from rewards.money import Money

log = logging.getLogger(__name__)
OPENED, UNOPENED, UNKNOWN = "opened", "unopened", "not_known"
STATES = {OPENED: _("Opened here"), UNOPENED: _("Not opened"), UNKNOWN: _("Not known")}
BANDS = (("0-30", 0, 30), ("31-60", 31, 60), ("61-90", 61, 90), ("91-", 91, None))
"""(key, from, to) in whole days since the UTC day of delivery, both included."""
BAND_WORDS = {"0-30": _("0–30 days"), "31-60": _("31–60 days"), "61-90": _("61–90 days"), "91-": _("Over 90 days")}
APART = timedelta(days=7)
MOST_ATTEMPTS = 12


# --- reading ----------------------------------------------------------------------------------------------------------
def delivered_cards() -> QuerySet[Payout]:
    """Delivered payouts with `delivered_at`, `opened_at` (the first time its link was shown) and `opening`."""
    shown = CardReveal.objects.filter(card__order=OuterRef("order")).order_by().values("card__order")
    rows = Payout.objects.filter(status=Payout.Status.FULFILLED, order__finished_at__isnull=False)
    return rows.annotate(
        delivered_at=F("order__finished_at"), opened_at=Subquery(shown.annotate(first=Min("at")).values("first"))
    ).annotate(
        opening=Case(
            When(~Q(delivery_type=DeliveryType.LINKS), then=Value(UNKNOWN)),
            When(opened_at__isnull=False, then=Value(OPENED)),
            default=Value(UNOPENED),
            output_field=CharField(),
        )
    )


def in_band(key: str, today: date) -> Q:
    """Delivered as many days ago as the band says. `today` is the UTC day."""
    low, high = next((low, high) for name, low, high in BANDS if name == key)
    where = Q(order__finished_at__lt=moment(today - timedelta(days=low - 1)))
    return where if high is None else where & Q(order__finished_at__gte=moment(today - timedelta(days=high)))


def band_of(days: int) -> str:
    return next(key for key, low, high in BANDS if high is None or days <= high)


@dataclass(slots=True)
class Ages:
    """One program's or person's cards of one currency by age: band -> (how many, minor units)."""

    label: str
    key: object
    currency: str
    bands: dict[str, tuple[int, int]]

    @property
    def count(self) -> int:
        return sum(count for count, _minor in self.bands.values())

    @property
    def total(self) -> Money:
        return Money(sum(minor for _count, minor in self.bands.values()), self.currency)

    @property
    def cells(self) -> list[tuple[int, Money]]:
        return [(self.bands[key][0], Money(self.bands[key][1], self.currency)) for key, _low, _high in BANDS]


def ages(rows: QuerySet[Payout], today: date, by: str) -> list[Ages]:
    """`by`: program, participant, or empty for one line per currency. The largest sum first. One query."""
    figures = {}
    for number, (key, _low, _high) in enumerate(BANDS):
        figures[f"n{number}"] = Count("pk", filter=in_band(key, today))
        figures[f"m{number}"] = Sum("amount_minor", filter=in_band(key, today))
    names = [f"{by}__name", f"{by}__public_id"] if by else []
    found = []
    for row in rows.order_by().values("currency", *names).annotate(**figures):
        bands = {key: (row[f"n{i}"], row[f"m{i}"] or 0) for i, (key, _low, _high) in enumerate(BANDS)}
        label, key = (row[names[0]], row[names[1]]) if by else (row["currency"], None)
        found.append(Ages(label, key, row["currency"], bands))
    return sorted(found, key=lambda line: (line.currency, -line.total.minor, line.label))


# --- reminding --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Outcome:
    payout: Payout
    error: DomainError | None


def remind_many(*, payouts: Iterable[Payout], actor) -> list[Outcome]:
    """One decision per card, each in its own transaction; a refusal of one does not stop the others."""
    return [_outcome(payout, actor) for payout in payouts]


def _outcome(payout: Payout, actor) -> Outcome:
    try:
        remind(payout_id=payout.pk, actor=actor)
    except DomainError as exc:
        return Outcome(payout, exc)
    return Outcome(payout, None)


def remind(*, payout_id: int, actor, now: datetime | None = None) -> RewardReminder:
    """Have the recipient of a delivered card reminded of it by e-mail, with a link to their own page of rewards.

    At most once in seven days per card, whoever asks: a repeat raises CannotRemind, as do a card that was opened and a
    recipient without an account. NotAllowed without the permission. The mail leaves after the commit, at least once.
    """
    if not actor.can("reports.remind"):
        raise NotAllowed
    now = now or timezone.now()
    with transaction.atomic():
        Payout.objects.select_for_update(of=("self",), no_key=True).get(pk=payout_id)
        payout = delivered_cards().select_related("participant__user").filter(pk=payout_id).first()
        if problem := obstacle(payout):
            raise CannotRemind(str(problem))
        reminder = _again(payout, actor, now) or _first(payout, actor, now)
        audit.record("reward.reminded", payout, actor=actor, after={"times": reminder.count})
        transaction.on_commit(lambda: send_reminders(), robust=True)
    return reminder


def obstacle(payout: Payout | None) -> str:
    """Why nobody can be reminded of this card now; empty when one can."""
    if payout is None:
        return _("This card is not delivered, so there is nothing to open yet.")
    if payout.opening == OPENED:
        return _("Its recipient has opened it already.")
    user = payout.participant.user
    if user is None or not user.is_active or not user.email:
        return _("Its recipient has no account here that could open it. Invite the person first.")
    return ""


def _again(payout: Payout, actor, now: datetime) -> RewardReminder | None:
    """The reminder that stands, asked anew if it is old enough; None when there is none yet."""
    standing = RewardReminder.objects.filter(payout=payout)
    values = {"asked_by": actor, "asked_at": now, "sent_at": None, "attempts": 0, "next_attempt_at": now}
    if standing.filter(asked_at__lte=now - APART).update(count=F("count") + 1, **values):
        return standing.get()
    if standing.exists():
        raise _too_soon()
    return None


def _first(payout: Payout, actor, now: datetime) -> RewardReminder:
    try:
        with transaction.atomic():
            return RewardReminder.objects.create(payout=payout, asked_by=actor, asked_at=now, next_attempt_at=now)
    except IntegrityError as exc:  # somebody else in the same moment
        raise _too_soon() from exc


def _too_soon() -> CannotRemind:
    return CannotRemind(
        str(_("A reminder of this card was asked for in the last seven days. Wait until they are over."))
    )


def send_reminders(now: datetime | None = None) -> int:
    """Send what is due, one e-mail per person; returns how many left. Called after a reminder and by the sweep."""
    now = now or timezone.now()
    due = RewardReminder.objects.filter(sent_at__isnull=True, next_attempt_at__lte=now, attempts__lt=MOST_ATTEMPTS)
    people: dict[int, list[int]] = defaultdict(list)
    for pk, user in due.order_by("pk").values_list("pk", "payout__participant__user")[:500]:
        people[user].append(pk)
    return sum(_send(ids, now) for ids in people.values())


def _send(ids: list[int], now: datetime) -> int:
    """Claim by moving the next attempt away, send outside any transaction, note the result."""
    claimed = [pk for pk in ids if _claim(pk, now)]
    cards = delivered_cards().filter(reminder__in=claimed).select_related("participant__user", "program")
    cards = [card for card in cards.order_by("pk") if not obstacle(card)]
    try:
        if cards:
            message_for(cards).send()
    except Exception as exc:  # the mail server is away: tried again
        log.warning("reminders %s were not sent: %s", claimed, type(exc).__name__)
        return 0
    RewardReminder.objects.filter(pk__in=claimed).update(sent_at=now)
    return 1 if cards else 0


def _claim(pk: int, now: datetime) -> bool:
    free = RewardReminder.objects.filter(pk=pk, sent_at__isnull=True, next_attempt_at__lte=now)
    return bool(free.update(attempts=F("attempts") + 1, next_attempt_at=now + timedelta(minutes=10)))


def message_for(cards: list[Payout]) -> EmailMultiAlternatives:
    """A link to the recipient's own page, behind their sign-in; never the claim link."""
    user = cards[0].participant.user
    with translation.override(user.language):
        subject = ngettext("A reward waits for you", "%(n)s rewards wait for you", len(cards)) % {"n": len(cards)}
        context = {
            "user": user,
            "subject": subject,
            "cards": cards,
            "mailed": any(card.opening == UNKNOWN for card in cards),
            "link": f"{settings.BASE_URL}{reverse('portal:rewards')}",
        }
        text = render_to_string("emails/reward_reminder.txt", context)
        message = EmailMultiAlternatives(subject, text, None, [user.email])
        message.attach_alternative(render_to_string("emails/reward_reminder.html", context), "text/html")
    return message
