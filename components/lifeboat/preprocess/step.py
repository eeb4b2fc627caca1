"""Preprocess: read, check, deduplicate and split a labelled table, together with the labelled rows from feedback."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lifeboat.config.errors import DataError, SettingsError
from lifeboat.config.pseudonyms import NO_PSEUDONYMS, Pseudonyms
from lifeboat.config.sources import ONLY_ANONYMOUS
from lifeboat.data.labelled.labelled_rows import SETTLE
from lifeboat.data.labelled.trust import write_conflicts
from lifeboat.data.table import Checked, check_table, say_nulls
from lifeboat.data.timestamps import format_timestamp
from lifeboat.feature_store.reading import read_rows
from lifeboat.preprocess import quarantine
from lifeboat.preprocess.base import deduplicate, refuse_one_sided, refuse_useless
from lifeboat.preprocess.feedback import Feedback, read_feedback
from lifeboat.preprocess.holdout import Parts, split_holdout
from lifeboat.preprocess.profile.broken_rules import broken_rules
from lifeboat.preprocess.profile.page import render_profile
from lifeboat.registry.storage import S3, Storage
from lifeboat.system.files import replacing
from lifeboat.usecase.usecase import UseCase

if TYPE_CHECKING:
    from lifeboat.feature_store.join import JoinedView

# Position of a row's group, in the held-out table: says which other models cannot have seen the row.
HOLDOUT = "__holdout"
METADATA = b"lifeboat"


@dataclass(frozen=True)
class Summary:
    """What became of the rows. It travels in the metadata of both Parquet files.

    Every row read is counted once: rows + labelled = quarantined + duplicates + replaced + conflicts + withheld +
    between + train + test.

    Args:
        source: path or URL read.
        digest: sha256 of the file, or of the rows of several files or of a query; with labelled rows, or tables of a
            feature store, that of all.
        rows, labelled: counts of rows read, of the table and from feedback, as far as these teach.
        quarantined: that break the schema.
        duplicates: of an id that another row has as well, with the same cells; without an id only where the use case
            asks for it.
        replaced: of an id of which another row stands: the table's, or the newest of its source.
        conflicts: that contradict the table's row, or another source's earlier truth, of the same id.
        withheld: from feedback, that may be the same as a row on the other side of the split.
        train, test: that are left.
        label: what the rows left hold of it, see `Task.facts`.
        composition: the same in a few words.
        split: see `holdout.Parts`.
        refused: key to reason of the parts of feedback that cannot be used.
        labelled_digest: of the rows from feedback alone; empty without any.
        labelled_since: when the first of their truths came; empty without any.
        labelled_until: when the last of their truths came, which is an `as_of` that gives the same rows again; empty
            without any.
        as_of: the moment that was asked for; empty for now.
        assumed: what was taken for granted of how the table is written, of its columns and nulls, a sentence each.
        sources: rows from feedback by the source of their truth.
        between: by time, neither trained on nor held out; see `holdout.Parts`.
        apart: rows in the store that do not teach, and are not among those read: by why (`waiting` and `rejected`, and
            `contradicted` by an earlier truth about the same prediction) and source.
        views: of the feature store, by name: the digest of the table, and how many rows `found` a value, are `missing`
            one, or had only one that was `expired`.
    """

    source: str
    digest: str
    rows: int
    quarantined: int
    duplicates: int
    train: int
    test: int
    label: dict[str, Any]
    composition: str
    split: dict[str, Any]
    labelled: int
    replaced: int
    withheld: int
    refused: dict[str, str]
    labelled_digest: str = ""
    labelled_since: str = ""
    labelled_until: str = ""
    as_of: str = ""
    assumed: list[str] = field(default_factory=list)
    conflicts: int = 0
    between: int = 0
    sources: dict[str, int] = field(default_factory=dict)
    apart: dict[str, dict[str, int]] = field(default_factory=dict)
    views: dict[str, dict[str, Any]] = field(default_factory=dict)


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
    labelled: Storage | None = None,
    trusted: frozenset[str] = ONLY_ANONYMOUS,
    pseudonyms: Pseudonyms = NO_PSEUDONYMS,
    as_of: datetime | None = None,
    s3: S3 | None = None,
    say: Callable[[str], None] = print,
) -> Summary:
    """Makes training and held-out rows from a labelled table and from what came back from serving.

    Args:
        usecase: schema, split and limits.
        source: where the table is, see `lifeboat.registry.tables.read_source`.
        outputs: written whole or not at all; the quarantine is written even when it is too large to go on.
        labelled: the store of the labelled rows, which are taken as well.
        trusted: sources of truth whose rows are taken, unless the store's record says otherwise.
        pseudonyms: by which personal keys are kept in labelled rows.
        as_of: take them, and the feature store, as they were known then; as they are now unless given. The table is
            taken as it is.
        s3: endpoint and keys for an s3:// URL.
        say: told of each stage.

    Raises:
        DataError: the table cannot be used; names file, row, column and limit.
        StorageError: a file cannot be read or written.
        SettingsError: a moment, but nothing that it could be of; pseudonyms whose key nobody gave.
    """
    if as_of and not labelled and usecase.store is None:
        raise SettingsError(
            f"as of {format_timestamp(as_of)}: no labelled rows are taken, and the table has no history"
        )
    table = _read(source, usecase, s3 or S3(), outputs.train.parent, as_of, say)
    feedback = read_feedback(labelled, usecase, say, trusted=trusted, pseudonyms=pseudonyms, as_of=as_of)
    quarantine.write(outputs.quarantine, table.raw, table.checked, feedback)
    quarantine.refuse_many(table.checked, table.raw.num_rows, usecase.max_quarantine, table.name)
    base, duplicates = deduplicate(table.checked.good, usecase, table.name)
    refuse_useless(base, usecase, set(usecase.schema.names) - set(table.raw.column_names), table.name)
    parts = split_holdout(base, feedback, usecase)
    for warning in parts.warnings(usecase):
        say(f"warning: {warning}")
    label = parts.rows.column(usecase.schema.label.name).to_numpy()
    refuse_one_sided(usecase.task, label, parts.holdout, table.name)
    summary = Summary(
        source=source,
        digest=_joint_digest(table.digest, feedback),
        rows=table.raw.num_rows,
        quarantined=len(table.checked.problems) + len(feedback.checked.problems),
        duplicates=duplicates + parts.duplicates,
        train=int((~parts.holdout.test).sum()),
        test=int(parts.holdout.test.sum()),
        label=usecase.task.facts(label),
        composition=usecase.task.composition(label),
        split=parts.split,
        labelled=feedback.raw.num_rows,
        replaced=parts.replaced,
        withheld=parts.withheld,
        refused=feedback.found.refused,
        labelled_digest=feedback.found.digest,
        labelled_since=feedback.found.since,
        labelled_until=feedback.found.until,
        as_of=format_timestamp(as_of) if as_of else "",
        assumed=table.assumed,
        conflicts=parts.conflicts.num_rows,
        between=parts.between,
        sources=feedback.found.sources,
        apart=feedback.found.apart,
        views={name: asdict(view) for name, view in table.views.items()},
    )
    broken = broken_rules(table.checked, feedback.checked, usecase.schema)
    page = render_profile(parts.rows, usecase, asdict(summary), parts.holdout.test, broken)
    _write_parts(parts, summary, outputs, page)
    if labelled and not as_of:
        write_conflicts(labelled, usecase.name, summary.conflicts + feedback.found.conflicts.num_rows)
    _say_outcome(summary, say)
    return summary


@dataclass(frozen=True)
class _Table:
    """The table as it was read.

    Args:
        name: of it, for errors.
        digest: see `SourceTable`.
        raw: its cells, as `read_source` gives them.
        checked: held against the schema.
        assumed: what was taken for granted, a sentence each.
        views: that were joined to it.
    """

    name: str
    digest: str
    raw: pa.Table
    checked: Checked
    assumed: list[str]
    views: Mapping[str, JoinedView]


def _read(
    source: str, usecase: UseCase, s3: S3, folder: Path, as_of: datetime | None, say: Callable[[str], None]
) -> _Table:
    assumed: list[str] = []

    def assume(sentence: str) -> None:
        assumed.append(sentence)
        say(f"assumed: {sentence}")

    found, views = read_rows(usecase, source, s3, folder, assume=assume, as_of=as_of, say=say)
    raw, name = found.table, found.name
    checked = check_table(raw, usecase.schema, labelled=True, name=name)
    for sentence in (*checked.assumed, *say_nulls(checked.nulls)):
        assume(sentence)
    say(f"read {raw.num_rows:,} rows, {len(checked.problems):,} break the schema")
    return _Table(name, found.digest, raw, checked, assumed, views)


def _say_outcome(summary: Summary, say: Callable[[str], None]) -> None:
    if summary.labelled:
        say(f"{summary.replaced:,} rows from feedback are older ones of an id, {summary.withheld:,} withheld")
    if summary.conflicts:
        say(f"warning: {summary.conflicts:,} truths contradict the table or another source: {SETTLE}")
    if summary.between:
        say(f"{summary.between:,} rows before the boundary are too near to it, or of a group that is held out")
    say(f"{summary.train:,} rows to train on, {summary.test:,} held out, {summary.duplicates:,} duplicates dropped")


def _joint_digest(digest: str, feedback: Feedback) -> str:
    fed = feedback.found.digest
    return hashlib.sha256(f"{digest}\n{fed}".encode()).hexdigest() if fed else digest


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


def _write_parts(parts: Parts, summary: Summary, outputs: Outputs, profile: str) -> None:
    """Writes all three before the first of them takes its place."""
    test = parts.holdout.test
    rows = parts.rows.append_column(HOLDOUT, pa.array(parts.holdout.position))
    rows = rows.replace_schema_metadata({METADATA: json.dumps(asdict(summary), sort_keys=True)})
    with (
        replacing(outputs.train) as training,
        replacing(outputs.test) as held_out,
        replacing(outputs.profile) as page,
    ):
        pq.write_table(rows.filter(pa.array(~test)), training)
        pq.write_table(rows.filter(pa.array(test)), held_out)
        page.write_text(profile, encoding="utf-8")
