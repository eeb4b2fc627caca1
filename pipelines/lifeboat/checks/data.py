"""A table against a use case: whether its rows can be read, divided and learned from."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from lifeboat.config.errors import DataError, LifeboatError, StorageError
from lifeboat.config.sources import ONLY_ANONYMOUS
from lifeboat.data.table import Checked, check_table, column_problems, say_nulls
from lifeboat.feature_store.reading import read_rows
from lifeboat.preprocess.advice import advise
from lifeboat.preprocess.base import deduplicate, refuse_one_sided, refuse_useless
from lifeboat.preprocess.feedback import read_feedback
from lifeboat.preprocess.holdout import split_holdout
from lifeboat.preprocess.step import HOLDOUT
from lifeboat.registry.storage import S3
from lifeboat.system.progress import quiet
from lifeboat.train.folds import make_folds
from lifeboat.train.step import training_rows
from lifeboat.usecase.column import listed
from lifeboat.usecase.usecase import UseCase

# So many facts of a label stand in a sentence.
_SHOWN = 20


@dataclass
class Report:
    """What was found.

    Args:
        facts: what is as it should be, or was assumed, in sentences.
        problems: what would stop a run, each with its remedy.
        warnings: what would not, but may not be meant.
        rows: the good rows, where the table can be read; for the candidates.
    """

    facts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    rows: pa.Table | None = None


def check_data(usecase: UseCase, source: str, s3: S3) -> Report:
    """Holds a table against a use case, and sees whether its rows can be divided and learned from.

    Args:
        usecase: schema, split and limits.
        source: where the table is, see `lifeboat.registry.tables.read_source`.
        s3: endpoint and keys for an s3:// URL.
    """
    report = Report()
    try:
        table, whole = _first_rows(source, s3, usecase, report)
    except (DataError, StorageError) as error:
        report.problems.append(str(error))
        return report
    report.problems += column_problems(table.column_names, usecase.schema, labelled=True)
    advice = advise(table, usecase.schema, source)
    if report.problems:
        report.problems += advice
        return report
    try:
        checked = check_table(table, usecase.schema, labelled=True, name=source)
    except DataError:  # a column of a type that cannot be read, of which the advice tells as well
        report.problems += advice
        return report
    report.facts += [f"assumed: {line}" for line in (*checked.assumed, *say_nulls(checked.nulls))]
    absent = set(usecase.schema.names) - set(table.column_names)
    _judge_rows(usecase, checked, advice, report)
    try:
        _split(usecase, absent, whole, report)
    except LifeboatError as error:
        report.problems.append(str(error))
    return report


def _first_rows(source: str, s3: S3, usecase: UseCase, report: Report) -> tuple[pa.Table, bool]:
    """The table, of a long one the first rows, and whether that is all of it."""
    assumed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        found, views = read_rows(usecase, source, s3, Path(folder), assume=assumed.append, first_rows=True)
    table, whole = found.table, found.whole
    report.facts.append(f"{source}: {table.num_rows:,} rows{'' if whole else ' looked at, the first of more'}")
    report.facts += [f"assumed: {line}" for line in assumed]
    for name, view in views.items():
        report.facts.append(view.say(name))
        if not view.found:
            report.warnings.append(f"view {name}: no row of the table finds a value; do its keys and times fit?")
    return table, whole


def _judge_rows(usecase: UseCase, checked: Checked, advice: list[str], report: Report) -> None:
    broken, rows = len(checked.problems), checked.table.num_rows
    if broken > usecase.max_quarantine * rows:
        limit = f"at most {usecase.max_quarantine:.0%} may, which max_quarantine changes"
        report.problems.append(f"{broken:,} of {rows:,} rows ({broken / rows:.1%}) break the schema; {limit}")
        report.problems += advice
    else:
        report.warnings += advice
    label = usecase.schema.label
    shown = _facts(usecase.task.facts(checked.good.column(label.name).to_numpy()))
    report.facts.append(f"label {label.name}: {shown}; {broken:,} rows break the schema")
    report.rows = checked.good if broken < rows else None


def _facts(facts: Mapping[str, Any]) -> str:
    """'died 549, survived 342', or 'mean 6.9, median -5, …'."""
    flat: dict[str, Any] = {}
    for name, value in facts.items():
        flat |= value if isinstance(value, dict) else {name: value}
    shown = [f"{name} {value:,}" if isinstance(value, int) else f"{name} {value:g}" for name, value in flat.items()]
    return listed(shown, _SHOWN)


def _split(usecase: UseCase, absent: set[str], whole: bool, report: Report) -> None:
    """Divides the rows as the run will; of a part of the table only the ids can be judged.

    Rows that nothing can be learned from are taken out of the report: of candidates they say nothing.
    """
    rows, report.rows = report.rows, None
    if rows is None:
        return
    refuse_useless(rows, usecase, absent, "the table")
    report.rows = rows
    base, _ = deduplicate(rows, usecase, "the table")
    parts = split_holdout(base, read_feedback(None, usecase, quiet, trusted=ONLY_ANONYMOUS), usecase)
    y = parts.rows.column(usecase.schema.label.name).to_numpy()
    if whole:
        refuse_one_sided(usecase.task, y, parts.holdout, "the table")
        rows = parts.rows.append_column(HOLDOUT, pa.array(parts.holdout.position))
        make_folds(usecase, training_rows(rows.filter(pa.array(~parts.holdout.test)), usecase))
    report.warnings += parts.warnings(usecase)
