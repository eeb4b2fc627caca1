"""Every way in which a table breaks the schema is told with what to declare, and the declaration then works."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from lifeboat.data.table import check_table
from lifeboat.preprocess.advice import advise
from lifeboat.usecase.schema import BinaryLabel, Column, Schema

LABEL = BinaryLabel("y", ("no", "yes"))


def told(column: Column, cells: Any, label: BinaryLabel = LABEL, labels: Any = None) -> list[str]:
    table = pa.table({"c": cells, "y": labels if labels is not None else ["no"] * len(cells)})
    return advise(table, Schema((column,), label), "t")


@pytest.mark.parametrize(
    ("column", "cells", "advice", "mended"),
    [
        (
            Column("c", "float"),
            ["1", "", "NA"],
            "2 of 3 rows, the first in row 2: is null, which c may not be; declare nullable=True, or fill them in",
            {"nullable": True},
        ),
        (
            Column("c", "float", nullable=True),
            ["1", "missing", "NA", "missing"],
            (
                '2 of 4 rows, the first in row 2: "missing" is not a float; '
                "where that means that nobody knows, declare nullable=True, na=('NA', 'missing')"
            ),
            {"na": ("NA", "missing")},
        ),
        (
            Column("c", "integer"),
            ["1", "2.5"],
            '1 of 2 rows, the first in row 2: 2.5 is not an integer; declare kind "float"',
            {"kind": "float"},
        ),
        (
            Column("c", "float", maximum=10),
            ["1", "11", "400"],
            (
                "2 of 3 rows, the first in row 2: 11 is outside -3.40282e+38 to 10; "
                "they reach from 11 to 400: declare a wider minimum and maximum"
            ),
            {"maximum": 400},
        ),
        (
            Column("c", "string", categories=("a", "b")),
            ["a", "d", "c"],
            "2 of 3 rows, the first in row 2: \"d\" is none of a, b; declare categories=('a', 'b', 'c', 'd')",
            {"categories": ("a", "b", "c", "d")},
        ),
        (
            Column("c", "string", max_length=2),
            ["a", "long"],
            '1 of 2 rows, the first in row 2: "long" has more than 2 characters; declare max_length=4',
            {"max_length": 4},
        ),
        (
            Column("c", "float"),
            [f"text {number}" for number in range(9)],
            (
                '9 of 9 rows, the first in row 1: "text 0" is not a float; there are 9 such texts ("text 0", "text 1", '
                '"text 2", "text 3", "text 4", ...): declare kind "string"'
            ),
            {"kind": "string"},
        ),
    ],
)
def test_a_broken_column_is_told_with_a_declaration_that_mends_it(column, cells, advice, mended) -> None:
    assert told(column, cells) == [f"column c: {advice}"]
    schema = Schema((replace(column, **mended),), LABEL)
    assert check_table(pa.table({"c": cells, "y": ["no"] * len(cells)}), schema, labelled=True, name="t").problems == {}


def test_each_rule_of_a_column_has_its_own_sentence() -> None:
    found = told(Column("c", "integer", minimum=0), ["1", "", "-1", "x", "0.5"])
    assert len(found) == 4
    assert all("1 of 5 rows" in line for line in found if "x" not in line)


def test_decimals_with_a_comma_are_recognised() -> None:
    assert told(Column("c", "float"), ["1,5", "2,25"])[0].endswith('declare csv=Csv(decimal=",")')


def test_a_type_that_cannot_be_read_is_told_and_the_other_columns_too() -> None:
    table = pa.table({"c": [b"x"], "d": ["-1"], "y": ["no"]})
    schema = Schema((Column("c", "float"), Column("d", "float", minimum=0)), LABEL)
    assert [line.partition(";")[0] for line in advise(table, schema, "t")] == [
        "column c: has type binary, asked: float",
        "column d: 1 of 1 rows, the first in row 1: -1 is outside 0 to 3.40282e+38",
    ]


def test_a_text_that_looks_like_a_null_is_told_where_it_is_none() -> None:
    assert told(Column("c", "string"), ["male", "NA", "NA"]) == [
        "column c: some cells are 'NA' (2), which is text here: nullable=True makes it mean that nobody knows"
    ]
    assert told(Column("c", "string", nullable=True), ["male", "NA"]) == []


@pytest.mark.parametrize(
    ("labels", "advice"),
    [
        (
            ["MALE", "FEMALE", "MALE"],
            (
                "the column holds 'MALE' (2), 'FEMALE' (1): declare BinaryLabel('y', ('FEMALE', 'MALE')), "
                "the second is the one asked for"
            ),
        ),
        (
            [1, 2, 3],
            "the column holds 1 (1), 2 (1), 3 (1): declare NumberLabel('y'), or a ClassLabel if these are names",
        ),
        (["no", "", "NA"], "the column holds 'no' (1), 'NA' (1): rows without a label go to the quarantine"),
    ],
)
def test_a_label_is_told_with_the_classes_that_are_there(labels, advice) -> None:
    [found] = told(Column("c", "float"), ["1", "2", "3"], labels=labels)
    assert found.startswith("label y: ")
    assert found.endswith(f"; {advice}")
