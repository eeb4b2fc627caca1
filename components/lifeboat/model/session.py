"""The ONNX Runtime session of a bundle's graph: one way to make it, for scoring tables and for the model server."""

from __future__ import annotations

import onnxruntime as ort

from lifeboat.config.errors import BundleError, first_line
from lifeboat.model.tensors import ONNX_TYPES, tensor_type
from lifeboat.tasks.kinds import task_of
from lifeboat.usecase.schema import Schema


def open_graph(model: bytes, schema: Schema, threads: int = 1) -> ort.InferenceSession:
    """A session of a bundle's graph, held against the schema: it takes every column and gives an answer.

    Args:
        model: bytes of the graph.
        schema: of a raw row.
        threads: that one call may use.

    Raises:
        BundleError: ONNX Runtime cannot load the graph, or it is not one for this schema.
    """
    session = open_session(model, threads)
    taken = {entry.name: entry.type for entry in session.get_inputs()}
    given = {column.name: ONNX_TYPES[tensor_type(column)] for column in schema.columns}
    for name in sorted(taken.keys() | given.keys()):
        if taken.get(name) != given.get(name):
            takes, gives = taken.get(name, "no such input"), given.get(name, "no such column")
            raise BundleError(f"the model has {name} as {takes}, the schema as {gives}")
    outputs = {entry.name: (entry.type, entry.shape[-1:]) for entry in session.get_outputs()}
    task = task_of(schema.label)
    if outputs.get(task.output) != ("tensor(float)", [task.width]):
        raise BundleError(f"the model gives {outputs}, not {task.output} as tensor(float) [n, {task.width}]")
    return session


def open_session(model: bytes, threads: int = 1) -> ort.InferenceSession:
    """A session on the processor.

    Whoever runs it must give every input: Python does not check that for each run. ONNX Runtime would look each one up
    in a list of those given, which of 300 inputs takes longer than the model; our feeds come from the schema, and its
    columns were held against the graph's inputs when that was loaded.

    Args:
        model: bytes of the graph.
        threads: that one call may use.

    Raises:
        BundleError: ONNX Runtime cannot load the graph.
    """
    # Its official builds report home unless told not to: here, and before the import in `main`.
    ort.disable_telemetry_events()
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors share no base but this
        raise BundleError(f"the model cannot be loaded: {first_line(error)}") from error
    session._validate_input = _given
    return session


def _given(names: list[str]) -> None:
    """Every input is given."""
