"""One way to make an ONNX Runtime session, for batch scoring and for the model server."""

from __future__ import annotations

import onnxruntime as ort

from lifeboat.config.errors import BundleError, first_line


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
