"""What goes wrong with claims, in words a partner or a reviewer can act on."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from incentives.core.errors import DomainError


class BadProof(DomainError):
    """The uploaded file cannot be kept; the message says why."""

    code = "bad_proof"


class ProofNotStored(DomainError):
    code = "proof_not_stored"
    status = 503
    user_message = gettext_lazy("The file could not be stored. Nothing of it was kept. Please try again later.")


class ProofGone(DomainError):
    code = "proof_gone"
    status = 410
    user_message = gettext_lazy(
        "The file of this proof is missing or damaged on the server. Ask for it again, and tell your administrator."
    )


class Incomplete(DomainError):
    """Something is missing. `details["fields"]`: field -> what is expected. Nothing was sent."""

    code = "incomplete"
    user_message = gettext_lazy("Something is still missing. Your draft is saved.")

    def __init__(self, fields: dict[str, str]):
        super().__init__(None, fields=fields)


class DoesNotFit(DomainError):
    """A value cannot be stored; `details["field"]` names it."""

    code = "does_not_fit"

    def __init__(self, field: str, message: str):
        super().__init__(message, field=field)


class NotEligible(DomainError):
    """The program takes no claims from this person, or not this one; the message says why."""

    code = "not_eligible"
    status = 409


class TooLate(DomainError):
    code = "too_late"
    status = 409


class DuplicateClaim(DomainError):
    """The partner claimed the invoice or a serial number already. `details["other"]`: the claim that holds it."""

    code = "duplicate_claim"
    status = 409

    def __init__(self, message: str, other):
        super().__init__(message, other=other)


class SerialPaid(DomainError):
    """Another claim of the program was approved with the same serial number. `details["other"]`: that claim."""

    code = "serial_paid"
    status = 409

    def __init__(self, serials: list[str], other):
        super().__init__(
            _("%(serial)s was approved already with %(other)s. A serial number is paid once in a program: reject this "
              "claim, or take the other one back first.") % {"serial": ", ".join(serials), "other": other},
            other=other,
        )  # fmt: skip


class ChangedMeanwhile(DomainError):
    """Somebody changed the claim between looking and deciding. Nothing was saved."""

    code = "changed_meanwhile"
    status = 409

    def __init__(self, what: str):
        super().__init__(_("Somebody was quicker: %(what)s Nothing of yours was saved; look at the claim as it is now.")
                         % {"what": what})  # fmt: skip


class OwnClaim(DomainError):
    code = "own_claim"
    status = 403
    user_message = gettext_lazy("Nobody decides a claim of their own or of their own organisation.")


class TakenByOther(DomainError):
    code = "taken_by_other"
    status = 409

    def __init__(self, reviewer):
        super().__init__(_("%(name)s reviews this claim. Take it over first.") % {"name": reviewer})


class ReasonNeeded(DomainError):
    code = "reason_needed"
    user_message = gettext_lazy("Say why.")


class NewEvidence(DomainError):
    code = "new_evidence"
    status = 409
    user_message = gettext_lazy(
        "Another claim that speaks against this one was found just now. Look at it below, then decide. Nothing was saved."
    )
