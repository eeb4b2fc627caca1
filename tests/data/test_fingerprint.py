import hashlib
import struct
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeboat.config.errors import DataError
from lifeboat.data.fingerprint import table_digest

KINDS = {"a": pa.string(), "b": pa.float64(), "c": pa.int64()}
TEXT = st.one_of(st.none(), st.text("aé", max_size=2))
ROWS = st.lists(st.tuples(TEXT, st.sampled_from((None, 0.0, 1.5)), st.sampled_from((None, 0, 2**60))), max_size=9)


def table_of(rows, cuts=()):
    """The rows, cut into pieces; each piece lies behind a row of padding in its arrays."""
    places = [0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]
    columns = {}
    for number, (name, kind) in enumerate(KINDS.items()):
        padding = {"a": "padding", "b": 9.0, "c": 9}[name]
        pieces = [
            pa.array([padding, *(row[number] for row in rows[start:end])], kind).slice(1)
            for start, end in pairwise(places)
        ]
        columns[name] = pa.chunked_array(pieces, kind)
    return pa.table(columns)


@given(ROWS, st.sets(st.integers(0, 9), max_size=4))
def test_the_same_rows_have_the_same_digest_however_they_are_cut(rows, cuts):
    assert table_digest(table_of(rows, cuts)) == table_digest(table_of(rows))


@given(ROWS, ROWS)
def test_other_rows_have_another_digest(one, other):
    assert (table_digest(table_of(one)) == table_digest(table_of(other))) == (one == other)


def test_a_digest_stays_what_it_is():
    """It stands in the lineage of bundles: another way to take it would make them look as if of other rows."""
    table = table_of([("Zoë", 1.5, 7), (None, None, None), ("", 0.0, -1)])
    known = bytes([0b10100000])
    blocks = [
        b"a", b"string", known, struct.pack("<5q", 0, 0, 4, 4, 4), "Zoë".encode(),
        b"b", b"double", known, struct.pack("<3d", 1.5, 0, 0),
        b"c", b"int64", known, struct.pack("<3q", 7, 0, -1),
    ]  # fmt: skip
    content = b"".join(struct.pack("<q", len(block)) + block for block in blocks)
    assert table_digest(table) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "other",
    [
        {"x": pa.array(["a", "b"])},
        {"a": pa.array(["ab", ""])},
        {"a": pa.array(["a", None])},
        {"a": pa.array(["a", ""])},
        {"a": pa.array(["b", "a"])},
        {"a": pa.array([None, None], pa.int64())},
        {"a": pa.array([None, None], pa.float64())},
        {"a": pa.array(["a", "b"]), "b": pa.array(["", ""])},
    ],
)
def test_names_types_order_and_nulls_count(other):
    assert table_digest(pa.table(other)) != table_digest(pa.table({"a": pa.array(["a", "b"])}))


def test_a_type_that_has_no_digest_is_named():
    with pytest.raises(DataError, match="column a: has type bool, which has no digest"):
        table_digest(pa.table({"a": [True]}))
