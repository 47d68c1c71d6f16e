"""Starting, running, cancelling and using simulations. A simulation never touches facts, earnings or money."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from celery import current_app
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext

from incentives.core import audit
from incentives.core.errors import DomainError, IllegalTransition, NotAllowed
from incentives.core.memory import no_cyclic_garbage
from incentives.ledger.models import Budget
from incentives.programs import services as programs
from incentives.programs.models import Program, ProgramVersion
from incentives.programs.rules.parsing import canonical, digest, parse_definition
from incentives.programs.rules.whatif import LEAST, MOST, moved
from incentives.programs.targets import MOST as LARGEST_TARGET
from incentives.simulations import inputs, results
from incentives.simulations.errors import NothingToUse, SimulationInvalid
from incentives.simulations.models import Candidate, Simulation

log = logging.getLogger(__name__)
S = Simulation.Status
MOST_CANDIDATES = 3
LONGEST = timedelta(days=3 * 366)
LEASE = timedelta(seconds=60)
ATTEMPTS = 3
"""A run that was interrupted so often is given up: something about it ends its worker."""
PATIENCE = timedelta(seconds=30)
"""So long the sweep waits for a worker to answer the message before it runs a simulation itself."""
SLICE_SECONDS = 4
"""So long one round of the sweep works on a simulation; the next goes on with it. Money comes before."""


@dataclass(frozen=True, slots=True)
class Source:
    """A definition to try: a document, and the program and version it is from, where it is from one."""

    document: dict
    label: str
    program: Program | None = None
    version: ProgramVersion | None = None

    @classmethod
    def of(cls, version: ProgramVersion) -> "Source":
        words = gettext("draft") if version.published_at is None else gettext("version %(n)s") % {"n": version.number}
        return cls(version.definition, f"{version.definition['name']} ({words})", version.program, version)


# --- start -----------------------------------------------------------------------------------------------------------
def start(
    *, actor, candidates: list[Source], first: date, last: date, baseline: Source | None = None, name: str = "",
    budget: Budget | None = None, targets: str = inputs.ORDINAL, target_value: Decimal | None = None,
    percent: int | None = None,
) -> Simulation:  # fmt: skip
    """Queue a run of one to three candidates over the days from `first` to `last`, both included.

    `percent`: one more change of the wins besides 20 per cent down and up. `target_value`: units of the measure, for
    targets `flat`. Raises NotAllowed, SimulationInvalid, DefinitionError. A repeat makes another simulation.
    """
    _require(actor, "programs.simulate")
    _check(candidates, baseline, first, last, budget, targets, target_value, percent)
    currency = parse_definition(candidates[0].document).currency
    options = {
        "targets": targets,
        "target_value": str(target_value) if targets == inputs.FLAT else None,
        "percents": [] if percent is None else [percent],
    }
    with transaction.atomic():
        simulation = Simulation.objects.create(
            name=(name or candidates[0].label)[:200], currency=currency, starts_on=first, ends_on=last, budget=budget,
            options=options, created_by=actor,
        )  # fmt: skip
        sources = [(0, baseline)] if baseline else []
        sources += list(enumerate(candidates, start=1))
        Candidate.objects.bulk_create([_candidate(simulation, position, source) for position, source in sources])
        audit.record("simulation.started", simulation, actor=actor, after=_told(simulation, candidates))
        transaction.on_commit(nudge, robust=True)
    return simulation


def _check(candidates, baseline, first, last, budget, targets, target_value, percent) -> None:
    if not 1 <= len(candidates) <= MOST_CANDIDATES:
        raise SimulationInvalid(gettext("Choose one to three definitions to try."))
    if last < first:
        raise SimulationInvalid(gettext("The last day is before the first one."))
    if last - first > LONGEST:
        raise SimulationInvalid(gettext("The window is longer than three years. Choose a shorter one."))
    everything = [*candidates, *([baseline] if baseline else [])]
    definitions = [parse_definition(source.document) for source in everything]
    for definition in definitions:
        moved(definition, first, last)
    currencies = sorted({definition.currency for definition in definitions})
    if len(currencies) > 1:
        words = gettext("They pay in %(currencies)s. Compare definitions that pay in one currency.")
        raise SimulationInvalid(words % {"currencies": ", ".join(currencies)})
    if budget is not None and budget.currency != currencies[0]:
        words = gettext("The budget %(budget)s holds %(other)s, but %(currency)s would be paid.")
        raise SimulationInvalid(words % {"budget": budget, "other": budget.currency, "currency": currencies[0]})
    if targets not in (inputs.ORDINAL, inputs.GIVEN, inputs.FLAT):
        raise SimulationInvalid(gettext("Choose where the targets come from."))
    if targets == inputs.FLAT and (target_value is None or not 0 < target_value <= LARGEST_TARGET):
        raise SimulationInvalid(gettext("Give the target that everybody has, above zero."))
    if percent is not None and not LEAST <= percent <= MOST:
        words = gettext("The change of the wins is a whole number from %(least)s to %(most)s per cent.")
        raise SimulationInvalid(words % {"least": LEAST, "most": MOST})


def _candidate(simulation: Simulation, position: int, source: Source) -> Candidate:
    definition = parse_definition(source.document)
    return Candidate(
        simulation=simulation, position=position, label=source.label[:200], document=canonical(definition),
        digest=digest(definition), program=source.program, version=source.version,
    )  # fmt: skip


def _told(simulation: Simulation, candidates: list[Source]) -> dict:
    return {
        "first": str(simulation.starts_on),
        "last": str(simulation.ends_on),
        "candidates": [source.label for source in candidates],
    }


def nudge() -> None:
    """Ask a worker to look. A hint: the sweep looks as well."""
    try:
        current_app.send_task("simulations.carry_on")
    except Exception as exc:  # a broker that is away must not fail what is committed
        log.warning("no broker for a hint: %s", type(exc).__name__)


# --- run -------------------------------------------------------------------------------------------------------------
class Run:
    """One attempt of one simulation, which may be worked on in slices."""

    def __init__(self, simulation: Simulation):
        self.simulation = simulation
        self._work: Iterator = results.work(simulation)
        self._told = 0.0

    def advance(self, until: float | None = None) -> bool:
        """Work until it has ended (True) or the monotonic clock shows `until` (False)."""
        try:
            with no_cyclic_garbage():
                return self._advance(until)
        except Exception as exc:
            log.exception("simulation %s failed", self.simulation.pk)
            self._fail(exc)
        return True

    def _advance(self, until: float | None) -> bool:
        for found in self._work:
            if isinstance(found, list):
                self._finish(found)
                return True
            if not self._tell(found):
                log.info("simulation %s is not ours any more", self.simulation.pk)
                return True
            if until is not None and time.monotonic() > until:
                return False
        return True

    def _mine(self):
        return Simulation.objects.filter(pk=self.simulation.pk, status=S.RUNNING, attempt=self.simulation.attempt)

    def _tell(self, done: int) -> bool:
        """Keep the lease and show the progress, once a second at most. False when it was cancelled or taken over."""
        if time.monotonic() - self._told < 1:
            return True
        self._told = time.monotonic()
        return bool(self._mine().update(done=done, lease_until=timezone.now() + LEASE))

    def _finish(self, outcomes: list[results.Outcome]) -> None:
        with transaction.atomic():
            ended = self._mine().update(
                status=S.DONE, finished_at=timezone.now(), lease_until=None, done=F("total"), error=""
            )
            if ended:
                results.store(outcomes)

    def _fail(self, exc: Exception) -> None:
        words = gettext("It could not be computed (%(kind)s). The log of the worker says why; start it again.")
        message = exc.user_message if isinstance(exc, DomainError) else words % {"kind": type(exc).__name__}
        self._mine().update(status=S.FAILED, error=message[:500], finished_at=timezone.now(), lease_until=None)


def carry_on() -> int:
    """Run whatever waits, to the end. What a worker of the queue `reports` does. Returns how many runs ended."""
    ended = 0
    while (run := _claim()) is not None:
        run.advance()
        ended += 1
    return ended


def _due() -> Q:
    return Q(status=S.QUEUED) | Q(status=S.RUNNING, lease_until__lt=timezone.now())


def _claim() -> Run | None:
    """Take the oldest one that waits, or whose worker is silent. One at a time in the whole installation: where one
    worker serves all queues, simulations may hold no more than one of its processes."""
    give_up()
    now = timezone.now()
    if Simulation.objects.filter(status=S.RUNNING, lease_until__gte=now).exists():
        return None
    for pk in Simulation.objects.filter(_due()).order_by("pk").values_list("pk", flat=True)[:5]:
        taken = Simulation.objects.filter(_due(), pk=pk).update(
            status=S.RUNNING, attempt=F("attempt") + 1, lease_until=now + LEASE, started_at=now, done=0
        )
        if taken:
            simulation = Simulation.objects.get(pk=pk)
            simulation.total = inputs.facts_between(simulation.starts_on, simulation.ends_on).count()
            simulation.save(update_fields=["total"])
            return Run(simulation)
    return None


def give_up() -> int:
    """End what was interrupted too often. Returns how many; a repeat ends nothing."""
    words = gettext("Its worker ended %(n)s times before it was done. Choose a shorter window, or look at its memory.")
    lost = Simulation.objects.filter(status=S.RUNNING, lease_until__lt=timezone.now(), attempt__gte=ATTEMPTS)
    return lost.update(status=S.FAILED, error=words % {"n": ATTEMPTS}, finished_at=timezone.now(), lease_until=None)


_held: Run | None = None
"""What this process's sweep has begun and not ended."""


def sweep_once(seconds: float = SLICE_SECONDS) -> int:
    """Go on with a simulation that no worker took, a slice at a time. Returns how many ended."""
    global _held
    if _held is None:
        give_up()
        if not Simulation.objects.filter(_due()).exists():
            return 0
        nudge()
        waits = Q(status=S.QUEUED, created_at__lt=timezone.now() - PATIENCE)
        waits |= Q(status=S.RUNNING, lease_until__lt=timezone.now() - PATIENCE)
        _held = _claim() if Simulation.objects.filter(waits).exists() else None
    if _held is None:
        return 0
    if not _held.advance(time.monotonic() + seconds):
        return 0
    _held = None
    return 1


# --- decide ----------------------------------------------------------------------------------------------------------
def cancel(*, simulation: Simulation, actor) -> Simulation:
    """End one that waits or runs; its worker notices within seconds. Raises NotAllowed, IllegalTransition."""
    _require(actor, "programs.simulate")
    with transaction.atomic():
        open_ones = Simulation.objects.filter(pk=simulation.pk, status__in=Simulation.OPEN)
        if not open_ones.update(status=S.CANCELLED, finished_at=timezone.now(), lease_until=None):
            simulation.refresh_from_db()
            raise IllegalTransition(simulation, S.CANCELLED.label.lower())
        simulation.refresh_from_db()
        audit.record("simulation.cancelled", simulation, actor=actor)
    return simulation


def repeat(*, simulation: Simulation, actor) -> Simulation:
    """Queue the same once more, with facts, people, targets and rates as they are now. Raises as start."""
    _require(actor, "programs.simulate")
    found = {
        candidate.position: Source(candidate.document, candidate.label, candidate.program, candidate.version)
        for candidate in simulation.candidates.select_related("program", "version")
    }
    options, value = simulation.options, simulation.options.get("target_value")
    return start(
        actor=actor, candidates=[found[n] for n in sorted(found) if n], baseline=found.get(0), name=simulation.name,
        first=simulation.starts_on, last=simulation.ends_on, budget=simulation.budget, targets=options["targets"],
        target_value=Decimal(value) if value else None, percent=next(iter(options["percents"]), None),
    )  # fmt: skip


def goes_into(candidate: Candidate) -> bool:
    """Whether `use` writes into the candidate's own program, instead of making a new one."""
    program = candidate.program
    return program is not None and program.status not in (Program.Status.CLOSED, Program.Status.ARCHIVED)


def use(*, candidate: Candidate, actor) -> Program:
    """Make the candidate's definition the draft of its program, ready to launch; without a program, or with one that is
    closed, a new draft program. A draft that says the same stays as it is. Returns the program.

    Raises NotAllowed, NothingToUse (it is the version in force), and what create_program and edit_draft raise.
    """
    _require(actor, "programs.edit")
    simulation, program = candidate.simulation, candidate.program
    note = gettext("From the simulation %(name)s") % {"name": simulation.name}
    with transaction.atomic():
        if not goes_into(candidate):
            program = programs.create_program(document=candidate.document, actor=actor, budget=simulation.budget)
        else:
            _into_draft(program, candidate, actor, note[:200])
        audit.record(
            "simulation.used", simulation, actor=actor,
            after={"candidate": candidate.label, "digest": candidate.digest, "program": str(program.public_id)},
        )  # fmt: skip
    return program


def _into_draft(program: Program, candidate: Candidate, actor, note: str) -> None:
    draft = program.versions.filter(published_at__isnull=True).first()
    if draft is not None and draft.digest == candidate.digest:
        return
    current = program.current_version
    if current is not None and current.digest == candidate.digest:
        raise NothingToUse(gettext("This is the version in force already."))
    programs.edit_draft(program=program, document=candidate.document, actor=actor, note=note)


def _require(actor, permission: str) -> None:
    if not actor.can(permission):
        raise NotAllowed
