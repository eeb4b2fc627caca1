"""Truths that contradict a row of the table, or one another: told one by one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifeboat.config.pseudonyms import Pseudonyms, is_pseudonym
from lifeboat.config.sources import TABLE
from lifeboat.data.labelled.hidden_columns import LABELLED_AT, PUID, ROW, SOURCE
from lifeboat.data.reading import read_table
from lifeboat.data.table import check_table
from lifeboat.preprocess.base import deduplicate
from lifeboat.preprocess.feedback import Feedback, read_feedback
from lifeboat.preprocess.merge import STANDS, STANDS_BY, Merged, merge
from lifeboat.registry.storage import S3, Storage, local_copy
from lifeboat.usecase.column import entity_name
from lifeboat.usecase.schema import Schema
from lifeboat.usecase.usecase import UseCase


@dataclass(frozen=True)
class Conflict:
    """A truth that is kept apart.

    Args:
        row: what a settlement calls it: the entity's id, of a personal one its pseudonym, or PUID:ROW of a prediction.
        source, said: who says what, as people spell it.
        at: when, in seconds since 1970.
        stands_by, stands: whose word holds until it is settled, `TABLE` for the table's, and what that is.
    """

    row: str
    source: str
    said: str
    at: float
    stands_by: str
    stands: str


def find_conflicts(
    usecase: UseCase,
    source: str,
    store: Storage,
    *,
    trusted: frozenset[str],
    pseudonyms: Pseudonyms,
    s3: S3,
    say: Callable[[str], None],
) -> list[Conflict]:
    """The conflicts that nobody has settled, as a run of now would meet them.

    Args:
        usecase: whose rows.
        source: path or s3:// URL of the table.
        store: of the labelled rows.
        trusted, pseudonyms: see `preprocess`.
        s3: endpoint and keys for an s3:// URL.
        say: told what was read.

    Raises:
        DataError, StorageError: see `preprocess`.
    """
    with tempfile.TemporaryDirectory(prefix="lifeboat-") as folder, local_copy(source, s3, Path(folder)) as path:
        raw = read_table(path, name=source, csv=usecase.csv)
    base, _ = deduplicate(check_table(raw, usecase.schema, labelled=True, name=source).good, usecase, source)
    feedback = read_feedback(store, usecase, say, trusted=trusted, pseudonyms=pseudonyms)
    merged = merge(base, feedback.beside(base), usecase.schema, feedback.settled(base, usecase.schema.id))
    return list_conflicts(feedback, merged, usecase.schema)


def list_conflicts(feedback: Feedback, merged: Merged, schema: Schema) -> list[Conflict]:
    """Those about one prediction, and those about one id, in the order in which they came."""
    found, label, spell = feedback.found, schema.label.name, schema.label.spell

    def conflict(row: str, said: dict[str, Any], stands_by: str, stands: float) -> Conflict:
        return Conflict(row, said[SOURCE], spell(said[label]), said[LABELLED_AT], stands_by, spell(stands))

    def name_of(entity: str) -> str:
        """What a record may have: of a personal id the pseudonym."""
        is_named = schema.id in schema.personal_keys and not is_pseudonym(entity)
        return feedback.pseudonyms.of(str(schema.id), entity) if is_named else entity

    rows = found.table.select([PUID, ROW, SOURCE, label]).to_pylist() if found.conflicts.num_rows else []
    standing = {(row[PUID], row[ROW]): row for row in rows}
    conflicts = []
    for said in found.conflicts.to_pylist():
        stands = standing[said[PUID], said[ROW]]
        conflicts.append(conflict(f"{said[PUID]}:{said[ROW]}", said, stands[SOURCE], stands[label]))
    conflicts += [
        conflict(name_of(entity_name(said[schema.id or ""])), said, said[STANDS_BY] or TABLE, said[STANDS])
        for said in merged.conflicts.to_pylist()
    ]
    return sorted(conflicts, key=lambda one: (one.at, one.row))
