"""Preprocess: read, check, deduplicate and split a labelled table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from components.core.errors import DataError
from components.core.files import replacing
from components.core.reading import read_table
from components.core.schema import Schema
from components.core.split import Holdout, group_names, hold_out
from components.core.storage import S3, local_copy
from components.core.table import Checked, check_table
from components.core.usecase import UseCase
from components.preprocess.profile import render_profile

# Position of a row's group, in the held-out table: says which other models cannot have seen the row.
HOLDOUT = "__holdout"
METADATA = b"lifeboat"


@dataclass(frozen=True)
class Summary:
    """What became of the rows. It travels in the metadata of both Parquet files.

    Args:
        source: path or URL read.
        digest: sha256 of the file.
        rows, quarantined, duplicates, train, test: counts of rows.
        positives: share of class 1 among the rows kept.
        split: salt and the `below` of `core.split.Holdout`.
    """

    source: str
    digest: str
    rows: int
    quarantined: int
    duplicates: int
    train: int
    test: int
    positives: float
    split: dict[str, Any]


@dataclass(frozen=True)
class Outputs:
    """Where the files go: training and held-out rows (Parquet), broken rows (CSV), the profile (HTML)."""

    train: Path
    test: Path
    quarantine: Path
    profile: Path


def preprocess(
    usecase: UseCase,
    source: str,
    outputs: Outputs,
    *,
    s3: S3 | None = None,
    say: Callable[[str], None] = print,
) -> Summary:
    """Makes training and held-out rows from a labelled table.

    Args:
        usecase: schema, split and limits.
        source: path or s3:// URL of a CSV or Parquet file.
        outputs: written whole or not at all; the quarantine is written even when it is too large to go on.
        s3: endpoint and keys for an s3:// URL.
        say: told of each stage.

    Raises:
        DataError: the table cannot be used; names file, row, column and limit.
        StorageError: a file cannot be read or written.
    """
    with local_copy(source, s3 or S3(), outputs.train.parent) as path:
        name = source if "://" in source else str(path)
        raw = read_table(path, name=name)
        digest = _file_digest(path)
    checked = check_table(raw, usecase.schema, labelled=True, name=name)
    say(f"read {raw.num_rows:,} rows, {len(checked.problems):,} break the schema")
    _quarantine(raw, checked, outputs.quarantine, usecase.max_quarantine, name)
    rows, duplicates = _deduplicate(checked.good, usecase.schema, name)
    _refuse_useless(rows, usecase.schema, name)
    holdout = _hold_out(rows, usecase)
    label = rows.column(usecase.schema.label.name).to_numpy()
    _refuse_one_sided(label, holdout, name)
    summary = Summary(
        source=source,
        digest=digest,
        rows=raw.num_rows,
        quarantined=len(checked.problems),
        duplicates=duplicates,
        train=int((~holdout.test).sum()),
        test=int(holdout.test.sum()),
        positives=float(label.mean()),
        split={"salt": usecase.split.salt, "below": holdout.below},
    )
    _write_parts(rows, holdout, summary, outputs, render_profile(rows, usecase, asdict(summary)))
    say(f"{summary.train:,} rows to train on, {summary.test:,} held out, {duplicates:,} duplicates dropped")
    return summary


def read_summary(path: Path) -> Summary:
    """The summary that travels in a Parquet file of `preprocess`.

    Raises:
        DataError: the file was not written by `preprocess`.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
        return Summary(**json.loads(metadata[METADATA]))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError("was not written by the preprocess step", file=str(path)) from error


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _quarantine(raw: pa.Table, checked: Checked, path: Path, limit: float, name: str) -> None:
    """Writes the broken rows with their reasons; too many of them end the step."""
    broken = list(checked.problems)
    reasons = pa.table(
        {
            "row": pa.array([row + 1 for row in broken], pa.int64()),
            "reason": pa.array(["; ".join(checked.problems[row]) for row in broken], pa.string()),
        }
    )
    for column in raw.column_names:
        reasons = reasons.append_column(column, raw.column(column).take(pa.array(broken, pa.int64())))
    with replacing(path) as temporary:
        pa.csv.write_csv(reasons, temporary)
    share = len(broken) / raw.num_rows
    if share > limit:
        first = checked.problems[broken[0]][0]
        problem = f"{first} ({len(broken):,} of {raw.num_rows:,} rows break the schema, at most {limit:.1%} may)"
        raise DataError(problem, file=name, row=broken[0] + 1)


def _deduplicate(rows: pa.Table, schema: Schema, name: str) -> tuple[pa.Table, int]:
    """Drops repeated rows; the same id on different rows is an error. Gives the rows and how many were dropped."""
    numbered = rows.append_column("__row", pa.array(np.arange(rows.num_rows)))
    first = numbered.group_by(rows.column_names, use_threads=False).aggregate([("__row", "min")])
    keep = np.sort(first.column("__row_min").to_numpy())
    kept = rows.take(pa.array(keep))
    if schema.id is not None:
        known = kept.column(schema.id).drop_null()
        counts = pc.value_counts(known.filter(pc.not_equal(known.cast(pa.string()), "")))
        repeated = [entry["values"] for entry in counts.filter(pc.greater(counts.field(1), 1)).slice(0, 3).to_pylist()]
        if repeated:
            shown = ", ".join(map(str, repeated))
            raise DataError(f"the same id on different rows: {shown}", file=name, column=schema.id)
    return kept, rows.num_rows - kept.num_rows


def _refuse_useless(rows: pa.Table, schema: Schema, name: str) -> None:
    if not rows.num_rows:
        raise DataError("no row is left", file=name)
    for column in schema.columns:
        values = rows.column(column.name)
        known = pc.invert(pc.is_nan(values)) if column.is_number else pc.not_equal(values, "")
        if not pc.any(known).as_py():
            raise DataError("all values are missing", file=name, column=column.name)
    classes = pc.unique(rows.column(schema.label.name)).to_pylist()
    if len(classes) < 2:
        problem = f"only the label {classes[0]} occurs, both 0 and 1 are needed"
        raise DataError(problem, file=name, column=schema.label.name)


def _hold_out(rows: pa.Table, usecase: UseCase) -> Holdout:
    labels = rows.column(usecase.schema.label.name).to_numpy()
    groups = group_names(rows, usecase.schema)
    return hold_out(groups, labels, share=usecase.split.test, salt=usecase.split.salt)


def _refuse_one_sided(label: Any, holdout: Holdout, name: str) -> None:
    for part, chosen in (("training", ~holdout.test), ("held-out", holdout.test)):
        if len(np.unique(label[chosen])) < 2:
            raise DataError(f"too few rows: the {part} rows ({chosen.sum()}) have only one class", file=name)


def _write_parts(rows: pa.Table, holdout: Holdout, summary: Summary, outputs: Outputs, profile: str) -> None:
    """Writes all three before the first of them takes its place."""
    rows = rows.append_column(HOLDOUT, pa.array(holdout.position))
    rows = rows.replace_schema_metadata({METADATA: json.dumps(asdict(summary), sort_keys=True)})
    with (
        replacing(outputs.train) as train,
        replacing(outputs.test) as test,
        replacing(outputs.profile) as page,
    ):
        pq.write_table(rows.filter(pa.array(~holdout.test)), train)
        pq.write_table(rows.filter(pa.array(holdout.test)), test)
        page.write_text(profile, encoding="utf-8")
