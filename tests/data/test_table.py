import datetime
import decimal
import json
import math
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeboat.config.errors import DataError
from lifeboat.data.cells import check_cells
from lifeboat.data.labelled.labelled_rows import stored_schema
from lifeboat.data.reading import read_batches, read_table
from lifeboat.data.table import check_table, say_nulls
from lifeboat.preprocess.base import refuse_useless
from lifeboat.server.protocols.row_parser import compile_parser
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from tests.preprocess.world import make_usecase

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
    BinaryLabel("y", ("no", "yes")),
)
HEADER = "age,dose,count,class,flag,name,code,y"
ROW = "22,1.5,3,1,true,Ann,abc,1"


def written(tmp_path, text, name="rows.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def checked(path, schema=SCHEMA):
    return check_table(read_table(path), schema, labelled=True, name=path.name)


@pytest.mark.parametrize(
    ("texts", "number"),
    [(("true", "TRUE", "t", "Yes", "y", "ON", "1", "1.0"), 1.0), (("false", "F", "No", "n", "off", "0", "0.0"), 0.0)],
)
def test_a_boolean_is_read_as_tables_spell_it(texts, number):
    cells = check_cells(pa.array(texts), Column("flag", "boolean"), "x")
    assert (cells.broken, cells.values.tolist()) == ([], [number] * len(texts))


def test_a_category_is_a_text_of_at_most_ten_thousand_values():
    column = Column("c", "category", max_length=6, nullable=True)
    assert column.parse("a") == "a"
    with pytest.raises(ValueError, match="has more than 6 characters"):
        column.parse("a" * 7)
    with pytest.raises(ValueError, match="a category whose values are listed is a string with categories"):
        Column("c", "category", categories=("a",))
    schema = Schema((column,), BinaryLabel("y", ("no", "yes")))
    assert Schema.from_json(schema.to_json()) == schema
    usecase = make_usecase(schema, baseline=())
    rows = pa.table({"c": [f"c{row}" for row in range(10_001)], "y": np.arange(10_001) % 2})
    with pytest.raises(DataError, match="has 10,001 different values, a category 10,000 at most; declare it a string"):
        refuse_useless(rows, usecase, set(), "x")
    refuse_useless(rows.slice(1), usecase, set(), "x")


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
        ("NaN", "dose", '"NaN" means null, which dose may not be'),
        ("inf", "dose", '"inf" is not a float'),
        ("1_000", "dose", '"1_000" is not a float'),
        ("0x10", "dose", '"0x10" is not a float'),
        ("1e999", "dose", "Infinity is outside -3.40282e+38 to 3.40282e+38"),
        ("-1e39", "dose", "-1e+39 is outside -3.40282e+38 to 3.40282e+38"),
        ("-0.5", "age", "-0.5 is outside 0 to 120"),
        ("2.5", "count", "2.5 is not an integer"),
        ("99999999", "count", "99999999 is outside -16777216 to 16777216"),
        ("4", "class", "4 is none of 1, 2, 3"),
        ("maybe", "flag", '"maybe" is not a boolean'),
        ("2", "flag", "2 is not a boolean"),
        ("Leopold", "name", '"Leopold" has more than 6 characters'),
        ("xyz", "code", '"xyz" does not match the pattern [a-c]+'),
        ("2", "y", '"2" is none of 0, 1, no, yes'),
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
        (HEADER.replace("dose", "Dose"), "the table has 'Dose' where the schema says 'dose'"),
        (HEADER.replace("age", " A.G_e"), "the table has 'A.G_e' where the schema says 'age'"),
        (HEADER.replace("dose", "amount"), "columns missing: dose; the table has: age, amount, count"),
        (HEADER.replace(",y", ",z"), "columns missing: y"),
    ],
)
def test_a_missing_and_a_nearly_right_column_are_named(tmp_path, header, sentence):
    row = ",".join([*ROW.split(","), "red"][: header.count(",") + 1])
    with pytest.raises(DataError, match=sentence):
        checked(written(tmp_path, f"{header}\n{row}\n"))


def test_other_columns_are_left_out_and_named_unless_they_are_ignored_or_the_schema_is_strict(tmp_path):
    path = written(tmp_path, f"{HEADER},colour,hat\n{ROW},red,1\n")
    found = checked(path)
    assert found.assumed == ("columns that the schema does not name are left out: colour, hat",)
    assert found.table.column_names == HEADER.split(",")
    assert checked(path, replace(SCHEMA, ignore=("colour", "hat"))).assumed == ()
    assert checked(path, replace(SCHEMA, ignore=("colour", "hat"), strict=True)).problems == {}
    with pytest.raises(DataError, match="columns unknown: hat; known: age, .*, y; name them in the schema's ignore"):
        checked(path, replace(SCHEMA, ignore=("colour",), strict=True))


@pytest.mark.parametrize("labelled", [True, False])
def test_a_nullable_column_that_is_not_there_is_null(tmp_path, labelled):
    path = written(tmp_path, "dose,class,name,y\n1.5,1,Ann,1\n")
    found = check_table(read_table(path), SCHEMA, labelled=labelled, name="rows.csv")
    assert found.assumed == ("columns that the table does not have are null: age, count, flag, code",)
    assert found.problems == {}
    row = found.table.to_pylist()[0]
    assert math.isnan(row["age"])
    assert row["code"] == ""


def test_the_usual_spellings_of_a_null_are_nulls_and_counted(tmp_path):
    rows = [ROW.replace("22", text).replace(",3,", f",{text},") for text in ("NA", "?", "-", "nan", "NA", " N/A ")]
    found = checked(written(tmp_path, "\n".join([HEADER, ROW, *rows]) + "\n"))
    assert found.problems == {}
    assert np.isnan(found.table["age"].to_numpy()).tolist() == [False, *[True] * 6]
    assert np.isnan(found.table["count"].to_numpy()).tolist() == [False, *[True] * 6]
    assert found.nulls["age"] == {"NA": 2, "?": 1, "-": 1, "nan": 1, "N/A": 1}
    assert say_nulls({"age": {"?": 1, "NA": 1200}}) == ["column age: null is written as '?' (1), 'NA' (1,200)"]


@pytest.mark.parametrize(
    ("column", "cell", "read"),
    [
        (Column("t", "string", nullable=True), "NA", ""),
        (Column("t", "string", nullable=True), "-", "-"),
        (Column("t", "string", nullable=True, categories=("NA", "SA")), "NA", "NA"),
        (Column("t", "string", nullable=True, na=()), "NA", "NA"),
        (Column("t", "string", nullable=True, na=("none given",)), "none given", ""),
        (Column("t", "string"), "NA", "NA"),
    ],
)
def test_a_text_is_null_where_that_is_declared_or_cannot_mean_anything_else(column, cell, read):
    """In the table, at the endpoint and in what the bundle says alike."""
    schema = Schema((column,), SCHEMA.label)
    table = pa.table({"t": [cell, "x" if not column.categories else "SA"]})
    assert check_table(table, schema, labelled=False, name="t").table["t"][0].as_py() == read
    assert column.parse(cell) == read
    assert compile_parser(column)(cell) == read
    assert Schema.from_json(schema.to_json()).columns[0].parse(cell) == read


def test_a_declared_null_that_may_not_be_is_named_as_it_was_written(tmp_path):
    schema = Schema((Column("t", "string", na=("none",)), Column("n", "integer")), SCHEMA.label)
    table = pa.table({"t": ["none", "a"], "n": ["1", "NA"]})
    found = check_table(table, schema, labelled=False, name="t")
    assert found.problems == {
        0: ['column t: "none" means null, which t may not be'],
        1: ['column n: "NA" means null, which n may not be'],
    }


def test_a_bundle_of_before_reads_only_the_empty_text_as_null():
    old = {"columns": [{"name": "t", "kind": "string", "nullable": True}], "keys": [], "id": None, "group": None}
    schema = Schema.from_json(json.dumps({**old, "label": {"name": "y", "classes": ["a", "b"]}}))
    assert schema.columns[0].parse("NA") == "NA"


BIG = 2**53
KEYED = Schema((Column("x", "float"),), SCHEMA.label, keys=(Column("id", "integer", maximum=2**63 - 1),), id="id")


@pytest.mark.parametrize(
    ("cells", "ids"),
    [
        (["9007199254740993", "5"], [BIG + 1, 5]),
        (["9223372036854775807", "1e3"], [2**63 - 1, 1000]),
        (["9007199254740993.0", "7.0"], [BIG + 1, 7]),
        (pa.array([BIG + 1, 5]), [BIG + 1, 5]),
        (pa.array([BIG + 1, 5], pa.uint64()), [BIG + 1, 5]),
        (pa.array([decimal.Decimal(BIG + 1), decimal.Decimal(5)]), [BIG + 1, 5]),
        (pa.array([3.0, None]), [3, None]),
    ],
)
def test_a_whole_number_keeps_every_digit(cells, ids):
    found = check_table(pa.table({"x": [1.0, 2.0], "id": cells}), KEYED, labelled=False, name="t")
    assert found.problems == {}
    assert found.table["id"].to_pylist() == ids
    assert [KEYED.keys[0].parse(one) for one in ids if one is not None] == [one for one in ids if one is not None]


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("9223372036854775808", "9223372036854775808 is outside -16777216 to 9223372036854775807"),
        ("1e30", "1000000000000000000000000000000 is outside"),
        (2**63, "9223372036854775808 is outside"),
        (1e16, "1e+16 is a float beyond 9007199254740992, where it may be a rounded one: write it as a whole number"),
        ("9007199254740993.5", "9007199254740994.0 is a float beyond"),
    ],
)
def test_a_whole_number_that_cannot_be_kept_is_refused(cell, sentence):
    dtype = {str: pa.string(), int: pa.uint64(), float: pa.float64()}[type(cell)]
    table = pa.table({"x": [1.0, 2.0], "id": pa.array([cell, None], dtype)})
    found = check_table(table, KEYED, labelled=False, name="t")
    assert found.problems[0][0].startswith(f"column id: {sentence}")


def test_a_limit_is_held_against_the_number_that_was_written():
    schema = replace(KEYED, keys=(Column("id", "integer", minimum=1, maximum=BIG),))
    found = check_table(pa.table({"x": [1.0], "id": [str(BIG + 1)]}), schema, labelled=False, name="t")
    assert found.problems == {0: [f"column id: {BIG + 1} is outside 1 to {BIG}"]}
    with pytest.raises(ValueError, match=f"{BIG + 1} is outside 1 to {BIG}"):
        schema.keys[0].parse(BIG + 1)


def test_an_input_beyond_a_float32_is_kept_as_float64():
    schema = Schema((Column("n", "integer", maximum=BIG, nullable=True),), SCHEMA.label)
    found = check_table(pa.table({"n": ["17948447", "", str(BIG)]}), schema, labelled=False, name="t")
    assert found.table.schema.field("n").type == pa.float64()
    values = found.table["n"].to_pylist()
    assert (values[0], values[2]) == (17948447, BIG)
    assert math.isnan(values[1])


def test_zero_and_nan_have_one_form_each():
    bits = np.array([0x7FF8000000000000, 0xFFF8000000000000, 0, 1 << 63], np.uint64).view(np.float64)
    for cells in (pa.array(bits), pa.array(["", "NA", "0", "-0.0"])):
        found = check_table(pa.table({"x": cells}), NULLABLE, labelled=False, name="t").table["x"].to_numpy()
        assert found.view(np.uint32).tolist()[0] == found.view(np.uint32).tolist()[1]
        assert found.view(np.uint32).tolist()[2:] == [0, 0]
    for parse in (NULLABLE.columns[0].parse, compile_parser(NULLABLE.columns[0])):
        assert math.copysign(1, parse(-0.0)) == 1


NULLABLE = Schema((Column("x", "float", nullable=True),), SCHEMA.label)


@pytest.mark.parametrize(
    ("classes", "cells"),
    [
        (("FEMALE", "MALE"), ["FEMALE", "MALE", "FEMALE"]),
        (("no", "yes"), ["0", "1", "0"]),
        (("no", "yes"), [False, True, False]),
        (("no", "yes"), ["False", "true", "0"]),
        (("1", "2"), [1, 2, 1]),
        (("1", "2"), ["1", "2.0", "1"]),
        (("-1", "1"), [-1.0, 1.0, -1.0]),
        (("False", "True"), ["False", "True", "0"]),
        (("2", "1"), [2, 1, 2]),
        (("no", "yes"), pa.array(["no", "yes", "no"]).dictionary_encode()),
        (("<=50K", ">50K"), [" <=50K", ">50K ", "<=50K"]),
    ],
)
def test_a_label_is_read_by_its_classes(classes, cells):
    schema = Schema((Column("x", "float"),), BinaryLabel("y", classes))
    found = check_table(pa.table({"x": [1.0, 2.0, 3.0], "y": cells}), schema, labelled=True, name="t")
    assert found.problems == {}
    assert found.table["y"].to_pylist() == [0, 1, 0]
    assert found.table.schema.field("y").type == pa.int8()


@pytest.mark.parametrize(
    ("classes", "cell", "sentence"),
    [
        (("1", "2"), 0, "0 is none of 1, 2"),
        (("no", "yes"), "Yes", '"Yes" is none of 0, 1, no, yes'),
        (("no", "yes"), 0.5, "0.5 is none of 0, 1, no, yes"),
        (("no", "yes"), 2**70, f"{2**70} is none of 0, 1, no, yes"),
        (("no", "yes"), None, "is null, which y may not be"),
        (("no", "yes"), math.nan, "is null, which y may not be"),
        (("no", "yes"), [1], r"\[1\] is none of 0, 1, no, yes"),
    ],
)
def test_a_label_that_is_no_class_is_named(classes, cell, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        BinaryLabel("y", classes).parse(cell)


@pytest.mark.parametrize(
    ("classes", "sentence"),
    [
        ((0, 1), "a class is called 0, not a printable text of 1 to 256 characters such as '0'"),
        (("yes", "yes"), "its classes 'yes' and 'yes' are the same"),
        (("1", "1.0"), "its classes '1' and '1.0' are the same"),
        (("True", "1"), "its classes 'True' and '1' are the same"),
        (("a", ""), "a class is called ''"),
        (("a", "b\nc"), "not a printable text"),
        (("a", "b", "c"), "not 2 names"),
        ("ab", "not 2 names"),
    ],
)
def test_classes_that_cannot_be_served_are_refused_where_they_are_declared(classes, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        BinaryLabel("y", classes)


def test_rows_that_lifeboat_stored_are_read_by_number_whatever_the_classes_are_called():
    label = stored_schema(Schema((Column("x", "float"),), BinaryLabel("y", ("1", "2")))).label
    assert [label.parse(code) for code in (0, 1)] == [0, 1]
    with pytest.raises(ValueError, match="2 is none of 0, 1$"):
        label.parse(2)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match="is a directory, not a file of rows"):
        read_table(tmp_path)


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
