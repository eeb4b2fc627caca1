"""`lifeboat check`: all that would stop a run, at once, each with its remedy."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field

from rich.console import Console

from lifeboat.checks.candidates import check_candidates
from lifeboat.checks.data import check_data
from lifeboat.checks.places import check_places
from lifeboat.config.errors import LifeboatError
from lifeboat.config.settings import Settings
from lifeboat.services.ports import port_problems
from lifeboat.system.markup import terminal_text
from lifeboat.usecase.gates import Gate, parse_bounds, refuse_unknown_metrics
from lifeboat.usecase.usecase import UseCase, load_usecase


@dataclass
class Findings:
    """What was found of a run that is to be.

    Args:
        usecase: None where it cannot be loaded.
        facts, problems, warnings: sentences; a problem would stop the run.
    """

    usecase: UseCase | None = None
    facts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check(options: argparse.Namespace, settings: Settings) -> int:
    """Prints what was found; gives 1 where it would stop a run."""
    console, start = Console(file=sys.stdout, highlight=False), time.perf_counter()
    found = find(options, settings)
    title = f"{found.usecase.title}  (use case {found.usecase.name})" if found.usecase else options.usecase
    console.print(f"[bold]{_plain(title)}[/bold]", soft_wrap=True)
    for line in found.facts:
        console.print(f"  {terminal_text(line)}", markup=False, soft_wrap=True)
    show_findings(found, console)
    seconds = f"checked in {time.perf_counter() - start:.1f} s"
    if found.problems:
        console.print(f"\n{_count(len(found.problems), 'problem')} would stop a run; {seconds}.")
        return 1
    console.print(f"\n[green]Nothing would stop a run[/green]; {seconds}.")
    return 0


def find(options: argparse.Namespace, settings: Settings) -> Findings:
    """Looks at everything, whatever is found on the way.

    Args:
        options: of a parser with a use case and the flags of a run.
        settings: home, ports, stores.
    """
    found = Findings(problems=check_places(settings))
    bounds: tuple[Gate, ...] = ()
    try:
        bounds = parse_bounds(options.require)
    except LifeboatError as error:
        found.problems.append(f"--require: {error}")
    try:
        found.usecase = usecase = load_usecase(options.usecase)
    except LifeboatError as error:
        found.problems.append(str(error))
        return found
    try:
        refuse_unknown_metrics(bounds, usecase.task)
    except LifeboatError as error:
        found.problems.append(f"--require: {error}")
    found.problems += port_problems(settings, usecase.name)
    table = check_data(usecase, options.data or str(usecase.data), settings.s3)
    found.facts += table.facts
    found.problems += table.problems
    found.warnings += table.warnings
    if table.rows is not None:
        usable, refused = check_candidates(options.usecase, usecase, table.rows, settings)
        found.facts.append(f"candidates: {len(usable)} of {len(usecase.candidates)} can be trained and served")
        (found.warnings if usable else found.problems).extend(refused)
    return found


def show_findings(found: Findings, console: Console) -> None:
    """Prints warnings and problems, numbered."""
    for line in found.warnings:
        console.print(f"  [yellow]warning[/yellow]  {_plain(line)}", soft_wrap=True)
    for number, line in enumerate(found.problems, start=1):
        console.print(f"  [red]{number}.[/red] {_plain(line)}", soft_wrap=True)


def _plain(text: str) -> str:
    return terminal_text(text).replace("[", r"\[")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
