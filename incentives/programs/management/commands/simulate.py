"""What a program would pay over a history in files. Touches no database. The files: docs/program-definition.md."""

import codecs
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand

from incentives.core.memory import no_cyclic_garbage
from incentives.programs.rules import DefinitionError, parse_definition
from incentives.programs.rules.events import EventError
from incentives.programs.rules.limits import MAX_BYTES
from incentives.programs.rules.numbers import money_text
from incentives.programs.rules.rates import FileRates
from incentives.programs.rules.schema import Definition
from incentives.programs.rules.simulation import Result, Simulation
from incentives.programs.rules.whatif import LEAST

MAX_LINE = 1024 * 1024


class BadInput(Exception):
    """The message for standard error; the exit status is 2."""


class Command(BaseCommand):
    help = "Compute what a program would pay for activities in files, without touching the database."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument(
            "--program", required=True, action="append", metavar="FILE",
            help="the definition (JSON); - reads stdin. Given several times, each is run",
        )  # fmt: skip
        parser.add_argument("--activities", required=True, metavar="FILE", help="one activity (JSON) per line")
        parser.add_argument("--participants", required=True, metavar="FILE", help="one participant (JSON) per line")
        parser.add_argument("--targets", metavar="FILE", help="one target (JSON) per line")
        parser.add_argument("--rates", metavar="FILE", help="one exchange rate (JSON) per line")
        parser.add_argument(
            "--sensitivity",
            type=int,
            metavar="PERCENT",
            help="also the totals with so many per cent fewer and more wins",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")

    def handle(self, *, program, activities, participants, targets=None, rates=None, sensitivity=None, **options):
        self._write_utf8()
        names = [program] if isinstance(program, str) else program
        try:
            check(names, [activities, participants, targets, rates], sensitivity)
            percents = () if sensitivity is None else (-sensitivity, 0, sensitivity)
            results = [simulate(name, activities, participants, targets, rates, percents) for name in names]
        except BadInput as exc:
            self.stderr.write(str(exc))
            sys.exit(2)
        if options["json"]:
            for text in documents(results):
                self.stdout.write(text, ending="")
            self.stdout.write("")
        else:
            self.stdout.write("\n\n".join(map(table, results)))

    def _write_utf8(self) -> None:
        """Whatever the locale says. Half a surrogate pair becomes \\udxxx, which in JSON is what it was read from."""
        for stream in (self.stdout, self.stderr):
            out = getattr(stream, "_out", None)
            if isinstance(out, io.TextIOWrapper):
                out.reconfigure(encoding="utf-8", errors="backslashreplace")


def check(programs: list[str], files: list[str | None], sensitivity: int | None) -> None:
    """Raises BadInput."""
    if [*programs, *files].count("-") > 1:
        raise BadInput("Only one of the files can be standard input (-).")
    if len(programs) > 1 and "-" in files:
        raise BadInput("Several programs read the files several times; standard input (-) can be read once.")
    if sensitivity is not None and not 0 <= sensitivity <= -LEAST:
        raise BadInput(f"--sensitivity {sensitivity}: expected per cent from 0 to {-LEAST}.")


def documents(results: list[Result]) -> Iterator[str]:
    """Of one program its document; of several `{"programs": [...]}` in the order given."""
    if len(results) == 1:
        yield from results[0].json()
        return
    yield '{"programs": ['
    for number, result in enumerate(results):
        yield ", " if number else ""
        yield from result.json()
    yield "]}"


def simulate(
    program: str, activities: str, participants: str, targets: str | None = None, rates: str | None = None,
    percents: tuple[int, ...] = (),
) -> Result:  # fmt: skip
    """Raises BadInput with file, line, field and what was expected."""
    definition = read_definition(program)
    known = FileRates(definition.currency)
    if rates:
        read_lines(rates, known.add)
    simulation = Simulation(definition, known)
    read_lines(participants, simulation.add_person)
    if targets:
        read_lines(targets, simulation.add_target)
    with no_cyclic_garbage():
        read_lines(activities, simulation.add_activity)
        return simulation.run(percents)


def read_definition(name: str) -> Definition:
    try:
        with opened(name) as file:
            return parse_definition(file.read(MAX_BYTES + 1))
    except DefinitionError as exc:
        problems = "\n".join(f"  {problem}" for problem in exc.problems)
        raise BadInput(f"{shown_name(name)}: this is no program definition.\n{problems}") from None


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 (closed below; only opening may fail with this message)
    except OSError as exc:
        raise BadInput(f"{name}: cannot be read ({exc.strerror}).") from None
    with file:
        yield file


def read_lines(name: str, add: Callable[[Any], None]) -> None:
    """Feed every line to `add`. Numbers reach it as the text that stands in the file, so none is a float."""
    with opened(name) as file:
        number = 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            where = f"{shown_name(name)}, line {number}"
            if len(line) > MAX_LINE:
                raise BadInput(f"{where}: longer than {MAX_LINE:,} bytes; expected one object per line.")
            if line.removeprefix(codecs.BOM_UTF8).strip():
                read_line(where, line, add, first=number == 1)


def shown_name(name: str) -> str:
    return "standard input" if name == "-" else name


def read_line(where: str, line: bytes, add: Callable[[Any], None], *, first: bool) -> None:
    try:
        text = line.decode("utf-8-sig" if first else "utf-8")
        add(json.loads(text, parse_float=str, parse_int=str, parse_constant=_no_constant))
    except EventError as exc:
        raise BadInput(f"{where}: {exc}.") from None
    except UnicodeDecodeError:
        raise BadInput(f"{where}: expected UTF-8 text.") from None
    except (ValueError, RecursionError) as exc:
        place = f" ({exc.msg}, column {exc.colno})" if isinstance(exc, json.JSONDecodeError) else ""
        raise BadInput(f"{where}: expected one JSON object per line{place}.") from None


def _no_constant(name: str) -> None:
    raise ValueError(name)


def table(result: Result) -> str:
    """The same figures to read: participants with their periods, the standing, the exceptions."""
    definition = result.definition

    def money(minor: int) -> str:
        return f"{money_text(minor, definition.digits):>14}"

    rows = [f"{definition.name}: {definition.starts_on} to {definition.ends_on}, {definition.currency}", ""]
    rows.append(f"{'participant':<24}{'period':<12}{'measure':>18}{'attainment':>12}{'earned':>14}")
    for key, cards in result.scorecards.items():
        for card in cards:
            reached = "" if card.attainment is None else f"{card.attainment} %"
            measure = result.measure(card.measure)
            rows.append(f"{key:<24}{card.period_start!s:<12}{measure:>18}{reached:>12}{money(card.earned_minor)}")
        rows.extend(f"{key:<24}{'prize':<42}{money(line.amount_minor)}" for line in result.prizes(key))
    rows += ["", f"{'total':<66}{money(result.total_minor)}"]
    rows += [f"{f'total with wins {percent:+} %':<66}{money(minor)}" for percent, minor in result.changed.items()]
    for standing in result.standings:
        rows += ["", f"{'rank':<6}{standing.by:<24}{'measure':>18}{'prize':>14}"]
        rows.extend(
            f"{place.rank:<6}{place.participant:<24}{result.measure(place.measure):>18}{money(place.prize_minor)}"
            for place in standing.places
        )
    if result.exceptions:
        rows += ["", f"exceptions: {len(result.exceptions)}"]
        rows.extend(f"  {item.activity or '-'}: {item.message} ({item.code})" for item in result.exceptions)
    return "\n".join(rows)
