"""What can go wrong between an earning and its card."""

from django.utils.translation import gettext_lazy as _

from incentives.core.errors import DomainError


class SelfApproval(DomainError):
    """Promise 6: nobody approves what they created, changed or receive."""

    code = "self_approval"
    status = 403
    user_message = (
        "You submitted this payout, wrote its program's rules, gave an award in it or receive it, so somebody else must "
        "decide. "
        "Ask another approver."
    )


class SameApprover(DomainError):
    code = "same_approver"
    status = 409
    user_message = "You approved an earlier step of this payout. The next step needs another person."


class StalePayout(DomainError):
    code = "stale_payout"
    status = 409
    user_message = "This payout is not what the page showed. Reload the page and look at it again before approving."


ENDS = {
    "terms": "It is lifted when they accept them.",
    "choice": "It is lifted when the recipient chooses, or with the default after the deadline.",
    "contact": "It is lifted when the address is on file.",
}
"""How a hold that nobody lifts ends."""


class PayoutOnHold(DomainError):
    code = "payout_on_hold"
    status = 409

    def __init__(self, holds):
        reasons = "; ".join(f"{hold.get_kind_display()}: {hold.reason}" for hold in holds)
        others = [hold for hold in holds if hold.kind not in ENDS]
        ends = " ".join(ENDS[hold.kind] for hold in holds if hold.kind in ENDS)
        lifted = "Finance can lift the hold with a reason." if others else ends
        super().__init__(f"This payout is on hold ({reasons}). {lifted}")


class ChoiceClosed(DomainError):
    """The question which card a payout becomes is not open (any more)."""

    code = "choice_closed"
    status = 409
    user_message = _("This reward cannot be chosen any more: it was approved or has ended.")


class ChoiceInvalid(DomainError):
    code = "choice_invalid"
    status = 409
    user_message = _("This reward cannot be sent for this amount. Choose another one of the list.")


class CannotBuild(DomainError):
    """Nothing can be built for this program at all; each participant's own obstacle is in BuildResult.skipped."""

    code = "cannot_build"
    status = 409


class ReasonNeeded(DomainError):
    code = "reason_needed"
    user_message = "Give a reason: it is shown to the person who built the payout and kept in the audit trail."


class OrderProblem(DomainError):
    """The catalogue or the delivery settings do not allow this card to be ordered."""

    code = "order_problem"
    status = 409


class PolicyInvalid(DomainError):
    """A field of an approval policy does not fit; the message names it."""

    code = "policy_invalid"


class OrderRefused(DomainError):
    """What `rewards` refuses, as an error of ours: same code, words and status."""

    def __init__(self, error):
        self.code, self.status = error.code, error.status
        super().__init__(error.user_message)


class SecondPerson(DomainError):
    code = "second_person"
    status = 403
    user_message = "You proposed this, so another person of finance must confirm it."


class RecoveryInvalid(DomainError):
    """A write-off or an instalment that does not fit what is recoverable; the message says what would."""

    code = "recovery_invalid"
    status = 409


class MonthInvalid(DomainError):
    """A month that cannot be closed or opened now; the message names the one that can."""

    code = "month_invalid"
    status = 409


class ApproverLimit(DomainError):
    """Approving this would exceed how much one person may approve in a day or a month."""

    code = "approver_limit"
    status = 409


class RuleInvalid(DomainError):
    """A field of a limit or domain does not fit; the message names it."""

    code = "rule_invalid"


class DelegationInvalid(DomainError):
    """A deputy or the days do not fit; the message names the field."""

    code = "delegation_invalid"
