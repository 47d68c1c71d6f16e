"""Starting, running, losing, cancelling, repeating and using simulations; a refusal leaves nothing behind."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from incentives.core.errors import IllegalTransition, NotAllowed
from incentives.core.models import AuditEvent
from incentives.programs import services as programs
from incentives.programs.models import Program, ProgramVersion
from incentives.programs.rules.parsing import DefinitionError, digest, parse_definition
from incentives.simulations import results, services
from incentives.simulations.errors import NothingToUse, SimulationInvalid
from incentives.simulations.models import Candidate, SimulatedPerson, Simulation
from incentives.simulations.services import Source
from tests.factories import (
    deal,
    definition,
    make_budget,
    make_connection,
    make_participant,
    make_program,
    make_user,
    send,
)
from tests.simulations.scene import YEAR, candidate, earned, simulate, source

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager():
    return make_user("manager")


@pytest.fixture
def waiting(manager):
    """One that no worker has looked at."""
    send(make_connection(), deal("D1", make_participant("Ana"), "1000.00"))
    return services.start(actor=manager, candidates=[source(definition())], first=YEAR[0], last=YEAR[1])


def state(simulation) -> tuple:
    simulation.refresh_from_db()
    return (
        simulation.status,
        simulation.attempt,
        SimulatedPerson.objects.filter(candidate__simulation=simulation).count(),
    )


def later(simulation, **fields) -> None:
    Simulation.objects.filter(pk=simulation.pk).update(**fields)


LONG_AGO = timezone.now() - timedelta(hours=1)


# --- start -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"candidates": []}, "one to three"),
        ({"candidates": [source(definition())] * 4}, "one to three"),
        ({"last": date(2025, 12, 31)}, "before the first"),
        ({"last": date(2030, 1, 1)}, "three years"),
        ({"candidates": [source(definition()), source(definition(currency="EUR"))]}, "EUR, USD"),
        ({"baseline": source(definition(currency="EUR"))}, "EUR, USD"),
        ({"targets": "magic"}, "where the targets come from"),
        ({"targets": "flat"}, "above zero"),
        ({"targets": "flat", "target_value": Decimal(0)}, "above zero"),
        ({"percent": -101}, "from -100 to 500"),
        ({"percent": 501}, "from -100 to 500"),
    ],
)
def test_what_cannot_be_simulated_is_refused_and_leaves_nothing(manager, changes, words):
    given = {"candidates": [source(definition())], "first": YEAR[0], "last": YEAR[1]} | changes
    with pytest.raises(SimulationInvalid, match=words):
        services.start(actor=manager, **given)
    assert (Simulation.objects.count(), AuditEvent.objects.filter(action__startswith="simulation").count()) == (0, 0)


def test_a_budget_of_another_currency_and_a_bad_definition_are_refused(manager):
    budget = make_budget(currency="EUR")
    with pytest.raises(SimulationInvalid, match="holds EUR, but USD"):
        services.start(actor=manager, candidates=[source(definition())], first=YEAR[0], last=YEAR[1], budget=budget)
    with pytest.raises(DefinitionError):
        services.start(actor=manager, candidates=[source({"name": "x"})], first=YEAR[0], last=YEAR[1])
    assert Simulation.objects.count() == 0


@pytest.mark.parametrize("role", ["auditor", "administrator", "participant", "partner_admin"])
def test_only_who_may_simulate_starts_and_cancels(waiting, role):
    user = make_user(role)
    with pytest.raises(NotAllowed):
        services.start(actor=user, candidates=[source(definition())], first=YEAR[0], last=YEAR[1])
    with pytest.raises(NotAllowed):
        services.cancel(simulation=waiting, actor=user)
    assert state(waiting) == ("queued", 0, 0)
    assert Simulation.objects.count() == 1


# --- run -------------------------------------------------------------------------------------------------------------
def test_a_worker_runs_what_waits_once(waiting):
    assert services.carry_on() == 1
    assert state(waiting) == ("done", 1, 1)
    assert waiting.took is not None and waiting.lease_until is None
    assert services.carry_on() == 0


@pytest.mark.pure
def test_the_message_goes_to_the_queue_of_what_may_wait():
    route = services.current_app.amqp.router.route({}, "simulations.carry_on")
    assert route["queue"].name == "reports"


def test_one_at_a_time_so_that_simulations_hold_no_more_than_one_process(waiting, manager):
    services.start(actor=manager, candidates=[source(definition())], first=YEAR[0], last=YEAR[1])
    held = services._claim()
    assert held is not None and services._claim() is None
    assert held.advance() and services.carry_on() == 1


def test_a_run_whose_worker_was_killed_is_taken_over_and_the_lost_one_writes_nothing(waiting):
    lost = services._claim()
    later(waiting, lease_until=LONG_AGO)
    assert services.carry_on() == 1
    assert state(waiting) == ("done", 2, 1)
    finished_at = waiting.finished_at
    lost.advance()
    assert state(waiting) == ("done", 2, 1)
    assert waiting.finished_at == finished_at


def test_a_run_that_ends_its_worker_three_times_fails_and_says_so(waiting):
    for _ in range(3):
        assert services._claim() is not None
        later(waiting, lease_until=LONG_AGO)
    assert services.carry_on() == 0
    assert state(waiting) == ("failed", 3, 0)
    assert "ended 3 times" in waiting.error


def test_an_error_fails_the_run_clearly_and_keeps_nothing(waiting, monkeypatch):
    def broken(outcomes):
        SimulatedPerson.objects.create(
            candidate=candidate(waiting), participant=make_participant(), earned_minor=1, low_minor=1, high_minor=1, measure=1
        )  # fmt: skip
        raise RuntimeError("secret")

    monkeypatch.setattr(results, "store", broken)
    services.carry_on()
    assert state(waiting) == ("failed", 1, 0)
    assert "RuntimeError" in waiting.error and "secret" not in waiting.error


def test_the_sweep_waits_for_a_worker_and_then_works_in_slices(waiting, monkeypatch):
    monkeypatch.setattr(services, "_held", None)
    sent = []
    monkeypatch.setattr(services.current_app, "send_task", sent.append)
    assert services.sweep_once() == 0
    assert (sent, state(waiting)) == (["simulations.carry_on"], ("queued", 0, 0))
    later(waiting, created_at=LONG_AGO)
    assert services.sweep_once(seconds=0) == 0, "the first slice ends after the first chunk"
    assert state(waiting)[:2] == ("running", 1)
    rounds = 0
    while not services.sweep_once(seconds=0):
        rounds += 1
        assert rounds < 10
    assert state(waiting) == ("done", 1, 1)
    assert services.sweep_once() == 0


def test_no_broker_fails_nothing(waiting, monkeypatch):
    def away(name):
        raise ConnectionError

    monkeypatch.setattr(services.current_app, "send_task", away)
    services.nudge()
    monkeypatch.setattr(services, "_held", None)
    later(waiting, created_at=LONG_AGO)
    assert services.sweep_once(seconds=60) == 1
    assert state(waiting) == ("done", 1, 1)


# --- cancel, repeat --------------------------------------------------------------------------------------------------
def test_cancelling_ends_a_run_and_a_cancelled_one_keeps_nothing(waiting, manager):
    run = services._claim()
    services.cancel(simulation=waiting, actor=manager)
    run.advance()
    assert state(waiting) == ("cancelled", 1, 0)
    with pytest.raises(IllegalTransition):
        services.cancel(simulation=waiting, actor=manager)
    assert AuditEvent.objects.filter(action="simulation.cancelled").count() == 1


def test_what_is_done_cannot_be_cancelled(waiting, manager):
    services.carry_on()
    with pytest.raises(IllegalTransition):
        services.cancel(simulation=waiting, actor=manager)
    assert state(waiting) == ("done", 1, 1)


def test_running_again_takes_the_facts_as_they_are_now(manager):
    ana, crm = make_participant("Ana"), make_connection()
    program = make_program(manager=manager)
    send(crm, deal("D1", ana, "1000.00"))
    idea = source(definition(rewards=[{"type": "percent", "rate": "5"}]))
    done = simulate(manager, idea, baseline=Source.of(program.current_version), percent=30, budget=program.budget)
    send(crm, deal("D2", ana, "1000.00"))
    again = services.repeat(simulation=done, actor=manager)
    services.carry_on()
    assert (earned(done), earned(again)) == ({"Ana": 5000}, {"Ana": 10_000})
    assert earned(again, field="before_minor") == {"Ana": 4000}
    assert (again.options, again.budget) == (done.options, done.budget)


# --- use -------------------------------------------------------------------------------------------------------------
def test_using_an_idea_makes_a_new_draft_program(manager):
    budget = make_budget(funded="100.00")
    done = simulate(manager, source(definition(name="An idea")), budget=budget)
    program = services.use(candidate=candidate(done), actor=manager)
    assert (program.name, program.status, program.budget) == ("An idea", "draft", budget)
    assert program.versions.get().digest == candidate(done).digest


def test_using_a_changed_version_makes_it_the_draft_and_the_same_draft_stays(manager):
    program = make_program(name="Bonus", manager=manager)
    better = definition(name="Bonus", rewards=[{"type": "percent", "rate": "3"}])
    done = simulate(manager, source(better, program=program))
    assert services.use(candidate=candidate(done), actor=make_user("manager")) == program
    draft = program.versions.get(published_at__isnull=True)
    assert (draft.number, draft.digest) == (2, digest(parse_definition(better)))
    assert services.use(candidate=candidate(done), actor=manager) == program
    assert program.versions.count() == 2
    assert program.versions.get(number=2).created_by == draft.created_by, "who wrote it stays who wrote it"


def test_the_version_in_force_is_nothing_to_use(manager):
    program = make_program(manager=manager)
    done = simulate(manager, Source.of(program.current_version))
    with pytest.raises(NothingToUse):
        services.use(candidate=candidate(done), actor=manager)
    assert (program.versions.count(), AuditEvent.objects.filter(action="simulation.used").count()) == (1, 0)


def test_a_closed_program_gets_a_successor(manager):
    program = make_program(manager=manager, name="Old")
    programs.change_status(program=program, new="closed", actor=manager)
    done = simulate(manager, Source.of(program.current_version))
    assert services.use(candidate=candidate(done), actor=manager) != program
    assert Program.objects.filter(name="Old").count() == 2


def test_finance_may_simulate_but_not_use(manager):
    finance = make_user("finance")
    done = simulate(finance, source(definition()))
    with pytest.raises(NotAllowed):
        services.use(candidate=candidate(done), actor=finance)
    assert (Program.objects.count(), ProgramVersion.objects.count(), Candidate.objects.count()) == (0, 0, 1)
