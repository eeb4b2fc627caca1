"""`lifeboat init`: a repository of the user's own, from a table or with an example."""

from __future__ import annotations

import argparse
import sys
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from lifeboat.config.errors import DataError, SettingsError
from lifeboat.config.settings import Settings
from lifeboat.data.reading import read_first_rows
from lifeboat.project.inference import Role, TableGuess, guess_table, likely_labels
from lifeboat.project.writing import NewProject, check_name, write_project
from lifeboat.usecase.column import listed
from lifeboat.usecase.label import BinaryLabel, Label

# So many classes are named.
_SHOWN = 10
_COLOURS: dict[Role, str] = {"input": "green", "key": "cyan", "left out": "dim"}


def init(options: argparse.Namespace, settings: Settings) -> int:  # noqa: ARG001  # every verb's signature
    """Writes a project and says what was guessed, and what to type next."""
    console = Console(file=sys.stdout, highlight=False)
    check_name(options.name)
    source = (
        Path(options.data) if options.data else Path(str(files("lifeboat.usecases.titanic") / "data" / "train.csv"))
    )
    table = _read(source, console)
    asking = not options.yes
    if asking and not sys.stdin.isatty():
        raise SettingsError("there is nobody to ask: --yes takes the guesses, --label, --positive and --id answer")
    guess = _guess(options, table, str(source), asking)
    _show(guess, console)
    folder = Path(options.folder or options.name)
    title = options.title or f"{guess.label.name} of a row of {source.name}"
    written = write_project(NewProject(options.name, title, source, guess), folder)
    console.print(f"\nwrote {len(written)} files into {folder}/; next:", markup=False)
    console.print(f"\n  cd {folder}\n  make run\n", markup=False)
    return 0


def _read(path: Path, console: Console) -> pa.Table:
    table, whole = read_first_rows(
        path, name=str(path), assume=lambda line: console.print(f"assumed: {line}", markup=False)
    )
    if not whole:
        console.print(f"the first {table.num_rows:,} rows were looked at", markup=False)
    return table


def _guess(options: argparse.Namespace, table: pa.Table, name: str, asking: bool) -> TableGuess:
    label = options.label or _label(table, name, asking)
    left_out = tuple(options.leave_out or ())

    def guessed(positive: str | None, id_: str | None) -> TableGuess:
        return guess_table(table, label=label, positive=positive, id_=id_, left_out=left_out, name=name)

    guess = guessed(options.positive, options.id)
    if not asking:
        return guess
    positive, id_ = options.positive, options.id
    if positive is None and isinstance(guess.label, BinaryLabel):
        positive = _ask(f"Which class of {label} is asked for", guess.label.classes[1], guess.label.classes)
    if id_ is None:
        columns = ["", *(column for column in table.column_names if column != label)]
        id_ = _ask("Which column names a row (empty for none)", guess.id or "", columns)
    return guessed(positive, id_)


def _label(table: pa.Table, name: str, asking: bool) -> str:
    likely = likely_labels(table)
    if asking:
        return _ask("Which column is to be predicted", likely[0] if likely else "", table.column_names)
    if not likely:
        raise DataError(
            "no column is called like a label or holds two values: --label names the one to predict", file=name
        )
    return likely[0]


def _ask(question: str, guess: str, answers: list[str] | tuple[str, ...]) -> str:
    while True:
        answer = input(f"{question}? [{guess}] ").strip() or guess
        if answer in answers:
            return answer
        print(f"  {answer!r} is none of {', '.join(filter(None, answers))}")


def _show(guess: TableGuess, console: Console) -> None:
    shown = Table("column", "is", "declared as")
    for one in guess.guesses:
        column = one.column
        limits = ", ".join(map(str, column.categories))
        if column.kind in ("integer", "float"):
            limits = limits or column.limits
        what = f"{column.kind}{', may be missing' if column.nullable else ''}{f': {limits}' if limits else ''}"
        shown.add_row(_plain(column.name), f"[{_COLOURS[one.role]}]{one.role}[/]", _plain(one.why or what))
    shown.add_row(_plain(guess.label.name), "[bold]label[/]", _plain(_described(guess.label)))
    console.print(shown)
    for warning in guess.warnings:
        console.print(f"[yellow]warning[/yellow]  {_plain(warning)}", soft_wrap=True)


def _described(label: Label) -> str:
    if isinstance(label, BinaryLabel):
        return f"{label.classes[1]} is asked for, {label.classes[0]} is the other"
    spellings = label.spellings
    return spellings[0] if len(spellings) == 1 else f"one of {listed(spellings, _SHOWN)}"


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
