"""`lifeboat forget`: take an entity out of what is kept of live rows, and say where it still is."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from lifeboat.config.settings import Settings
from lifeboat.personal.forgetting import Forgotten
from lifeboat.personal.forgetting import forget as forget_entity
from lifeboat.personal.run_files import QUARANTINE
from lifeboat.registry.registry import Registry
from lifeboat.registry.versions import one_line, whoever
from lifeboat.system.markup import terminal_text
from lifeboat.usecase.usecase import load_usecase

# The exit code where the detector has not confirmed it.
NOT_YET = 3


def forget(options: argparse.Namespace, settings: Settings) -> int:
    """Forgets an entity, and prints what became of its rows."""
    usecase = load_usecase(options.usecase)
    found = forget_entity(
        usecase,
        settings,
        options.entity,
        table=options.data or str(usecase.data),
        by=whoever(),
        because=one_line(options.because),
        patience=options.patience,
        say=lambda line: print(f"{line} ...", file=sys.stderr),
    )
    numbers = {one.digest: one.version for one in Registry(settings).overview(usecase.name).versions}
    print(f"Forgotten in {usecase.name}, on record in {terminal_text(found.record)}")
    print("\n".join(_lines(found, numbers)))
    return 0 if found.detector is not None else NOT_YET


def _lines(found: Forgotten, numbers: dict[str, str]) -> Iterator[str]:
    yield f"  labelled rows  {found.labelled.rows:,} taken out of {found.labelled.parts:,} files"
    yield f"  detector       {_detector(found.detector)}"
    yield f"  {QUARANTINE}     {found.quarantine:,} rows taken out"
    if found.table:
        yield f"Still in the table {terminal_text(found.table)}: take it out there, or the next run learns it again."
    for run, kinds in found.runs.items():
        yield f"Still in the run {terminal_text(run)}: {', '.join(kinds)}. Remove it, or see lifeboat retain."
    for digest, what in found.bundles.items():
        name = f"Version {numbers[digest]}" if digest in numbers else "A bundle that is no version"
        yield f"{name} ({digest[:12]}) {what}: only one that is trained anew knows nothing of it."
    if found.bundles:
        yield "Their drift references (reference.parquet) may have its inputs, without the id."
    for sentence in found.unknown:
        yield f"Not looked into: {terminal_text(sentence)}"


def _detector(did: dict[str, int] | None) -> str:
    if did is None:
        return "has not done it yet: it does once it runs (lifeboat serve); say this again to see it confirmed"
    if not did:
        return "there is none with rows"
    return f"{did['rows']:,} rows, {did['labels']:,} truths and {did['truths']:,} waiting ones taken out"
