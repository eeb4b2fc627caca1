"""The Titanic table repeated with noise: as many rows as asked, each copy with its own families."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from lifeboat.usecases.titanic import USECASE

# Copies that are made and written at a time.
COPIES = 50
FLIPPED = 0.1


def write_table(path: Path, rows: int) -> None:
    """Writes a CSV file of labelled passengers; the same number of rows gives the same bytes.

    Ids are renumbered. Tickets and names carry the number of their copy, so that families stay as large as they were
    and names as varied. Ages and fares get noise and a tenth of the labels is flipped: a model cannot learn copies by
    heart.
    """
    source = _passengers()
    random = np.random.default_rng(0)
    with pyarrow.csv.CSVWriter(path, source.schema) as writer:
        for start in range(0, rows, COPIES * source.num_rows):
            block = _copies(source, start, random)
            writer.write_table(block.slice(0, rows - start))


def _passengers() -> pa.Table:
    path = Path(USECASE.data)
    texts = dict.fromkeys(("Ticket", "Name", "Cabin"), pa.string())
    return pyarrow.csv.read_csv(
        path,
        convert_options=pyarrow.csv.ConvertOptions(column_types={**texts, "Age": pa.float64()}),
    )


def _copies(source: pa.Table, start: int, random: np.random.Generator) -> pa.Table:
    """`COPIES` copies, of which the first row is row `start` of the whole."""
    count = COPIES * source.num_rows
    block = source.take(pa.array(np.tile(np.arange(source.num_rows), COPIES)))
    copy = pa.array((start + np.arange(count)) // source.num_rows).cast(pa.string())
    label = block["Survived"].to_numpy() ^ (random.random(count) < FLIPPED)
    age = np.clip(block["Age"].to_numpy() + random.normal(0, 2, count), 0.1, 119)
    fare = np.clip(block["Fare"].to_numpy() * random.lognormal(0, 0.1, count), 0, 1000)
    changed = {
        "PassengerId": pa.array(start + 1 + np.arange(count)),
        "Survived": pa.array(label.astype(np.int64)),
        "Name": pc.binary_join_element_wise(block["Name"], copy, " "),
        "Ticket": pc.binary_join_element_wise(block["Ticket"], copy, "/"),
        "Age": pa.array(age.round(1), from_pandas=True),
        "Fare": pa.array(fare.round(4)),
    }
    for name, values in changed.items():
        block = block.set_column(block.column_names.index(name), name, values)
    return block.cast(source.schema)
