"""The quarantine: every row that breaks the schema, as it came, with its reasons."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from lifeboat.config.errors import DataError
from lifeboat.data.csv.writing import writable
from lifeboat.data.labelled.hidden_columns import HIDDEN, PUID, ROW
from lifeboat.data.table import Checked
from lifeboat.preprocess.feedback import Feedback
from lifeboat.system.files import replacing


def write(path: Path, raw: pa.Table, checked: Checked, feedback: Feedback) -> None:
    """Writes the broken rows as CSV: those of the table by row, those from feedback by request and row in it."""
    broken = _with_reasons(raw, checked)
    numbers = pa.array([row + 1 for row in checked.problems], pa.int64())
    broken = broken.add_column(0, "row", numbers)
    if feedback.checked.problems:
        hidden = [column.name for column in HIDDEN if column.name not in (PUID, ROW)]
        more = _with_reasons(feedback.raw.drop_columns(hidden), feedback.checked)
        broken = pa.concat_tables([_as_text(broken), _as_text(more)], promote_options="default")
    with replacing(path) as temporary:
        pa.csv.write_csv(broken, temporary)


def _with_reasons(raw: pa.Table, checked: Checked) -> pa.Table:
    rows = writable(raw.take(pa.array(list(checked.problems), pa.int64())))
    reasons = pa.array(["; ".join(problems) for problems in checked.problems.values()], pa.string())
    return rows.add_column(0, "reason", reasons)


def _as_text(rows: pa.Table) -> pa.Table:
    return rows.cast(pa.schema([(name, pa.string()) for name in rows.column_names]))


def refuse_many(checked: Checked, rows: int, limit: float, name: str) -> None:
    """Ends the step when too large a share of the table is broken.

    Rows from feedback do not count: the model server accepted each of them, so what breaks them is a newer schema, and
    that should not end every retraining to come.
    """
    broken = list(checked.problems)
    if len(broken) / rows > limit:
        first = checked.problems[broken[0]][0]
        problem = f"{first} ({len(broken):,} of {rows:,} rows break the schema, at most {limit:.1%} may)"
        raise DataError(problem, file=name, row=broken[0] + 1)
