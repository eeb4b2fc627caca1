"""The simulated world that asks the model: people like those it was trained on, and then others.

The use case's table is divided by group into two halves. The first model is trained on one of them; the other one is
the world. So normal traffic is of the same population as the training rows without being them, and raises no alarm
because it ought not to, not because the model has seen it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lifeboat.data.moments import as_timestamps
from lifeboat.data.split import group_names, positions
from lifeboat.data.table import check_table
from lifeboat.feature_store.reading import read_rows
from lifeboat.registry.storage import S3
from lifeboat.system.files import replacing
from lifeboat.tasks.kinds import task_of
from lifeboat.usecase.column import Column, is_null
from lifeboat.usecase.schema import Schema
from lifeboat.usecase.usecase import UseCase

# Of the values of a shifted number: how many times the old ones, and how far they scatter.
FACTOR, SCATTER = 2.0, 0.05
MOST_ROWS = 10_000


@dataclass(frozen=True)
class Case:
    """What the world asks, and what it learns later.

    Args:
        names, values: of one row, keys included; None for null.
        truth: the label as rows have it, such as the number of a class.
        label: what a client says of that, such as the name of the class: one may be called "1" and be the second.
    """

    names: list[str]
    values: list[Any]
    truth: float
    label: str | float

    @property
    def request(self) -> bytes:
        """The row as a Seldon message."""
        return json.dumps({"data": {"names": self.names, "ndarray": [self.values]}}, ensure_ascii=False).encode()


class Simulation:
    """Rows that no model was trained on.

    Args:
        rows: the labelled table, as `check_table` gives it.
        schema: of its rows.
        salt: another one divides the table otherwise.
        seed: of the order and of what is simulated.
    """

    def __init__(self, rows: pa.Table, schema: Schema, salt: str = "world", seed: int = 0) -> None:
        place = positions(group_names(rows, schema), salt)
        # Of a large table so many, whole groups as well: what traffic of a minute teaches is to be seen among them.
        taken = min(1.0, MOST_ROWS / max(rows.num_rows, 1))
        rows, place = rows.filter(pa.array(place < taken)), place[place < taken]
        first = place < taken / 2
        self._schema, self._task = schema, task_of(schema.label)
        self._training = rows.filter(pa.array(first))
        self._rows: list[dict[str, Any]] = rows.filter(pa.array(~first)).to_pylist()
        self._random = np.random.default_rng(seed)
        self._spread = float(np.std(rows.column(schema.label.name).to_numpy()))

    @classmethod
    def of(cls, usecase: UseCase, s3: S3, folder: Path) -> Simulation:
        """The world of a use case's own table, which is downloaded into `folder` where it is not a local file.

        Raises:
            DataError: it cannot be read.
        """
        name = str(usecase.data)
        found, _ = read_rows(usecase, name, s3, folder)
        return cls(check_table(found.table, usecase.schema, labelled=True, name=name).good, usecase.schema)

    def write_training(self, path: Path) -> int:
        """Writes the half that the first model is trained on, as Parquet; gives its number of rows."""
        # The label as a table spells it, not as rows are kept: a class may be called by another's number.
        label = self._schema.label.name
        spelled = pa.array(self._task.spell(self._training.column(label).to_numpy()))
        columns = {name: self._training.column(name) for name in self._training.column_names} | {label: spelled}
        for column in filter(attrgetter("is_datetime"), self._schema.known.values()):
            columns[column.name] = as_timestamps(columns[column.name])
        with replacing(path) as temporary:
            pq.write_table(pa.table(columns), temporary)
        return int(self._training.num_rows)

    def normal(self) -> Iterator[Case]:
        """Without end: the world's rows in one random order after another."""
        while True:
            for row in self._random.permutation(len(self._rows)):
                yield self._case(self._rows[row])

    def shifted(self) -> Iterator[Case]:
        """Without end: other people.

        Each is one of the world's rows with its numbers doubled (of a table without any but whole ones these), its
        categories in reverse order (women for men, first class for third) and an id and a group of its own; how it ends
        stays as it was, but that a number is larger by its standard deviation.
        """
        number = 1_000_000
        doubled = "float" if any(column.kind == "float" for column in self._schema.columns) else "integer"
        while True:
            row = dict(self._rows[self._random.integers(len(self._rows))])
            for column in self._schema.columns:
                row[column.name] = shift(column, row[column.name], self._random, doubled)
            for key in self._schema.keys:
                if not key.is_datetime:
                    row[key.name] = number if key.is_number else f"new {number}"
            number += 1
            label = self._schema.label.name
            yield self._case(row | {label: self._task.moved(row[label], self._spread)})

    def _case(self, row: dict[str, Any]) -> Case:
        columns = self._schema.known
        names = list(columns)
        values = [column.written(row[name]) for name, column in columns.items()]
        truth = row[self._schema.label.name]
        [label] = self._task.spell(np.asarray([truth]))
        return Case(names, values, truth, label)


def shift(column: Column, value: Any, random: np.random.Generator, doubled: str = "float") -> Any:
    """The value in the other world; null stays null, numbers of the kind `doubled` double, and each limit holds."""
    if is_null(value):
        return None
    if column.categories:
        kind = type(column.categories[0])
        return column.categories[::-1][column.categories.index(kind(value))]
    if column.kind != doubled:
        return value
    moved = float(value) * FACTOR * (1 + SCATTER * random.standard_normal())
    within = min(max(moved, column.lower), column.upper)
    return round(within) if column.kind == "integer" else round(within, 4)
