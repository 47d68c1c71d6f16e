"""Which card a payout becomes: what may be chosen, the question itself, and what the order uses.

With one card that fits the payout there is no question: it is sent as it is. With several the payout gets a `ProductChoice`,
answered at once where the recipient keeps a standing preference, else open with a hold. The changes of an answer are in
`services.choose`; from outside only `seal` is needed, which writes the answer in stone when the order is made.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from incentives.notifications import notify
from incentives.payouts.errors import OrderProblem
from incentives.payouts.kinds import CHOOSE
from incentives.payouts.models import Hold, Payout, ProductChoice, RewardPreference
from incentives.programs.rules.schema import CHOOSE_WITHIN_DAYS
from rewards import catalogue as cards
from rewards import selectors as catalogue
from rewards.models import Product
from rewards.money import Money


# --- what may be sent ----------------------------------------------------------------------------------------------------
def orderable(currency: str, delivery_type: str, wanted: Sequence[str] | str, read=None) -> list[Product]:
    """Orderable products of this currency and way among `wanted`, in its order; of "any" or nothing all, by name. `read`
    answers for the catalogue where many ask."""
    found = {p.product_id: p for p in (read or catalogue.orderable_products)(currency, delivery_type)}
    if wanted == "any" or not wanted:
        return list(found.values())
    return [found[code] for code in wanted if code in found]


def fitting(products: Iterable[Product], value: Money) -> list[Product]:
    """Those of which one card can have exactly this value."""
    return [product for product in products if cards.allows(product, value)]


def options_of(payout: Payout, products: Iterable[Product] | None = None) -> list[Product]:
    """What this payout may become now; the first is the default. Empty without a choice."""
    choice = choice_of(payout)
    if choice is None:
        return []
    if products is None:
        products = orderable(payout.currency, payout.delivery_type, choice.allowed)
    return fitting(products, payout.amount)


class Shelf:
    """The orderable products, read once for many payouts."""

    def __init__(self):
        self.known: dict[tuple, list[Product]] = {}

    def options(self, payout: Payout, allowed: list[str]) -> list[Product]:
        key = (payout.currency, payout.delivery_type, tuple(allowed))
        if key not in self.known:
            self.known[key] = orderable(payout.currency, payout.delivery_type, allowed)
        return fitting(self.known[key], payout.amount)


def choice_of(payout: Payout) -> ProductChoice | None:
    return ProductChoice.objects.filter(payout=payout).first()


def default_of(choice: ProductChoice) -> str:
    """The name of what is sent when nobody chooses: the definition's first product that can be ordered now."""
    found = fitting(
        orderable(choice.payout.currency, choice.payout.delivery_type, choice.allowed), choice.payout.amount
    )
    return found[0].name if found else choice.payout.product_name


def days_to_choose(delivery: dict) -> int:
    return int(delivery.get("choose_within_days") or CHOOSE_WITHIN_DAYS)


# --- building ------------------------------------------------------------------------------------------------------------
def first_product(plan, participant, value: Money) -> tuple[Product, bool]:
    """(what a new payout is built with, whether it is the person's standing preference).

    `plan.product` unless several cards fit and the preferred one is among them.
    """
    options = fitting(plan.products, value)
    if len(options) < 2:
        return plan.product, False
    wanted = RewardPreference.objects.filter(participant=participant, currency=value.currency).first()
    for product in options:
        if wanted and product.product_id == wanted.product_code:
            return product, True
    return plan.product, False


def ask(payout: Payout, plan, *, preferred: bool) -> ProductChoice | None:
    """The question of a new payout, answered by the preference or open; None where only one card fits.

    Call it in the building transaction: the first notice leaves with it.
    """
    if len(fitting(plan.products, payout.amount)) < 2:
        return None
    now = timezone.now()
    choice = ProductChoice(
        payout=payout,
        allowed=[] if plan.wanted == "any" else list(plan.wanted),
        asked_at=now,
        deadline=now + timedelta(days=plan.choose_days),
    )
    if preferred:
        choice.product_code, choice.product_name = payout.product_code, payout.product_name
        choice.how, choice.chosen_at = ProductChoice.How.PREFERENCE, now
    else:
        choice.next_reminder_at = next_reminder(choice, now)
    choice.save(force_insert=True)
    if not preferred:
        tell(choice)
    return choice


def reminders(choice: ProductChoice) -> list[datetime]:
    """When an open question is brought back to mind: half way and the day before the deadline."""
    half = choice.asked_at + (choice.deadline - choice.asked_at) / 2
    return sorted({at for at in (half, choice.deadline - timedelta(days=1)) if at > choice.asked_at})


def next_reminder(choice: ProductChoice, now: datetime) -> datetime | None:
    return next((at for at in reminders(choice) if at > now), None)


def tell(choice: ProductChoice, number: int = 0) -> None:
    """`number`: 0 when it is asked, then the how-manieth reminder. A repeat tells nothing again."""
    payout = choice.payout
    key = f"{payout.public_id}:{choice.asked}:{number}"
    notify(CHOOSE, to=payout.participant, key=key, data={"payout": str(payout.public_id), "reminder": number})


# --- holding and ordering ------------------------------------------------------------------------------------------------
def why_open(choice: ProductChoice) -> str:
    if choice.asked > 1:
        return "The chosen reward cannot be ordered any more; the recipient is asked again."
    return "The recipient has not chosen a reward yet."


def evidence_of(choice: ProductChoice) -> dict:
    """For the review page: until when, what is sent otherwise, and how often it was asked."""
    return {"until": choice.deadline.isoformat(), "default": default_of(choice), "asked": choice.asked}


def missing_choice(payout: Payout) -> list[Hold]:
    """An unsaved hold where the question is open, or its answer cannot be ordered any more: the sweep asks again, or sends
    the default once the deadline has passed, and nobody approves anything else meanwhile."""
    choice = choice_of(payout)
    if choice is None or choice.committed_at:
        return []
    if not choice.answered:
        return [Hold(payout=payout, kind=Hold.Kind.CHOICE, reason=why_open(choice))]
    if choice.product_code not in {product.product_id for product in options_of(payout)}:
        reason = f"{choice.product_name} cannot be ordered any more; another reward is asked for or the default taken."
        return [Hold(payout=payout, kind=Hold.Kind.CHOICE, reason=reason)]
    return []


def seal(payout: Payout) -> str:
    """The product code that this payout's order names. Call it once, in the transaction that approves, with the row locked:
    afterwards the answer never changes. Raises OrderProblem while the question is open."""
    choice = ProductChoice.objects.filter(payout=payout, committed_at__isnull=True).first()
    if choice is not None:
        if choice.product_code != payout.product_code:
            raise OrderProblem(f"{payout} has no reward yet: {why_open(choice)}")
        ProductChoice.objects.filter(pk=choice.pk).update(committed_at=timezone.now(), next_reminder_at=None)
    return payout.product_code
