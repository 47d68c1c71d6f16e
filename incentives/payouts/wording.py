"""States in plain words: what is so, what happens next and who acts."""

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from incentives.accounts.models import User
from incentives.core.templatetags.laurel import money_text, relative, words
from incentives.payouts.models import ApprovalPolicy, Hold, Payout
from incentives.payouts.policies import flat, people_of
from rewards.models import Channel, OrderAttempt, RewardOrder
from rewards.money import Money

S, O = Payout.Status, RewardOrder.State  # noqa: E741

RECEIVES = gettext_lazy("you receive it")
SUBMITTED = gettext_lazy("you submitted it")
WROTE_RULES = gettext_lazy("you wrote or published the rules")
GAVE_AWARD = gettext_lazy("you gave or cancelled an award in it")
APPROVED_CLAIM = gettext_lazy("you approved a claim that it pays")
CHOSE = gettext_lazy("you chose its card for the recipient")
CHANGED_POLICY = gettext_lazy("you changed an approval policy that nobody has confirmed")
DEPUTY_OF_MAKER = gettext_lazy("you are the deputy of somebody who made or receives it")
APPROVED_BEFORE = gettext_lazy("you approved an earlier step")
OTHER_ROLE = gettext_lazy("the step belongs to another role")
FAR_ABOVE = gettext_lazy("Far above the usual")
NEW_RECIPIENT = gettext_lazy("First card for this person")


def usual(average: Money) -> str:
    return _("this program's usual amount is %(amount)s") % {"amount": money_text(average)}


def step_text(step) -> str:
    """`Finance`; of a step that names people: `Ana Ruiz or Bob Low`. Takes a policy's step or a payout's."""
    if isinstance(step, dict):
        text = step_text(flat([step])[0])
        count = int(step.get("count") or 1)
        return text if count == 1 else _("%(n)s of %(who)s") % {"n": count, "who": text}
    if ids := people_of(step):
        names = [str(user) for user in User.objects.filter(pk__in=ids).order_by("name", "pk")]
        return _(" or ").join(names)
    return str(ApprovalPolicy.Step(step).label)


def steps_text(steps: list) -> str:
    """`Finance, then Finance`; of no step: approved by itself."""
    labels = [step_text(step) for step in steps]
    return _(", then ").join(labels) if labels else _("Approved by itself")


def next_in_words(payout: Payout, given: int, objection: str, held: bool = False) -> str:
    """`Needs one more approval: Finance. Not by you, because you wrote or published the rules.`"""
    left = payout.steps[given:]
    if payout.status != S.SUBMITTED or not left:
        return ""
    text = ngettext("Needs one more approval: %(who)s.", "Needs %(n)s more approvals: %(who)s.", len(left))
    text %= {"n": len(left), "who": steps_text(left)}
    if objection == OTHER_ROLE:
        return text
    if objection:
        return f"{text} " + _("Not by you, because %(reason)s.") % {"reason": objection}
    return f"{text} " + (_("You may decide once the hold is lifted.") if held else _("You may decide."))


HOLD_ENDS = {
    Hold.Kind.FUNDING: gettext_lazy("Approving tries again; it passes once the budget has room."),
    Hold.Kind.TERMS: gettext_lazy("It is lifted when the recipient accepts the terms."),
    Hold.Kind.CHOICE: gettext_lazy("It is lifted when the recipient chooses; after the deadline the default is sent."),
    Hold.Kind.CONTACT: gettext_lazy("It is lifted when the address is on the participant's page."),
}
"""How a hold ends that nobody lifts."""

EVENTS = {
    "payout.escalated": (gettext_lazy("Waited too long: opened to others"), "late"),
    "hold.placed": (gettext_lazy("Put on hold"), "held"),
    "hold.lifted": (gettext_lazy("Hold lifted"), "released"),
    "payout.submitted": (gettext_lazy("Built"), "submitted"),
    "choice.made": (gettext_lazy("Reward chosen"), "confirmed"),
    "choice.reopened": (gettext_lazy("Asked again: the chosen reward cannot be ordered"), "reopened"),
    "payout.approved": (gettext_lazy("Fully approved"), "approved"),
    "payout.ordered": (gettext_lazy("The provider has the order"), "ordered"),
    "payout.fulfilled": (gettext_lazy("Card issued"), "fulfilled"),
    "payout.cancel": (gettext_lazy("Cancelling asked for"), "cancelled"),
    "write_off.proposed": (gettext_lazy("Write-off proposed"), "proposed"),
    "write_off.approved": (gettext_lazy("Written off"), "written_off"),
    "write_off.by_policy": (gettext_lazy("Written off by the program's policy"), "written_off"),
    "write_off.declined": (gettext_lazy("Write-off declined"), "rejected"),
    "write_off.withdrawn": (gettext_lazy("Write-off withdrawn"), "cancelled"),
    "write_off.taken_back": (gettext_lazy("Write-off taken back: it is earned again"), "reopened"),
    "recovery.instalments": (gettext_lazy("Instalments changed"), "scheduled"),
    "card.revealed": (gettext_lazy("Claim link shown to the recipient"), "revealed"),
}


def event(action: str) -> tuple[str, str]:
    """(title, state for its look) of an action in a payout's history."""
    title, status = EVENTS.get(action, (words(action), action.rpartition(".")[2]))
    return str(title), status


# --- orders -------------------------------------------------------------------------------------------------------------
def _clock(moment) -> str:
    return date_format(timezone.localtime(moment), _("H:i"))


def _again(order: RewardOrder) -> str:
    if order.next_attempt_at is None:
        return ""
    if order.next_attempt_at <= timezone.now():
        return _("Laurel asks again with the same number now.")
    if (order.next_attempt_at - timezone.now()).total_seconds() > 12 * 3600:
        return _("Laurel asks again with the same number %(when)s.") % {"when": relative(order.next_attempt_at)}
    return _("Laurel asks again with the same number at %(at)s.") % {"at": _clock(order.next_attempt_at)}


def order_in_words(order: RewardOrder, channel: Channel | None = None) -> str:
    """One or two sentences: what is known about this order, and what happens next."""
    if order.state == O.BATCHED and order.batch:
        return f"{_batched(order)} {order_in_words(order.batch, channel)}"
    words = _BATCH.get(order.state) if order.is_batch else None
    text = str(words) if words else _ORDER[order.state](order)
    if channel is not None and order.state in RewardOrder.SENDABLE and not channel.may_send:
        text += " " + _("Nothing is sent at the moment: %(why)s") % {"why": channel_in_words(channel)}
    return text


def _draft(order: RewardOrder) -> str:
    return _("Ready to be sent to the provider. Nothing has left yet.")


def _batched(order: RewardOrder) -> str:
    text = _("It goes to the provider with %(n)s others, as one line of the order %(number)s.")
    return text % {"n": order.batch.line_count - 1, "number": order.batch.po_number}


def _submitting(order: RewardOrder) -> str:
    if order.lease_until and order.lease_until > timezone.now():
        return _("Laurel is talking to the provider about it right now.")
    proven = {str(outcome) for outcome in OrderAttempt.PROVEN_NOT_ORDERED}
    outcomes = [attempt.outcome for attempt in order.attempts.all()]
    if outcomes and all(outcome in proven for outcome in outcomes):
        return _("The provider does not have this order.") + f" {_again(order)}"
    return _("Nobody knows yet whether the provider has this order.") + f" {_again(order)}"


def _pending(order: RewardOrder) -> str:
    text = _("The provider has the order and is working on it.")
    if order.provider_status:
        text = _("The provider has the order; its word for the state is “%(word)s”.") % {"word": order.provider_status}
    if order.next_attempt_at and order.next_attempt_at > timezone.now():
        return text + " " + _("Laurel looks again at %(at)s.") % {"at": _clock(order.next_attempt_at)}
    return text + " " + _("Laurel looks again now.")


def _unfunded(order: RewardOrder) -> str:
    return _(
        "The provider refused it for lack of funds, so no card exists. Fund the deposit account, then resume: it is sent "
        "again under the same number."
    )


def _review(order: RewardOrder) -> str:
    text = _("Laurel cannot settle this order by itself, so a person must decide. Nothing is sent until then.")
    return f"{text} {order.last_problem}" if order.last_problem else text


def _completed(order: RewardOrder) -> str:
    if order.delivery_type == "Links":
        return _("The provider issued the card. Its claim link is shown to the recipient alone.")
    return _("The provider issued the card and sent it. Whether it was read is not known here.")


def _ended(words: str):
    def text(order: RewardOrder) -> str:
        return f"{words} {order.last_problem}".strip()

    return text


_ORDER = {
    O.DRAFT: _draft,
    O.BATCHED: lambda order: _("It goes to the provider as a line of another order."),
    O.SUBMITTING: _submitting,
    O.PENDING: _pending,
    O.UNFUNDED: _unfunded,
    O.REVIEW: _review,
    O.COMPLETED: _completed,
    O.REJECTED: lambda order: _ended(_("The provider refused the order. No card exists; the money is back."))(order),
    O.FAILED: lambda order: _("It is settled that no card was issued; the money is back in the budget."),
    O.CANCELLED: lambda order: _("Cancelled before anything was sent; the money is back in the budget."),
}

_BATCH = {
    O.COMPLETED: gettext_lazy("The provider issued the cards in this order."),
    O.REJECTED: gettext_lazy("The provider refused the order as a whole, so each card is ordered by itself."),
    O.FAILED: gettext_lazy("It is settled that none of its cards was issued; the money is back in the budget."),
    O.CANCELLED: gettext_lazy(
        "Given up before anything was sent: one card was cancelled, the others are ordered by themselves."
    ),
}


def channel_in_words(channel: Channel) -> str:
    if channel.emergency_stop:
        if channel.restart_requested_by:
            return _("the emergency stop is on; %(who)s asked to restart and a second person must confirm.") % {
                "who": channel.restart_requested_by
            }
        return _("the emergency stop is on.")
    if channel.state == Channel.State.PAUSED:
        return _("the provider's deposit account needs funding.")
    if channel.state == Channel.State.STOPPED:
        return _("sending stopped: %(why)s") % {"why": channel.reason or channel.code}
    return _("orders are being sent.")


# --- for the recipient --------------------------------------------------------------------------------------------------
def payout_for_recipient(payout: Payout) -> tuple[str, str, str]:
    """(status value for its look, label, sentence) as the person who gets it reads them. Never claims a receipt."""
    if payout.status == S.SUBMITTED:
        choice = getattr(payout, "choice", None)
        if choice is not None and not choice.answered:
            day = date_format(timezone.localtime(choice.deadline), "j M Y")
            return "to_choose", _("Yours to choose"), _("Choose which card it becomes, until %(day)s.") % {"day": day}
        return "pending", _("Being checked"), _("Somebody checks it before it is sent.")
    if payout.status == S.FULFILLED:
        if payout.delivery_type == "Links":
            return "available", _("Ready to open"), _("Your claim link is here for you.")
        to = payout.recipient_email or payout.recipient_phone
        return (
            "sent",
            _("Sent by the provider"),
            _("The provider sent it to %(to)s. Look in your spam folder too.") % {"to": to},
        )
    if payout.status in (S.APPROVED, S.ORDERED):
        return "sending", _("On its way"), _on_its_way(payout)
    words = _("It was not sent. What you have earned comes with the next payout.")
    return "cancelled", _("Not sent"), words


def _on_its_way(payout: Payout) -> str:
    order = payout.order and payout.order.sent_as
    if order is not None and order.state == O.REVIEW:
        return _("Something about it needs a person's look. Nothing is lost.")
    if order is not None and order.state == O.UNFUNDED:
        return _("It waits until more cards can be bought. Nothing is lost.")
    return _("Approved. The provider prepares it.")
