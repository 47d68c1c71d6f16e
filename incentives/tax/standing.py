"""What a person is for tax, which rule applies and whether the form is in order: pure functions and one read of the rules."""

from collections.abc import Iterable
from datetime import date

from incentives.participants.models import Participant
from incentives.tax.models import Classification, TaxProfile, TaxRule

HOME = "US"
"""The country of somebody whose country nobody entered."""


class FormState:
    NOT_NEEDED, ON_FILE, MISSING, EXPIRED, OTHER = "not_needed", "on_file", "missing", "expired", "other_form"


def classification_of(type_: str, profile: TaxProfile | None) -> str:
    """As recorded; else employees are employees, everybody else (contractors, partners' people) is a non-employee."""
    if profile is not None and profile.classification:
        return profile.classification
    return Classification.EMPLOYEE if type_ == Participant.Type.EMPLOYEE else Classification.NON_EMPLOYEE


def country_of(participant_country: str, partner_country: str, profile: TaxProfile | None) -> str:
    """As recorded; else the participant's country, the partner organisation's, or the United States."""
    return ((profile.country if profile else "") or participant_country or partner_country or HOME).upper()


class RuleBook:
    """The rules of one year, read once. `of` falls back to the row for every country."""

    def __init__(self, year: int, rules: Iterable[TaxRule] | None = None):
        rows = TaxRule.objects.filter(year_from__lte=year) if rules is None else rules
        self._rules = {
            (rule.country, rule.classification): rule
            for rule in rows
            if rule.year_from <= year and (rule.year_to is None or rule.year_to >= year)
        }

    def of(self, country: str, classification: str) -> TaxRule | None:
        return self._rules.get((country, classification)) or self._rules.get(("", classification))


def form_state(profile: TaxProfile | None, rule: TaxRule | None, today: date) -> str:
    """Whether the form that `rule` asks for is on file and valid on `today` (UTC)."""
    if rule is None or not rule.form_needed:
        return FormState.NOT_NEEDED
    if profile is None or not profile.form_kind or profile.form_on_file_since > today:
        return FormState.MISSING
    if not same_form(profile.form_kind, rule.form_needed):
        return FormState.OTHER
    if profile.form_expires_on and profile.form_expires_on < today:
        return FormState.EXPIRED
    return FormState.ON_FILE


def same_form(kind: str, needed: str) -> bool:
    """`w9` is `W-9`. Any form of the W-8 series answers for another: which one fits is the person's own statement."""
    plain = [text.upper().replace("-", "").replace(" ", "") for text in (kind, needed)]
    return plain[0] == plain[1] or all(text.startswith("W8") for text in plain)


def covered(state: str) -> bool:
    """Whether nothing is missing."""
    return state in (FormState.NOT_NEEDED, FormState.ON_FILE)
