"""What can go wrong with tax profiles, rules, outside awards and exports."""

from incentives.core.errors import DomainError


class IdentifierRefused(DomainError):
    """A text holds what looks like a tax identification number. The message never repeats it."""

    code = "tax_identifier_refused"
    user_message = (
        "This looks like a tax identification number. Laurel stores none: take the digits out. Only that the form is on "
        "file is recorded."
    )


class ProfileInvalid(DomainError):
    code = "tax_profile_invalid"


class RuleInvalid(DomainError):
    """A field of a rule does not fit, or its years overlap another row; the message names it."""

    code = "tax_rule_invalid"


class AwardInvalid(DomainError):
    code = "outside_award_invalid"


class ExportRefused(DomainError):
    """The file would be wrong or incomplete; the message says what to mend first."""

    code = "tax_export_refused"
    status = 409
