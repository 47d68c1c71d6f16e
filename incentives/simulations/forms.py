"""What to try, on which days, and what to compare it with."""

import json
from collections.abc import Iterable
from decimal import Decimal

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.ledger.models import Budget
from incentives.programs.forms import BudgetChoice
from incentives.programs.models import Program, ProgramVersion
from incentives.programs.rules.parsing import DefinitionError, canonical, digest, parse_definition
from incentives.programs.rules.whatif import LEAST, MOST
from incentives.programs.selectors import plain_document
from incentives.simulations import inputs
from incentives.simulations.services import Source

PROGRAMS = 300
"""So many programs stand in the choice, the newest first."""


def key_of(version: ProgramVersion) -> str:
    return f"{version.program.public_id}:{version.number}"


def versions_to_try(programs, program: Program | None) -> list[ProgramVersion]:
    """Every version of `program`; of the others the draft and the version in force."""
    others = programs.exclude(status=Program.Status.ARCHIVED).order_by("-pk").values("pk")[:PROGRAMS]
    rows = ProgramVersion.objects.filter(program__in=list(others.values_list("pk", flat=True)))
    if program is not None:
        rows = rows | ProgramVersion.objects.filter(program=program)
    rows = rows.select_related("program").order_by("-program_id", "-number")
    found, seen = [], set()
    for version in rows:
        published = version.published_at is not None
        if version.program == program or not published or version.program_id not in seen:
            found.append(version)
        if published:
            seen.add(version.program_id)
    return found


def _grouped(versions: Iterable[ProgramVersion]) -> list[tuple[str, list[tuple[str, str]]]]:
    groups: dict[str, list] = {}
    for version in versions:
        groups.setdefault(version.program.name, []).append((key_of(version), Source.of(version).label))
    return list(groups.items())


def _day():
    return forms.DateField(widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))


class SimulateForm(forms.Form):
    """After `is_valid` there are `sources` and `baseline` for services.start."""

    first = forms.ChoiceField(label=_("Try"))
    starts_on = _day()
    ends_on = _day()
    second = forms.ChoiceField(label=_("Beside it"), required=False)
    third = forms.ChoiceField(label=_("And beside it"), required=False)
    changed = forms.CharField(
        label=_("A changed copy of the first"),
        required=False,
        max_length=300_000,
        widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "false", "class": "mono", "autocomplete": "off"}),
        help_text=_(
            "Change a rate, a cap or a condition here to see it beside the first. Left as it is, it is not run."
        ),
    )
    baseline = forms.ChoiceField(
        label=_("Winners and losers against"),
        required=False,
        help_text=_("Usually what runs now. The same days and targets are taken for both."),
    )
    budget = BudgetChoice(label=_("Does it fit the budget"), help_text=_("Compared with what is available in it."))
    targets = forms.ChoiceField(
        label=_("Targets"),
        choices=[
            (inputs.ORDINAL, _("The program's, period by period: its first period's for the first here")),
            (inputs.GIVEN, _("The program's, by their dates")),
            (inputs.FLAT, _("The same for everybody and every period:")),
        ],
        initial=inputs.ORDINAL,
        widget=forms.RadioSelect,
    )
    target_value = forms.DecimalField(
        label=_("Target for everybody"), required=False, min_value=Decimal("0.0001"), max_digits=18, decimal_places=4
    )
    percent = forms.IntegerField(
        label=_("One more change of the wins, in per cent"),
        required=False,
        min_value=LEAST,
        max_value=MOST,
        help_text=_("20 fewer and 20 more are always computed. Below zero means fewer."),
    )
    name = forms.CharField(label=_("Name"), required=False, max_length=200)

    def __init__(self, *args, programs, program: Program | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        versions = versions_to_try(programs, program)
        self.versions = {key_of(version): version for version in versions}
        groups = _grouped(versions)
        self.fields["first"].choices = groups
        for name in ("second", "third"):
            self.fields[name].choices = [("", gettext("Nothing")), *groups]
        running = [version for version in versions if version.published_at is not None]
        self.fields["baseline"].choices = [("", gettext("Nothing")), *_grouped(running)]
        self.fields["budget"].queryset = Budget.objects.filter(is_active=True)
        self.fields["starts_on"].label, self.fields["ends_on"].label = _("From"), _("To")
        self.sources: list[Source] = []
        self.baseline: Source | None = None

    def clean_changed(self) -> dict | None:
        """The document, or None where nothing was written."""
        text = self.cleaned_data["changed"].strip()
        if not text:
            return None
        try:
            return canonical(parse_definition(text))
        except DefinitionError as exc:
            raise forms.ValidationError([str(problem) for problem in exc.problems[:10]]) from None

    def clean(self) -> dict:
        data = super().clean()
        if not self.errors:
            self._collect(data)
        if data.get("targets") == inputs.FLAT and not data.get("target_value") and "target_value" not in self.errors:
            self.add_error("target_value", gettext("Give the target that everybody has."))
        return data

    def _is_a_version(self, document: dict) -> bool:
        """Whether the copy was left as it is."""
        same = digest(parse_definition(document))
        return any(version.digest == same for version in self.versions.values())

    def _collect(self, data: dict) -> None:
        """Each definition once, however often it was chosen."""
        first = Source.of(self.versions[data["first"]])
        found = [first]
        if data["changed"] is not None and not self._is_a_version(data["changed"]):
            found.append(
                Source(data["changed"], gettext("%(name)s (changed)") % {"name": first.document["name"]}, first.program)
            )
        found += [Source.of(self.versions[data[name]]) for name in ("second", "third") if data[name]]
        by_digest = {digest(parse_definition(source.document)): source for source in reversed(found)}
        self.sources = list(reversed(by_digest.values()))
        if len(self.sources) > 3:
            self.add_error("third", gettext("Three at a time. Leave one away."))
        self.baseline = Source.of(self.versions[data["baseline"]]) if data["baseline"] else None


def text_of(version: ProgramVersion) -> str:
    """The definition as a person edits it."""
    return json.dumps(plain_document(parse_definition(version.definition)), indent=2, ensure_ascii=False)
