"""Scoring a table with a bundle's ONNX graph: numpy, pyarrow and onnxruntime, nothing of training.

One way for all who score many rows: the evaluate step, the golden requests and the batch command.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from lifeboat.config.errors import BundleError, DataError, first_line
from lifeboat.model.session import open_graph
from lifeboat.model.tensors import tensor_type
from lifeboat.tasks.kinds import task_of
from lifeboat.usecase.schema import Column, Schema

# Rows that one call of the session takes: enough to hide the call's overhead, few enough to bound memory.
CHUNK = 16_384
# Fewer rows are not worth sorting.
_FEW = 256
# A number is told apart in so many bands, drawn from so many rows; a text of more levels says nothing.
_BANDS, _SAMPLE, _LEVELS = 16, 1024, 256
_UNRUNNABLE = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    ValueError,
)


def feeds(schema: Schema, table: pa.Table) -> dict[str, NDArray[Any]]:
    """The graph's inputs: one [n, 1] tensor a column, of `tensor_type`, with NaN or "" for null.

    Columns of the table that the schema does not name are left out.

    Raises:
        DataError: a column is missing, or holds text where numbers belong or the other way round.
    """
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise DataError(f"columns missing: {', '.join(missing)}; there are: {', '.join(table.column_names)}")
    return {column.name: _tensor(column, table[column.name]) for column in schema.columns}


def accepts(column: Column, dtype: pa.DataType) -> bool:
    """Whether values of an Arrow type can be fed to a column without guessing."""
    if pa.types.is_dictionary(dtype):
        dtype = dtype.value_type
    text = pa.types.is_string(dtype) or pa.types.is_large_string(dtype)
    number = pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_boolean(dtype)
    return bool(pa.types.is_null(dtype) or (number if column.is_number else text))


def _tensor(column: Column, values: pa.ChunkedArray) -> NDArray[Any]:
    if not accepts(column, values.type):
        wanted = "numbers" if column.is_number else "text"
        raise DataError(f"holds {values.type}, the model takes {wanted}", column=column.name)
    dtype = pa.from_numpy_dtype(tensor_type(column)) if column.is_number else pa.large_string()
    # safe=False: a float64 is rounded to the nearest float32, which is what the model was trained on.
    filled = pc.fill_null(pc.cast(values, dtype, safe=False), column.null)
    tensor: NDArray[Any] = filled.to_numpy().reshape(-1, 1)
    return tensor


class Scorer:
    """A bundle's model, ready to score tables.

    Args:
        model: bytes of the ONNX graph.
        schema: of a raw row.
        threads: that one call may use.

    Raises:
        BundleError: ONNX Runtime cannot load the graph, or its inputs and output are not those of the schema.
    """

    def __init__(self, model: bytes, schema: Schema, threads: int = 1) -> None:
        self.session = open_graph(model, schema, threads)
        self.schema, self.task = schema, task_of(schema.label)

    def run(self, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """One call of the session: tensors [n, 1] by column name in, answers float32 [n, width] out.

        Raises:
            BundleError: the graph fails on these rows, or answers with another shape or a number that is not
                finite.
        """
        rows = len(next(iter(inputs.values())))
        try:
            answer: NDArray[np.float32] = self.session.run([self.task.output], inputs)[0]
        except _UNRUNNABLE as error:
            raise BundleError(f"the model fails on {rows} rows: {first_line(error)}") from error
        if answer.shape != (rows, self.task.width):
            shape = f"({rows}, {self.task.width})"
            raise BundleError(f"the model answers {rows} rows with the shape {answer.shape}, not {shape}")
        if not np.isfinite(answer).all():
            raise BundleError("the model gives an answer that is not finite")
        return answer

    def answers(self, table: pa.Table) -> NDArray[np.float32]:
        """The answer to each row, float32 [n, width]; `CHUNK` rows at a time.

        Raises:
            DataError, BundleError: see `feeds` and `run`.
        """
        answer = np.empty((table.num_rows, self.task.width), dtype=np.float32)
        for start in range(0, table.num_rows, CHUNK):
            chunk = table.slice(start, CHUNK)
            inputs = feeds(self.schema, chunk)
            order = _alike(self.schema, chunk)
            answer[start + order] = self.run({name: tensor[order] for name, tensor in inputs.items()})
        return answer


def _alike(schema: Schema, table: pa.Table) -> NDArray[np.int64]:
    """An order of the rows in which rows that are alike follow each other.

    Such rows take the same branches in a tree, which the processor then guesses rightly: ensembles of trees run two to
    three times as fast as on rows in any order. What a row's answer is does not depend on its neighbours.
    """
    if table.num_rows < _FEW:
        return np.arange(table.num_rows)
    codes = [code for column in schema.columns if (code := _code(column, table[column.name])) is not None]
    key = np.zeros(table.num_rows, dtype=np.int64)
    room = 2**62
    for code in sorted(codes, key=np.max):
        levels = int(code.max()) + 1
        room //= levels
        if room:
            key = key * levels + code
    return np.argsort(key)


def _code(column: Column, values: pa.ChunkedArray) -> NDArray[np.int64] | None:
    """A small number for each row, the same for values that are equal or near; None where few are. [n]"""
    if column.is_number:
        numbers = pc.cast(values, pa.float32(), safe=False).to_numpy()
        sample = np.unique(numbers[:: max(1, len(numbers) // _SAMPLE)])
        sample = sample[~np.isnan(sample)]
        edges = sample[np.linspace(0, len(sample) - 1, _BANDS).astype(int)] if len(sample) > _BANDS else sample
        # NaN counts as larger than any edge.
        bands: NDArray[np.int64] = np.searchsorted(edges, numbers).astype(np.int64)
        return bands
    encoded = pc.dictionary_encode(values, null_encoding="encode").combine_chunks()
    levels: NDArray[np.int64] = encoded.indices.to_numpy().astype(np.int64)
    return levels if len(encoded.dictionary) <= _LEVELS else None
