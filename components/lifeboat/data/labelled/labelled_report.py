"""What labelled rows there are, for people and other programs; `labelled_rows` is how it is stored.

It holds raw columns, as they were asked: what is derived from them is in the model's graph, so there is nothing to
compute beforehand and nothing that could differ between training and serving.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from lifeboat.config.errors import StorageError
from lifeboat.data.labelled.hidden_columns import HIDDEN, LABELLED_AT, VERSION
from lifeboat.data.labelled.labelled_rows import LabelledRows, stored_schema
from lifeboat.data.table import check_table
from lifeboat.system.files import replacing
from lifeboat.tasks.kinds import task_of
from lifeboat.usecase.schema import Schema

SUFFIXES = (".csv", ".parquet")
METADATA = b"lifeboat-features"
# How a version is called that nobody noted.
UNKNOWN = "unknown"
_DAY = 86_400


@dataclass(frozen=True)
class Contents:
    """The labelled rows of a use case in figures.

    Args:
        rows: predictions whose truth is known.
        broken: those among them that break the schema as it is today: a run would put them into quarantine.
        corrected: truths that a later one of the same source contradicts; they are no rows any more.
        sources: who said what was true, to rows.
        apart: rows that are in the store and do not teach, by why and source, see `LabelledRows`.
        days: UTC day on which truth came, in order, to rows.
        label: what the rows that are not broken hold of it, see `Task.facts`.
        versions: version of the model that answered to rows.
        nulls: input or key to the share of rows without a value, 0 to 1; empty without rows.
        parts: files that these rows come from.
        refused: key to reason of the files that cannot be used.
        digest: of the rows, empty without any.
        until: when the last of their truths came; as of then the store holds the same rows. Empty without any.
    """

    rows: int
    broken: int
    corrected: int
    sources: dict[str, int]
    apart: dict[str, dict[str, int]]
    days: dict[str, int]
    label: dict[str, Any]
    versions: dict[str, int]
    nulls: dict[str, float]
    parts: int
    refused: dict[str, str]
    digest: str
    until: str


def describe(found: LabelledRows, schema: Schema) -> Contents:
    """Counts what `load_labelled` gave.

    Args:
        found: the rows.
        schema: of the use case.
    """
    table, label = found.table, schema.label
    inputs = table.drop_columns([column.name for column in HIDDEN])
    checked = check_table(inputs, stored_schema(schema), labelled=True, name="labelled rows")
    days = pc.floor(pc.divide(table.column(LABELLED_AT), _DAY))
    return Contents(
        rows=table.num_rows,
        broken=len(checked.problems),
        corrected=found.corrected,
        sources=found.sources,
        apart=found.apart,
        days={_day(number): rows for number, rows in sorted(_counts(days).items())},
        label=task_of(label).facts(checked.good.column(label.name).to_numpy()),
        versions=_versions(table.column(VERSION)),
        nulls={name: _null_share(table.column(name)) for name in _nullable(found, schema)},
        parts=found.parts,
        refused=found.refused,
        digest=found.digest,
        until=found.until,
    )


def _counts(cells: pa.ChunkedArray) -> dict[Any, int]:
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(cells).to_pylist()}


def _day(number: float) -> str:
    return datetime.fromtimestamp(number * _DAY, UTC).date().isoformat()


def _versions(cells: pa.ChunkedArray) -> dict[str, int]:
    """Version 10 stands behind version 9."""
    counts = _counts(pc.fill_null(cells, UNKNOWN))
    return dict(sorted(counts.items(), key=lambda item: (len(item[0]), item[0])))


def _nullable(found: LabelledRows, schema: Schema) -> list[str]:
    """What may be null in a row; of no rows nothing is known."""
    return [column.name for column in (*schema.columns, *schema.keys)] if found.table.num_rows else []


def _null_share(cells: pa.ChunkedArray) -> float:
    text = pa.types.is_string(cells.type)
    null = pc.equal(pc.fill_null(cells, ""), "") if text else pc.is_null(cells, nan_is_null=True)
    return float(np.mean(null.to_numpy()))


def check_target(path: Path) -> None:
    """Refuses a file that `write_rows` could not write, before anything is read for it.

    Raises:
        StorageError: it has another ending, or is a directory.
    """
    if path.suffix not in SUFFIXES:
        raise StorageError(f"{path} ends in neither {' nor '.join(SUFFIXES)}")
    if path.is_dir():
        raise StorageError(f"{path} is a directory")


def write_rows(path: Path, found: LabelledRows, facts: dict[str, str]) -> None:
    """Writes the rows as one table, whole or not at all: inputs, keys, label and the hidden columns.

    Args:
        path: a .csv or .parquet file; an old one is replaced.
        found: the rows, numbers as float64 and nulls as they are.
        facts: whose rows they are, as of when, and their digest; they go into a Parquet file's metadata.

    Raises:
        StorageError: see `check_target`, or it cannot be written.
    """
    check_target(path)
    with replacing(path) as temporary:
        if path.suffix == ".csv":
            pa.csv.write_csv(found.table, temporary)
        else:
            metadata = {METADATA + b"." + name.encode(): text for name, text in facts.items()}
            pq.write_table(found.table.replace_schema_metadata(metadata), temporary)
