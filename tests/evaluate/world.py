"""A tiny world: logistic ONNX graphs, bundles of them, and held-out rows they can be judged on."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper

from lifeboat.model.bundle import FILES, MODEL, REFERENCE, SCHEMA, Bundle, open_bundle, write_bundle
from lifeboat.tasks.binary.task import BinaryTask
from lifeboat.usecase.gates import BeatsChampion, Gate
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from lifeboat.usecase.usecase import Candidate, Slice, UseCase

OUTPUT = BinaryTask.output

COLUMNS = (
    Column("age", "float", nullable=True, minimum=0, maximum=120),
    Column("dose", "float"),
    Column("sex", "string", nullable=True, categories=("female", "male")),
    Column("skill", "float"),
)
SCHEMA_OF_ALL = Schema(COLUMNS, BinaryLabel("cured", ("ill", "well")))
BASELINE = {
    "columns": ["sex"],
    "overall": [0.5, 0.5],
    "groups": [{"values": ["female"], "answer": [0.3, 0.7]}, {"values": ["male"], "answer": [0.6, 0.4]}],
}
# The truth behind `write_rows`: log odds of 2 * skill + 1 for women.
TRUTH = {"skill": 2.0, "sex": 1.0}


def graph(weights: dict[str, float], schema: Schema = SCHEMA_OF_ALL, bias: float = 0.0) -> bytes:
    """A logistic model that takes every column; a text column counts 1 where it is 'female'."""
    nodes, terms = [], []
    constants = {"bias": np.float32(bias), "one": np.float32(1), "female": np.array(["female"], dtype=object)}
    for name, weight in weights.items():
        source = name
        if not schema.known[name].is_number:
            nodes.append(helper.make_node("Equal", [name, "female"], [f"{name} is"]))
            nodes.append(helper.make_node("Cast", [f"{name} is"], [f"{name} flag"], to=TensorProto.FLOAT))
            source = f"{name} flag"
        constants[f"{name} weight"] = np.float32(weight)
        nodes.append(helper.make_node("Mul", [source, f"{name} weight"], [f"{name} term"]))
        terms.append(f"{name} term")
    nodes += [
        helper.make_node("Sum", [*terms, "bias"], ["log odds"]),
        helper.make_node("Sigmoid", ["log odds"], ["well"]),
        helper.make_node("Sub", ["one", "well"], ["ill"]),
        helper.make_node("Concat", ["ill", "well"], [OUTPUT], axis=1),
    ]
    kinds = {True: TensorProto.FLOAT, False: TensorProto.STRING}
    inputs = [helper.make_tensor_value_info(item.name, kinds[item.is_number], [None, 1]) for item in schema.columns]
    outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, 2])]
    values = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    made = helper.make_graph(nodes, "logistic", inputs, outputs, values)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def make_bundle(
    directory: Path,
    weights: dict[str, float] | None = None,
    *,
    schema: Schema = SCHEMA_OF_ALL,
    split: dict[str, Any] | None = None,
    lineage: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
) -> Bundle:
    """A bundle of `graph`, split by {"salt": "s", "below": 0.2} unless told."""
    files = dict.fromkeys(FILES, b"[]") | {
        MODEL: graph(weights or TRUTH, schema),
        REFERENCE: reference(schema),
        SCHEMA: schema.to_json().encode(),
    }
    known = {"split": split or {"salt": "s", "below": 0.2}, "code": directory.name, **(lineage or {})}
    write_bundle(
        directory, files, {"usecase": "cure", "lineage": known, "training": {"baseline": BASELINE, **(training or {})}}
    )
    return open_bundle(directory)


def reference(schema: Schema = SCHEMA_OF_ALL) -> bytes:
    """Rows like those that are judged; a column that these have not is null."""
    known, file = pa.table(rows(200, seed=1)), io.BytesIO()
    cells = {
        column.name: known[column.name] if column.name in known.column_names else [column.null] * known.num_rows
        for column in schema.columns
    }
    pq.write_table(pa.table(cells), file)
    return file.getvalue()


def rows(count: int = 400, seed: int = 0) -> dict[str, Any]:
    """Columns of labelled rows with some nulls; positions in the split are below 0.2."""
    random = np.random.default_rng(seed)
    sex = random.choice(np.array(["female", "male", ""], dtype=object), count, p=(0.4, 0.5, 0.1))
    skill = random.normal(size=count).astype(np.float32)
    odds = np.exp(2 * skill + (sex == "female"))
    age = random.uniform(0, 80, count).astype(np.float32)
    age[random.random(count) < 0.1] = np.nan
    return {
        "age": age,
        "dose": random.normal(size=count).astype(np.float32),
        "sex": sex,
        "skill": skill,
        "cured": (random.random(count) < odds / (1 + odds)).astype(np.int8),
        "__holdout": random.uniform(0, 0.2, count),
    }


def write_rows(path: Path, columns: dict[str, Any] | None = None, metadata: dict[bytes, bytes] | None = None) -> Path:
    """A Parquet file as `preprocess` makes it."""
    pq.write_table(pa.table(columns or rows()).replace_schema_metadata(metadata), path)
    return path


def make_usecase(*gates: Gate, slices: tuple[Slice, ...] = (), title: str = "Cure") -> UseCase:
    """A use case that asks the gates given, or else only for a champion that is beaten."""
    return UseCase(
        name="cure",
        title=title,
        schema=SCHEMA_OF_ALL,
        data="nowhere.csv",
        features=lambda: None,  # type: ignore[arg-type,return-value]  # nothing here trains
        candidates=(Candidate("none", None),),  # type: ignore[arg-type]
        gates=gates or (BeatsChampion("log_loss"),),
        baseline=("sex",),
        slices=slices,
    )


def quiet(_: str) -> None:
    """Says nothing."""
