"""Whatever a Parquet file holds, its broken rows can be written as CSV."""

import datetime

import pyarrow as pa
import pyarrow.csv

from lifeboat.data.csv.writing import writable


def test_cells_without_a_form_in_csv_are_written_as_text(tmp_path):
    rows = pa.table(
        {
            "list": [[1, 2], None],
            "struct": [{"a": 1}, {"a": None}],
            "bytes": [b"\xff", b"ok"],
            "code": pa.array(["x", "y"]).dictionary_encode(),
            "day": [datetime.date(2026, 1, 2), None],
            "number": [1.5, 2.0],
        }
    )
    pa.csv.write_csv(writable(rows), tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text().splitlines()[1:] == [
        '"[1, 2]","{\'a\': 1}","b\'\\xff\'","x",2026-01-02,1.5',
        ',"{\'a\': None}","b\'ok\'","y",,2',
    ]


def test_rows_of_plain_types_are_unchanged():
    rows = pa.table({"a": [1, None], "b": ["x", None], "c": pa.nulls(2)})
    assert writable(rows) == rows
    assert writable(rows.slice(0, 0)) == rows.slice(0, 0)
