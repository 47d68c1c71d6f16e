"""Programs: what they are, drafts of them, and what a definition would pay. Publishing is a person's step in the browser."""

import json
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import Http404, HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from incentives.api import errors
from incentives.api.auth import Needs
from incentives.api.idempotency import once
from incentives.api.kit import Body, Text, one, when
from incentives.api.paging import Paged, page
from incentives.crm import jsonio
from incentives.ledger.models import Budget
from incentives.programs import services
from incentives.programs.models import Program, ProgramVersion
from incentives.programs.rules import DefinitionError, parse_definition
from incentives.programs.rules.events import EventError
from incentives.programs.rules.parsing import warnings
from incentives.programs.rules.rates import FileRates
from incentives.programs.rules.simulation import Simulation
from incentives.programs.selectors import draft_of, visible_programs

router = Router()
MOST_ACTIVITIES, MOST_PEOPLE = 5000, 2000
Document = Annotated[dict[str, Any], Field(description="A program definition (docs/program-definition.md).")]
Status = Literal["draft", "in_review", "scheduled", "active", "paused", "closing", "closed", "archived"]


class ProgramOut(Schema):
    id: str
    name: str
    template: str
    status: str
    currency: str
    starts_on: date
    ends_on: date
    budget: Annotated[str | None, Field(description="The budget's id.")]
    version: Annotated[int | None, Field(description="The number of the newest published version.")]
    draft: Annotated[int | None, Field(description="The number of the version that is being written.")]
    created_at: str


class Programs(Schema):
    data: list[ProgramOut]
    next_cursor: str | None


class VersionOut(Schema):
    number: int
    state: Annotated[str, Field(description="`draft`, `in_review` or `published`.")]
    digest: str
    note: str
    created_at: str
    published_at: str | None
    starts_at: str | None
    definition: dict[str, Any]


class Versions(Schema):
    data: list[VersionOut]


class ProgramFilters(Paged):
    status: Status | None = None
    template: Annotated[Text, Field(max_length=20)] = ""


class NewProgram(Body):
    definition: Document
    budget: Annotated[UUID | None, Field(description="The budget it is paid from, where it is known.")] = None


class Draft(Body):
    definition: Document
    note: Annotated[Text, Field(max_length=200)] = ""


class Validate(Body):
    definition: Document


class ProblemOut(Schema):
    path: str
    found: str
    expected: str


class Validated(Schema):
    valid: bool
    problems: list[ProblemOut]
    warnings: list[ProblemOut]


class Simulate(Body):
    """The files of `manage.py simulate` as lists of the same objects."""

    definition: Document
    activities: Annotated[list[dict[str, Any]], Field(max_length=MOST_ACTIVITIES)]
    participants: Annotated[list[dict[str, Any]], Field(max_length=MOST_PEOPLE)]
    targets: Annotated[list[dict[str, Any]], Field(max_length=MOST_PEOPLE)] = []
    rates: Annotated[list[dict[str, Any]], Field(max_length=MOST_PEOPLE)] = []
    sensitivity: Annotated[int | None, Field(ge=0, le=90, description="Also the totals with so many per cent fewer and more wins.")] = None  # fmt: skip


class Simulated(Schema):
    currency: str
    total: str
    participants: list[dict[str, Any]]
    standing: list[dict[str, Any]]
    exceptions: list[dict[str, Any]]
    sensitivity: list[dict[str, Any]] = []


def shown(program: Program) -> dict:
    versions = sorted(program.versions.all(), key=lambda version: version.number)
    published = [version.number for version in versions if version.published_at]
    drafts = [version.number for version in versions if not version.published_at]
    return {
        "id": str(program.public_id),
        "name": program.name,
        "template": program.template,
        "status": program.status,
        "currency": program.currency,
        "starts_on": program.starts_on,
        "ends_on": program.ends_on,
        "budget": program.budget and str(program.budget.public_id),
        "version": published[-1] if published else None,
        "draft": drafts[-1] if drafts else None,
        "created_at": when(program.created_at),
    }


def shown_version(version: ProgramVersion) -> dict:
    state = "published" if version.published_at else "in_review" if version.in_review else "draft"
    return {
        "number": version.number,
        "state": state,
        "digest": version.digest,
        "note": version.note,
        "created_at": when(version.created_at),
        "published_at": when(version.published_at),
        "starts_at": when(version.starts_at),
        "definition": version.definition,
    }


def _visible(request: HttpRequest):
    return visible_programs(request.caller.user).select_related("budget").prefetch_related("versions")


@router.get("/programs", auth=Needs("programs:read"), response=Programs)
def list_programs(request: HttpRequest, filters: Query[ProgramFilters]):
    """Programs, newest first."""
    rows = _visible(request)
    if filters.status is not None:
        rows = rows.filter(status=filters.status)
    if filters.template:
        rows = rows.filter(template=filters.template)
    return page(request, rows, filters, shown)


@router.get("/programs/{uuid:program_id}", auth=Needs("programs:read"), response=ProgramOut)
def get_program(request: HttpRequest, program_id: UUID):
    """One program."""
    return shown(one(_visible(request), program_id))


@router.get("/programs/{uuid:program_id}/versions", auth=Needs("programs:read"), response=Versions)
def list_program_versions(request: HttpRequest, program_id: UUID):
    """All versions with their definitions, newest first. Published ones never change."""
    program = one(_visible(request), program_id)
    return {"data": [shown_version(version) for version in program.versions.order_by("-number")]}


@router.get("/programs/{uuid:program_id}/versions/{int:number}", auth=Needs("programs:read"), response=VersionOut)
def get_program_version(request: HttpRequest, program_id: UUID, number: int):
    """One version with its definition."""
    program = one(_visible(request), program_id)
    version = program.versions.filter(number=number).first() if number < 2**31 else None
    if version is None:
        raise Http404
    return shown_version(version)


@router.post("/programs", auth=Needs("programs:write"), response={201: ProgramOut})
@once()
def create_program(request: HttpRequest, payload: NewProgram):
    """A new program as a draft. A person publishes it in the browser; whoever wrote it approves none of what it pays."""
    budget = None
    if payload.budget is not None:
        budget = Budget.objects.filter(public_id=payload.budget).first()
        if budget is None:
            raise errors.Invalid(errors=[{"field": "budget", "code": "unknown", "message": "there is no such budget"}])
    program = services.create_program(document=_text(payload.definition), actor=request.caller.user, budget=budget)
    return 201, ProgramOut(**shown(one(_visible(request), program.public_id)))


@router.post("/programs/{uuid:program_id}/draft", auth=Needs("programs:write"), response={200: VersionOut})
@once()
def write_program_draft(request: HttpRequest, program_id: UUID, payload: Draft):
    """Write the draft anew, or begin one beside the published version. One that was in review goes back to its writer."""
    program = one(_visible(request), program_id)
    services.edit_draft(
        program=program, document=_text(payload.definition), actor=request.caller.user, note=payload.note
    )
    return 200, VersionOut(**shown_version(draft_of(program)))


@router.post("/programs/validate", auth=Needs("programs:simulate"), response={200: Validated})
@once()
def validate_definition(request: HttpRequest, payload: Validate):
    """Whether a definition is one, with every problem and what is probably not meant. Stores nothing but the answer."""
    try:
        definition = parse_definition(_text(payload.definition))
    except DefinitionError as exc:
        return 200, Validated(valid=False, problems=[_problem(p) for p in exc.problems], warnings=[])
    return 200, Validated(valid=True, problems=[], warnings=[_problem(p) for p in warnings(definition)])


@router.post("/programs/simulate", auth=Needs("programs:simulate"), response={200: Simulated})
@once()
def simulate_program(request: HttpRequest, payload: Simulate):
    """What a definition would pay over these facts: the same computation and document as `manage.py simulate --json`.

    Nothing of the installation's own data is read. At most 5,000 activities, 2,000 participants and 2 MiB; a window of
    the stored facts is tried in the browser.
    """
    definition = parse_definition(_text(payload.definition))
    rates = FileRates(definition.currency)
    simulation = Simulation(definition, rates)
    for field, add in (
        ("rates", rates.add),
        ("participants", simulation.add_person),
        ("targets", simulation.add_target),
        ("activities", simulation.add_activity),
    ):
        _feed(field, getattr(payload, field), add)
    percents = () if payload.sensitivity is None else (-payload.sensitivity, 0, payload.sensitivity)
    return 200, Simulated(**json.loads("".join(simulation.run(percents).json())))


def _feed(field: str, rows: list[dict], add) -> None:
    for row, data in enumerate(rows):
        try:
            add(_numbers_as_text(data))
        except EventError as exc:
            path = f"{field}.{exc.problem.path}" if exc.problem.path else field
            found = {"row": row, "field": path, "code": "invalid", "message": str(exc)}
            raise errors.Invalid(f"{field}, row {row}: {exc}.", errors=[found]) from None


def _numbers_as_text(value):
    """As the command reads a file: no number becomes a float."""
    if isinstance(value, dict):
        return {key: _numbers_as_text(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_numbers_as_text(member) for member in value]
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return str(value)
    return value


def _text(definition: dict) -> str:
    return jsonio.dumps(definition)


def _problem(problem) -> ProblemOut:
    return ProblemOut(path=problem.path, found=str(problem.found), expected=str(problem.expected))
