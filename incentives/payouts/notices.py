"""What payouts tell: approvers of what waits for them, recipients of what is on its way. Never an address, never a claim link."""

from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from incentives.notifications import Content, Item, Reader, kind
from incentives.payouts import selectors
from incentives.payouts.kinds import CHOOSE, ON_ITS_WAY, SENT, WAITING
from incentives.payouts.models import Payout, ProductChoice
from incentives.payouts.policies import PERMISSION, is_approver
from incentives.payouts.services import options
from rewards.models import DeliveryType

SHOWN = 20


def waiting(items: list[Item], reader: Reader) -> Content | None:
    """What still waits of it; None when all of it was decided meanwhile. A link and sums, never a power to approve."""
    rows = Payout.objects.filter(pk__in=[item.data["payout"] for item in items], status=Payout.Status.SUBMITTED)
    if not reader.chat:
        if reader.user is None or not is_approver(reader.user):
            return None
        rows = selectors.for_decision(rows, reader.user).filter(mine=True)
    payouts = list(rows.select_related("program").order_by("-amount_minor", "pk"))
    if not payouts:
        return None
    return _about_waiting(payouts, items, reader)


def _about_waiting(payouts: list[Payout], items: list[Item], reader: Reader) -> Content:
    escalated = {item.data["payout"] for item in items if item.data.get("escalated")}
    count = len(payouts)
    if reader.chat:
        subject = ngettext("%(n)s payout waits for approval", "%(n)s payouts wait for approval", count)
    else:
        subject = ngettext("%(n)s payout waits for you", "%(n)s payouts wait for you", count)
    programs = selectors.by_program(payouts)
    context = {
        "count": count,
        "by_program": programs,
        "totals": selectors.totals(payouts),
        "payouts": payouts[:SHOWN],
        "more": max(0, count - SHOWN),
        "escalated": sum(1 for payout in payouts if payout.pk in escalated),
    }
    summary = "\n".join(f"{program}: {number}, {total}" for program, number, total in programs[:SHOWN])
    label = gettext("Look at them and decide after signing in")
    return Content(subject % {"n": count}, context, summary=summary, link=reverse("payouts:list"), link_label=label)


kind(
    WAITING,
    label=_("Payouts that wait for approval"),
    about=_("Payouts whose next step is yours to decide, and those that waited too long for others."),
    content=waiting,
    template="approver",
    duty=True,
    never=True,  # others decide too, and deadlines open a step to them
    chat=True,
    permission=tuple(PERMISSION.values()),
)


def _rewards(status: str):
    """The payouts among these that are in this state now: what went on meanwhile is told by its own notice."""

    def render(items: list[Item], reader: Reader) -> Content | None:
        rows = Payout.objects.filter(public_id__in=[item.data["payout"] for item in items], status=status)
        payouts = list(rows.select_related("program").order_by("pk"))
        if not payouts:
            return None
        words = {"n": len(payouts)}
        if status == Payout.Status.ORDERED:
            subject = ngettext("A reward is on its way to you", "%(n)s rewards are on their way to you", len(payouts))
        else:
            subject = ngettext("Your reward was sent", "%(n)s of your rewards were sent", len(payouts))
        here = reader.user is not None and reader.user.can("me.view")
        links = [payout for payout in payouts if payout.delivery_type == DeliveryType.LINKS]
        context = {"payouts": payouts[:SHOWN], "more": max(0, len(payouts) - SHOWN), "ready": bool(links)}
        return Content(
            subject % words,
            context | {"sent": len(links) < len(payouts)},
            link=reverse("portal:rewards") if here else "",
            link_label=gettext("Look at my rewards"),
        )

    return render


kind(
    ON_ITS_WAY,
    label=_("A reward is on its way"),
    about=_("The provider has taken the order of your card."),
    content=_rewards(Payout.Status.ORDERED),
    template="reward_on_its_way",
    permission="me.view",
)
kind(
    SENT,
    label=_("A reward was sent"),
    about=_("The provider has issued your card: it comes by e-mail or text message, or lies ready in Laurel."),
    content=_rewards(Payout.Status.FULFILLED),
    template="reward_sent",
    permission="me.view",
)


def choosing(items: list[Item], reader: Reader) -> Content | None:
    """The questions among these that are still open, the most urgent first: until when, and what is sent otherwise."""
    rows = ProductChoice.objects.filter(
        payout__public_id__in=[item.data["payout"] for item in items],
        payout__status=Payout.Status.SUBMITTED,
        product_code="",
    )
    choices = list(rows.select_related("payout__program").order_by("deadline", "pk"))
    if not choices:
        return None
    again = any(item.data.get("reminder") for item in items)
    if again:
        subject = ngettext(
            "Your reward still waits for your choice", "%(n)s rewards still wait for your choice", len(choices)
        )
    else:
        subject = ngettext("Choose which reward you get", "Choose your %(n)s rewards", len(choices))
    here = reader.user is not None and reader.user.can("me.choose")
    link = ""
    if here:
        one = reverse("portal:choose", args=[choices[0].payout.public_id])
        link = one if len(choices) == 1 else reverse("portal:choices")
    for choice in choices[:SHOWN]:
        choice.default = options.default_of(choice)
    context = {"choices": choices[:SHOWN], "more": max(0, len(choices) - SHOWN), "here": here}
    return Content(subject % {"n": len(choices)}, context, link=link, link_label=gettext("Choose now"))


kind(
    CHOOSE,
    label=_("A reward to choose"),
    about=_("A reward of yours waits until you have chosen it, and reminders before the default is sent."),
    content=choosing,
    template="reward_choose",
    permission="me.view",
)
