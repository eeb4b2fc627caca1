"""Which candidates can be trained, exported and served: found out on a few rows, and kept until the source changes."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa

from components.core.errors import StorageError
from components.core.files import write_text
from components.core.importing import import_reference, source_digest
from components.core.settings import Settings
from components.core.usecase import UseCase

FOLDER = "checks"


def check_candidates(
    reference: str, usecase: UseCase, rows: pa.Table, settings: Settings
) -> tuple[list[str], list[str]]:
    """The names of those that can be used, and a sentence for each other one.

    Args:
        reference: of the use case, whose source decides whether it was looked at before.
        usecase: its candidates.
        rows: of the table, checked and good.
        settings: their home keeps what is found.
    """
    digest = source_digest(import_reference(reference))
    file = settings.home_path / FOLDER / f"{usecase.name}-{digest[:32]}.json"
    found = _read(file)
    if found is None:
        found = _examine(usecase, rows)
        _keep(file, found)
    usable = [candidate.name for candidate in usecase.candidates if candidate.name not in found]
    return usable, [f"candidate {name!r} is left out: {problem}" for name, problem in found.items()]


def _examine(usecase: UseCase, rows: pa.Table) -> dict[str, str]:
    # Imported here: scikit-learn and the converters take a second, which a check that finds its answer need not pay.
    from components.train.parity import data_frame
    from components.train.preflight import examine

    y = rows.column(usecase.schema.label.name).to_numpy()
    return {one.candidate: one.problem for one in examine(usecase, data_frame(rows, usecase.schema), y)}


def _read(file: Path) -> dict[str, str] | None:
    try:
        return dict(json.loads(file.read_bytes()))
    except (OSError, ValueError):  # not there, or not whole: it is found out again
        return None


def _keep(file: Path, found: dict[str, str]) -> None:
    try:
        write_text(file, json.dumps(found, indent=1) + "\n")
    except StorageError:  # a home that cannot be written is told of by itself
        return
    for old in file.parent.glob(f"{file.name.rpartition('-')[0]}-*.json"):
        if old != file:
            old.unlink(missing_ok=True)
