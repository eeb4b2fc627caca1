import datetime
import decimal
import math

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import DataError
from components.core.reading import read_batches, read_table
from components.core.schema import Column, Label, Schema
from components.core.table import check_table

SCHEMA = Schema(
    (
        Column("age", "float", nullable=True, minimum=0, maximum=120),
        Column("dose", "float"),
        Column("count", "integer", nullable=True),
        Column("class", "integer", categories=(1, 2, 3)),
        Column("flag", "boolean", nullable=True),
        Column("name", "string", max_length=6),
        Column("code", "string", nullable=True, pattern="[a-c]+"),
    ),
    Label("y", ("no", "yes")),
)
HEADER = "age,dose,count,class,flag,name,code,y"
ROW = "22,1.5,3,1,true,Ann,abc,1"


def written(tmp_path, text, name="rows.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def checked(path, schema=SCHEMA):
    return check_table(read_table(path), schema, labelled=True, name=path.name)


def test_a_good_row_is_typed(tmp_path):
    found = checked(written(tmp_path, f"{HEADER}\n{ROW}\n,+2e1,,2, FALSE ,Bob,,0\n"))
    assert found.problems == {}
    rows = found.table.to_pylist()
    assert rows[0] == {
        "age": 22.0, "dose": 1.5, "count": 3.0, "class": 1.0, "flag": 1.0, "name": "Ann", "code": "abc", "y": 1,
    }  # fmt: skip
    assert math.isnan(rows[1]["age"])
    assert (rows[1]["dose"], rows[1]["flag"], rows[1]["code"], rows[1]["y"]) == (20.0, 0.0, "", 0)
    assert found.table.schema.field("age").type == pa.float32()
    assert found.table.schema.field("y").type == pa.int8()


def test_quotes_newlines_and_a_byte_order_mark_are_read(tmp_path):
    found = checked(written(tmp_path, "\ufeff" + f'{HEADER}\n22,1,3,1,1,"a,""\né",abc,1\n'))
    assert found.table["name"].to_pylist() == ['a,"\né']


@pytest.mark.parametrize(
    ("cell", "column", "sentence"),
    [
        ("", "dose", "is null, which dose may not be"),
        ("abc", "dose", '"abc" is not a float'),
        ("NaN", "dose", '"NaN" is not a float'),
        ("inf", "dose", '"inf" is not a float'),
        ("1_000", "dose", '"1_000" is not a float'),
        ("0x10", "dose", '"0x10" is not a float'),
        ("1e999", "dose", "Infinity is outside -3.40282e+38 to 3.40282e+38"),
        ("-1e39", "dose", "-1e+39 is outside -3.40282e+38 to 3.40282e+38"),
        ("-0.5", "age", "-0.5 is outside 0 to 120"),
        ("2.5", "count", "2.5 is not an integer"),
        ("99999999", "count", "99999999 is outside -16777216 to 16777216"),
        ("4", "class", "4 is none of 1, 2, 3"),
        ("yes", "flag", '"yes" is not a boolean'),
        ("2", "flag", "2 is not a boolean"),
        ("Leopold", "name", '"Leopold" has more than 6 characters'),
        ("xyz", "code", '"xyz" does not match the pattern [a-c]+'),
        ("2", "y", "2 is none of 0, 1"),
        ("", "y", "is null, which y may not be"),
    ],
)
def test_a_broken_cell_is_found_with_its_row(tmp_path, cell, column, sentence):
    names, cells = HEADER.split(","), ROW.split(",")
    cells[names.index(column)] = cell
    found = checked(written(tmp_path, f"{HEADER}\n{ROW}\n{','.join(cells)}\n{ROW}\n"))
    assert found.problems == {1: [f"column {column}: {sentence}"]}
    assert found.good.num_rows == 2
    assert found.good.slice(0, 1) == found.good.slice(1, 1)


def test_a_row_with_two_broken_cells_names_both(tmp_path):
    found = checked(written(tmp_path, f"{HEADER}\n{ROW}\n200,x,3,1,1,Ann,abc,1\n"))
    assert found.problems == {1: ["column age: 200 is outside 0 to 120", 'column dose: "x" is not a float']}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "the file is empty"),
        (f"{HEADER}\n", "has a header but no rows"),
        (HEADER, "has a header but no rows"),
        (f"{HEADER}\n{ROW}\n1,2\n", "row 2: has 2 fields, the header has 8"),
        (f"{HEADER}\n{ROW},9\n", "row 1: has 9 fields, the header has 8"),
        (f"{HEADER},age\n{ROW},1\n", "columns named twice: age"),
        (
            f"{HEADER}\n{ROW}\n".encode() + b"1,1,1,1,1,\xe9a,,1\n",
            "row 2: byte 0xe9 is not UTF-8; save the file as UTF-8 or declare its encoding",
        ),
        (f"{HEADER}é\n".encode("latin-1"), "its header cannot be read: byte 0xe9 is not UTF-8"),
        (f"{HEADER}\n{ROW}\n".encode("utf-16-le"), "holds NUL bytes"),
        ('"' + "x" * 200_000, "has no readable header"),
        (f'{HEADER}\n22,1,3,1,1,"open,abc,1\n', "row 1, column name: a quote that opens here is never closed"),
    ],
)
def test_an_unreadable_csv_is_refused(tmp_path, content, sentence):
    path = written(tmp_path, content)
    with pytest.raises(DataError) as error:
        checked(path)
    assert sentence in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_the_row_of_a_late_error_is_right(tmp_path):
    rows = 300_000
    path = written(tmp_path, f"{HEADER}\n" + f"{ROW}\n" * rows + "1,2\n")
    with pytest.raises(DataError) as error:
        read_table(path)
    assert error.value.row == rows + 1


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (HEADER.replace("dose", "Dose"), "columns missing: dose"),
        (f"{HEADER},colour", "columns unknown: colour; known: age, class"),
        (HEADER.replace(",y", ",z"), "columns missing: y"),
    ],
)
def test_a_missing_and_an_unknown_column_are_named(tmp_path, header, sentence):
    row = ",".join([*ROW.split(","), "red"][: header.count(",") + 1])
    with pytest.raises(DataError, match=sentence):
        checked(written(tmp_path, f"{header}\n{row}\n"))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "none.csv")


def parquet(tmp_path, **columns):
    """One good row with some columns replaced."""
    row = {
        "age": [22.0],
        "dose": [1.5],
        "count": [3],
        "class": [1],
        "flag": [True],
        "name": ["Ann"],
        "code": ["abc"],
        "y": [1],
    }
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({**row, **columns}), path)
    return path


@pytest.mark.parametrize(
    "columns",
    [
        {"age": pa.array([22], pa.int8()), "dose": pa.array([1.5], pa.float16())},
        {"count": pa.array([3], pa.uint64()), "class": pa.array([1.0], pa.float64())},
        {"dose": pa.array([decimal.Decimal("1.5")])},
        {"age": pa.array(["22"]), "flag": pa.array(["True"])},
        {"name": pa.array(["Ann"]).dictionary_encode(), "code": pa.array(["abc"], pa.large_string())},
    ],
)
def test_a_parquet_column_of_a_kindred_type_is_taken(tmp_path, columns):
    found = checked(parquet(tmp_path, **columns))
    assert found.problems == {}
    assert found.table.to_pylist() == checked(parquet(tmp_path)).table.to_pylist()


def test_nulls_of_any_type_are_nulls(tmp_path):
    found = checked(parquet(tmp_path, age=pa.nulls(1), count=[math.nan], flag=pa.nulls(1), code=pa.nulls(1)))
    assert found.problems == {}
    row = found.table.to_pylist()[0]
    assert [math.isnan(row[name]) for name in ("age", "count", "flag")] == [True] * 3
    assert row["code"] == ""


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("age", [datetime.date(1912, 4, 15)]),
        ("age", [datetime.datetime(1912, 4, 15, tzinfo=datetime.UTC)]),
        ("age", [datetime.timedelta(1)]),
        ("age", [[1.0]]),
        ("age", [{"a": 1}]),
        ("age", [b"22"]),
        ("age", [True]),
        ("class", [True]),
        ("name", [5]),
        ("name", [b"Ann"]),
        ("name", [["Ann"]]),
    ],
)
def test_a_parquet_column_of_a_strange_type_is_refused(tmp_path, name, values):
    with pytest.raises(DataError, match=rf"rows\.parquet, column {name}: has type .*, asked: "):
        checked(parquet(tmp_path, **{name: pa.array(values)}))


def test_parquet_numbers_beyond_the_limits_are_found(tmp_path):
    found = checked(parquet(tmp_path, age=[math.inf], dose=[1e300]))
    assert found.problems[0] == [
        "column age: Infinity is outside 0 to 120",
        "column dose: 1e+300 is outside -3.40282e+38 to 3.40282e+38",
    ]


def test_parquet_text_that_is_not_utf8_is_refused(tmp_path):
    broken = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"]).buffers())
    with pytest.raises(DataError, match="column name: holds text that is not UTF-8"):
        checked(parquet(tmp_path, name=broken))


def test_a_parquet_file_with_a_repeated_column_is_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    table = pq.read_table(parquet(tmp_path))
    pq.write_table(table.append_column("age", table["age"]), path)
    with pytest.raises(DataError, match="columns named twice: age"):
        checked(path)


@pytest.mark.parametrize("keep", [4, 100, -20])
def test_a_torn_parquet_file_is_refused(tmp_path, keep):
    path = parquet(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="is not a readable Parquet file"):
        read_table(path)


def test_batches_are_bounded_and_whole(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": np.arange(200_000)}), path)
    batches = list(read_batches(path))
    assert len(batches) > 1
    assert sum(batch.num_rows for batch in batches) == 200_000


CELLS = {
    "age": st.none() | st.floats(-1, 121, width=32) | st.sampled_from([0.0, 120.0, math.inf, -math.inf, 1e300]),
    "dose": st.none() | st.floats(allow_nan=False),
    "count": st.none() | st.integers(-3, 3) | st.sampled_from([2.5, 2**24, 2**24 + 1, -(2**24) - 1]),
    "class": st.none() | st.integers(0, 4),
    "flag": st.none() | st.integers(0, 2),
    "name": st.none() | st.text(max_size=8),
    "code": st.none() | st.text("abcd\n", max_size=3),
}


@given(rows=st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=5))
def test_table_and_request_are_refused_in_the_same_words(rows):
    types = {column.name: pa.float64() if column.is_number else pa.string() for column in SCHEMA.columns}
    table = pa.table({name: pa.array([row[name] for row in rows], types[name]) for name in types})
    found = check_table(table.append_column("y", pa.array([1] * len(rows))), SCHEMA, labelled=True, name="rows")
    for number, row in enumerate(rows):
        problems, parsed = [], {}
        for column in SCHEMA.columns:
            try:
                parsed.update(Schema((column,), SCHEMA.label).parse_row({column.name: plain(row[column.name])}))
            except ValueError as error:
                problems.append(str(error))
        assert found.problems.get(number, []) == problems
        if not problems:
            stored = found.table.slice(number, 1).to_pylist()[0]
            expected = {name: np.float32(v).item() if isinstance(v, float) else v for name, v in parsed.items()}
            assert {name: repr(stored[name]) for name in parsed} == {name: repr(v) for name, v in expected.items()}


def plain(value):
    """As JSON has it: a whole float of moderate size without its point."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e16
    return int(value) if whole else value
