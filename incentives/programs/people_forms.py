"""Forms that invite people to a program or exclude them from it."""

from dataclasses import dataclass

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.row_files import RowsForm
from incentives.participants.models import Participant
from incentives.programs.enrollment import REASON_LENGTH
from incentives.programs.models import Enrollment
from incentives.programs.selectors import find_participants

INVITED, EXCLUDED = Enrollment.State.INVITED, Enrollment.State.EXCLUDED
ACTIONS = {"invite": INVITED, "exclude": EXCLUDED, "remove": None}
"""What a page may do with people -> the state that stands then; None leaves them to the rule."""
WORDS = {
    "invite": INVITED, "invited": INVITED, "exclude": EXCLUDED, "excluded": EXCLUDED, "remove": None, "rule": None,
}  # fmt: skip
"""What a file may say in its column `state`."""


class AddPersonForm(forms.Form):
    participant = forms.CharField(
        label=_("Participant"),
        max_length=254,
        help_text=_("The external user id or the e-mail address."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    state = forms.ChoiceField(
        label=_("What"),
        choices=[("invited", _("Invite: can earn whatever the rule says")), ("excluded", _("Exclude: cannot earn"))],
        widget=forms.RadioSelect,
        initial="invited",
    )
    reason = forms.CharField(label=_("Reason"), max_length=REASON_LENGTH)

    def clean_participant(self) -> Participant:
        text = self.cleaned_data["participant"].strip()
        person = find_participants([text]).get(text)
        if person is None:
            raise forms.ValidationError(gettext("Nobody here has this external user id or e-mail address."))
        return person


class DecideForm(forms.Form):
    """What is done with the ticked people; the ids travel along as they are."""

    action = forms.ChoiceField(choices=[(key, key) for key in ACTIONS], widget=forms.HiddenInput)
    reason = forms.CharField(label=_("Reason"), max_length=REASON_LENGTH, required=False)

    def clean(self) -> dict:
        data = super().clean()
        if data.get("action") in ("invite", "exclude") and not data.get("reason", "").strip():
            self.add_error("reason", gettext("Say why; it is shown beside the name."))
        return data


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One line of a file. `problem` is empty for one that can be done."""

    line: int
    name: str
    person: Participant | None
    state: str | None
    word: str
    reason: str
    problem: str = ""


class PeopleFileForm(RowsForm):
    columns, optional = ("participant", "state"), ("reason",)
    help_text = _("With the columns participant and state (invited, excluded or remove), and maybe reason.")

    def checked(self, lines: list[tuple[int, dict[str, str]]]) -> list[PersonRow]:
        return _checked(lines)


def _checked(lines: list[tuple[int, dict[str, str]]]) -> list[PersonRow]:
    people = find_participants({values["participant"] for _line, values in lines})
    firsts: dict[int, int] = {}
    rows = []
    for line, values in lines:
        person, word = people.get(values["participant"]), values["state"].lower()
        problem = _problem(values, person, word)
        if person and not problem:
            if person.pk in firsts:
                problem = gettext("Line %(line)s already names this person.") % {"line": firsts[person.pk]}
            firsts.setdefault(person.pk, line)
        reason = values.get("reason", "")
        rows.append(PersonRow(line, values["participant"], person, WORDS.get(word), word, reason, problem))
    return rows


def _problem(values: dict[str, str], person: Participant | None, word: str) -> str:
    if person is None:
        return gettext("Nobody here is called “%(name)s”.") % {"name": values["participant"][:60]}
    if word not in WORDS:
        return gettext("“%(word)s” is no state; expected invited, excluded or remove.") % {"word": values["state"][:40]}
    if len(values.get("reason", "")) > REASON_LENGTH:
        return gettext("The reason is longer than %(n)s characters.") % {"n": REASON_LENGTH}
    return ""
