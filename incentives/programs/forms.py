"""Forms about programs and targets."""

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.accounts.forms import time_zones
from incentives.core.row_files import RowsForm, read_day
from incentives.ledger.models import Budget
from incentives.participants.models import Participant
from incentives.programs.rules.parsing import DefinitionError, Problem, load_document, parse_definition
from incentives.programs.rules.periods import period_start
from incentives.programs.rules.schema import Definition
from incentives.programs.selectors import find_participants, period_label, periods, plain_document
from incentives.programs.services import TargetRow, target_problem
from incentives.programs.summary import KINDS
from rewards.money import MINOR_DIGITS

ESSENTIALS = ("name", "template", "starts_on", "ends_on", "time_zone", "currency")
"""Keys of the definition that have a field of their own; the document may hold them as well, but not differently."""


def _kinds() -> list[tuple[str, object]]:
    return [("", _("As the document says")), *KINDS.items()]


def _currencies() -> list[tuple[str, object]]:
    return [("", _("As the document says")), *((code, code) for code in sorted(MINOR_DIGITS))]


def _zones() -> list[tuple[str, object]]:
    return [("", _("As the document says (UTC)")), *time_zones()]


def _day_input():
    return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class BudgetChoice(forms.ModelChoiceField):
    def __init__(self, **kwargs):
        kwargs.setdefault("label", _("Budget"))
        kwargs.setdefault("required", False)
        super().__init__(queryset=Budget.objects.none(), to_field_name="public_id", **kwargs)

    def label_from_instance(self, obj) -> str:
        return f"{obj.name} ({obj.currency})"


class DefinitionForm(forms.Form):
    """The essentials as fields, everything else as the document. After `is_valid`, `definition` and `document` stand.

    A field left empty leaves its key to the document. Both different is an error: neither wins silently.
    """

    name = forms.CharField(label=_("Name"), required=False, max_length=200, help_text=_("Participants read it."))
    template = forms.ChoiceField(
        label=_("Kind"), required=False, choices=_kinds, help_text=_("What lists filter by; it changes no rule.")
    )
    starts_on = forms.CharField(label=_("First day"), required=False, widget=_day_input())
    ends_on = forms.CharField(label=_("Last day"), required=False, widget=_day_input())
    time_zone = forms.ChoiceField(
        label=_("Time zone"), required=False, choices=_zones, help_text=_("Days begin and end by its clock.")
    )
    currency = forms.ChoiceField(label=_("Currency"), required=False, choices=_currencies)
    budget = BudgetChoice(help_text=_("What payouts are paid from. It may be chosen later; a launch needs it."))
    rules = forms.CharField(
        label=_("Rules"),
        max_length=300_000,
        widget=forms.Textarea(attrs={"rows": 20, "spellcheck": "false", "class": "mono", "autocomplete": "off"}),
        help_text=_("The rest of the definition as one JSON object: rewards, conditions, caps, payout, delivery."),
    )
    note = forms.CharField(
        label=_("What changes, and why"), required=False, max_length=200, help_text=_("Kept with the version.")
    )

    def __init__(self, *args, editing: bool = False, **kwargs):
        super().__init__(*args, **kwargs)
        self.problems: list[Problem] = []
        self.document: dict = {}
        self.definition: Definition | None = None
        if editing:
            del self.fields["budget"]
        else:
            del self.fields["note"]
            self.fields["budget"].queryset = Budget.objects.filter(is_active=True)

    @staticmethod
    def initial_of(document: dict) -> dict:
        """Form values of a definition document."""
        rest = {key: value for key, value in document.items() if key not in ESSENTIALS}
        own = {key: document[key] for key in ESSENTIALS if key in document}
        return {**own, "rules": pretty(rest)}

    @classmethod
    def initial_from(cls, definition: Definition) -> dict:
        essentials = {key: str(getattr(definition, key)) for key in ESSENTIALS}
        return cls.initial_of({**plain_document(definition), **essentials})

    @property
    def essentials(self) -> list:
        return [self[key] for key in ESSENTIALS if key in self.fields]

    @property
    def others(self) -> list:
        return [self[key] for key in self.fields if key not in ESSENTIALS]

    def clean(self) -> dict:
        data = super().clean()
        if "rules" not in data or any(key in self.errors for key in ESSENTIALS):
            return data
        try:
            self.document = self._merged(data)
            self.definition = parse_definition(self.document)
        except DefinitionError as exc:
            self._show(exc.problems)
        else:
            self._check_budget(data.get("budget"))
        return data

    def _merged(self, data: dict) -> dict:
        rules = load_document(data["rules"])
        if not isinstance(rules, dict):
            return rules  # parse_definition says what is wrong with it
        different = [
            Problem(
                key, f"{rules[key]!r} in the document, {data[key]!r} in the field", "the same in both, or one of them"
            )
            for key in ESSENTIALS
            if data.get(key) and key in rules and rules[key] != data[key]
        ]
        if different:
            raise DefinitionError(different)
        return {**{key: data[key] for key in ESSENTIALS if data.get(key)}, **rules}

    def _show(self, problems) -> None:
        """Each problem at the field it is about: an essential's own, else the document's."""
        self.problems = list(problems)
        for problem in problems:
            text = gettext("Found %(found)s, expected %(expected)s.") % problem._asdict()
            if problem.path in ESSENTIALS and problem.found == "nothing":
                message = gettext("Fill this in, or give “%(key)s” in the document.")
                self.add_error(problem.path, message % {"key": problem.path})
            elif problem.path in ESSENTIALS:
                self.add_error(problem.path, text)
            else:
                self.add_error("rules", f"{problem.path or gettext('The document')}: {text[0].lower()}{text[1:]}")

    def _check_budget(self, budget: Budget | None) -> None:
        if budget is not None and budget.currency != self.definition.currency:
            message = gettext("%(budget)s is kept in %(theirs)s; the program pays %(ours)s.")
            values = {"budget": budget.name, "theirs": budget.currency, "ours": self.definition.currency}
            self.add_error("budget", message % values)


def pretty(value, indent: str = "", width: int = 76) -> str:
    """JSON with one line for everything that fits on one."""
    flat = json.dumps(value, ensure_ascii=False)
    if (len(indent) + len(flat) <= width and indent) or not isinstance(value, dict | list) or not value:
        return flat
    deeper = indent + "  "
    if isinstance(value, dict):
        items = [f"{json.dumps(key, ensure_ascii=False)}: {pretty(item, deeper, width)}" for key, item in value.items()]
    else:
        items = [pretty(item, deeper, width) for item in value]
    start, end = "{}" if isinstance(value, dict) else "[]"
    return f"{start}\n{deeper}" + f",\n{deeper}".join(items) + f"\n{indent}{end}"


class ChooseBudgetForm(forms.Form):
    budget = BudgetChoice(empty_label=_("None"))

    def __init__(self, *args, program, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["budget"].queryset = Budget.objects.filter(is_active=True, currency=program.currency)
        self.fields["budget"].help_text = _("Budgets in %(currency)s.") % {"currency": program.currency}
        self.initial.setdefault("budget", program.budget.public_id if program.budget else None)


# --- targets -----------------------------------------------------------------------------------------------------------
class TargetForm(forms.Form):
    participant = forms.CharField(
        label=_("Participant"),
        max_length=254,
        help_text=_("The external user id or the e-mail address."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    period = forms.ChoiceField(label=_("Period"))
    value = forms.CharField(
        label=_("Target"), max_length=30, widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
    )

    def __init__(self, *args, definition: Definition, **kwargs):
        super().__init__(*args, **kwargs)
        self.definition = definition
        self.row: TargetRow | None = None
        choices = [(str(start), period_label(definition, start)) for start, _end in periods(definition)]
        self.fields["period"].choices = choices
        unit = definition.currency if definition.measure.metric == "amount" else definition.measure.metric
        self.fields["value"].help_text = _("In units of the measure: %(unit)s.") % {"unit": unit}

    def clean_participant(self) -> Participant:
        text = self.cleaned_data["participant"].strip()
        person = find_participants([text]).get(text)
        if person is None:
            raise forms.ValidationError(gettext("Nobody here has this external user id or e-mail address."))
        return person

    def clean_value(self) -> Decimal:
        return read_number(self.cleaned_data["value"])

    def clean(self) -> dict:
        data = super().clean()
        if not self.errors:
            self.row = TargetRow(data["participant"], date.fromisoformat(data["period"]), data["value"])
            if problem := target_problem(self.definition, self.row):
                self.add_error("value", problem[0].upper() + problem[1:])
        return data


def read_number(text: str) -> Decimal:
    """`12500`, `12,500.00` or `12500.5`. A comma that could be a decimal point is refused rather than guessed."""
    plain = text.strip().replace("\N{NO-BREAK SPACE}", "").replace(" ", "")
    if "," in plain:
        whole, _point, rest = plain.partition(".")
        groups = whole.split(",")
        if not (0 < len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])):
            raise forms.ValidationError(_not_a_number(text))
        plain = "".join(groups) + (f".{rest}" if rest else "")
    try:
        value = Decimal(plain) if plain.isascii() and len(plain) <= 30 and "_" not in plain else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite():
        raise forms.ValidationError(_not_a_number(text))
    return value


def _not_a_number(text: str) -> str:
    return gettext("“%(text)s” is not a number; expected one such as 12500.00.") % {"text": text[:40]}


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One line of an uploaded file. `problem` is empty for a line that can be set."""

    line: int
    participant: str
    period: str
    value: str
    row: TargetRow | None
    problem: str


class TargetsFileForm(RowsForm):
    columns = ("participant", "period_start", "value")
    help_text = _("With the columns participant, period_start and value; the first line names them.")

    def __init__(self, *args, definition: Definition, **kwargs):
        super().__init__(*args, **kwargs)
        self.definition = definition

    def checked(self, lines: list[tuple[int, dict[str, str]]]) -> list[ImportRow]:
        return list(_checked(self.definition, lines))


def _checked(definition: Definition, lines: list[tuple[int, dict[str, str]]]):
    people = find_participants({values["participant"] for _line, values in lines})
    firsts = {}
    for line, values in lines:
        row, problem = _read(definition, values, people)
        if row is not None and not problem:
            key = (row.participant.pk, row.period_start)
            if key in firsts:
                problem = gettext("Line %(line)s already sets this participant and period.") % {"line": firsts[key]}
            firsts.setdefault(key, line)
        yield ImportRow(line, values["participant"], values["period_start"], values["value"], row, problem)


def _read(definition: Definition, values: dict[str, str], people) -> tuple[TargetRow | None, str]:
    """The row, its day moved to the first of its period; or what is wrong with it."""
    person = people.get(values["participant"])
    if person is None:
        return None, gettext("Nobody here is called “%(name)s”.") % {"name": values["participant"][:60]}
    try:
        day, value = read_day(values["period_start"]), read_number(values["value"])
    except ValueError as exc:
        return None, str(exc)
    except forms.ValidationError as exc:
        return None, " ".join(exc.messages)
    row = TargetRow(person, day, value)
    problem = target_problem(definition, row)
    if problem:
        return None, problem[0].upper() + problem[1:]
    return TargetRow(person, period_start(definition, day), value), ""
